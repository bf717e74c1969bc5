"""`hydrasurr design`: configurations that come with hydrasurr, and what is said of them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from hydrasurr.errors import ConfigError
from hydrasurr.rl.command import app
from hydrasurr.shipped import shipped

RUN = CliRunner()


@pytest.mark.parametrize("name", [name for name in shipped("run_configs") if name.startswith("design_")])
def test_shipped_configurations_are_complete_when_printed(name: str) -> None:
    kind = "loop" if name == "design_loop" else "train"
    done = RUN.invoke(app, ["check", name, "--of", kind])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    given = json.loads(shipped("run_configs")[name].read_text())
    assert printed["name"] == name and set(given) <= set(printed)


@pytest.mark.parametrize("kind", ["train", "loop", "study"])
def test_schemas(kind: str) -> None:
    done = RUN.invoke(app, ["schema", "--of", kind])
    assert done.exit_code == 0 and json.loads(done.stdout)["type"] == "object"


def test_a_wrong_key() -> None:
    with pytest.raises(ConfigError, match=r"learner.epoch: unknown key; did you mean 'epochs'\? \(by --set"):
        RUN.invoke(app, ["check", "design_qed", "--set", "learner.epoch=3"], catch_exceptions=False)
