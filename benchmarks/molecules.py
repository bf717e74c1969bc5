"""Real molecules to measure on, as SMILES, tables and data sets."""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from pathlib import Path

from hydrasurr.graphs import GraphTable
from hydrasurr.shipped import shipped
from hydrasurr.stores import open_store
from preprocessing.card import Card, read_card
from preprocessing.pipeline import preprocess

SHARED = Path(__file__).parents[2] / "shared" / "data"
"""The full sets, where they lie beside the project; without them the shipped cut of QM9 serves."""
QM9 = SHARED / "qm9" / "qm9_homo_126k.csv"
ZINC = SHARED / "zinc250k" / "zinc250k.smi"


@dataclass(frozen=True)
class Setting:
    """How a benchmark is to run."""

    cache: Path
    """Folder for data sets and other files made for a benchmark; kept between runs."""
    minimal: bool = False
    """Only show that the benchmark works."""
    repeats: int = 5

    def size(self, full: int, minimal: int) -> int:
        return minimal if self.minimal else full

    def sources(self) -> list[str]:
        """The sets of molecules at hand, by name."""
        return ["QM9", "ZINC"] if ZINC.exists() and QM9.exists() else ["QM9"]


def smiles(name: str, count: int) -> list[str]:
    """`count` molecules of "QM9" or "ZINC", drawn at random with a fixed seed; all if there are fewer."""
    if name == "ZINC":
        every = [line.split()[0] for line in ZINC.read_text().splitlines() if line.strip()]
    else:
        path = QM9 if QM9.exists() else shipped("datasets")["qm9_gap_5k"].with_name("qm9_gap_5k.csv")
        with path.open() as lines:
            every = [row["smiles"] for row in csv.DictReader(lines)]
    return random.Random(0).sample(every, min(count, len(every)))


def card(setting: Setting, name: str, count: int) -> Card:
    """The card of a table of `count` molecules, with one target: the number of characters of the SMILES."""
    folder = setting.cache / f"{name.lower()}_{count}"
    if not (folder / "card.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "table.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["smiles", "length"])
            writer.writerows([text, len(text)] for text in smiles(name, count))
        text = (
            '{"name": "%s", "files": ["table.csv"], "smiles": "smiles", "targets": [{"name": "length"}], '
            '"split": {"rule": "random", "fractions": [0.94, 0.02, 0.04]}}'
        )
        (folder / "card.json").write_text(text % folder.name)
    return read_card(folder / "card.json")


def dataset(setting: Setting, name: str, count: int, kind: str = "bp") -> Path:
    """The same molecules as a data set, preprocessed at the first call."""
    path = setting.cache / f"{name.lower()}_{count}" / f"graphs.{kind}"
    if not path.exists():
        preprocess(card(setting, name, count), path, kind=kind, show=False)
    return path


def graphs(setting: Setting, name: str, count: int, columns: tuple[str, ...] = ("x", "edge_attr", "y")) -> GraphTable:
    """The training split of `dataset` in memory."""
    split = open_store(dataset(setting, name, count))["train"]
    return split.read(0, len(split), list(columns))
