"""Labelled molecules as a data set that grows: the one that a surrogate is trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field, field_validator
from rdkit import Chem, rdBase

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.graphs.schema import Target, molecule_schema
from hydrasurr.graphs.smiles import featurize
from hydrasurr.graphs.table import GraphTable
from hydrasurr.rl.oracle.config import OracleConfig
from hydrasurr.rl.oracle.label import UNITS
from hydrasurr.rl.oracle.labelling import Labels, reasons
from hydrasurr.stores import SPLITS, DatasetInfo, GraphStore, TargetStatistics, open_store
from hydrasurr.stores.bp import BPWriter
from hydrasurr.stores.extend import extend
from hydrasurr.strict import Strict

TargetName = Literal["gap", "homo", "lumo", "energy", "dipole"]


class DatasetConfig(Strict):
    """The `dataset` section: what of the labels is learnt, and which molecules are kept from training."""

    targets: tuple[TargetName, ...] = Field(("gap",), min_length=1)
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Of train, val and test. A hash of its canonical SMILES without stereochemistry decides where a molecule goes,
    once and for all; the fractions are met on average."""
    split_seed: int = Field(0, ge=0)
    explicit_hydrogens: bool = True
    """Whether hydrogens are nodes of the graphs."""
    max_atoms: int = Field(256, ge=1, le=10_000)
    """Molecules with more nodes are rejected."""

    @field_validator("fractions")
    @classmethod
    def _parts_of_a_whole(cls, fractions: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(fractions) < 0 or not fractions[0] or not math.isclose(sum(fractions), 1, abs_tol=1e-9):
            raise ValueError("three parts of a whole are expected, the first of them not 0")
        return fractions


class Added(NamedTuple):
    """What was written.

    Attributes
    ----------
    info : the header of the whole data set
    added : molecules that are new in it
    duplicates : molecules that were there before, or came twice, by canonical SMILES
    rejected : SMILES -> why it became no graph
    """

    info: DatasetInfo
    added: int
    duplicates: int
    rejected: dict[str, str]


class _Rows(NamedTuple):
    """New graphs, by split."""

    tables: dict[str, GraphTable]
    duplicates: int
    rejected: dict[str, str]


def canonical(smiles: str) -> str:
    """Canonical SMILES. Raises HydrasurrError for text that is no molecule."""
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise HydrasurrError(f"'{smiles}' is no molecule that RDKit reads")
    return Chem.MolToSmiles(mol)


def flat(smiles: str) -> str | None:
    """Canonical SMILES without stereochemistry; None for what is no molecule."""
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    return None if mol is None else Chem.MolToSmiles(mol, isomericSmiles=False)


def split_of(smiles: str, seed: int, fractions: Sequence[float]) -> str:
    """The split of a molecule, by its canonical SMILES alone; stereoisomers share it, since agents build without."""
    digest = blake2b((flat(smiles) or smiles).encode(), digest_size=8, key=seed.to_bytes(8, "little")).digest()
    place = int.from_bytes(digest, "little") / 2**64
    return SPLITS[0] if place < fractions[0] else SPLITS[1] if place < fractions[0] + fractions[1] else SPLITS[2]


def create(path: str | Path, name: str, labels: Labels, config: DatasetConfig) -> Added:
    """Write the labelled molecules as a new BP data set at `path`; one that is there gives way.

    Raises HydrasurrError if none of them has a label, or none is for training.
    """
    schema = molecule_schema(config.explicit_hydrogens)
    info = DatasetInfo(
        name=name,
        description=f"{', '.join(config.targets)} by {labels.oracle.method}, for the surrogate of a design loop",
        feature_schema=schema,
        targets=tuple(Target(target, UNITS[target]) for target in config.targets),
        max_nodes=config.max_atoms,
        graphs=dict.fromkeys(SPLITS, 0),
        nodes=dict.fromkeys(SPLITS, 0),
        edges=dict.fromkeys(SPLITS, 0),
        statistics=(),
        degree_histogram=(),
        split={
            "rule": "hash of the canonical SMILES without stereochemistry",
            "seed": config.split_seed,
            "fractions": list(config.fractions),
        },
        source={
            "labels": f"{labels.oracle.method}, tblite {metadata.version('tblite')}",
            "oracle": labels.oracle.model_dump(mode="json"),
        },
    )
    rows = _rows(labels, info, known=set(), first=1)
    grown = _grown(info, rows, np.empty((0, len(info.targets))), labels)
    writer = BPWriter(Path(path), schema=schema)
    try:
        for split, table in rows.tables.items():
            writer.append(split, table)
        writer.finish(grown)
    except BaseException:
        writer.abort()
        raise
    return _added(grown, rows)


def append(source: str | Path, labels: Labels, out: str | Path | None = None) -> Added:
    """Write the data set `source` with more labelled molecules at its end, to `out` or in its own place.

    Those that it has already are counted and left out. A kill leaves the old data set or the new one.
    Raises ConfigError if the labels are of another oracle, StoreError if there is no data set.
    """
    store = open_store(source)
    info = store.info
    require_oracle(info, labels.oracle, source)
    rows = _rows(labels, info, known=known_molecules(store), first=1 + sum(info.graphs.values()))
    train = store["train"].read(0, len(store["train"]), ["y"]).y
    grown = _grown(info, rows, train, labels)
    store.close()
    extend(source, rows.tables, grown, out)
    return _added(grown, rows)


def known_molecules(store: GraphStore) -> set[str]:
    """The SMILES of all molecules of a data set."""
    return {text for split in SPLITS for text in store[split].read(0, len(store[split]), ["smiles"]).smiles()}


def require_oracle(info: DatasetInfo, oracle: OracleConfig, path: str | Path) -> None:
    """Raise ConfigError unless the labels of a data set are of this oracle."""
    theirs = info.source.get("oracle")
    if theirs is None:
        raise ConfigError(f"'{path}' does not say that its labels are of an oracle of hydrasurr; label its molecules")
    changed = {key: value for key, value in oracle.model_dump(mode="json").items() if theirs.get(key) != value}
    if changed:
        differences = "; ".join(f"{key}: {theirs.get(key)} became {value}" for key, value in changed.items())
        raise ConfigError(f"'{path}' has labels of an oracle with another configuration: {differences}")


def _rows(labels: Labels, info: DatasetInfo, known: set[str], first: int) -> _Rows:
    """The labelled molecules that are not known, as graphs; their rows are numbered from `first`."""
    names = [target.name for target in info.targets]
    new: dict[str, list[float]] = {}
    duplicates, rejected = 0, {}
    for smiles, label in labels.labelled:
        text = canonical(smiles)
        values = [label.values[name] for name in names]
        if text in known or text in new:
            duplicates += 1
        elif all(map(math.isnan, values)):
            rejected[text] = "no target value"
        else:
            new[text] = values
    texts = list(new)
    graphs = featurize(texts, info.feature_schema, info.max_nodes)
    rejected |= {reject.smiles: reject.reason for reject in graphs.rejects}
    texts = [texts[place] for place in graphs.accepted.tolist()]
    table = graphs.table.with_columns(
        row=first + np.arange(len(texts)), y=np.array([new[text] for text in texts]).reshape(len(texts), len(names))
    ).with_smiles(texts)
    rule = info.split["seed"], info.split["fractions"]
    splits = np.array([split_of(text, *rule) for text in texts])
    return _Rows({split: table.gather(np.flatnonzero(splits == split)) for split in SPLITS}, duplicates, rejected)


def _grown(info: DatasetInfo, rows: _Rows, train: np.ndarray, labels: Labels) -> DatasetInfo:
    """The header with new graphs; `train` float64 `[graphs, targets]` are the targets that training had so far."""
    tables = rows.tables
    sizes = {
        "graphs": {split: len(table) for split, table in tables.items()},
        "nodes": {split: table.num_nodes for split, table in tables.items()},
        "edges": {split: table.num_edges for split, table in tables.items()},
    }
    summed = {key: {split: getattr(info, key)[split] + more[split] for split in SPLITS} for key, more in sizes.items()}
    if not summed["graphs"]["train"]:
        kinds = [f"{count:,} for '{reason}'" for reason, count in reasons(list(labels.failures.values())).items()]
        example = next(iter(labels.failures.items()), None)
        why = "" if example is None else f"; no label: {', '.join(kinds)}, such as {example[0]}: {example[1]}"
        raise HydrasurrError(
            f"no molecules to train on: {sum(summed['graphs'].values())} have labels, and the split put none of them "
            f"there; {len(rows.rejected)} were rejected{why}"
        )
    degrees = np.bincount(tables["train"].in_degrees(), minlength=len(info.degree_histogram))
    degrees[: len(info.degree_histogram)] += np.array(info.degree_histogram, np.int64)
    values = np.concatenate([train, tables["train"].y])
    changes = {
        **summed,
        "rejected": info.rejected + len(rows.rejected),
        "statistics": tuple(_statistics(column) for column in values.T),
        "degree_histogram": tuple(degrees.tolist()),
    }
    return info.model_copy(update=changes)


def _statistics(values: np.ndarray) -> TargetStatistics:
    values = values[~np.isnan(values)]
    if not len(values):
        return TargetStatistics(count=0, mean=0, std=0, min=0, max=0)
    return TargetStatistics(count=len(values), mean=values.mean(), std=values.std(), min=values.min(), max=values.max())


def _added(info: DatasetInfo, rows: _Rows) -> Added:
    return Added(info, sum(map(len, rows.tables.values())), rows.duplicates, rows.rejected)
