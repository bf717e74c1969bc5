"""Single molecules: against tblite called by itself, physics that is known, and everything that can go wrong."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator

import numpy as np
import pytest
import tblite.interface
from ase import Atoms, units
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers
from tblite.ase import TBLite

from hydrasurr.rl.oracle.config import OracleConfig
from hydrasurr.rl.oracle.geometry import LabelError, embed, require_bonds
from hydrasurr.rl.oracle.label import UNITS, Label, XTBOracle
from hydrasurr.rl.oracle.xtb import XTB, one_thread


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """For the library itself, which would take all cores."""
    with one_thread():
        yield


@pytest.mark.parametrize("method", ["GFN2-xTB", "GFN1-xTB"])
@pytest.mark.parametrize("smiles", ["FC(Cl)Br", "c1ccccc1", "C[NH3+]", "CC(=O)[O-]"])
def test_energies_forces_and_orbitals_are_those_of_tblite(smiles: str, method: str) -> None:
    """By the library's own calculator for ASE, and its orbitals sorted by hand."""
    start = embed(smiles, seed=1)
    atoms = Atoms(start.numbers, start.positions)
    ours, theirs = atoms.copy(), atoms.copy()
    ours.calc = XTB(method, start.charge)
    theirs.calc = TBLite(method=method, charge=start.charge, verbosity=0)
    for _ in range(2):  # the second calculation starts from the first one's orbitals
        assert ours.get_potential_energy() == pytest.approx(theirs.get_potential_energy(), abs=1e-5)
        np.testing.assert_allclose(ours.get_forces(), theirs.get_forces(), atol=1e-3)
        shift = np.random.default_rng(0).normal(scale=0.02, size=atoms.positions.shape)
        ours.positions, theirs.positions = ours.positions + shift, theirs.positions + shift
    ours.get_potential_energy()
    direct = tblite.interface.Calculator(method, ours.numbers, ours.positions / units.Bohr, start.charge, 0)
    direct.set("verbosity", 0)
    found = direct.singlepoint()
    energies, filled = np.array(found["orbital-energies"]) * units.Hartree, np.array(found["orbital-occupations"])
    frontier = ours.calc.frontier()
    assert frontier.homo == pytest.approx(energies[filled > 1].max(), abs=1e-3)
    assert frontier.lumo == pytest.approx(energies[filled < 1].min(), abs=1e-3)


def test_forces_are_the_slope_of_the_energy() -> None:
    start = embed("CO", seed=1)
    atoms = Atoms(start.numbers, start.positions)
    atoms.calc = XTB("GFN2-xTB")
    force, step = atoms.get_forces()[1, 0], 1e-3
    energies = []
    for sign in (1, -1):
        atoms.positions[1, 0] += sign * step
        energies.append(atoms.get_potential_energy())
        atoms.positions[1, 0] -= sign * step
    assert force == pytest.approx(-(energies[0] - energies[1]) / (2 * step), abs=2e-3)


def test_a_label_is_of_an_optimised_geometry() -> None:
    oracle = XTBOracle(OracleConfig(fmax=0.02, conformers=2))
    geometry = embed("CC(=O)N", seed=0, conformers=2)
    atoms, steps, converged = oracle.optimise(geometry)
    label = oracle("CC(=O)N")
    assert converged and label.converged and steps == label.steps > 0
    reference = Atoms(atoms.numbers, atoms.positions)
    reference.calc = TBLite(method="GFN2-xTB", verbosity=0)
    assert np.linalg.norm(reference.get_forces(), axis=1).max() < 0.021
    assert label.force < 0.02
    assert label.values["energy"] == pytest.approx(reference.get_potential_energy(), abs=1e-4)
    before = Atoms(geometry.numbers, geometry.positions)
    before.calc = TBLite(method="GFN2-xTB", verbosity=0)
    assert reference.get_potential_energy() < before.get_potential_energy() - 0.005
    assert label.values["gap"] == pytest.approx(label.values["lumo"] - label.values["homo"])
    moment = np.linalg.norm(reference.get_dipole_moment()) / units.Debye
    assert label.values["dipole"] == pytest.approx(moment, abs=0.02)
    assert label.values.keys() == UNITS.keys()
    assert label.atoms == 9 and label.seconds.keys() == {"embed", "optimise"}


def test_what_chemists_know() -> None:
    """The gap of polyenes falls with their length, sigma bonds have larger ones; water has 1.85 D, xTB says 2.2."""
    oracle = XTBOracle()
    gap = {text: oracle(text).values["gap"] for text in ("C=C", "C=CC=C", "C=CC=CC=C", "CC")}
    assert gap["CC"] > gap["C=C"] > gap["C=CC=C"] + 1 > gap["C=CC=CC=C"] + 1.5
    assert 1.8 < oracle("O").values["dipole"] < 2.4
    assert oracle("CC").values["dipole"] < 1e-3


def test_the_same_is_the_same_and_order_of_atoms_hardly_matters() -> None:
    oracle = XTBOracle(OracleConfig(fmax=0.005))
    one, again, turned = (oracle(text).values for text in ("C1CC1C=O", "C1CC1C=O", "O=CC1CC1"))
    assert one == again
    assert turned["energy"] == pytest.approx(one["energy"], abs=0.1)
    assert pickle.loads(pickle.dumps(oracle)).config == oracle.config


def test_more_conformers_find_lower_ones() -> None:
    """By the force field's energies, computed here anew, in kcal/mol."""
    few, many = (embed("OCCCCCO", seed=3, conformers=n) for n in (1, 30))
    energy = []
    for geometry in (few, many):
        mol = Chem.AddHs(Chem.MolFromSmiles("OCCCCCO"))
        conformer = Chem.Conformer(mol.GetNumAtoms())
        conformer.SetPositions(geometry.positions)
        mol.AddConformer(conformer)
        properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(mol)
        energy.append(rdForceFieldHelpers.MMFFGetMoleculeForceField(mol, properties).CalcEnergy())
    assert energy[1] < energy[0] - 0.1


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("not a molecule", "no molecule: RDKit reads none there"),
        ("", "no molecule"),
        ("C1#CC1", "no embedding: RDKit finds no geometry"),
        ("[U]", "unsupported element: U"),
        ("*C", r"unsupported element: \*"),
        ("[Na+].[Cl-]", "several parts: 2"),
        ("[CH3]", "open shell: 1 unpaired"),
        ("[CH2]", "open shell: 2 unpaired"),
        ("[NH3+]CC(=O)[O-]", "fell apart: a bond (N-H|O-H) is 1"),  # the proton moves to the oxygen
    ],
)
def test_reasons_for_no_label(smiles: str, reason: str) -> None:
    with pytest.raises(LabelError, match=f"^{reason}"):
        XTBOracle()(smiles)


def test_an_optimisation_that_does_not_end() -> None:
    with pytest.raises(LabelError, match="^not optimised: after 1 steps the largest force is"):
        XTBOracle(OracleConfig(max_steps=1, fmax=1e-4))("CCO")
    label = XTBOracle(OracleConfig(max_steps=1, fmax=1e-4, unconverged="accept"))("CCO")
    assert not label.converged and label.steps == 1 and label.force > 1e-4
    as_it_is = XTBOracle(OracleConfig(max_steps=0))("CCO")
    assert as_it_is.steps == 0 and not as_it_is.converged


def test_a_field_that_does_not_converge() -> None:
    atoms = Atoms("CH", [[0, 0, 0], [0, 0, 0]])
    atoms.calc = XTB("GFN2-xTB")
    with pytest.raises(LabelError, match="^no self-consistent field: Too close interatomic distances"):
        atoms.get_potential_energy()
    atoms = Atoms("OH2", [[0, 0, 0], [0, 0, np.nan], [0, 1, 0]])
    atoms.calc = XTB("GFN2-xTB")
    with pytest.raises(LabelError, match="^no self-consistent field"):
        atoms.get_potential_energy()


def test_single_atoms_and_missing_orbitals() -> None:
    helium, proton = XTBOracle()("[He]"), XTBOracle()("[H+]")
    assert helium.values["gap"] > 10 and helium.atoms == 1 and helium.steps == 0
    assert math.isnan(proton.values["gap"]) and math.isnan(proton.values["dipole"])
    assert repr(Label.from_json(proton.to_json())) == repr(proton)


def test_broken_bonds_are_told() -> None:
    geometry = embed("CCO", seed=1)
    require_bonds(geometry, geometry.positions)
    pulled = geometry.positions.copy()
    pulled[2] += [0, 0, 3]
    with pytest.raises(LabelError, match=r"^fell apart: a bond (C-O|O-H) is \d\.\d\d Angstrom long"):
        require_bonds(geometry, pulled)
