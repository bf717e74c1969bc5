"""Loss, metrics and score of force fields against slow twins that go through structures one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hydrasurr.errors import ConfigError
from hydrasurr.graphs.table import GraphTable
from hydrasurr.loading import AtomsBatch
from hydrasurr.models.force_field.config import ForceFieldConfig
from hydrasurr.models.force_field.network import ForcePrediction
from hydrasurr.stores import open_store
from hydrasurr.training.config import LossWeights
from hydrasurr.training.tasks import ForceTask
from tests.clusters import ATOMIC_ENERGIES, clusters, crystals, write

WEIGHTS = LossWeights(energy=2.0, forces=5.0, stress=3.0)
POINTWISE = {
    "mae": abs,
    "mse": lambda d: d * d,
    "huber": lambda d: d * d / 2 if abs(d) < 1 else abs(d) - 0.5,
}


def _task(path: Path, table: GraphTable, **facts: object) -> ForceTask:
    store = open_store(write(path, {"train": table}, **facts))
    return ForceTask.choose(store.info, ForceFieldConfig(), WEIGHTS)


def _forget(table: GraphTable, missing: float, seed: int = 0) -> GraphTable:
    """The table without some energies, and without the forces of some atoms and the stresses of some structures."""
    rng = np.random.default_rng(seed)
    columns = {name: np.array(table.columns[name]) for name in ("y", "force", "stress") if name in table.columns}
    for column in columns.values():
        column[rng.random(len(column)) < missing] = np.nan
    return table.with_columns(**columns)


def _prediction(batch: AtomsBatch, seed: int = 1) -> ForcePrediction:
    """Near the energies of the labels where there are some, else anything."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    energy = batch.energy.nan_to_num() + noise(batch.num_graphs)
    return ForcePrediction(energy, noise(batch.num_nodes, 3), noise(batch.num_graphs, 3, 3))


def _errors(batch: AtomsBatch, prediction: ForcePrediction) -> dict[str, list[float]]:
    """Of each kind all differences that there are, in eV per atom, eV/A and eV/A^3."""
    errors: dict[str, list[float]] = {"energy": [], "forces": [], "stress": []}
    for s in range(batch.num_graphs):
        atoms = [i for i in range(batch.num_nodes) if batch.system_index[i] == s]
        errors["energy"].append((float(prediction.energy[s]) - float(batch.energy[s])) / len(atoms))
        errors["forces"] += [float(prediction.forces[i, c] - batch.forces[i, c]) for i in atoms for c in range(3)]
        if batch.stress is not None:
            volume = abs(np.linalg.det(batch.cell[s].numpy()))
            predicted = -prediction.virial[s].numpy() / volume
            errors["stress"] += (predicted - batch.stress[s].numpy()).ravel().tolist()
    return {kind: [e for e in values if e == e] for kind, values in errors.items()}


@pytest.mark.parametrize("kind", ["mae", "mse", "huber"])
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_loss_is_the_documented_equation(tmp_path: Path, kind: str, periodic: bool, missing: float) -> None:
    table = _forget((crystals if periodic else clusters)(9), missing)
    task = _task(tmp_path / "data.bp", table)
    batch = AtomsBatch.from_table(table, 5.0)
    prediction = _prediction(batch)
    errors = _errors(batch, prediction)
    total = sum(
        getattr(WEIGHTS, name) * np.mean([POINTWISE[kind](e / task.scale) for e in errors[name]])
        for name in ("energy", "forces", "stress")
        if errors[name]
    )
    expected = total / (10 if periodic else 7)
    loss = task.loss(kind).double()(task.standardised(None, prediction, batch))
    assert loss.item() == pytest.approx(expected, rel=1e-6)  # weights are rounded to single precision


def test_missing_labels_have_no_gradient(tmp_path: Path) -> None:
    table = _forget(crystals(8), 0.5)
    task, batch = _task(tmp_path / "data.bp", table), AtomsBatch.from_table(table, 5.0)
    values = _prediction(batch)
    leaves = [getattr(values, name).requires_grad_() for name in ("energy", "forces", "virial")]
    task.loss("mse")(task.standardised(None, values, batch)).backward()
    for leaf, label in zip(leaves, (batch.energy, batch.forces, batch.stress), strict=True):
        assert label.isnan().any()
        assert torch.equal(leaf.grad != 0, ~label.isnan())


@pytest.mark.parametrize("periodic", [False, True])
def test_metrics_are_in_physical_units(tmp_path: Path, periodic: bool) -> None:
    table = _forget((crystals if periodic else clusters)(12), 0.3)
    task, batch = _task(tmp_path / "data.bp", table), AtomsBatch.from_table(table, 5.0)
    prediction = _prediction(batch)
    compared, sums = task.physical(None, prediction, batch), task.sums()
    sums.add(compared)
    metrics = sums.metrics()
    errors = _errors(batch, prediction)
    names = {"energy_per_atom": "energy", "forces": "forces"} | ({"stress": "stress"} if periodic else {})
    for name, kind in names.items():
        milli = 1000 * np.array(errors[kind])
        assert metrics[name]["count"] == len(milli)
        assert metrics[name]["mae"] == pytest.approx(np.abs(milli).mean())
        assert metrics[name]["rmse"] == pytest.approx(np.sqrt((milli**2).mean()))
    whole = 1000 * (prediction.energy - batch.energy).numpy()
    assert metrics["energy"]["mae"] == pytest.approx(np.nanmean(np.abs(whole)))
    # Energies are compared above those of the atoms.
    atomic = [sum(ATOMIC_ENERGIES[int(z)] for z in batch.numbers[batch.system_index == s]) for s in range(12)]
    above = 1000 * (batch.energy.numpy() - atomic)
    np.testing.assert_allclose(compared[0].labels[:, 1].numpy(), above, rtol=1e-9)
    assert [target.name for target in task.targets] == list(metrics)


def test_members_disagree_by_a_standard_deviation(tmp_path: Path) -> None:
    table = clusters(5)
    task, batch = _task(tmp_path / "data.bp", table), AtomsBatch.from_table(table, 5.0)
    members = [_prediction(batch, seed) for seed in range(3)]
    energy, forces = task.physical(None, members, batch)
    stacked = 1000 * torch.stack([member.forces.reshape(-1, 1) for member in members])
    torch.testing.assert_close(forces.values, stacked.mean(0))
    torch.testing.assert_close(forces.uncertainty, stacked.std(0, correction=0))
    whole = 1000 * torch.stack([member.energy for member in members])
    torch.testing.assert_close(energy.uncertainty[:, 1], whole.std(0, correction=0))
    assert task.physical(None, members[0], batch)[0].uncertainty is None


@pytest.mark.parametrize("kind", ["mae", "mse"])
def test_score_grows_with_the_loss(tmp_path: Path, kind: str) -> None:
    """For MAE it is the loss of the whole split, for MSE its root."""
    table = crystals(6)
    task, batch = _task(tmp_path / "data.bp", table), AtomsBatch.from_table(table, 5.0)
    prediction = _prediction(batch)
    sums = task.sums()
    sums.add(task.physical(None, prediction, batch))
    loss = task.loss(kind).double()(task.standardised(None, prediction, batch)).item()
    assert task.score(sums.metrics(), kind) == pytest.approx(loss if kind == "mae" else loss**0.5, rel=1e-6)


def test_labels_without_weight_are_not_learnt(tmp_path: Path) -> None:
    info = open_store(write(tmp_path / "data.bp", {"train": crystals(4)})).info
    task = ForceTask.choose(info, ForceFieldConfig(), LossWeights(energy=0.0, forces=4.0, stress=0.0))
    assert task.weights == (0.0, 4.0, 0.0)
    batch = AtomsBatch.from_table(crystals(4), 5.0)
    prediction = _prediction(batch)
    errors = _errors(batch, prediction)["forces"]
    loss = task.loss("mae").double()(task.standardised(None, prediction, batch))
    assert loss.item() == pytest.approx(np.abs(errors).mean() / task.scale)
    nothing = info.model_copy(update={"structures": info.structures.model_copy(update={"labelled": {"stress": 4}})})
    with pytest.raises(ConfigError, match=r"nothing to learn a force field from in 'clusters'.*labels of: stress"):
        ForceTask.choose(nothing, ForceFieldConfig(), LossWeights())


def test_stored_edges_must_reach_the_cutoff(tmp_path: Path) -> None:
    from hydrasurr.graphs.structures import with_radius_graph

    table = with_radius_graph(clusters(4), 4.0)
    info = open_store(write(tmp_path / "data.bp", {"train": table}, cutoff=4.0)).info
    with pytest.raises(ConfigError, match=r"cutoff of 4.0 A, too short for the model's 5.0 A"):
        ForceTask.choose(info, ForceFieldConfig(cutoff=5.0), WEIGHTS)
    assert "shift" in ForceTask.choose(info, ForceFieldConfig(cutoff=3.5), WEIGHTS).columns


def test_molecules_are_no_structures(dataset: Path) -> None:
    with pytest.raises(ConfigError, match="molecules without positions, not structures"):
        ForceTask.choose(open_store(dataset).info, ForceFieldConfig(), WEIGHTS)


def test_energies_start_from_those_of_the_atoms_and_the_mean_above_them(tmp_path: Path) -> None:
    task = _task(tmp_path / "data.bp", clusters(5), energy_mean=-0.5)
    references = {z: task.reference_energies[z] for z in task.reference_energies.nonzero()[0]}
    assert references == {z: energy - 0.5 for z, energy in ATOMIC_ENERGIES.items()}


def test_scale_is_the_root_mean_square_force(tmp_path: Path) -> None:
    table = clusters(5)
    task = _task(tmp_path / "data.bp", table)
    assert task.scale == pytest.approx(np.sqrt((table.columns["force"] ** 2).mean()))


def test_forces_that_vanish_by_symmetry_are_no_scale(tmp_path: Path) -> None:
    """Perfect crystals of several volumes: what is left of their forces is rounding."""
    assert _task(tmp_path / "a.bp", clusters(3), force_rms=3e-15, energy_std=0.05).scale == 0.05
    assert _task(tmp_path / "b.bp", clusters(3), force_rms=3e-15, energy_std=4e-14).scale == 1
