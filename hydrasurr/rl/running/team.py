"""The processes of a run: which part each has, and how they find each other."""

from __future__ import annotations

import pickle
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import torch.distributed as dist

from hydrasurr.errors import ConfigError, HydrasurrError, missing_extra
from hydrasurr.launcher import MPI, TORCHRUN, Ranks, abort, discover
from hydrasurr.rl.executors.executor import Executor
from hydrasurr.rl.executors.local import LocalExecutor
from hydrasurr.rl.executors.ranks import Role, Roles
from hydrasurr.rl.running.config import DesignConfig
from hydrasurr.training.ranks import meet, meet_over_mpi

PATIENCE = timedelta(minutes=30)
"""For ranks that start later than others."""
WHOLE_RUN = timedelta(days=365)
"""For ranks that have nothing to do until a run ends."""


@dataclass(frozen=True)
class Team:
    """A process among those of a run.

    Attributes
    ----------
    role : of this process
    number : of this process among all
    ranks : of a learner, its place among learners
    actors : of a learner, how many it has
    most_actors : that a learner has; others may have one less
    exchange : hand over a value and get those of all processes, by rank; called by all of them together
    actor_executor, evaluator_executor : where those of a learner run; the first learner has the evaluator
    serve : of other processes, what they do; ends when their learner sends them home
    dismiss : of a learner, that it does so
    store : where learners meet for their process group; None: where the launcher says
    """

    role: Role
    number: int
    ranks: Ranks
    actors: int
    most_actors: int
    exchange: Callable[[Any], list[Any]]
    actor_executor: Executor | None = None
    evaluator_executor: Executor | None = None
    serve: Callable[[], None] | None = None
    dismiss: Callable[[], None] | None = None
    store: dist.Store | None = None


@contextmanager
def open_team(config: DesignConfig) -> Iterator[Team]:
    """This process's place in a run; called by all of its processes together.

    Raises ConfigError if the launcher is not that of the executor, or has started too few ranks.
    """
    match config.running.executor:
        case "mpi":
            roles = _mpi_roles(config)
            try:
                yield from _mpi_team(roles)
            except Exception as error:
                _abort(error)
        case "torchrun":
            yield from _torchrun_team(config)
        case "ray":
            from hydrasurr.rl.executors.ray import RayExecutor

            yield _team_of_learners(config, RayExecutor)
        case _:
            yield _team_of_learners(config, LocalExecutor)


def _abort(error: Exception) -> None:
    """After an error of one rank of an MPI job."""
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is None or mpi.COMM_WORLD.size == 1:
        raise error
    if isinstance(error, HydrasurrError):
        print(f"error: {error}", file=sys.stderr)
    else:
        traceback.print_exception(error)
    abort(mpi.COMM_WORLD)


def _team_of_learners(config: DesignConfig, executor: Callable[[], Executor]) -> Team:
    ranks = discover()
    if config.learner.type == "a3c" and ranks.world_size > 1:
        raise ConfigError("A3C has one server that applies gradients: start one rank, or take another learner")
    evaluator = executor() if config.running.evaluator and ranks.is_root else None
    actors = config.running.actors
    return Team("learner", ranks.rank, ranks, actors, actors, exchange_among_learners, executor(), evaluator)


def exchange_among_learners(value: Any) -> list[Any]:
    """Within their process group."""
    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    values = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def _mpi_roles(config: DesignConfig) -> Roles:
    """All ranks raise the same errors here, so that none waits for another."""
    ranks = discover(launchers=MPI)
    if ranks.world_size == 1:
        raise ConfigError("running.executor is 'mpi', but this is one process: start it by mpirun -n N or srun")
    try:
        from mpi4py import MPI as mpi
    except ImportError as error:
        raise missing_extra("mpi4py", "mpi") from error
    return _roles(config, mpi.COMM_WORLD.size)


def _mpi_team(roles: Roles) -> Iterator[Team]:
    from mpi4py import MPI as mpi

    from hydrasurr.rl.executors.mpi import MPIExecutor, serve_owner

    comm = mpi.COMM_WORLD
    work = comm.Dup()  # so that what is exchanged does not mix with work
    learner = roles.role(comm.rank) == "learner"
    learners = comm.Split(0 if learner else mpi.UNDEFINED)
    if not learner:
        yield _worker(roles, comm.rank, comm.allgather, lambda: serve_owner(work, roles.owner(comm.rank)))
        return
    store = meet_over_mpi(learners, PATIENCE) if roles.learners > 1 else None
    executors = MPIExecutor(work, roles.actors(comm.rank)), MPIExecutor(work, roles.evaluators(comm.rank))
    yield from _learner(roles, comm.rank, comm.allgather, executors, store)


def _torchrun_team(config: DesignConfig) -> Iterator[Team]:
    ranks = discover(launchers=TORCHRUN)
    if ranks.world_size == 1:
        raise ConfigError(
            "running.executor is 'torchrun', but this is one process: start it by torchrun --nproc-per-node N -m "
            "hydrasurr design train ..."
        )
    from hydrasurr.rl.executors.sockets import SocketExecutor, serve_owner

    rank, roles = ranks.rank, _roles(config, ranks.world_size)
    store = dist.PrefixStore("design", meet(ranks, PATIENCE))
    exchange = _StoreExchange(store, ranks)
    if roles.role(rank) != "learner":
        place = f"{roles.role(rank)}s of {roles.owner(rank)}"
        yield _worker(roles, rank, exchange, lambda: serve_owner(store, place))
    else:
        executors = (
            SocketExecutor(store, f"actors of {rank}", len(roles.actors(rank))),
            SocketExecutor(store, f"evaluators of {rank}", len(roles.evaluators(rank))),
        )
        learners = dist.PrefixStore("learners", store) if roles.learners > 1 else None
        yield from _learner(roles, rank, exchange, executors, learners)
    exchange.leave()


def _roles(config: DesignConfig, size: int) -> Roles:
    return Roles(size, config.running.learners or 1, config.running.evaluator)


def _worker(roles: Roles, rank: int, exchange: Callable[[Any], list[Any]], serve: Callable[[], None]) -> Team:
    return Team(roles.role(rank), rank, Ranks(rank, roles.size), 0, 0, exchange, serve=serve)


def _learner(
    roles: Roles,
    rank: int,
    exchange: Callable[[Any], list[Any]],
    executors: tuple[RankExecutor, RankExecutor],
    store: dist.Store | None,
) -> Iterator[Team]:
    """A learner that sends its workers home at the end."""
    actors, evaluator = executors
    ranks = Ranks(rank, roles.learners) if roles.learners > 1 else Ranks()

    def dismiss() -> None:
        for executor in executors:
            executor.dismiss()

    team = Team(
        role="learner",
        number=rank,
        ranks=ranks,
        actors=len(roles.actors(rank)),
        most_actors=len(roles.actors(0)),
        exchange=exchange,
        actor_executor=actors,
        evaluator_executor=evaluator if roles.evaluators(rank) else None,
        dismiss=dismiss,
        store=store,
    )
    try:
        yield team
    finally:
        dismiss()


class RankExecutor(Executor, Protocol):
    """One whose workers are ranks that were there before."""

    def dismiss(self) -> None:
        """Send them home."""


class _StoreExchange:
    """Hands values around through a store that all ranks have."""

    def __init__(self, store: dist.Store, ranks: Ranks):
        self._store, self._ranks, self._calls = store, ranks, 0

    def __call__(self, value: Any) -> list[Any]:
        self._calls += 1
        self._store.set(f"{self._calls} {self._ranks.rank}", pickle.dumps(value))
        keys = [f"{self._calls} {rank}" for rank in range(self._ranks.world_size)]
        self._store.wait(keys, WHOLE_RUN)
        return [pickle.loads(self._store.get(key)) for key in keys]

    def leave(self) -> None:
        """Rank 0 may keep the store, so it leaves last."""
        self._store.add("left", 1)
        while self._ranks.is_root and self._store.add("left", 0) < self._ranks.world_size:
            time.sleep(0.01)
