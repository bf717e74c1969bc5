"""What a learner and its evaluator tell each other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from hydrasurr.errors import HydrasurrError
from hydrasurr.rl.executors.pool import Result, TaskRun
from hydrasurr.rl.running.evaluator import MOST_ASKED, Evaluations
from hydrasurr.rl.scheduling.tasks import Task


def evaluate_slowly(asked: tuple[SimpleNamespace, int]) -> int:
    time.sleep(0.1)
    return asked[0].version


def test_a_learner_waits_for_an_evaluator_that_is_far_behind() -> None:
    told: list[int] = []
    with TaskRun(evaluate_slowly, [], workers=1) as tasks:
        evaluations = Evaluations(tasks, 2, told.append)
        for version in range(1, 25):
            evaluations.offer(SimpleNamespace(version=version), 0)
            assert version // 2 - len(told) <= MOST_ASKED
        evaluations.finish()
    assert told == list(range(2, 25, 2))


def test_an_evaluator_that_fails_is_told_of() -> None:
    def results() -> Iterator[Result]:
        yield Result(Task("evaluation 3", None), None, "RuntimeError: told so", 0, 1.0, 1)

    evaluations = Evaluations(SimpleNamespace(ready_results=results), 5, print)
    with pytest.raises(HydrasurrError, match="evaluation 3 failed: RuntimeError: told so"):
        evaluations.offer(SimpleNamespace(version=3), 100)
