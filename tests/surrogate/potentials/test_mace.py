"""The adapter for mace-torch, an optional package, against mace's own ASE calculator."""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from hydrasurr.errors import HydrasurrError, StructureError
from hydrasurr.graphs.systems import Systems
from hydrasurr.surrogate.potentials.load import load_potential
from hydrasurr.surrogate.potentials.mace import MACE, UNSAFE_LOADING
from tests.surrogate.potentials.differences import check_forces, check_virial
from tests.surrogate.potentials.structures import every_kind

HAS_MACE = importlib.util.find_spec("mace") is not None
needs_mace = pytest.mark.skipif(
    not HAS_MACE, reason="the extra 'mace' is not installed; .ci/run runs this file in another environment"
)
NUMBERS = (6, 1, 8)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny untrained model, saved as mace does it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(UNSAFE_LOADING, "1")  # importing mace sets it for good
        from mace import modules  # before e3nn, which needs it

        from e3nn import o3  # isort: skip

    torch.manual_seed(0)
    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    model = modules.ScaleShiftMACE(
        r_max=4.0,
        num_bessel=4,
        num_polynomial_cutoff=5,
        max_ell=2,
        interaction_cls=block,
        interaction_cls_first=block,
        num_interactions=2,
        num_elements=3,
        hidden_irreps=o3.Irreps("8x0e + 8x1o"),
        MLP_irreps=o3.Irreps("8x0e"),
        gate=torch.nn.functional.silu,
        atomic_energies=np.array([-1.0, -2.0, -3.0]),
        avg_num_neighbors=8,
        atomic_numbers=[1, 6, 8],
        correlation=2,
        atomic_inter_scale=1.3,
        atomic_inter_shift=0.1,
    )
    torch.set_default_dtype(before)
    path = tmp_path_factory.mktemp("mace") / "tiny.model"
    torch.save(model, path)
    return path


@needs_mace
@pytest.mark.parametrize("structure", ["box", "triclinic", "slab", "cluster", "small cell", "one atom"])
def test_equal_to_the_calculator_of_mace(model_file: Path, structure: str):
    from mace.calculators import MACECalculator

    system = every_kind(2.2, NUMBERS)[structure]
    atoms = Atoms(system.numbers, system.positions, cell=system.cell[0], pbc=system.pbc[0])
    atoms.calc = MACECalculator(model_paths=str(model_file), device="cpu", default_dtype="float64")
    found = MACE.load(model_file, trust_pickle=True).evaluate(system)
    assert found.energy[0] == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(found.forces, atoms.get_forces(), atol=1e-9)
    if system.pbc.all():
        np.testing.assert_allclose(found.stress(system)[0], atoms.get_stress(voigt=False), atol=1e-10)


@needs_mace
def test_forces_and_virial_are_slopes_of_the_energy(model_file: Path):
    systems = every_kind(2.2, NUMBERS)["batch"]
    potential = MACE.load(model_file, trust_pickle=True)
    check_forces(potential, systems, sample=8)
    check_virial(potential, systems)


@needs_mace
def test_float32_agrees_with_float64(model_file: Path):
    systems = every_kind(2.2, NUMBERS)["batch"]
    wide = MACE.load(model_file, trust_pickle=True).evaluate(systems)
    narrow = MACE.load(model_file, dtype="float32", trust_pickle=True).evaluate(systems)
    np.testing.assert_allclose(narrow.forces, wide.forces, atol=1e-4)
    assert narrow.forces.dtype == np.float64


@needs_mace
def test_errors_of_what_is_in_the_file(model_file: Path, tmp_path: Path):
    potential = MACE.load(model_file, trust_pickle=True)
    with pytest.raises(StructureError, match="no N in this force field"):
        potential.evaluate(Systems.single([7], [[0, 0, 0]]))
    with pytest.raises(HydrasurrError, match="no head 'dft'"):
        MACE.load(model_file, head="dft", trust_pickle=True)
    (tmp_path / "other.model").write_bytes(b"no pickle")
    with pytest.raises(HydrasurrError, match="cannot load"):
        MACE.load(tmp_path / "other.model", trust_pickle=True)
    torch.save([1, 2], tmp_path / "list.model")
    with pytest.raises(HydrasurrError, match="holds a list"):
        MACE.load(tmp_path / "list.model", trust_pickle=True)


@needs_mace
def test_safe_loading_stays_on(model_file: Path):
    """In a fresh process, which also loads a model where mace was not imported before."""
    script = (
        "import os; from hydrasurr.surrogate.potentials.mace import MACE, UNSAFE_LOADING;"
        f"MACE.load({str(model_file)!r}, trust_pickle=True); assert UNSAFE_LOADING not in os.environ"
    )
    environment = {name: value for name, value in os.environ.items() if name != UNSAFE_LOADING}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)


@needs_mace
def test_from_json(model_file: Path):
    section = {"type": "mace", "file": model_file.name, "trust_pickle": True}
    assert load_potential(section, model_file.parent).cutoff == 4.0
    systems = every_kind(2.2, NUMBERS)["box"]
    for precision in ("float32", "float64"):
        found = load_potential(section | {"precision": precision, "device": "cpu"}, model_file.parent)
        expected = MACE.load(model_file, "cpu", precision, trust_pickle=True)
        assert found.dtype == getattr(torch, precision)
        np.testing.assert_allclose(found.evaluate(systems).forces, expected.evaluate(systems).forces, atol=1e-5)
    for key, value, message in (("head", "dft", "no head 'dft'"), ("device", "nowhere", "nowhere")):
        with pytest.raises(HydrasurrError, match=message):
            load_potential(section | {key: value}, model_file.parent)


def test_nothing_is_unpickled_without_a_word_of_trust(tmp_path: Path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    file = tmp_path / "trap.model"
    file.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(HydrasurrError, match="can run any code"):
        MACE.load(file)
    with pytest.raises(HydrasurrError, match="can run any code"):
        load_potential({"type": "mace", "file": "trap.model"}, tmp_path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.skipif(HAS_MACE, reason="tells what happens where mace-torch is not installed")
def test_without_mace_the_error_names_the_extra(tmp_path: Path):
    (tmp_path / "some.model").write_bytes(b"")
    with pytest.raises(HydrasurrError, match=r"pip install 'hydrasurr\[mace\]'"):
        MACE.load(tmp_path / "some.model", trust_pickle=True)
