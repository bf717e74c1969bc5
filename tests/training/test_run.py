"""Whole runs in this process: options, results, resuming, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.stores import create_writer, open_store
from hydrasurr.training import checkpoint
from hydrasurr.training.config import RunConfig
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.run import run
from tests.runs import run_config

Train = Callable[..., RunFolder]


def _records(folder: RunFolder) -> list[dict]:
    return [json.loads(line) for line in folder.members()[0].metrics.read_text().splitlines()]


def _without_times(records: list[dict]) -> list[dict]:
    return [{k: v for k, v in record.items() if k not in ("seconds", "graphs_per_second")} for record in records]


def _weights(folder: RunFolder) -> dict[str, torch.Tensor]:
    return load_file(folder.surrogate)


def _assert_same(one: RunFolder, other: RunFolder) -> None:
    a, b = _weights(one), _weights(other)
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_a_run_leaves_all_it_should_and_learns(train: Train) -> None:
    folder = train(training={"epochs": 8, "optimizer": {"lr": 0.01}})
    for file in (folder.config, folder.environment, folder.dataset, folder.surrogate, folder.results, folder.report):
        assert file.stat().st_size > 0
    member = folder.members()[0]
    assert member.latest.exists()
    assert any(member.tensorboard.iterdir())
    records = _records(folder)
    assert [record["epoch"] for record in records] == list(range(8))
    assert records[-1]["val"]["gap"]["mae"] < 0.7 * records[0]["val"]["gap"]["mae"]
    assert records[-1]["val"]["gap"]["count"] == 40
    phases = {"load", "forward", "backward", "all_reduce", "exposed", "optimizer", "evaluate"}
    assert set(records[0]["seconds"]) == phases
    results = json.loads(folder.results.read_text())
    assert results.keys() == {"train", "val", "test"}
    best = min(record["val"]["gap"]["mae"] for record in records)
    assert results["val"]["gap"]["mae"] == pytest.approx(best, rel=1e-6)


def test_the_same_run_twice_is_the_same_and_another_seed_is_not(train: Train) -> None:
    one, two, other = train("one"), train("two"), train("other", training={"seed": 1})
    _assert_same(one, two)
    assert _without_times(_records(one)) == _without_times(_records(two))
    assert _records(one)[0]["train_loss"] != _records(other)[0]["train_loss"]


def test_results_are_those_of_the_stored_labels(train: Train, dataset: Path) -> None:
    """MAE in results.json against predictions computed one by one and labels read straight from the store."""
    from hydrasurr.surrogate import load

    folder = train()
    table = open_store(dataset)["test"].read(0, 40)
    predicted = [load(folder.path).predict(smiles)["gap"][0] for smiles in table.smiles()]
    expected = np.abs(np.array(predicted) - table.y[:, 0]).mean()
    assert json.loads(folder.results.read_text())["test"]["gap"]["mae"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "training",
    [
        {"precision": "bf16"},
        {"precision": "fp64"},
        {"loss": "mse", "schedule": {"type": "plateau", "patience": 0}},
        {"loss": "huber", "schedule": {"type": "one_cycle"}, "optimizer": {"type": "LAMB"}},
        {"optimizer": {"type": "LARS", "lr": 0.01}, "schedule": {"type": "constant"}},
        {"optimizer": {"type": "SGD", "lr": 0.01}, "ema_decay": 0.9, "clip_norm": None},
        {"optimizer": {"type": "Adam"}, "evaluate_every": 2, "accumulate": 3},
    ],
)
def test_every_option_trains(train: Train, training: dict) -> None:
    records = _records(train(training={"epochs": 3, **training}))
    assert all(np.isfinite(record["train_loss"]) for record in records)
    assert records[-1]["train_loss"] < records[0]["train_loss"] * 1.05
    evaluated = [record["val_loss"] is not None for record in records]
    assert evaluated == ([False, True, True] if training.get("evaluate_every") == 2 else [True] * 3)


@pytest.mark.parametrize("conv", ["GIN", "GraphSAGE", "GATv2", "CGCNN", "MFC"])
def test_every_layer_trains(train: Train, conv: str) -> None:
    records = _records(train(model={"conv": {"type": conv}}, training={"epochs": 3}))
    assert records[-1]["train_loss"] < records[0]["train_loss"]


def test_accumulation_equals_a_larger_batch(train: Train) -> None:
    """Without batch statistics, 2 batches of 16 make the step of one of 32."""
    model = {"norm": "layer"}
    whole = train("whole", model=model, training={"batch_size": 32, "precision": "fp64"})
    parts = train("parts", model=model, training={"batch_size": 16, "accumulate": 2, "precision": "fp64"})
    for a, b in zip(_weights(whole).values(), _weights(parts).values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["pickle", "csv"])
def test_all_stores_train_the_same_model(train: Train, dataset: Path, tmp_path: Path, kind: str) -> None:
    source = open_store(dataset)
    writer = create_writer(kind, tmp_path / kind)
    for split in ("train", "val", "test"):
        writer.append(split, source[split].read(0, len(source[split])))
    writer.finish(source.info)
    _assert_same(train("bp"), train("other", data={"dataset": str(tmp_path / kind)}))


def test_block_mode_trains(train: Train) -> None:
    records = _records(train(data={"mode": "blocks", "buffer_graphs": 64}, training={"epochs": 3}))
    assert records[-1]["train_loss"] < records[0]["train_loss"]
    assert records[0]["train"]["gap"]["count"] == 320


def test_early_stopping_stops(train: Train) -> None:
    still = {"optimizer": {"lr": 1e-9}, "schedule": {"type": "constant"}}
    assert len(_records(train(training={"epochs": 50, "early_stopping": 2, **still}))) < 50


def test_an_ensemble_has_members_and_uncertainty(train: Train) -> None:
    from hydrasurr.surrogate import load

    folder = train(members=2, training={"epochs": 1})
    assert [member.path.name for member in folder.members()] == ["0", "1"]
    both = load(folder.path).predict(["CCO", "c1ccccc1"])
    alone = [load(member.best).predict(["CCO", "c1ccccc1"])["gap"] for member in folder.members()]
    np.testing.assert_allclose(both["gap"], np.mean(alone, axis=0), rtol=1e-9)
    np.testing.assert_allclose(both.std[:, 0], np.std(alone, axis=0), rtol=1e-6)
    folder.surrogate.unlink()  # as in a run under way
    np.testing.assert_array_equal(load(folder.path).predict(["CCO", "c1ccccc1"])["gap"], both["gap"])


def test_gaussian_heads_give_uncertainty(train: Train) -> None:
    from hydrasurr.surrogate import load

    folder = train(model={"uncertainty": "gaussian"}, training={"epochs": 3})
    result = load(folder.path).predict(["CCO", "nonsense"])
    assert result.std[0, 0] > 0
    assert np.isnan(result.std[1, 0])


def test_several_targets_some_missing_and_some_of_nodes(train: Train, dataset: Path, tmp_path: Path) -> None:
    """A graph-level target with holes and a node-level target, both easy functions of the graph."""
    from hydrasurr.graphs.schema import Target
    from hydrasurr.stores import TargetStatistics

    source = open_store(dataset)
    rng = np.random.default_rng(0)
    writer = create_writer("bp", tmp_path / "multi.bp")
    labels = {}
    for split in ("train", "val", "test"):
        table = source[split].read(0, len(source[split]))
        size = table.counts("node").astype(float)
        size[rng.random(len(table)) < 0.3] = np.nan
        y = np.column_stack([table.y, size])
        node_y = (table.x[:, 0] == 1).astype(float)[:, None]
        labels[split] = (y, node_y)
        writer.append(split, table.with_columns(y=y, node_y=node_y))
    y, node_y = labels["train"]

    def statistics(values: np.ndarray) -> TargetStatistics:
        values = values[~np.isnan(values)]
        return TargetStatistics(
            count=len(values), mean=values.mean(), std=values.std(), min=values.min(), max=values.max()
        )

    targets = (Target("gap", "eV"), Target("size"), Target("is_hydrogen", level="node"))
    info = source.info.model_copy(
        update={"targets": targets, "statistics": tuple(map(statistics, (y[:, 0], y[:, 1], node_y[:, 0])))}
    )
    writer.finish(info)
    folder = train(
        data={"dataset": str(tmp_path / "multi.bp")},
        model={"pooling": ["mean", "add", "max"]},
        training={"epochs": 25, "optimizer": {"lr": 0.01}},
    )
    results = json.loads(folder.results.read_text())
    assert results["train"]["size"]["count"] == int((~np.isnan(y[:, 1])).sum())
    assert results["train"]["is_hydrogen"]["count"] == len(node_y)
    assert results["test"]["size"]["r2"] > 0.8
    assert results["test"]["is_hydrogen"]["mae"] < 0.1


def test_a_run_in_the_way_is_refused(train: Train) -> None:
    train()
    with pytest.raises(HydrasurrError, match="holds a run already: --resume"):
        train()


def test_resuming_with_another_configuration_is_refused(train: Train) -> None:
    train()
    with pytest.raises(ConfigError, match=r"training\.epochs: 2 became 3"):
        train(resume=True, training={"epochs": 3})
    train(resume=True, data={"prefetch": 0})  # this changes nothing about the result


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"targets": ["gpa"]}, "did you mean 'gap'"),
        ({"targets": ["gap", "gap"]}, "named twice"),
        ({"dataset": "nowhere.bp"}, "no data set at 'nowhere.bp'"),
    ],
)
def test_wrong_data_sections(train: Train, tmp_path: Path, data: dict, message: str) -> None:
    with pytest.raises(HydrasurrError, match=message):
        train(data=data)
    assert not (tmp_path / "run").exists()  # nothing is in the way of the next try


def test_a_loss_that_is_no_number_stops_with_the_last_good_state(dataset: Path, tmp_path: Path) -> None:
    """A label of infinity in the second half of the data, met after a checkpoint was written."""
    source = open_store(dataset)
    table = source["train"].read(0, 320)
    y = table.y.copy()
    y[200] = 1e200
    writer = create_writer("bp", tmp_path / "bad.bp")
    for split in ("train", "val", "test"):
        writer.append(split, table.with_columns(y=y) if split == "train" else source[split].read(0, 40))
    writer.finish(source.info)
    raw = run_config(
        tmp_path / "bad.bp", training={"loss": "mse", "checkpoint_minutes": 1e-9, "seed": 3, "batch_size": 8}
    )
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(HydrasurrError, match=r"infinite or NaN in epoch 0.*last good state is in") as error:
        run(RunConfig.model_validate(raw), folder)
    assert "training.optimizer.lr" in str(error.value)
    state = checkpoint.load(folder.members()[0].latest)
    assert all(value.isfinite().all() for value in state["network"].values())


def test_damaged_and_hostile_checkpoints_are_refused(train: Train, tmp_path: Path) -> None:
    folder = train()
    latest = folder.members()[0].latest
    latest.write_bytes(latest.read_bytes()[:-100])
    with pytest.raises(HydrasurrError, match="cannot load the checkpoint"):
        train(resume=True)

    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "owned",))

    torch.save({"network": Evil()}, latest)
    with pytest.raises(HydrasurrError, match="cannot load the checkpoint"):
        checkpoint.load(latest)
    assert not (tmp_path / "owned").exists()


def test_stored_graphs_of_another_schema_are_refused(train: Train, dataset: Path, tmp_path: Path) -> None:
    from hydrasurr.errors import SchemaError
    from hydrasurr.surrogate.assess import assess

    folder = train()
    source = open_store(dataset)
    writer = create_writer("bp", tmp_path / "implicit.bp")
    writer.append("test", source["test"].read(0, 40))
    schema = replace(source.info.feature_schema, explicit_hydrogens=False)
    graphs = {"train": 0, "val": 0, "test": 40}
    writer.finish(source.info.model_copy(update={"feature_schema": schema, "graphs": graphs}))
    with pytest.raises(SchemaError, match="explicit_hydrogens is False, expected True"):
        assess(folder.path, tmp_path / "implicit.bp")
    results, units = assess(folder.path)
    for split, metrics in json.loads(folder.results.read_text()).items():
        assert results[split]["gap"] == pytest.approx(metrics["gap"], rel=1e-6)
    assert units == {"gap": "eV"}
