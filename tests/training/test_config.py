"""Run configurations: strict, with errors that help."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hydrasurr.errors import ConfigError
from hydrasurr.md.config import load_md_config
from hydrasurr.rl.loop.config import load_loop_config
from hydrasurr.rl.running.config import load_design_config
from hydrasurr.shipped import find, shipped
from hydrasurr.training.config import RunConfig, load_run_config

MINIMAL = {"name": "r", "data": {"dataset": "d.bp"}}


def _file(folder: Path, raw: object) -> Path:
    path = folder / "run.json"
    path.write_text(raw if isinstance(raw, str) else json.dumps(raw))
    return path


def test_a_minimal_file_gets_defaults(tmp_path: Path) -> None:
    config = load_run_config(_file(tmp_path, MINIMAL))
    assert (config.model.conv.type, config.model.hidden, config.model.layers) == ("PNA", 55, 6)
    assert config.training.optimizer.type == "AdamW"
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modle": {}}, r"modle: unknown key; did you mean 'model'\?"),
        ({"training": {"epoch": 3}}, r"training\.epoch: unknown key; did you mean 'epochs'\?"),
        ({"training": {"optimizer": {"learning_rate": 1}}}, r"training\.optimizer\.learning_rate: unknown key"),
        ({"model": {"conv": {"type": "PNA", "heads": 2}}}, r"heads: unknown key"),
        ({"model": {"conv": {"type": "PNAA"}}}, r"did you mean 'PNA'\?"),
        ({"training": {"epochs": 0}}, r"training\.epochs: .*greater than 0 \(got 0\)"),
        ({"training": {"epochs": "many"}}, r"training\.epochs: .*integer"),
        ({"training": {"loss": "l1"}}, r"training\.loss: .*'mae'"),
        ({"data": {}}, r"data\.dataset: this key is required"),
        ({"data": {"dataset": "d", "targets": [{"name": "g", "wieght": 2}]}}, r"wieght: .*did you mean 'weight'"),
        ({"name": "a/b"}, r"name: "),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        load_run_config(_file(tmp_path, {**MINIMAL, **change}))
    assert "run.json" in str(error.value)


FORCE_FIELD = {**MINIMAL, "model": {"type": "force_field"}}


def test_a_model_with_a_type_is_a_force_field(tmp_path: Path) -> None:
    config = load_run_config(_file(tmp_path, {**MINIMAL, "model": {"type": "force_field", "representation": "painn"}}))
    assert (config.model.title, config.model.cutoff, config.is_force_field) == ("PaiNN", 5.0, True)
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config
    assert not load_run_config(_file(tmp_path, MINIMAL)).is_force_field


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"type": "forcefield"}}, r"model: no type 'forcefield'; did you mean 'force_field'\?"),
        ({"model": {"type": "force_field", "cutof": 3}}, r"model\.cutof: unknown key; did you mean 'cutoff'\?"),
        ({"model": {"type": "force_field", "representation": "pain"}}, r"representation: .*did you mean 'painn'\?"),
        ({"model": {"type": "force_field", "cutoff": -1}}, r"model\.cutoff: .*greater than 0"),
        ({"training": {"loss_weights": {"force": 3}}}, r"loss_weights\.force: unknown key; did you mean 'forces'\?"),
        ({"training": {"loss_weights": {"energy": 0, "forces": 0}}}, r"energy and forces are both 0"),
        ({"training": {"precision": "bf16"}}, r"too few for forces by differentiation; use fp32"),
        ({"data": {"dataset": "d", "targets": ["energy"]}}, r"data\.targets are properties of molecules"),
        ({"model": {}, "training": {"loss_weights": {"forces": 3}}}, r"loss_weights are those of a force field"),
        ({"model": {}, "training": {"compile": True}}, r"training\.compile is for force fields"),
    ],
)
def test_what_is_wrong_with_a_force_field_is_named(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_run_config(_file(tmp_path, {**FORCE_FIELD, **change}))


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load_run_config(_file(tmp_path, {**MINIMAL, "training": {"epochs": -1, "bath_size": 2}}))
    assert len(str(error.value).splitlines()) == 3


@pytest.mark.parametrize(("text", "message"), [("{", "line 1, column 2"), ("[]", "holds a list"), ("", "not JSON")])
def test_what_is_no_configuration(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_run_config(_file(tmp_path, text))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no file"):
        load_run_config(tmp_path / "none.json")


def test_overrides(tmp_path: Path) -> None:
    path = _file(tmp_path, MINIMAL)
    targets = 'data.targets=["gap", {"name": "homo", "weight": 2}]'
    config = load_run_config(path, ["training.epochs=3", "training.optimizer.type=LAMB", targets])
    assert config.training.epochs == 3
    assert config.training.optimizer.type == "LAMB"
    assert [(target.name, target.weight) for target in config.data.targets] == [("gap", 1.0), ("homo", 2.0)]
    wrongs = [
        ("training.epochs", "expected key=value"),
        ("name.x.y=1", "'name' is \"r\", which is no section with keys; .*--set 'name={\"x\": {\"y\": 1}}'"),
        ("data.targets.0.weight=2", r"'data.targets' is \[.*--set 'data.targets=\[...\]'"),
        ("training.epoch=1", r"'epochs'\? \(by --set training.epoch=1\)$"),
        ("training.epochs=0", r"\(got 0\) \(by --set training.epochs=0\)$"),
    ]
    for wrong, message in wrongs:
        with pytest.raises(ConfigError, match=message):
            load_run_config(path, [targets, wrong])


def test_schema_describes_every_section() -> None:
    schema = RunConfig.model_json_schema()
    assert schema["additionalProperties"] is False
    assert {"PNAConfig", "TrainingConfig", "OptimizerConfig", "DataConfig"} <= schema["$defs"].keys()
    assert {"ForceFieldConfig", "PaiNNConfig", "LossWeights"} <= schema["$defs"].keys()
    assert "batch" in schema["$defs"]["TrainingConfig"]["properties"]["batch_size"]["description"]


def test_shipped_configurations_are_valid() -> None:
    configs = shipped("run_configs")
    assert "qm9_gap_5k" in configs
    for name, path in configs.items():
        others = {"design_loop": load_loop_config, "design_": load_design_config, "md_": load_md_config}
        load = next((load for start, load in others.items() if name.startswith(start)), load_run_config)
        assert load(path).name == name


def test_finding_a_shipped_configuration() -> None:
    assert find("run_configs", "qm9_gap_5k").name == "qm9_gap_5k.json"
    with pytest.raises(ConfigError, match="did you mean 'qm9_gap_5k'"):
        find("run_configs", "qm9_gap_5kk")
