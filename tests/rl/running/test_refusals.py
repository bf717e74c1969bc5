"""What would go wrong silently is an error."""

from __future__ import annotations

import pytest

from hydrasurr.errors import ConfigError
from hydrasurr.rl.environment.rules import Rules
from hydrasurr.rl.running.config import DesignConfig
from hydrasurr.rl.running.team import open_team
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
