"""From files of structures to data sets: the right numbers, whoever does the work; bad frames are listed."""

from __future__ import annotations

import csv
import os
import signal
import time
from itertools import combinations, combinations_with_replacement
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr, Hartree, kcal, mol

from hydrasurr.errors import ConfigError, HydrasurrError, StoreError
from hydrasurr.graphs import GraphTable
from hydrasurr.graphs.structures import to_systems
from hydrasurr.graphs.systems import Systems
from hydrasurr.shipped import find
from hydrasurr.stores import SPLITS, StructureFacts, open_store
from preprocessing.card import read_card
from preprocessing.pipeline import preprocess
from preprocessing.structures.scan import scan_structures
from tests.conftest import ROOT
from tests.preprocessing.conftest import mpiexec
from tests.preprocessing.structures.conftest import write_db, write_npz, write_traj, write_xyz
from tests.structures import edges_of, ethanols, silicons, slow_edges
from tests.tables import assert_same_table

WATER = """3
Properties=species:S:1:pos:R:3:forces:R:3 energy={energy} tag={tag} pbc="F F F"
O 0 0 0 {force} 0 0
H 0.96 0 0 0 0 0
H 0 {y} 0 0 0 0
"""


def water(energy: object = -470.5, force: object = 0.5, y: object = 0.96, tag: str = "train") -> str:
    return WATER.format(energy=energy, force=force, y=y, tag=tag)


def tables_of(path: Path) -> dict[str, GraphTable]:
    store = open_store(path)
    return {split: store[split].read(0, len(store[split])) for split in SPLITS}


def rejects_of(path: Path) -> list[tuple[str, str, str]]:
    """(file, number in it, reason) of each."""
    with path.open(newline="") as file:
        return [(row["file"], row["number"], row["reason"]) for row in csv.DictReader(file)]


def facts_of(path: Path) -> StructureFacts:
    return open_store(path).info.structures


# -- what is written -----------------------------------------------------------------------------------


@pytest.mark.parametrize("cutoff", [None, 3.0])
def test_frames_become_graphs(structure_card, tmp_path, cutoff):
    atoms = [*ethanols()[:5], Atoms("He", calculator=None)]
    atoms[5].info["energy"] = -79.0
    write_xyz(tmp_path / "t.xyz", atoms)
    card = structure_card(tmp_path, cutoff=cutoff)
    preprocess(card, tmp_path / "t.bp", workers=1, show=False)
    table = tables_of(tmp_path / "t.bp")["train"]
    assert table.columns["row"].tolist() == [1, 2, 3, 4, 5, 6]
    assert table.x[:, 0].tolist() == [number for a in atoms for number in a.numbers]
    np.testing.assert_allclose(table.columns["position"], np.concatenate([a.positions for a in atoms]), atol=1e-8)
    np.testing.assert_array_equal(table.y[:5, 0], [a.get_potential_energy() for a in atoms[:5]])
    assert table.y[5, 0] == -79.0
    forces = np.concatenate([a.get_forces() for a in atoms[:5]])
    np.testing.assert_allclose(table.columns["force"][:45], forces, atol=1e-8)
    assert np.isnan(table.columns["force"][45:]).all()
    assert table.edge_index.dtype == np.uint16
    if cutoff is None:
        assert "shift" not in table.columns and table.num_edges == 0
    else:
        np.testing.assert_allclose(edges_of(table), slow_edges(atoms, cutoff), atol=1e-7)


def test_all_formats_give_the_same_data_set(structure_card, tmp_path):
    """Positions and forces with as many digits as ASE writes to text."""
    atoms = [a.copy() for a in ethanols()[:40]]
    for copy, a in zip(atoms, ethanols(), strict=False):
        copy.positions = a.positions.round(8)
        copy.calc = a.calc
        copy.calc.results["forces"] = a.calc.results["forces"].round(8)
        copy.info.clear()
    found = {}
    formats = {"a.xyz": write_xyz, "b.db": write_db, "c.json": write_db, "d.traj": write_traj, "e.npz": write_npz}
    for name, write in formats.items():
        write(tmp_path / name, atoms)
        card = structure_card(tmp_path, files=[name], cutoff=2.0)
        preprocess(card, tmp_path / "t.bp", workers=1, show=False, force=True)
        found[name] = tables_of(tmp_path / "t.bp"), facts_of(tmp_path / "t.bp")
    tables, facts = found.pop("a.xyz")
    assert len(tables["train"]) == 36
    for other, other_facts in found.values():
        assert other_facts == facts
        for split in SPLITS:
            assert_same_table(other[split], tables[split])


def test_a_pickled_store_and_no_text(structure_card, tmp_path):
    write_xyz(tmp_path / "t.xyz", silicons()[:3])
    card = structure_card(tmp_path, cutoff=3.0, energy="ref_energy", forces="ref_forces")
    preprocess(card, tmp_path / "t.bp", workers=1, show=False)
    preprocess(card, tmp_path / "t.pickle", kind="pickle", workers=1, show=False)
    assert_same_table(tables_of(tmp_path / "t.pickle")["train"], tables_of(tmp_path / "t.bp")["train"])
    with pytest.raises(ConfigError, match="a csv store holds molecules"):
        preprocess(card, tmp_path / "t.inline", kind="csv", workers=1, show=False)


def test_shipped_silicon(tmp_path):
    outcome = preprocess(read_card(find("datasets", "silicon")), tmp_path / "s.bp", workers=1, show=False)
    info = outcome.info
    assert outcome.rejects is None and (sum(info.graphs.values()), info.graphs["test"]) == (239, 25)
    assert info.structures.labelled == dict.fromkeys(("energy", "forces", "stress"), info.graphs["train"])
    assert info.structures.elements == (14,) and info.structures.atomic_energies.keys() == {14}
    train = tables_of(tmp_path / "s.bp")["train"]
    per_atom = train.y[:, 0] / train.counts("node")
    assert info.structures.atomic_energies[14] == pytest.approx(per_atom.mean())
    assert info.structures.energy_std == pytest.approx(per_atom.std())
    assert info.structures.force_rms == pytest.approx(np.sqrt(np.mean(train.columns["force"] ** 2)))
    assert info.structures.stress_rms == pytest.approx(np.sqrt(np.mean(train.columns["stress"] ** 2)))
    assert info.statistics[0].mean == pytest.approx(train.y.mean())


def test_shipped_ethanol_starts_from_isolated_atoms(tmp_path):
    outcome = preprocess(read_card(find("datasets", "ethanol")), tmp_path / "e.bp", workers=1, show=False)
    info = outcome.info
    assert outcome.rejects is None and info.graphs == {"train": 950, "val": 50, "test": 1000}
    isolated = {a.numbers[0]: a.get_potential_energy() for a in _read(ROOT / "datasets/ethanol/isolated_atoms.xyz")}
    assert info.structures.atomic_energies == {z: isolated[z] for z in (1, 6, 8)}
    assert info.structures.atomic_energies_from == "isolated atoms"
    assert info.structures.r_min == pytest.approx(smallest_distances(to_systems(tables_of(tmp_path / "e.bp")["train"])))

    train = tables_of(tmp_path / "e.bp")["train"]
    bound = (train.y[:, 0] - 6 * isolated[1] - 2 * isolated[6] - isolated[8]) / 9
    assert info.structures.energy_mean == pytest.approx(bound.mean(), rel=1e-9)
    assert info.structures.energy_std == pytest.approx(bound.std(), rel=1e-7)


def smallest_distances(systems: Systems) -> dict[str, float]:
    """By ASE, pair by pair of elements; 3 Angstrom where there are none closer."""
    smallest = {f"{a}-{b}": 3.0 for a, b in combinations_with_replacement("HCO", 2)}
    for s in range(len(systems)):
        atoms = Atoms(systems[s].numbers, systems[s].positions)
        distances = atoms.get_all_distances()
        for i, j in combinations(range(len(atoms)), 2):
            first, second = sorted((atoms[i], atoms[j]), key=lambda atom: atom.number)
            pair = f"{first.symbol}-{second.symbol}"
            smallest[pair] = min(smallest[pair], distances[i, j])
    return smallest


def _read(path: Path) -> list[Atoms]:
    return ase.io.read(path, ":")


def test_atomic_energies_of_the_card(structure_card, tmp_path):
    (tmp_path / "t.xyz").write_text(water() * 3)
    card = structure_card(tmp_path, atomic_energies={"H": -10.0, "O": -450.0, "Fe": -9.0})
    preprocess(card, tmp_path / "t.bp", workers=1, show=False)
    facts = facts_of(tmp_path / "t.bp")
    assert facts.atomic_energies == {1: -10.0, 8: -450.0} and facts.atomic_energies_from == "card"
    assert facts.energy_mean == pytest.approx(-0.5 / 3) and facts.energy_std == pytest.approx(0, abs=1e-12)
    with pytest.raises(HydrasurrError, match="atomic_energies: none of O, which the structures have"):
        preprocess(structure_card(tmp_path, atomic_energies={"H": -10.0}), tmp_path / "u.bp", workers=1, show=False)
    assert not list(tmp_path.glob("u.*"))


def test_labels_that_come_late_in_a_file_are_found(structure_card, command, tmp_path, monkeypatch):
    """Files are often sorted: single atoms, molecules, then crystals with stresses."""
    monkeypatch.chdir(tmp_path)
    crystal = water().replace("pbc=", 'virials="6 0 0 0 6 0 0 0 6" Lattice="4 0 0 0 4 0 0 0 4" other=')
    (tmp_path / "t.xyz").write_text(water().replace("forces", "speed") * 50 + water() * 50 + crystal * 2)
    preprocess(structure_card(tmp_path), tmp_path / "t.bp", workers=1, show=False)
    facts = facts_of(tmp_path / "t.bp")
    assert facts.labelled == {"energy": 102, "forces": 52, "stress": 2}
    stress = tables_of(tmp_path / "t.bp")["train"].columns["stress"]
    np.testing.assert_allclose(stress[100:], [np.eye(3) * -6 / 64] * 2)
    assert command("card", "t.xyz", "--out", "new.json")[0] == 0
    drafted = read_card(tmp_path / "new.json")
    assert (drafted.stress.key, drafted.forces.key) == ("virials", "forces")
    assert drafted.description == "Structures of H, O; periodic and not"


def test_a_limit_hides_no_names(structure_card, tmp_path):
    (tmp_path / "t.xyz").write_text(water().replace("forces", "speed") * 9)
    (tmp_path / "u.xyz").write_text(water())
    scan = scan_structures(structure_card(tmp_path, files=["t.xyz", "u.xyz"], forces="forces"), 5, lambda rows: None)
    assert scan.rows == 5 and scan.card.forces.key == "forces"


def test_elements_that_are_not_trained_on_are_told(structure_card, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.xyz").write_text(water() * 3)
    (tmp_path / "v.xyz").write_text(water().replace("O 0", "S 0"))
    files = [{"path": "t.xyz", "split": "train"}, {"path": "v.xyz", "split": "val"}]
    structure_card(tmp_path, files=files)
    code, out, err = command("card.json", "--workers", 1)
    assert code == 0, err
    assert "no structure to train on has S:" in out
    structure_card(tmp_path, files=["t.xyz"], split={"fractions": [1, 0, 0]})
    assert "no structure to train on" not in command("card.json", "--workers", 1, "--force")[1]


def test_units_of_length(structure_card, tmp_path):
    (tmp_path / "t.xyz").write_text(water())
    preprocess(structure_card(tmp_path, length_scale=0.5), tmp_path / "t.bp", workers=1, show=False)
    assert tables_of(tmp_path / "t.bp")["train"].columns["position"][1].tolist() == [0.48, 0, 0]


# -- splits --------------------------------------------------------------------------------------------


def test_files_have_their_own_split_or_share_one(structure_card, tmp_path):
    for name, frames in (("a.xyz", 200), ("b.xyz", 30)):
        (tmp_path / name).write_text(water() * frames)
    files = ["a.xyz", {"path": "b.xyz", "split": "test"}]
    card = structure_card(tmp_path, files=files, split={"fractions": [0.8, 0.2, 0]})
    preprocess(card, tmp_path / "t.bp", workers=1, show=False)
    rows = {split: table.columns["row"].tolist() for split, table in tables_of(tmp_path / "t.bp").items()}
    assert rows["test"] == list(range(201, 231))
    assert sorted(rows["train"] + rows["val"]) == list(range(1, 201))
    assert abs(len(rows["val"]) - 40) <= 1
    other = structure_card(tmp_path, files=files, split={"fractions": [0.8, 0.2, 0], "seed": 1})
    preprocess(other, tmp_path / "u.bp", workers=1, show=False)
    assert tables_of(tmp_path / "u.bp")["val"].columns["row"].tolist() != rows["val"]


def test_a_value_of_the_frame_says_the_split(structure_card, tmp_path):
    (tmp_path / "t.xyz").write_text(water(tag="train") + water(tag="Valid") + water(tag="slow") + water(tag="test"))
    card = structure_card(tmp_path, files=["t.xyz"], split={"rule": "column", "column": "tag"})
    outcome = preprocess(card, tmp_path / "t.bp", workers=1, show=False)
    assert outcome.info.graphs == {"train": 1, "val": 1, "test": 1}
    assert rejects_of(outcome.rejects) == [("t.xyz", "3", "'tag' says 'slow', expected train, val or test")]


# -- bad frames ----------------------------------------------------------------------------------------

BAD = {
    water(y="nan"): "positions and cell must be finite numbers, in Angstrom",
    water(energy="inf"): "energy 'energy' is infinite",
    water(force="inf"): "forces 'forces' is infinite",
    water(y=0.05): "atoms 1 and 3 are 0.05 A apart (min_distance)",
    water().replace("O 0", "Xx 0"): "unknown element 'Xx'",
    water().replace("pbc=", "pbc='T T T' cell="): "a periodic system needs a cell of three independent vectors",
    "0\nenergy=1\n": "0 atoms, at most 4 are allowed (max_atoms)",
    "5\nenergy=1\n" + "".join(f"H {k} 0 0\n" for k in range(5)): "5 atoms, at most 4 are allowed (max_atoms)",
    water(energy="nan", force="nan nan nan").replace("forces:R:3", "other:R:3"): "no energy, forces or stress",
    water()[:-20]: "the file ends after 2 of 3 atoms",
}


def test_bad_frames_are_listed_with_file_number_and_reason(structure_card, tmp_path):
    (tmp_path / "a.xyz").write_text(water() * 2)
    (tmp_path / "b.xyz").write_text("".join(water() + bad for bad in BAD))
    card = structure_card(tmp_path, files=["a.xyz", "b.xyz"], max_atoms=4, split={"fractions": [1, 0, 0]})
    outcome = preprocess(card, tmp_path / "t.bp", workers=1, show=False)
    found = rejects_of(outcome.rejects)
    assert [(file, number) for file, number, _ in found] == [("b.xyz", str(2 * k)) for k in range(1, len(BAD) + 1)]
    for (_, _, reason), expected in zip(found, BAD.values(), strict=True):
        assert reason.startswith(expected)
    assert outcome.info.rejected == len(BAD) and outcome.info.graphs["train"] == 2 + len(BAD)
    rows = tables_of(tmp_path / "t.bp")["train"].columns["row"].tolist()
    assert rows == [1, 2, *range(3, 3 + 2 * len(BAD), 2)]


def test_the_scan_counts_every_frame(structure_card, tmp_path):
    """Those after the last full step of the progress, too."""
    (tmp_path / "t.xyz").write_text(water() * 300)
    steps: list[int] = []
    scan = scan_structures(structure_card(tmp_path), None, steps.append)
    assert scan.rows == sum(steps) == 300


def test_strict_stops_at_the_first_bad_frame(structure_card, tmp_path):
    (tmp_path / "t.xyz").write_text(water() + water(y=0.05))
    with pytest.raises(HydrasurrError, match=r"^frame 2 of 't\.xyz': atoms 1 and 3 are .* \(strict\)"):
        preprocess(structure_card(tmp_path), tmp_path / "t.bp", workers=1, show=False, strict=True)
    assert not list(tmp_path.glob("t.bp*"))


def test_nothing_of_use(structure_card, tmp_path):
    (tmp_path / "t.xyz").write_text(water(y=0.05))
    with pytest.raises(HydrasurrError, match="no structures: all 1 frames were rejected; the first reject is frame 1"):
        preprocess(structure_card(tmp_path), tmp_path / "t.bp", workers=1, show=False)
    (tmp_path / "t.xyz").write_text("")
    with pytest.raises(ConfigError, match="no frames in"):
        preprocess(structure_card(tmp_path), tmp_path / "t.bp", workers=1, show=False)


def test_atoms_too_many_cells_away(structure_card, tmp_path):
    far = Atoms("He2", [[0, 0, 0], [1e6, 0, 0]], cell=[3, 3, 3], pbc=True, info={"energy": 1.0})
    write_xyz(tmp_path / "t.xyz", [far, silicons()[0]])
    outcome = preprocess(structure_card(tmp_path, energy="energy"), tmp_path / "t.bp", workers=1, show=False)
    reasons = [reason for *_, reason in rejects_of(outcome.rejects)] if outcome.rejects else []
    assert reasons[0] == "an atom lies more than 30,000 cells away: wrap the positions into the cell"


# -- who does the work ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(tmp_path_factory, structure_card) -> Path:
    """Enough frames for several chunks, crystals and molecules, some of them bad; and what one process makes of it."""
    folder = tmp_path_factory.mktemp("many")
    text = (ROOT / "datasets/ethanol/isolated_atoms.xyz").read_text() + water() * 1200 + water(y=0.01)
    (folder / "t.xyz").write_text(text * 2 + water()[:-9])
    structure_card(folder, files=["t.xyz"], cutoff=3.0)
    preprocess(read_card(folder / "card.json"), folder / "one.bp", workers=1, show=False)
    return folder


def assert_same_outcome(folder: Path, name: str, assert_same) -> None:
    assert_same(folder / "one.bp", folder / f"{name}.bp")
    assert (folder / f"{name}.rejects.csv").read_text() == (folder / "one.rejects.csv").read_text()


def test_two_workers_write_the_same(many, assert_same, run_command):
    assert len(open_store(many / "one.bp")["train"].block_offset) > 3
    run = run_command(many / "card.json", "--out", many / "two.bp", "--workers", 2)
    assert run.returncode == 0, run.stderr
    assert "3 frames rejected" in run.stdout
    assert_same_outcome(many, "two", assert_same)


def test_mpi_ranks_write_the_same(many, assert_same, run_command):
    run = run_command(many / "card.json", "--out", many / "mpi.bp", launcher=mpiexec(2))
    assert run.returncode == 0, run.stderr
    assert_same_outcome(many, "mpi", assert_same)


def test_ctrl_c_leaves_nothing(many, start_command):
    (many / "long.xyz").write_text(water() * 30_000)
    process = start_command(many / "card.json", "--file", many / "long.xyz", "--out", many / "c.bp", "--workers", 2)
    data, end = many / "c.bp.partial" / "data.0", time.monotonic() + 60
    while process.poll() is None and not (data.exists() and data.stat().st_size) and time.monotonic() < end:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()[1]
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "nothing was written" in errors and "Traceback" not in errors
    assert not list(many.glob("c.*"))
    with pytest.raises(StoreError, match="no data set at"):
        open_store(many / "c.bp")


# -- the command ---------------------------------------------------------------------------------------


def test_from_unseen_files_to_a_data_set_without_an_editor(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_xyz(tmp_path / "my frames.xyz", ethanols()[:40])
    write_xyz(tmp_path / "hold-out.xyz", ethanols()[40:50])
    atoms = ROOT / "datasets/ethanol/isolated_atoms.xyz"
    code, _, err = command("my frames.xyz")
    assert code == 1 and "is a file of structures; draft a card for it first: hydrasurr-preprocess card" in err
    code, out, err = command(
        "card", "my frames.xyz", "--test", "hold-out.xyz", "--atoms", atoms, "--out", "cards/mine.json"
    )
    assert code == 0, err
    assert "hydrasurr-preprocess cards/mine.json" in out
    card = read_card(tmp_path / "cards/mine.json")
    assert (card.name, card.energy.key, card.forces.key, card.stress) == ("my_frames", "energy", "forces", None)
    assert card.description == "Structures of H, C, O; not periodic"
    assert (card.files[1].split, card.split.fractions) == ("test", (0.95, 0.05, 0.0))
    code, _, err = command("cards/mine.json", "--workers", 1)
    assert code == 0, err
    info = open_store(tmp_path / "my_frames.bp").info
    assert info.graphs["test"] == 10 and info.structures.atomic_energies_from == "isolated atoms"
    assert command("verify", "my_frames.bp")[0] == 0
    shown = command("inspect", "my_frames.bp")[1]
    for text in ("found when the data are loaded", "H C O", "isolated atoms", "eV/A (RMS", "rejected frames"):
        assert text in shown


def test_unusual_names_are_given_to_a_new_card(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = water().replace("energy=", "E0=").replace("forces:", "frc:")
    crystal = text.replace("pbc=", 'w_virial="6 0 0 0 6 0 0 0 6" Lattice="4 0 0 0 4 0 0 0 4" other=')
    (tmp_path / "t.xyz").write_text(crystal)
    code, _, err = command("card", "t.xyz")
    assert code == 1 and "(for a new card: --energy E0)" in err
    code, out, err = command("card", "t.xyz", "--energy", "E0", "--forces", "frc", "--stress", "w_virial")
    assert code == 0, err
    assert "energy 'E0' in eV, forces 'frc' in eV/A, stress 'w_virial' in eV (virial: -volume x stress)" in out
    (tmp_path / "u.xyz").write_text(water().replace("energy=", "REF_energy=-1 energy="))
    code, _, err = command("card", "u.xyz", "--out", "u.json")
    assert code == 1 and "(for a new card: --energy REF_energy)" in err
    assert command("card", "u.xyz", "--out", "u.json", "--energy", "energy")[0] == 0
    assert read_card(tmp_path / "u.json").energy.key == "energy"
    code, _, err = command("card", "t.xyz.bz2", "--out", "v.json")
    assert code == 1 and "known are .csv" in err and ".xyz" in err


@pytest.mark.parametrize(
    "names, told, energy, length",
    [
        (("z", "R", "E", "F"), {"e_unit": "kcal/mol", "r_unit": "Ang"}, kcal / mol, 1),
        (("z", "R", "E", "F"), {"e_unit": "Hartree", "r_unit": "Bohr"}, Hartree, Bohr),
        (("z", "R", "E", "F"), {"e_unit": "eV", "r_unit": "Ang"}, 1, 1),
        (("nuclear_charges", "coords", "energies", "forces"), {"old_energies": np.zeros(40)}, kcal / mol, 1),
        (("nuclear_charges", "coords", "energies", "forces"), {}, 1, 1),
    ],
)
def test_units_that_archives_tell(command, tmp_path, monkeypatch, names, told, energy, length):
    monkeypatch.chdir(tmp_path)
    frames = ethanols()[:40]
    arrays = (
        frames[0].numbers,
        np.array([atoms.positions for atoms in frames]) / length,
        np.array([[atoms.get_potential_energy()] for atoms in frames]) / energy,
        np.array([atoms.get_forces() for atoms in frames]) * length / energy,
    )
    np.savez(tmp_path / "e.npz", **dict(zip(names, arrays, strict=True)), **told)
    assert command("card", "e.npz")[0] == 0
    assert command("card.json", "--workers", 1)[0] == 0
    train = tables_of(tmp_path / "e.bp")["train"]
    chosen = [frames[row - 1] for row in train.columns["row"]]
    np.testing.assert_allclose(train.y[:, 0], [atoms.get_potential_energy() for atoms in chosen], rtol=1e-12)
    np.testing.assert_allclose(train.columns["force"], np.concatenate([atoms.get_forces() for atoms in chosen]))
    np.testing.assert_allclose(train.columns["position"], np.concatenate([atoms.positions for atoms in chosen]))


@pytest.mark.parametrize(
    "keys, message",
    [
        ({"kind": "structure"}, r"kind: no kind of data set 'structure'; did you mean 'structures'\?"),
        ({"energi": "E"}, r"energi: unknown key; did you mean 'energy'\?"),
        ({"energy": {"kay": "E"}}, r"energy\.kay: unknown key; did you mean 'key'\?"),
        ({"forces": {"scale": 0}}, r"forces\.scale: a scale of 0 would erase the label"),
        ({"files": [{"path": "a.xyz", "split": "dev"}]}, r"files\.0\.split"),
        ({"atomic_energies": {"Hx": 1}}, r"atomic_energies.*no element 'Hx'; did you mean"),
        ({"split": {"rule": "scaffold"}}, r"split\.rule"),
        ({"cutoff": 0}, "cutoff"),
    ],
)
def test_cards_that_are_not_valid(structure_card, tmp_path, keys, message):
    with pytest.raises(ConfigError, match=rf"card\.json' is not valid:\n  .*{message}"):
        structure_card(tmp_path, **keys)
