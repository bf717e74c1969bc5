"""Configurations of loops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hydrasurr.errors import ConfigError
from hydrasurr.rl.loop.config import LoopConfig, load_loop_config
from tests.rl.loop.loops import configure


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wanted": {"low": 3, "high": 2}}, "wanted: low 3 is above high 2"),
        ({"initial": {}}, "initial: give either a file to draw molecules from, or a labelled dataset"),
        ({"continued": {"start_from": "x"}}, "continued.start_from: later surrogates start from the one before"),
        ({"objective": {"terms": [{"property": {"type": "qed"}}]}}, "no term is about 'gap' as the loop's surrogate"),
        ({"target": "homo"}, "objective: 'homo' is not among dataset.targets"),
        ({"members": 1, "model": {}}, "selection.uncertain: the surrogate has no uncertainty"),
        ({"selection": {"cuont": 3}}, "selection.cuont: unknown key; did you mean 'count'?"),
    ],
)
def test_configurations_that_make_no_sense(smiles_file: Path, tmp_path: Path, changes: dict, message: str) -> None:
    (tmp_path / "c.json").write_text(json.dumps(configure(smiles_file, **changes)))
    with pytest.raises(ConfigError) as error:
        load_loop_config(tmp_path / "c.json")
    assert message in str(error.value)


def test_a_resolved_configuration_is_itself(smiles_file: Path, tmp_path: Path) -> None:
    config = LoopConfig.model_validate(configure(smiles_file))
    assert LoopConfig.model_validate(json.loads(config.model_dump_json())) == config
    filled = config.objective_with(Path("models/7"))
    assert [term.property.model for term in filled.terms] == [Path("models/7")]
    assert load_loop_config_from(tmp_path, configure(smiles_file), ["rounds=9"]).rounds == 9
    other = {"type": "surrogate", "target": "gap", "model": "elsewhere"}
    objective = {
        "terms": [{"property": {"type": "surrogate", "target": "gap"}}],
        "constraints": [{"property": other, "at_most": 9}],
    }
    filled = LoopConfig.model_validate(configure(smiles_file, objective=objective)).objective_with(Path("m"))
    assert [p.property.model for p in (*filled.terms, *filled.constraints)] == [Path("m"), Path("elsewhere")]


def load_loop_config_from(folder: Path, raw: dict[str, Any], overrides: list[str]) -> LoopConfig:
    (folder / "c.json").write_text(json.dumps(raw))
    return load_loop_config(folder / "c.json", overrides)
