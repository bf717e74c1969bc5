"""Data sets of labels: what the preprocessor would have made, splits for ever, growth."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem

from hydrasurr.errors import ConfigError, HydrasurrError, StoreError
from hydrasurr.graphs import molecule_schema
from hydrasurr.rl.loop.dataset import DatasetConfig, append, canonical, create, known_molecules, split_of
from hydrasurr.rl.oracle.config import OracleConfig
from hydrasurr.rl.oracle.labelling import Labels
from hydrasurr.stores import SPLITS, open_store
from preprocessing.card import read_card
from preprocessing.pipeline import preprocess
from tests.rl.loop.labels import ORACLE, entry, made_up
from tests.tables import assert_same_table

NAMES = ("gap", "homo", "dipole")


def labels_for(smiles: list[str], seed: int = 0) -> Labels:
    """Random values, a few missing."""
    random = np.random.default_rng(seed)
    values = random.normal(4, 1, (len(smiles), 2))
    values[random.random(values.shape) < 0.05] = np.nan
    entries = tuple(entry(gap, dipole=dipole) for gap, dipole in values.tolist())
    return Labels(tuple(smiles), entries, ORACLE)


def preprocessed(labels: Labels, config: DatasetConfig, folder: Path, name: str) -> Path:
    """The same labels as a table, with the split in a column, made a data set by the preprocessor."""
    with (folder / f"{name}.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["smiles", "split", *config.targets])
        for smiles, label in labels.labelled:
            text = Chem.CanonSmiles(smiles)
            cells = [label.values[target] for target in config.targets]
            split = split_of(text, config.split_seed, config.fractions)
            rows.writerow([text, split, *("" if np.isnan(cell) else repr(cell) for cell in cells)])
    card = {
        "name": name,
        "files": [f"{name}.csv"],
        "targets": [{"name": target, "unit": "D" if target == "dipole" else "eV"} for target in config.targets],
        "split": {"rule": "column", "column": "split"},
        "explicit_hydrogens": config.explicit_hydrogens,
        "licence": "none",
        "source": "test",
    }
    (folder / f"{name}.json").write_text(json.dumps(card))
    preprocess(read_card(folder / f"{name}.json"), folder / f"{name}.bp", workers=1, show=False)
    return folder / f"{name}.bp"


@pytest.mark.parametrize("hydrogens", [True, False])
def test_as_the_preprocessor_makes_it(tmp_path: Path, real_smiles: list[str], hydrogens: bool) -> None:
    """Made at once, and made in three parts."""
    config = DatasetConfig(targets=NAMES, explicit_hydrogens=hydrogens, fractions=(0.7, 0.2, 0.1), split_seed=5)
    labels = labels_for(real_smiles[:120])
    expected = open_store(preprocessed(labels, config, tmp_path, "reference"))
    grown = tmp_path / "grown.bp"
    thirds = [Labels(labels.smiles[a : a + 40], labels.entries[a : a + 40], ORACLE) for a in (0, 40, 80)]
    create(grown, "design", thirds[0], config)
    append(grown, thirds[1])
    append(grown, thirds[2], tmp_path / "larger.bp")
    create(tmp_path / "at_once.bp", "design", labels, config)
    for name in ("at_once.bp", "larger.bp"):
        store = open_store(tmp_path / name)
        for split in SPLITS:
            assert_same_table(store[split].read(0, len(store[split])), expected[split].read(0, len(expected[split])))
        for key in ("graphs", "nodes", "edges", "targets", "degree_histogram", "max_nodes", "feature_schema"):
            assert getattr(store.info, key) == getattr(expected.info, key), key
        for ours, theirs in zip(store.info.statistics, expected.info.statistics, strict=True):
            assert ours.model_dump() == pytest.approx(theirs.model_dump())
        assert store.info.source["oracle"] == ORACLE.model_dump(mode="json")
        assert store.info.source["labels"].startswith("GFN2-xTB, tblite ")
    assert sum(open_store(grown).info.graphs.values()) == 80


def test_old_rows_stay_and_duplicates_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "data.bp"
    config = DatasetConfig(fractions=(1, 0, 0))
    first = create(
        path, "d", made_up({"CCO": 1.0, "OCC": 2.0, "C": 3.0, "bad": "no molecule: none", "CC": 4.0}), config
    )
    assert (first.added, first.duplicates, first.rejected) == (3, 1, {})
    before = open_store(path)["train"].read(0, 3)
    more = append(path, made_up({"C(C)O": 9.0, "N": 5.0, "CN": float("nan"), "[H]C([H])([H])[H]": 8.0}))
    assert (more.added, more.duplicates, more.rejected) == (1, 2, {"CN": "no target value"})
    store = open_store(path)
    assert_same_table(store["train"].read(0, 3), before)
    table = store["train"].read(0, 4)
    assert table.smiles() == ["CCO", "C", "CC", "N"]
    assert table.y[:, 0].tolist() == [1.0, 3.0, 4.0, 5.0]
    assert table.columns["row"].tolist() == [1, 2, 3, 4]
    assert known_molecules(store) == {"CCO", "C", "CC", "N"}
    assert store.info.rejected == 1 and store.info.feature_schema == molecule_schema()
    assert append(path, made_up({"CCO": 1.0})).added == 0


def test_molecules_that_are_too_large(tmp_path: Path) -> None:
    config = DatasetConfig(fractions=(1, 0, 0), max_atoms=20)
    made = create(tmp_path / "d.bp", "d", made_up({"C" * 20: 1.0, "C": 2.0}), config)
    assert made.added == 1 and list(made.rejected) == ["C" * 20]


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=20, unique=True), st.integers(0, 9))
def test_a_split_is_for_ever(texts: list[str], seed: int) -> None:
    """Wider training splits only add to it, and another seed is another split."""
    narrow, wide = ([split_of(text, seed, f) for text in texts] for f in ((0.3, 0.3, 0.4), (0.6, 0.2, 0.2)))
    assert all(b == "train" for a, b in zip(narrow, wide) if a == "train")
    assert narrow == [split_of(text, seed, (0.3, 0.3, 0.4)) for text in texts]


def test_stereoisomers_share_a_split() -> None:
    for n in range(1, 30):
        twins = [f"{'C' * n}[C{mark}H](O)F" for mark in ("@", "@@")] + [f"{'C' * n}C(O)F"]
        assert len({split_of(canonical(text), 0, (0.4, 0.3, 0.3)) for text in twins}) == 1


def test_without_labels_it_tells_why(tmp_path: Path) -> None:
    labels = made_up({"C": "no result: no tblite", "CC": "no result: no tblite", "N": "fell apart: so it did"})
    with pytest.raises(HydrasurrError, match="no label: 2 for 'no result', 1 for 'fell apart', such as C: no result"):
        create(tmp_path / "d.bp", "d", labels, DatasetConfig())


def test_fractions_are_met() -> None:
    counts = Counter(split_of("C" * n, 0, (0.5, 0.3, 0.2)) for n in range(1, 2001))
    assert [counts[split] / 2000 for split in SPLITS] == pytest.approx([0.5, 0.3, 0.2], abs=0.04)
    assert [split_of("C" * n, 0, (0.5, 0.3, 0.2)) for n in range(40)] != [
        split_of("C" * n, 1, (0.5, 0.3, 0.2)) for n in range(40)
    ]


def test_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(HydrasurrError, match="no molecules to train on: 0 have labels"):
        create(tmp_path / "d.bp", "d", made_up({"C": "no embedding: none"}), DatasetConfig())
    assert not list(tmp_path.iterdir())
    create(tmp_path / "d.bp", "d", made_up({"C": 1.0}), DatasetConfig(fractions=(1, 0, 0)))
    with pytest.raises(ConfigError, match="another configuration: fmax: 0.05 became 0.3"):
        append(tmp_path / "d.bp", made_up({"CC": 1.0}, OracleConfig(conformers=1, fmax=0.3)))
    with pytest.raises(StoreError, match="no data set at"):
        append(tmp_path / "other.bp", made_up({"CC": 1.0}))
    with pytest.raises(ValueError, match="three parts of a whole"):
        DatasetConfig(fractions=(0.5, 0.2, 0.2))


def test_labels_of_others_do_not_mix(tmp_path: Path, dataset: Path) -> None:
    shutil.copytree(dataset, tmp_path / "qm9.bp")
    with pytest.raises(ConfigError, match="does not say that its labels are of an oracle of hydrasurr"):
        append(tmp_path / "qm9.bp", made_up({"CC": 1.0}))
