"""Keys, units, signs and shapes of energies, forces and stresses; atomic energies."""

from __future__ import annotations

import numpy as np
import pytest
from ase.units import GPa
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.errors import ConfigError, StructureError
from hydrasurr.graphs.systems import Systems
from hydrasurr.shipped import find
from preprocessing.card import StructureCard, read_card
from preprocessing.moments import Moments
from preprocessing.structures.frames import Frame, parse_frame, read_frames
from preprocessing.structures.header import energy_residuals, fit_atomic_energies
from preprocessing.structures.labels import Labels, labels_of, resolve_labels
from preprocessing.structures.scan import read_isolated_atoms

NUMBERS, POSITIONS = np.array([1, 8]), np.array([[0, 0, 0], [0, 0, 1.0]])
FORCES = np.array([[1.0, 2, 3], [-1, -2, -3]])
SIX = [1.0, 2, 3, 4, 5, 6]


def frame(**values: object) -> Frame:
    return Frame(NUMBERS, POSITIONS, np.diag([4.0, 5, 6]), True, values)


def card(**keys: object) -> StructureCard:
    return StructureCard.model_validate({"kind": "structures", "name": "t", "files": ["t.xyz"], **keys})


def keys_of(samples: list[Frame], **keys: object) -> dict[str, str | None]:
    resolved = resolve_labels(card(**keys), samples)
    labels = {name: getattr(resolved, name) for name in ("energy", "forces", "stress")}
    return {name: None if label is None else label.key for name, label in labels.items()}


def labels(values: dict[str, object], **keys: object) -> Labels:
    sample = frame(**values)
    system = Systems.single(sample.numbers, sample.positions, sample.cell, sample.pbc)
    return labels_of(resolve_labels(card(**keys), [sample]), sample, system)


# -- keys ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values, expected",
    [
        ({"energy": 1.0, "forces": FORCES, "stress": SIX}, ("energy", "forces", "stress")),
        ({"REF_energy": 1.0, "REF_forces": FORCES}, ("REF_energy", "REF_forces", None)),
        ({"dft_energy": 1.0, "dft_force": FORCES, "dft_virial": np.eye(3)}, ("dft_energy", "dft_force", "dft_virial")),
        ({"REF_energy": 1.0, "REF_virials": np.eye(3)}, ("REF_energy", None, "REF_virials")),
        ({"TotEnergy": 1, "force": FORCES.tolist()}, ("TotEnergy", "force", None)),
        ({"E": 1.0, "F": FORCES}, ("E", "F", None)),
        ({"energy": 1.0, "free_energy": 1.1, "stress": SIX, "virial": np.eye(3)}, ("energy", None, "stress")),
        ({"free_energy": 1.1}, ("free_energy", None, None)),
        ({"energy": 1.0, "forces": np.ones((3, 3)), "dipole": np.ones(3)}, ("energy", None, None)),
        ({"energy": "-1.0", "REF_energy": -1.0}, ("REF_energy", None, None)),
    ],
)
def test_usual_keys_are_found(values: dict, expected: tuple) -> None:
    assert tuple(keys_of([frame(**values)]).values()) == expected


def test_keys_are_looked_for_in_several_frames() -> None:
    found = keys_of([frame(energy=1.0), frame(forces=FORCES)])
    assert found == {"energy": "energy", "forces": "forces", "stress": None}


def test_several_usual_keys_are_an_error_that_names_them() -> None:
    sample = frame(energy=1.0, REF_energy=2.0, forces=FORCES)
    message = r"'t\.xyz': several kinds of energy: energy, REF_energy; choose one in the card, say \"energy\": "
    with pytest.raises(ConfigError, match=message):
        keys_of([sample])
    assert keys_of([sample], energy="REF_energy")["energy"] == "REF_energy"
    assert keys_of([sample], energy=None) == {"energy": None, "forces": "forces", "stress": None}


def test_a_key_of_the_card_must_be_there() -> None:
    with pytest.raises(ConfigError, match=r"no forces called 'forcs'; did you mean 'forces'\?"):
        keys_of([frame(energy=1.0, forces=FORCES)], forces="forcs")
    with pytest.raises(ConfigError, match=r"no stress called 'stress'"):  # of another shape
        keys_of([frame(energy=1.0, stress=1.0)], stress="stress")


def test_files_without_labels() -> None:
    with pytest.raises(ConfigError, match="no energies, forces or stresses found; what could be one: E0, temperature"):
        keys_of([frame(E0=1.0, temperature=300, name="a")])
    nothing = keys_of([frame(E0=1.0)], energy=None, forces=None, stress=None)
    assert set(nothing.values()) == {None}


# -- numbers -------------------------------------------------------------------------------------------


def test_units() -> None:
    found = labels(
        {"E": -1.0, "F": FORCES, "stress": np.eye(3)},
        energy={"key": "E", "scale": 27.2},
        forces={"key": "F", "scale": 51.4},
        stress={"key": "stress", "scale": -GPa},
    )
    assert found.energy == -27.2
    np.testing.assert_array_equal(found.forces, FORCES * 51.4)
    np.testing.assert_allclose(found.stress, -np.eye(3) / 160.21766, rtol=1e-7)


def test_six_numbers_of_a_stress() -> None:
    voigt = labels({"stress": SIX}).stress
    assert voigt.tolist() == [[1, 6, 5], [6, 2, 4], [5, 4, 3]]
    vasp = labels({"stress": SIX}, stress={"order": "vasp"}).stress
    assert vasp.tolist() == [[1, 4, 6], [4, 2, 5], [6, 5, 3]]
    assert labels({"stress": np.arange(9.0)}).stress.tolist() == np.arange(9.0).reshape(3, 3).tolist()


def test_virials_become_stresses() -> None:
    virial = {"virial": np.full((3, 3), 24.0)}
    np.testing.assert_allclose(labels(virial).stress, np.full((3, 3), -24 / 120))
    np.testing.assert_allclose(labels({"w": virial["virial"]}, stress={"key": "w", "quantity": "virial"}).stress, -0.2)
    np.testing.assert_allclose(labels({"w": virial["virial"]}, stress="w").stress, 24.0)
    np.testing.assert_allclose(labels({"qe_virial": virial["virial"]}, stress="qe_virial").stress, -0.2)


@pytest.mark.parametrize("key", ["stress", "virial"])
def test_there_is_no_stress_without_a_cell(key: str) -> None:
    """Zeros fill its place in files of molecules and crystals; learnt as stresses they would be wrong."""
    resolved = resolve_labels(card(), [frame(**{"energy": 1.0, key: SIX})])
    molecule = Systems.single(NUMBERS, POSITIONS)
    found = labels_of(resolved, frame(**{"energy": 1.0, key: np.zeros(6)}), molecule)
    assert found.energy == 1.0 and np.isnan(found.stress).all()
    with pytest.raises(StructureError, match=f"a {key} '{key}' without a cell"):
        labels_of(resolved, frame(**{"energy": 1.0, key: SIX}), molecule)


def test_what_is_missing_is_nan() -> None:
    resolved = resolve_labels(card(), [frame(energy=1.0, forces=FORCES, stress=SIX)])
    system = Systems.single(NUMBERS, POSITIONS, np.diag([4.0, 5, 6]), True)
    found = labels_of(resolved, frame(forces=FORCES, energy=None), system)
    assert np.isnan(found.energy) and np.isnan(found.stress).all() and found.stress.shape == (3, 3)
    forces = labels_of(resolved, frame(energy=2.0, forces=None), system).forces
    assert np.isnan(forces).all() and forces.shape == (2, 3)
    for nothing in ({}, {"energy": np.nan, "forces": FORCES * np.nan}):
        with pytest.raises(ValueError, match="no energy, forces or stress"):
            labels_of(resolved, frame(**nothing), system)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"energy": "high"}, "energy 'energy' is not a number: 'high'"),
        ({"energy": [1.0, 2.0]}, r"energy 'energy' has shape \(2,\), expected \(\)"),
        ({"energy": np.inf}, "energy 'energy' is infinite"),
        ({"forces": FORCES[:1]}, r"forces 'forces' has shape \(1, 3\), expected \(2, 3\)"),
        ({"forces": FORCES * -np.inf}, "forces 'forces' is infinite"),
        ({"stress": np.ones(5)}, r"stress 'stress' has shape \(5,\), expected \(6,\) or \(9,\) or \(3, 3\)"),
    ],
)
def test_labels_that_are_none(values: dict, message: str) -> None:
    resolved = resolve_labels(card(), [frame(energy=1.0, forces=FORCES, stress=SIX)])
    system = Systems.single(NUMBERS, POSITIONS, np.diag([4.0, 5, 6]), True)
    with pytest.raises(ValueError, match=message):
        labels_of(resolved, frame(**values), system)


def test_stress_of_shipped_silicon_has_the_right_sign_unit_and_order() -> None:
    """Strained crystals: stress is how the energy changes with strain, and shear is answered where it acts."""
    shipped = read_card(find("datasets", "silicon"))
    frames = [parse_frame(raw) for raw in read_frames(shipped.paths[0]) if ", mode " in str(raw)]
    shipped = resolve_labels(shipped, frames)
    strained = {frame.values["description"].split(", ", 1)[1]: frame for frame in frames}

    def energy_and_its_derivative(name: str) -> tuple[float, np.ndarray]:
        """eV of the whole cell; per strain `[3, 3]`."""
        sample = strained[name]
        system = Systems.single(sample.numbers, sample.positions, sample.cell, sample.pbc)
        found = labels_of(shipped, sample, system)
        return found.energy, found.stress * system.volume[0]

    energy = {e: energy_and_its_derivative(f"mode 0, strain {e}")[0] for e in (-0.04, -0.02, 0.02, 0.04)}
    curvature = (energy[-0.04] + energy[0.04] - energy[-0.02] - energy[0.02]) / (0.04**2 - 0.02**2)
    slopes = [energy_and_its_derivative(f"mode 0, strain {e}")[1][0, 0] for e in (-0.02, 0.02)]
    assert (slopes[1] - slopes[0]) / 0.04 == pytest.approx(curvature, rel=0.05)

    edge = strained["mode 1, strain 0.02"].cell[0, 0]  # not strained along x
    for mode, (row, column) in {3: (0, 1), 4: (0, 2), 5: (1, 2)}.items():
        name = f"mode {mode}, strain 0.02"
        deformation = strained[name].cell / edge
        assert deformation[row, column] + deformation[column, row] > 0.03
        derivative = energy_and_its_derivative(name)[1]
        shear = {place: derivative[place] for place in ((0, 1), (0, 2), (1, 2))}
        assert shear.pop((row, column)) > 20 * max(map(abs, shear.values()))


# -- atomic energies -----------------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(4, 9))
def test_energies_that_are_sums_are_taken_apart(seed: int, elements: int, compositions: int) -> None:
    random = np.random.default_rng(seed)
    numbers, true = np.sort(random.choice(np.arange(1, 90), elements, replace=False)), random.normal(0, 1e4, elements)
    energies = {}
    for _ in range(compositions):
        counts = random.integers(0, 9, elements)
        if counts.any():
            key = tuple((int(n), int(c)) for n, c in zip(numbers, counts, strict=True) if c)
            energies[key] = Moments.of(np.full(random.integers(1, 5), counts @ true))
    if not energies:
        return
    found = fit_atomic_energies(energies)
    mean, std = energy_residuals(energies, found)
    assert abs(mean) < 1e-6 and std < 1e-6
    counts = np.array([[dict(key).get(int(n), 0) for n in numbers] for key in energies])
    if np.linalg.matrix_rank(counts) == elements:
        np.testing.assert_allclose([found[int(n)] for n in numbers], true, rtol=1e-7, atol=1e-6)


def test_residuals_are_those_of_single_structures() -> None:
    random = np.random.default_rng(0)
    compositions, atomic = [((1, 4), (6, 1)), ((1, 6), (6, 2)), ((8, 2),)], {1: -13.0, 6: -1000.0, 8: -2000.0}
    groups = [random.normal(-3000, 5, size) for size in (4, 1, 7)]
    energies = {key: Moments.of(group) for key, group in zip(compositions, groups, strict=True)}
    single = np.concatenate(
        [
            (group - sum(count * atomic[number] for number, count in key)) / sum(count for _, count in key)
            for key, group in zip(compositions, groups, strict=True)
        ]
    )
    np.testing.assert_allclose(energy_residuals(energies, atomic), [single.mean(), single.std()], rtol=1e-12)


def test_isolated_atoms(tmp_path) -> None:
    def atoms(*energies: tuple[str, float]) -> dict[int, float]:
        text = "".join(f"1\nenergy={energy}\n{symbol} 0 0 0\n" for symbol, energy in energies)
        (tmp_path / "atoms.xyz").write_text(text + "2\nenergy=-9\nH 0 0 0\nH 0 0 1\n")
        return read_isolated_atoms(
            card(atomic_energies=str(tmp_path / "atoms.xyz"), energy={"key": "energy", "scale": 2.0})
        )

    assert atoms(("H", -1.5), ("O", -7)) == {1: -3.0, 8: -14.0}
    assert atoms(("H", -1.5), ("H", -1.5)) == {1: -3.0}
    assert atoms(("H", -1.5), ("H", np.nan), ("He", np.nan)) == {1: -3.0}
    with pytest.raises(ConfigError, match=r"atoms\.xyz': energy 'energy' is not a number: 'low'"):
        atoms(("H", "low"))
    with pytest.raises(ConfigError, match="isolated H has the energies -3.0 and -2.0 eV"):
        atoms(("H", -1.5), ("H", -1.0))
    with pytest.raises(ConfigError, match="no frame of a single atom with an energy 'energy'"):
        atoms()
    with pytest.raises(ConfigError, match="atomic_energies: no file 'nowhere"):
        read_isolated_atoms(card(atomic_energies="nowhere.xyz"))


def test_crystals_of_one_atom_a_cell_are_no_isolated_atoms(tmp_path) -> None:
    cells = {"10 0 0 0 10 0 0 0 10": -0.5, "0 1.8 1.8 1.8 0 1.8 1.8 1.8 0": -4.0, "20 0 0 0 3 0 0 0 20": -2.0}
    text = "".join(f'1\nLattice="{cell}" energy={energy}\nCu 0 0 0\n' for cell, energy in cells.items())
    (tmp_path / "frames.txt").write_text(text)
    one = card(format="extxyz", atomic_energies=str(tmp_path / "frames.txt"), energy="energy")
    assert read_isolated_atoms(one) == {29: -0.5}
