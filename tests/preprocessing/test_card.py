from __future__ import annotations

import hashlib
import json

import pytest

from hydrasurr.errors import ConfigError
from hydrasurr.shipped import find, shipped
from hydrasurr.stores import open_store
from hydrasurr.text_table import table_format
from preprocessing.card import StructureCard, existing_files, read_card
from preprocessing.pipeline import preprocess

HARTREE = 27.211386245988
"""eV, CODATA 2018."""


def _card(folder, **keys):
    path = folder / "card.json"
    path.write_text(json.dumps({"name": "t", "files": ["t.csv"], **keys}))
    return path


def test_all_shipped_cards_are_valid():
    cards = {name: read_card(path) for name, path in shipped("datasets").items()}
    assert cards.keys() == {
        "qm9_gap_5k", "qm9_gap", "qm9_multitask", "pubchemqc_gap", "esol", "pcqm4mv2", "aisd_homo_lumo",
        "ethanol", "3bpa", "silicon", "water_deepmd",
    }  # fmt: skip
    for name, card in cards.items():
        assert card.name == name
        assert card.licence and card.source and card.description
        assert isinstance(card, StructureCard) or all(target.description for target in card.targets)
        for path in card.paths:  # shipped, or said where to get
            assert card.obtain or existing_files(card), path


def test_energies_of_qm9_are_in_ev():
    card = read_card(find("datasets", "qm9_multitask"))
    scales = {target.name: (target.unit, target.scale) for target in card.targets}
    assert len(scales) == 12
    assert scales["gap"] == scales["u0"] == ("eV", HARTREE)
    assert scales["mu"] == ("D", 1.0)


def test_unknown_keys_suggest_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match=r"card\.json.*\n.*targetz: unknown key; did you mean 'targets'\?"):
        read_card(_card(tmp_path, targetz=[]))
    with pytest.raises(ConfigError, match=r"split\.sed: unknown key; did you mean 'seed'\?"):
        read_card(_card(tmp_path, split={"sed": 1}))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"files": []}, "files"),
        ({"name": "a/b"}, "name"),
        ({"max_atoms": 0}, "max_atoms"),
        ({"targets": [{"name": "a"}, {"name": "a", "column": "b"}]}, "several targets called 'a'"),
        ({"targets": [{"name": "a", "scale": 0}]}, "scale of 0"),
        ({"targets": [{"name": "a", "level": "edge"}]}, "level"),
        ({"split": {"fractions": [0.5, 0.1, 0.1]}}, "must sum to 1"),
        ({"split": {"fractions": [-0.5, 0.5, 1]}}, "none may be negative"),
        ({"split": {"rule": "column"}}, "needs the key 'column'"),
        ({"split": {"rule": "random", "column": "set"}}, "the others"),
    ],
)
def test_wrong_values_are_refused(tmp_path, keys, message):
    if message == "the others":
        message = "the other rules have none"
    with pytest.raises(ConfigError, match=message):
        read_card(_card(tmp_path, **keys))


def test_a_card_is_found_by_path_folder_or_name(tmp_path):
    path = _card(tmp_path)
    assert find("datasets", path) == find("datasets", tmp_path) == path
    assert find("datasets", "esol").parent.name == "esol"
    with pytest.raises(ConfigError, match="did you mean 'qm9_gap'"):
        find("datasets", "qm9_gup")


def test_a_missing_file_says_how_to_obtain_it(tmp_path):
    card = read_card(_card(tmp_path, obtain="Ask the library."))
    with pytest.raises(ConfigError, match=r"t\.csv'.*--file PATH.*\n.*Ask the library\."):
        existing_files(card)


def test_the_format_is_told_by_the_suffix(tmp_path):
    names = {"a.csv": "csv", "a.b.TSV.gz": "tsv", "a.smi": "smi", "a.csv.gz": "csv"}
    assert {name: table_format(tmp_path / name) for name in names} == names
    with pytest.raises(ConfigError, match=r"format of '.*a\.dat'"):
        table_format(tmp_path / "a.dat")


def test_checksums_of_files_are_compared(tmp_path):
    text = b"smiles\nC\nCC\nCCC\n"
    (tmp_path / "t.csv").write_bytes(text)
    right = hashlib.sha256(text).hexdigest()
    card = read_card(_card(tmp_path, sha256={"t.csv": right}))
    outcome = preprocess(card, tmp_path / "a.bp", workers=1, show=False)
    assert open_store(outcome.path).info.source["files"] == [{"name": "t.csv", "sha256": right}]
    card = read_card(_card(tmp_path, sha256={"t.csv": "0" * 64}))
    with pytest.raises(ConfigError, match=r"t\.csv' is not the file the card means"):
        preprocess(card, tmp_path / "b.bp", workers=1, show=False)
    assert not (tmp_path / "b.bp").exists()


@pytest.mark.parametrize(
    ("name", "file", "header", "row"),
    [
        ("pcqm4mv2", "data.csv.gz", ["idx", "smiles", "homolumogap"], lambda i, s, g: [i, s, g]),
        ("aisd_homo_lumo", "aisd.csv", ["smiles", "gap"], lambda i, s, g: [s, g]),
    ],
)
def test_cards_of_large_sets_read_tables_of_their_form(tmp_path, qm9, write_table, name, file, header, row):
    """PCQM4Mv2 is one packed table whose last molecules have no gap; AISD is a plain one."""
    import gzip

    table = write_table(tmp_path / "plain.csv", header, [row(i, s, g) for i, (s, g) in enumerate(qm9[:300])])
    if name == "pcqm4mv2":
        with table.open("a") as text:
            text.writelines(f"{i},{smiles},\n" for i, (smiles, _) in enumerate(qm9[300:320]))
    data = table.read_bytes()
    (tmp_path / file).write_bytes(gzip.compress(data) if file.endswith(".gz") else data)
    card = read_card(find("datasets", name)).model_copy(update={"files": (str(tmp_path / file),)})
    outcome = preprocess(card, tmp_path / "out.bp", workers=1, show=False)
    assert sum(outcome.info.graphs.values()) == 300
    assert outcome.info.targets[0].name == "gap"
    if name == "pcqm4mv2":
        assert outcome.info.rejected == 20
        assert outcome.rejects.read_text().count("no target value") == 20
        assert outcome.info.graphs == {"train": 282, "val": 6, "test": 12}  # rejects do not count
