"""What would go wrong silently is an error."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.rl.environment.rules import Rules
from hydrasurr.rl.executors.pool import Result
from hydrasurr.rl.running.config import DesignConfig
from hydrasurr.rl.running.evaluator import Evaluations
from hydrasurr.rl.running.team import open_team
from hydrasurr.rl.scheduling.tasks import Task
from tests.rl.running.designs import LEARNERS, raw


@pytest.mark.parametrize("symbol", ["H", "Al", "Sn", "Pb"])
def test_elements_that_cannot_be_built_with(symbol: str) -> None:
    with pytest.raises(ValueError, match=f"'{symbol}' (is added|makes rings|has two bonds)"):
        Rules(elements=("C", symbol))


def test_one_server_of_a3c(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    config = DesignConfig.model_validate(raw(learner=LEARNERS["a3c"]))
    with pytest.raises(ConfigError, match="A3C has one server that applies gradients"), open_team(config):
        pass


def test_an_evaluator_that_fails_is_told_of() -> None:
    def results() -> Iterator[Result]:
        yield Result(Task("evaluation 3", None), None, "RuntimeError: told so", 0, 1.0, 1)

    evaluations = Evaluations(SimpleNamespace(ready_results=results), 5, print)
    with pytest.raises(HydrasurrError, match="evaluation 3 failed: RuntimeError: told so"):
        evaluations.offer(SimpleNamespace(version=3), 100)
