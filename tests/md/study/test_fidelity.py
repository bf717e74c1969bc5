"""Errors of forces and structures, sizes of copies, and figures read from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.neighbours import NeighbourList
from hydrasurr.md.argon import scaling
from hydrasurr.md.argon.summary import read_measured
from hydrasurr.md.frame import Frame
from hydrasurr.md.study.fidelity import deviation, difference, force_metrics, on_frames
from hydrasurr.md.study.stages import Result, StudyFolder
from tests.md.small_argon import argon_state, lennard_jones


def frame(atoms: int = 108) -> Frame:
    potential = lennard_jones()
    state = argon_state(potential, atoms)
    rng = np.random.default_rng(1)
    systems = type(state.systems).single(
        state.systems.numbers, state.systems.positions + rng.normal(0, 0.1, (atoms, 3)), state.systems.cell[0], True
    )
    return Frame.of(type(state)(systems, state.masses, state.momenta, potential.evaluate(systems)), 0, 1.0)


@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_force_errors_against_loops(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    reference = rng.normal(size=(count, 3))
    predicted = reference + rng.normal(0, 0.2, (count, 3))
    found = force_metrics(predicted, reference)
    sizes = [[sum(x * x for x in f) ** 0.5 for f in both] for both in zip(predicted, reference, strict=True)]
    mean = sum(t for _, t in sizes) / count
    squares = sum((p - t) ** 2 for p, t in sizes)
    assert found["r2"] == pytest.approx(1 - squares / sum((t - mean) ** 2 for _, t in sizes))
    assert found["rmse"] == pytest.approx((squares / count) ** 0.5)
    assert found["mae"] == pytest.approx(sum(abs(p - t) for p, t in sizes) / count)
    components = [(p - t) ** 2 for p, t in zip(predicted.ravel(), reference.ravel(), strict=True)]
    assert found["component_rmse"] == pytest.approx((sum(components) / len(components)) ** 0.5)
    power = sum(t * t for t in reference.ravel()) / reference.size
    assert found["relative_rmse"] == pytest.approx(found["component_rmse"] / power**0.5)


def test_a_line_off_the_diagonal_is_an_error() -> None:
    """Forces that are twice too large correlate perfectly, and yet R^2 is far from 1."""
    reference = np.random.default_rng(0).normal(size=(50, 3))
    assert force_metrics(reference, reference)["r2"] == 1
    assert force_metrics(2 * reference, reference)["r2"] < 0


def test_the_reference_potential_has_no_error_on_its_frames() -> None:
    made = frame()
    metrics, forces = on_frames(lennard_jones(), [made])
    assert metrics["r2"] == pytest.approx(1, abs=1e-12) and np.allclose(forces, made.forces)
    assert metrics["energy_shift"] == pytest.approx(0, abs=1e-9)
    assert metrics["pressure_shift"] == pytest.approx(0, abs=1e-6)


def test_shifts_are_those_of_energy_and_pressure() -> None:
    """With 1.1 epsilon every energy and virial is a tenth larger."""
    made, larger = frame(), lennard_jones()
    larger.epsilon *= 1.1
    larger._at_cutoff *= 1.1
    metrics, _ = on_frames(larger, [made])
    assert metrics["energy_shift"] == pytest.approx(0.1 * 1000 * made.energy / 108)
    without_motion = Frame(0, 0.0, made.systems, 0 * made.velocities, made.forces, made.energy, made.stress)
    assert metrics["pressure_shift"] == pytest.approx(0.1 * without_motion.pressure_bar)


def test_deviation_looks_where_something_is() -> None:
    found = deviation(np.array([0, 0, 1.0, 2.0]), np.array([0, 0.5, 1.0, 1.0]))
    assert found == {"g_max_deviation": 1.0, "g_mean_deviation": 0.5}


def test_differences_add_errors_in_squares() -> None:
    ours, theirs = {"mean": 3.0, "error": 0.3, "unit": "bar"}, {"mean": 1.0, "error": 0.4, "unit": "bar"}
    assert difference(ours, theirs) == {"mean": 2.0, "error": pytest.approx(0.5), "unit": "bar"}
    assert difference({**ours, "error": None}, theirs)["error"] is None


@pytest.mark.parametrize(("factor", "box"), [(1, (1, 1, 1)), (2, (1, 1, 2)), (8, (2, 2, 2)), (10, (1, 2, 5))])
def test_copies_repeat_the_liquid(factor: int, box: tuple[int, int, int]) -> None:
    made = frame()
    larger, velocities = scaling.copies(made, factor)
    assert larger.num_atoms == len(velocities) == 108 * factor
    assert sorted(np.round(np.diag(larger.cell[0]) / made.systems.cell[0, 0, 0]).astype(int)) == sorted(box)
    one, all_of_them = (lennard_jones().evaluate(systems) for systems in (made.systems, larger))
    assert all_of_them.energy[0] == pytest.approx(factor * one.energy[0])
    assert np.allclose(all_of_them.forces, np.tile(one.forces, (factor, 1)), atol=1e-12)
    assert len(NeighbourList(6.0).pairs(larger)) == factor * len(NeighbourList(6.0).pairs(made.systems))


def test_measured_curves_are_sorted_and_checked(tmp_path: Path) -> None:
    (tmp_path / "g.dat").write_text("# r g\n4 1.5\n3 0.5\n")
    r, g = read_measured(tmp_path / "g.dat")
    assert r.tolist() == [3, 4] and g.tolist() == [0.5, 1.5]
    (tmp_path / "three.dat").write_text("1 2 3\n")
    with pytest.raises(HydrasurrError, match="has 3 columns"):
        read_measured(tmp_path / "three.dat")
    (tmp_path / "words.dat").write_text("r g\n")
    with pytest.raises(HydrasurrError, match="cannot read the measured curve"):
        read_measured(tmp_path / "words.dat")


def test_stages_are_made_once_and_damage_is_told(tmp_path: Path) -> None:
    folder, calls = StudyFolder(tmp_path), []

    def make() -> Result:
        calls.append(1)
        return Result({"answer": 42}, {"x": np.arange(3)})

    first, second = folder.stage("one", make), folder.stage("one", make)
    assert len(calls) == 1 and first.facts == second.facts and first.facts["answer"] == 42
    assert np.array_equal(second.arrays["x"], [0, 1, 2])
    path = tmp_path / "stages/one.npz"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(HydrasurrError, match=r"one\.npz' is damaged"):
        folder.stage("one", make)
