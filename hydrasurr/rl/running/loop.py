"""What a learner does: hand out rollouts, take what comes, learn, tell the new weights, record and save."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.distributed as dist

from hydrasurr.errors import HydrasurrError
from hydrasurr.files import append_record
from hydrasurr.launcher import Ranks
from hydrasurr.rl.executors.executor import Link
from hydrasurr.rl.executors.pool import Result, TaskRun
from hydrasurr.rl.learners.base import Learner, over_ranks
from hydrasurr.rl.rewards.client import RewardClient
from hydrasurr.rl.running.config import DesignConfig
from hydrasurr.rl.running.evaluator import Evaluations
from hydrasurr.rl.running.folder import DesignFolder
from hydrasurr.rl.running.history_state import history_state
from hydrasurr.rl.running.lanes import Lane, Played, Request
from hydrasurr.rl.running.record import Recorder
from hydrasurr.rl.running.weights import SharedWeights, Weights
from hydrasurr.rl.scheduling.tasks import Task
from hydrasurr.training.communication import DataParallel, data_parallel
from hydrasurr.training.gradient_group import SCOPES
from hydrasurr.training.stop import StopRequest
from hydrasurr.training.timing import PhaseTimer

RECORD_SECONDS = 1.0
"""Asynchronous learners make many updates a second; a record covers at least so long."""


class Loop:
    """A learner at work; the learners of all ranks go in step from update to update.

    Parameters
    ----------
    learner : on rank 0 its weights count
    ranks : of the learners
    rewards : the reward service of this node
    shared : where actors read weights; None: they come with requests
    tell : called on rank 0 with each record
    state : this learner's part of a checkpoint, to go on from

    Attributes
    ----------
    frames : actions so far, in the lanes of all learners
    """

    def __init__(
        self,
        config: DesignConfig,
        folder: DesignFolder,
        learner: Learner,
        ranks: Ranks,
        rewards: RewardClient,
        shared: SharedWeights | None,
        evaluations: Evaluations | None,
        stop: StopRequest,
        tell: Callable[[dict[str, Any]], None],
        state: dict[str, Any] | None = None,
    ):
        self.config, self.folder, self.learner, self.ranks = config, folder, learner, ranks
        first = ranks.rank * learner.lanes
        self.lanes = {number: Lane(number) for number in range(first, first + learner.lanes)}
        self.rewards, self.shared = rewards, shared
        self.evaluations, self.stop, self.tell = evaluations, stop, tell
        self.frames, self.seconds = 0, 0.0
        self._own_frames = 0
        self._timer, self._sent = PhaseTimer(next(learner.network.parameters()).device), Counter()
        self._parallel: DataParallel | None = None
        if ranks.world_size > 1:
            updates = 0 if state is None else state["learner"]["version"]
            averaging = config.communication, self._timer, self._sent, updates, config.seed
            learner.forward = self._parallel = data_parallel(learner.network, *averaging)
        self._recorder = Recorder()
        self._played: list[Played] = []
        """Contributions since the last update that left nothing pending."""
        self._known: WeakKeyDictionary[Link, int] = WeakKeyDictionary()
        """The version of the weights that an actor has been sent; one in the place of a dead one has none."""
        self._spent = self._stopped = self._over = self._save_due = False
        self._evaluated = 0
        self._saved = time.monotonic()
        if state is not None:
            self._resume(state)

    def run(self, tasks: TaskRun) -> bool:
        """Until all frames are there or the budget is spent: True; False if asked to stop before."""
        self._tasks = tasks
        self._publish()
        self._over = self.frames >= self.config.frames
        tasks.add([self._task(lane) for lane in self.lanes.values()])
        results = iter(tasks)
        while not self._over:
            with self._recorder.phase("wait"):
                result = next(results)
            self._take(result)
            if self._spent or self.stop.requested:
                self._agree()
            while not self._over and self.learner.ready and not self._agree():
                self._update()
        self.frames = int(over_ranks(torch.tensor(self._own_frames)))  # also those after the last update
        if self._recorder.updates or self._recorder.rollouts:
            self._record()
        if self.evaluations is not None:
            self.evaluations.finish()
        self._save()
        return not self._stopped

    # -- rollouts --------------------------------------------------------------------------------------

    def request(self, task: Task, link: Link) -> Request:
        """What an actor is sent for a task, just before it is."""
        if self.shared is None and self._known.get(link) != self._weights.version:
            self._known[link] = self._weights.version
            return Request(task.payload, self._weights)
        return Request(task.payload)

    def _task(self, lane: Lane) -> Task:
        return Task(f"lane {lane.number}, rollout {lane.rollouts}", lane)

    def _take(self, result: Result) -> None:
        if result.error is not None:
            raise HydrasurrError(f"{result.task.id} failed: {result.error}")
        played: Played | None = result.value
        if played is None:
            self._spent = True
            return
        if played.news is not None:
            self._spent |= self.rewards.adopt(played.news)
        self._played.append(played)
        self.learner.take(played.lane.number, played.version, played.content)
        if not self.learner.pending:
            self._commit()
        if not self.learner.synchronous:
            self._tasks.add([self._task(played.lane)])

    # -- updates ---------------------------------------------------------------------------------------

    def _update(self) -> None:
        with self._recorder.phase("learn"):
            report = self.learner.update()
        self._recorder.note_update(report)
        if not self.learner.pending:
            self._commit()
        self.frames = int(over_ranks(torch.tensor(self._own_frames)))
        with self._recorder.phase("publish"):
            self._publish()
        if self.evaluations is not None:
            self.evaluations.offer(self._weights, self.frames)
        if self.learner.synchronous or self._recorder.age >= RECORD_SECONDS:
            self._record()
        self._over = self.frames >= self.config.frames
        if self._save_due and not self._over and not self._played:
            if self._recorder.updates:  # a run that goes on from there has it behind it
                self._record()
            self._save()
        if self.learner.synchronous:
            self._tasks.add([self._task(lane) for lane in self.lanes.values()])

    def _commit(self) -> None:
        """All that came is learnt from, or is in the learner's state: from here a resumed run goes on."""
        self._own_frames += sum(played.frames for played in self._played)
        for played in sorted(self._played, key=lambda played: played.lane.number):  # whoever came first
            self.lanes[played.lane.number] = played.lane
            self._recorder.note_played(played)
        self._played = []
        if self.learner.synchronous:  # else there are more by the time they are counted
            self._evaluated = self._ask_progress()["evaluations"]

    def _publish(self) -> None:
        self._weights = Weights.of(self.learner.network, self.learner.version)
        if self.shared is not None:
            self.shared.write(self._weights)

    def _agree(self) -> bool:
        """Whether all learners end now; all come here before each update, and whoever wants to end."""
        minutes = (time.monotonic() - self._saved) / 60
        wishes = [self._spent, self.stop.requested, minutes >= self.config.checkpoint_minutes]
        flags = over_ranks(torch.tensor(wishes, dtype=torch.int32), dist.ReduceOp.MAX).bool().tolist()
        self._spent, self._stopped, self._save_due = flags
        self._over = self._spent or self._stopped
        return self._over

    # -- records and checkpoints -----------------------------------------------------------------------

    def _ask_progress(self) -> dict[str, float]:
        return self.rewards.progress(self.config.top_k)

    def _record(self) -> None:
        """Of this rank; only that of rank 0 is kept."""
        record, lag, timed = self._recorder.take(), self.learner.lags.take(), self._timer.take()
        sent = {scope: self._sent[scope] for scope in SCOPES}
        self._sent.clear()
        self.seconds += record["seconds"]["all"]
        if not self.ranks.is_root:
            return
        rewards = self._ask_progress()
        load = self._tasks.report()
        record = {
            "update": self.learner.version,
            "total_frames": self.frames,
            "total_seconds": self.seconds,
            "evaluations": self._evaluated if self.learner.synchronous else rewards["evaluations"],
            "best": rewards["best"],
            **record,
            "all_reduce_seconds": timed["all_reduce"],
            "exposed_seconds": timed["exposed"],
            "bytes_sent": sent,
            "lag": lag,
            "load": {**load.summary(), "busy": list(load.load), "vain": list(load.vain)},
            "rewards": {key: rewards[key] for key in ("hit_rate", "batch_size_median", "latency_ms_median")},
        }
        append_record(self.folder.metrics, record)
        self.tell(record)

    def _save(self) -> None:
        """Called by all ranks together: each its own part, and then all count."""
        with self._recorder.phase("save"):
            history = self.rewards.history()
            # With an evaluator it is chance what is known when, but nothing of it shall be lost.
            exact = self.learner.synchronous and self.evaluations is None
            count = self._evaluated if exact else len(history)
            state = {
                "learner": self.learner.state_dict(),
                "compressor": self._parallel.compressor.state_dict() if self._parallel is not None else None,
                "lanes": [lane.state_dict() for lane in self.lanes.values()],
                "history": history_state(history, count),
                "frames": self.frames,
                "own_frames": self._own_frames,
                "seconds": self.seconds,
                "costs": self._tasks.state_dict()["costs"],
            }
            self.folder.save_part(self.learner.version, self.ranks.rank, state)
            if self.ranks.world_size > 1:
                dist.barrier()
            if self.ranks.is_root:
                self.folder.settle(self.learner.version, self.ranks.world_size)
        self._saved = time.monotonic()

    def _resume(self, state: dict[str, Any]) -> None:
        self.learner.load_state_dict(state["learner"])
        if self._parallel is not None:
            first = [state["compressor"]]  # that of the first learner has the errors of all
            dist.broadcast_object_list(first)
            self._parallel.compressor.load_state_dict(first[0])
        self.lanes = {lane.number: lane for lane in map(Lane.from_state, state["lanes"])}
        self.frames, self._own_frames, self.seconds = state["frames"], state["own_frames"], state["seconds"]
        self._evaluated = state["history"]["count"]
