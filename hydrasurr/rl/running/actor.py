"""What an actor does: rollouts of whichever lane it is asked for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hydrasurr.rl.environment.episodes import Episodes, Objective
from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.executors.worker import this_worker
from hydrasurr.rl.learners.choice import LEARNERS
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.policy.unroll import Sampler, Unroll
from hydrasurr.rl.rewards.service import BudgetSpent
from hydrasurr.rl.running.config import DesignConfig
from hydrasurr.rl.running.disturbance import Disturbance
from hydrasurr.rl.running.lanes import Played, Request
from hydrasurr.rl.running.rewards import NodeRewards
from hydrasurr.rl.running.weights import SharedWeights


class TimedObjective:
    """An objective, and the seconds that were spent waiting for it."""

    def __init__(self, objective: Objective):
        self._objective = objective
        self.seconds = 0.0

    def __call__(self, molecules: Molecules) -> np.ndarray:
        start = time.perf_counter()
        try:
            return self._objective(molecules)
        finally:
            self.seconds += time.perf_counter() - start


class Actor:
    """Function of workers: plays what it is asked for. Sent to other processes, it starts when first called.

    Parameters
    ----------
    config : of the run
    lanes : of all learners together
    rewards : where it gets them
    shared : where weights are, if they do not come with requests
    marks : folder for a study's disturbances
    """

    def __init__(
        self,
        config: DesignConfig,
        lanes: int,
        rewards: NodeRewards,
        shared: SharedWeights | None,
        marks: Path,
    ):
        self.config, self.lanes, self.rewards, self.shared, self.marks = config, lanes, rewards, shared, marks
        self._sampler: Sampler | None = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_sampler": None}

    def __call__(self, request: Request) -> Played | None:
        """None: the budget of evaluations does not suffice for it."""
        try:
            return self._answer(request)
        except BudgetSpent:
            return None

    def _answer(self, request: Request) -> Played:
        if self._sampler is None:
            self._start()
        begun = time.perf_counter()
        self._load(request)
        loaded = time.perf_counter()
        self._disturbance.before()
        unroll = self._play(request)
        played = time.perf_counter()
        self._disturbance.after(request.lane, played - loaded)
        played += self._disturbance.waited
        learner = LEARNERS[self.config.learner.type]
        episodes = self._sampler.episodes
        content = learner.digest(self.config.learner, self._sampler.network, episodes.actions, unroll)
        ended = unroll.ended
        reward, self._objective.seconds = self._objective.seconds, 0.0
        return Played(
            lane=request.lane.after(episodes.state()),
            version=self._version,
            content=content,
            frames=unroll.frames,
            objective=unroll.objective[ended],
            length=_lengths(unroll, request),
            seconds={
                "load": loaded - begun,
                "play": played - loaded - reward,
                "reward": reward,
                "digest": time.perf_counter() - played,
            },
            actor=self._disturbance.actor,
            end=time.time(),
            news=self.rewards.news(),
        )

    def _start(self) -> None:
        config = self.config
        torch.set_num_threads(config.running.threads)
        network = ActionNetwork(config.model, config.environment.rules).to(config.running.actor_device)
        self._objective = TimedObjective(self.rewards)
        episodes = Episodes(config.environment, self._objective, config.running.molecules, config.seed)
        self._sampler = Sampler(episodes, network.eval().requires_grad_(True), 0)
        self._version = -1
        worker = this_worker()
        self._disturbance = Disturbance(
            config.running.disturbance, worker.number if worker else 0, config.seed, self.marks
        )

    def _load(self, request: Request) -> None:
        weights = self.shared.read(self._version) if self.shared is not None else request.weights
        if weights is not None:
            weights.put_into(self._sampler.network)
            self._version = weights.version

    def _play(self, request: Request) -> Unroll:
        sampler, lane = self._sampler, request.lane
        starts, actions = lane.seeds(self.config.seed)
        sampler.episodes.seed(starts)
        if lane.episodes is None:
            sampler.episodes.reset()
        else:
            sampler.episodes.restore(lane.episodes)
        sampler.seed(actions)
        sampler.choose = LEARNERS[self.config.learner.type].chooser(self.config.learner, lane.number, self.lanes)
        return sampler.unroll(self.config.learner.steps, self._version)


def _lengths(unroll: Unroll, request: Request) -> np.ndarray:
    """int64 `[episodes]`: of those that ended, in the order of `unroll.objective[unroll.ended]`."""
    before = request.lane.episodes
    taken = np.zeros(unroll.ended.shape[1], np.int64) if before is None else before.taken.copy()
    lengths = []
    for ended in unroll.ended:
        taken += 1
        lengths.append(taken[ended])
        taken[ended] = 0
    return np.concatenate(lengths)
