"""A whole design run from its configuration: rewards, actors, learners, results."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from hydrasurr.errors import HydrasurrError
from hydrasurr.files import append_record
from hydrasurr.rl.environment.actions import ActionSpace
from hydrasurr.rl.executors.pool import TaskRun
from hydrasurr.rl.learners.base import Learner
from hydrasurr.rl.learners.choice import LEARNERS
from hydrasurr.rl.policy.file import save_policy
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.running.actor import Actor
from hydrasurr.rl.running.config import DesignConfig
from hydrasurr.rl.running.evaluator import Evaluated, Evaluations, Evaluator
from hydrasurr.rl.running.folder import DesignFolder
from hydrasurr.rl.running.history_state import history_from
from hydrasurr.rl.running.loop import Loop
from hydrasurr.rl.running.results import write_results
from hydrasurr.rl.running.rewards import Rewards, open_rewards
from hydrasurr.rl.running.team import Team, open_team
from hydrasurr.rl.running.watch import Watcher
from hydrasurr.rl.running.weights import SharedWeights, Weights
from hydrasurr.rl.scheduling.tasks import Worker
from hydrasurr.training.ranks import choose_device, process_group
from hydrasurr.training.stop import StopRequest


def run(
    config: DesignConfig,
    folder: DesignFolder,
    *,
    resume: bool = False,
    force: bool = False,
    time_limit: float | None = None,
    start: dict[str, torch.Tensor] | None = None,
) -> dict[str, Any]:
    """Train an agent. All processes of a job call this alike.

    Returns the results on the first learner; nothing on others, nor if stopped early by a signal or the time limit (in
    seconds): the run then goes on with `resume=True`.

    Parameters
    ----------
    start : weights of an agent to go on from, in place of random ones
    """
    with open_team(config) as team, StopRequest(time_limit).on_signals() as stop:
        device = choose_device(config.running.device, team.ranks)
        if team.role != "learner":
            _Job(config, folder, team, device, False).work()
            return {}
        with process_group(team.ranks, device, store=team.store):
            resumed = _prepare(config, folder, team, resume=resume, force=force)
            return _Job(config, folder, team, device, resumed).learn(stop, start)


def _prepare(config: DesignConfig, folder: DesignFolder, team: Team, *, resume: bool, force: bool) -> bool:
    """The first learner prepares the folder; if it cannot, all raise the same error."""
    told: list[Any] = [None]
    if team.ranks.is_root:
        try:
            told = [folder.prepare(config, resume=resume, force=force)]
        except HydrasurrError as error:
            told = [error]
    if team.ranks.world_size > 1:
        dist.broadcast_object_list(told)
    if isinstance(told[0], HydrasurrError):
        raise told[0]
    return told[0]


class _Job:
    """A run as one process of it sees it."""

    def __init__(self, config: DesignConfig, folder: DesignFolder, team: Team, device: torch.device, resumed: bool):
        self.config, self.folder, self.team, self.device, self.resumed = config, folder, team, device, resumed

    def work(self) -> None:
        """Of an actor or an evaluator."""
        with open_rewards(self.config, self.team) as rewards:
            self.team.serve()
            rewards.finish()

    def learn(self, stop: StopRequest, start: dict[str, torch.Tensor] | None) -> dict[str, Any]:
        """Of a learner."""
        config, ranks = self.config, self.team.ranks
        torch.set_num_threads(config.running.threads)
        state = self.folder.load_part(ranks.rank, ranks.world_size) if self.resumed else None
        watcher = Watcher(config, visible=ranks.is_root)
        known = None if state is None else history_from(state["history"])
        with open_rewards(config, self.team, known) as rewards, watcher:
            learner = self._learner(start, state)
            finished = self._loop(learner, state, rewards, stop, watcher)
            if self.team.dismiss is not None:
                self.team.dismiss()
            history, columns = rewards.finish()
        if not finished:
            watcher.say(f"stopped by {stop.reason}; go on with --resume")
            return {}
        if not ranks.is_root:
            return {}
        save_policy(self.folder.policy, learner.network, config.model_dump(mode="json"))
        return write_results(config, self.folder, history, columns)

    # -- parts -----------------------------------------------------------------------------------------

    def _learner(self, start: dict[str, torch.Tensor] | None, state: dict[str, Any] | None) -> Learner:
        config = self.config
        torch.manual_seed(config.seed)
        network = ActionNetwork(config.model, config.environment.rules).eval()
        if start is not None:
            network.load_state_dict(start)
        seed = int(np.random.SeedSequence((config.seed, self.team.ranks.rank)).generate_state(1)[0])
        space = ActionSpace(config.environment.rules)
        # Of all learners alike, so that they go in step; in a run that goes on as many as before, whoever plays them.
        lanes = config.lanes(self.team.most_actors) if state is None else len(state["lanes"])
        return LEARNERS[config.learner.type](config.learner, network.to(self.device), space, lanes, seed)

    def _loop(
        self,
        learner: Learner,
        state: dict[str, Any] | None,
        rewards: Rewards,
        stop: StopRequest,
        watcher: Watcher,
    ) -> bool:
        config, folder, ranks = self.config, self.folder, self.team.ranks
        with ExitStack() as stack:
            shared = self._shared_weights(learner)
            if shared is not None:
                stack.callback(shared.close)
            evaluations = self._evaluations(rewards, stack, watcher)
            tell = watcher.update
            loop = Loop(config, folder, learner, ranks, rewards.client, shared, evaluations, stop, tell, state)
            if ranks.is_root:
                folder.keep_records_until(learner.version)
            watcher.begin(loop.frames)
            with self._actors(learner, rewards, shared, state, loop) as tasks:
                return loop.run(tasks)

    def _shared_weights(self, learner: Learner) -> SharedWeights | None:
        if not self.team.actor_executor.shares_memory:
            return None
        return SharedWeights(len(Weights.of(learner.network, 0).values))

    def _actors(
        self,
        learner: Learner,
        rewards: Rewards,
        shared: SharedWeights | None,
        state: dict[str, Any] | None,
        loop: Loop,
    ) -> TaskRun:
        config, team = self.config, self.team
        actor = Actor(config, learner.lanes * team.ranks.world_size, rewards.nodes, shared, self.folder.marks)
        nothing = {"open": {}, "done": [], "failed": {}}
        return TaskRun(
            actor,
            [],
            config.scheduling,
            [Worker(config.running.actor_device)] * team.actors,
            None if state is None else {"ledger": nothing, "costs": state["costs"]},
            executor=team.actor_executor,
            ahead=config.ahead,
            payload=loop.request,
        )

    def _evaluations(self, rewards: Rewards, stack: ExitStack, watcher: Watcher) -> Evaluations | None:
        if self.team.evaluator_executor is None:
            return None
        evaluator = Evaluator(self.config, rewards.nodes)
        tasks = stack.enter_context(TaskRun(evaluator, [], workers=1, executor=self.team.evaluator_executor))

        def tell(evaluated: Evaluated) -> None:
            if evaluated.news is not None:
                rewards.client.adopt(evaluated.news)
            append_record(self.folder.evaluations, evaluated.record)
            watcher.evaluated(evaluated.record)

        return Evaluations(tasks, self.config.evaluation.every, tell)
