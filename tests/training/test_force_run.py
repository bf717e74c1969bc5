"""Runs of force fields: they learn, resume, agree on any number of ranks, and leave what other runs leave."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from safetensors.torch import load_file

import hydrasurr
from hydrasurr.errors import ConfigError, HydrasurrError, StructureError
from hydrasurr.graphs.structures import to_systems, with_radius_graph
from hydrasurr.graphs.table import GraphTable
from hydrasurr.stores import open_store
from hydrasurr.surrogate.assess import assess
from hydrasurr.training.config import RunConfig
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.report import write_report
from hydrasurr.training.run import run
from tests.clusters import clusters, crystals, write
from tests.runs import command, environment, run_config, start

MODEL = {"type": "force_field", "representation": "painn", "cutoff": 4.5, "width": 12, "layers": 2}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TRAINING = {"epochs": 2, "batch_size": 8, "optimizer": {"lr": 0.005}}


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tables = {"train": clusters(64), "val": clusters(16, 1), "test": clusters(24, 2)}
    return write(tmp_path_factory.mktemp("data") / "free.bp", tables)


@pytest.fixture(scope="module")
def periodic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "periodic.bp", {"train": crystals(24), "val": crystals(8, 1)})


def _config(dataset: Path, **sections: Any) -> dict[str, Any]:
    raw = run_config(dataset, training=TRAINING)
    raw["model"] = MODEL
    for name, values in sections.items():
        raw[name] = {**raw[name], **values} if isinstance(values, dict) else values
    return raw


def _train(folder: Path, dataset: Path, **sections: Any) -> dict[str, Any]:
    return run(RunConfig.model_validate(_config(dataset, **sections)), RunFolder(folder))


@pytest.fixture(scope="module")
def learnt(free: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run long enough to learn."""
    folder = tmp_path_factory.mktemp("learnt")
    training = {"epochs": 30, "ema_decay": 0.9, "clip_norm": 1.0, "evaluate_every": 5}
    _train(folder, free, training=training, model={"width": 24})
    return folder


def test_it_learns_clusters(learnt: Path, free: Path) -> None:
    metrics = json.loads((learnt / "results.json").read_text())["test"]
    rms = 1000 * open_store(free).info.structures.force_rms
    assert metrics["forces"]["rmse"] < 0.25 * rms
    assert metrics["forces"]["r2"] > 0.9
    assert metrics["energy"]["r2"] > 0.9
    assert metrics["energy"]["count"] == 24


def test_a_run_leaves_all_it_should(learnt: Path) -> None:
    names = {"config.json", "dataset.json", "surrogate.safetensors", "results.json", "report.html", "metrics.jsonl"}
    assert names <= {path.name for path in learnt.iterdir()}
    assert RunFolder(learnt).units()["forces"] == "meV/Å"
    with np.load(learnt / "predictions" / "test.npz") as arrays:
        label, predicted, _ = arrays["forces"]
        metrics = json.loads((learnt / "results.json").read_text())["test"]["forces"]
        assert np.abs(predicted - label).mean() == pytest.approx(metrics["mae"])
    page = write_report(RunFolder(learnt)).read_text()
    for text in ("PaiNN, 2 layers × 24, cutoff 4.5 Å", "energy_per_atom", "meV/Å", "reference energies (eV)", "Ne -7"):
        assert text in page
    record = json.loads((learnt / "metrics.jsonl").read_text().splitlines()[-1])
    assert list(record["val"]) == ["energy_per_atom", "energy", "forces"]


def test_stresses_are_learnt_where_there_are_some(periodic: Path, tmp_path: Path) -> None:
    results = _train(tmp_path / "run", periodic, training={"epochs": 15, "evaluate_every": 5})
    assert list(results["val"]) == ["energy_per_atom", "energy", "forces", "stress"]
    assert results["val"]["stress"]["r2"] > 0.5
    assert results["val"]["stress"]["count"] == 9 * 8


def test_stored_edges_train_the_same_model(free: Path, tmp_path: Path) -> None:
    store = open_store(free)
    tables = {name: with_radius_graph(store[name].read(0, len(store[name])), 6.0) for name in ("train", "val", "test")}
    stored = write(tmp_path / "stored.bp", tables, cutoff=6.0)
    results = [_train(tmp_path / str(k), data) for k, data in enumerate((free, stored))]
    assert results[0] == results[1]


@pytest.mark.parametrize("mode", ["memory", "blocks", "store"])
def test_every_mode_of_loading_trains(free: Path, tmp_path: Path, mode: str) -> None:
    assert _train(tmp_path / "run", free, data={"mode": mode})["train"]["forces"]["count"] > 0


@pytest.mark.parametrize(
    "training",
    [
        {"loss": "mse", "loss_weights": {"energy": 0, "forces": 1}},
        {"loss": "huber", "loss_weights": {"forces": 0}},
        {"precision": "fp64", "accumulate": 3},
        {"optimizer": {"type": "LAMB"}, "schedule": {"type": "plateau"}},
    ],
)
def test_every_option_trains(free: Path, tmp_path: Path, training: dict[str, Any]) -> None:
    results = _train(tmp_path / "run", free, training=training)
    assert all(np.isfinite(metrics["mae"]) for metrics in results["test"].values())


def test_compiled_training_is_the_same_but_for_rounding(free: Path, tmp_path: Path) -> None:
    small = {"representation": "schnet", "layers": 1}  # compiling takes longer than all else
    plain, compiled = (
        _train(tmp_path / str(compile), free, model=small, training={"compile": compile, "precision": "fp64"})
        for compile in (False, True)
    )
    assert compiled["test"] == _approx(plain["test"])


def test_missing_labels_are_left_out(tmp_path: Path) -> None:
    table = clusters(32)
    energy, force = np.array(table.columns["y"]), np.array(table.columns["force"])
    energy[::2], force[: table.num_nodes // 2] = np.nan, np.nan
    dataset = write(tmp_path / "data.bp", {"train": table.with_columns(y=energy, force=force)})
    results = _train(tmp_path / "run", dataset)
    assert results["train"]["energy"]["count"] == 16
    assert results["train"]["forces"]["count"] == 3 * (table.num_nodes - table.num_nodes // 2)


def test_forces_alone_are_enough(tmp_path: Path) -> None:
    tables = {"train": clusters(32), "val": clusters(8, 1)}
    tables = {name: table.with_columns(y=np.full((len(table), 1), np.nan)) for name, table in tables.items()}
    dataset = write(tmp_path / "data.bp", tables)
    assert list(_train(tmp_path / "one", dataset)["val"]) == ["forces"]
    config = tmp_path / "run.json"
    config.write_text(json.dumps(_config(dataset)))
    _finish(start([*TORCHRUN, *command("train", config, "--out", "two")[1:]], tmp_path))


def test_members_of_an_ensemble_give_uncertainties(free: Path, tmp_path: Path) -> None:
    results = _train(tmp_path / "run", free, members=2)
    with np.load(tmp_path / "run" / "predictions" / "test.npz") as arrays:
        assert (arrays["forces"][2] > 0).all()
    assert (tmp_path / "run" / "members" / "1" / "metrics.jsonl").exists()
    assert assess(tmp_path / "run", split="test")[0]["test"] == _approx(results["test"])


# -- evaluation ---------------------------------------------------------------------------------------


def _atoms(table: GraphTable) -> list[Atoms]:
    systems, frames = to_systems(table), []
    for s in range(len(systems)):
        one, rows = systems[s], slice(*table.node_offset[s : s + 2])
        atoms = Atoms(one.numbers, one.positions, cell=one.cell[0], pbc=one.pbc[0])
        labels = {"energy": table.columns["y"][s, 0], "forces": table.columns["force"][rows]}
        if "stress" in table.columns:
            labels["stress"] = table.columns["stress"][s].ravel()[[0, 4, 8, 5, 2, 1]]
        atoms.calc = SinglePointCalculator(atoms, **labels)
        frames.append(atoms)
    return frames


def _approx(metrics: dict[str, dict[str, float]], rel: float = 1e-6) -> dict[str, Any]:
    return {name: pytest.approx(values, rel=rel) for name, values in metrics.items()}


def test_evaluation_repeats_the_results(learnt: Path, tmp_path: Path) -> None:
    results = json.loads((learnt / "results.json").read_text())
    metrics, units = assess(learnt, out=tmp_path / "rows.csv")
    assert metrics["test"] == _approx(results["test"])
    assert units["energy"] == "meV"
    rows = np.genfromtxt(tmp_path / "rows.csv", delimiter=",", names=True, dtype=None, encoding=None)
    test = rows[rows["split"] == "test"]
    error = 1000 * np.abs(test["energy_predicted"] - test["energy"])
    assert error.mean() == pytest.approx(results["test"]["energy"]["mae"], rel=1e-3)
    weighted = (test["force_mae"] * test["atoms"]).sum() / test["atoms"].sum()
    assert weighted == pytest.approx(results["test"]["forces"]["mae"])
    assert (test["force_max_error"] >= test["force_mae"]).all()


def test_a_file_of_structures_is_evaluated_like_a_data_set(learnt: Path, tmp_path: Path) -> None:
    ase.io.write(tmp_path / "new.xyz", _atoms(clusters(24, 2)))
    results = json.loads((learnt / "results.json").read_text())["test"]
    assert assess(learnt, tmp_path / "new.xyz")[0]["new"] == _approx(results, rel=1e-4)  # the file has few digits
    text = (tmp_path / "new.xyz").read_text()
    (tmp_path / "renamed.xyz").write_text(text.replace(":forces:", ":REF_forces:").replace(" energy=", " REF_energy="))
    assert assess(learnt, tmp_path / "renamed.xyz")[0]["renamed"] == _approx(results, rel=1e-4)
    with pytest.raises(ConfigError, match=r"a file without splits; leave out --split val"):
        assess(learnt, tmp_path / "new.xyz", split="val")


def test_stresses_of_a_file_are_compared(periodic: Path, tmp_path: Path) -> None:
    _train(tmp_path / "run", periodic)
    ase.io.write(tmp_path / "new.xyz", _atoms(crystals(8, 1)))
    expected = assess(tmp_path / "run", split="val")[0]["val"]
    assert assess(tmp_path / "run", tmp_path / "new.xyz")[0]["new"] == _approx(expected, rel=1e-4)


def test_the_command_evaluates_files_exports_and_loads(learnt: Path, tmp_path: Path) -> None:
    ase.io.write(tmp_path / "new.xyz", _atoms(clusters(3, 2)))
    done = subprocess.run(
        command("evaluate", learnt, "new.xyz"), cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "meV/Å" in done.stdout
    done = subprocess.run(
        command("predict", learnt, "--smiles", "CCO"), cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "is a force field: it needs atoms in space, not SMILES" in done.stderr
    _finish(start(command("export", learnt, "--out", "model.safetensors"), tmp_path))
    (atoms,) = _atoms(clusters(1, 2))
    one, other = (hydrasurr.load(path) for path in (learnt, tmp_path / "model.safetensors"))
    energy, forces, virial = one(atoms.numbers, atoms.positions)
    assert (energy, forces.shape, virial.shape) == (other(atoms.numbers, atoms.positions)[0], (len(atoms), 3), (3, 3))


def test_force_fields_and_others_are_no_ensemble(learnt: Path, dataset: Path, tmp_path: Path) -> None:
    run(RunConfig.model_validate(run_config(dataset, training={"epochs": 1})), RunFolder(tmp_path / "molecules"))
    with pytest.raises(HydrasurrError, match="only one is a force field"):
        hydrasurr.load([learnt, tmp_path / "molecules"])


def test_bad_files_are_refused(learnt: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.xyz"
    text.write_text("no structures\n")
    with pytest.raises(HydrasurrError, match="ASE cannot read it"):
        assess(learnt, text)
    ase.io.write(tmp_path / "bare.xyz", Atoms("Ne", [(0, 0, 0)]))
    with pytest.raises(HydrasurrError, match="has no energy, forces or stress"):
        assess(learnt, tmp_path / "bare.xyz")
    gold = Atoms("Au", [(0, 0, 0)])
    gold.calc = SinglePointCalculator(gold, energy=1.0)
    ase.io.write(tmp_path / "gold.xyz", gold)
    with pytest.raises(StructureError, match="gold.xyz': no Au in this force field"):
        assess(learnt, tmp_path / "gold.xyz")
    gold = write(tmp_path / "gold.bp", {"train": crystals(4)}, elements=(79,))
    with pytest.raises(StructureError, match="gold.bp': no Au in this force field"):
        assess(learnt, gold)


# -- in processes of their own ------------------------------------------------------------------------


def _finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "surrogate.safetensors")


def test_killed_and_resumed_equals_uninterrupted(free: Path, tmp_path: Path) -> None:
    training = {"epochs": 3, "ema_decay": 0.9, "checkpoint_minutes": 1e-9}
    config = tmp_path / "run.json"
    config.write_text(json.dumps(_config(free, training=training)))
    _finish(start(command("train", config, "--out", "whole"), tmp_path))
    arguments = command("train", config, "--out", "parts", "--resume")
    process = start(arguments, tmp_path)
    latest = tmp_path / "parts" / "checkpoints" / "latest.pt"
    while not latest.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    _finish(start(arguments, tmp_path))
    whole, parts = _weights(tmp_path / "whole"), _weights(tmp_path / "parts")
    for name in whole:
        assert torch.equal(whole[name], parts[name]), name


def test_two_ranks_train_like_one(tmp_path: Path) -> None:
    """Also where structures have different sizes and labels are missing, so that ranks have unequal shares."""
    table = clusters(48)
    energy = np.array(table.columns["y"])
    energy[::3] = np.nan
    dataset = write(tmp_path / "data.bp", {"train": table.with_columns(y=energy), "val": clusters(9, 1)})
    config = tmp_path / "run.json"
    config.write_text(json.dumps(_config(dataset, training={"precision": "fp64"})))
    _finish(start(command("train", config, "--out", "one"), tmp_path))
    two = command("train", config, "--out", "two", "--set", "training.batch_size=4")[1:]
    _finish(start([*TORCHRUN, *two], tmp_path))
    one, two = _weights(tmp_path / "one"), _weights(tmp_path / "two")
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-8, atol=1e-10)
    results = [json.loads((tmp_path / name / "results.json").read_text()) for name in ("one", "two")]
    for target in results[0]["val"]:
        assert results[0]["val"][target] == pytest.approx(results[1]["val"][target], rel=1e-8)
