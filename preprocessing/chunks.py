"""One chunk of rows -> the graphs of each split. A pure function, so any process may run it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hydrasurr.graphs.smiles import featurize
from hydrasurr.graphs.table import GraphTable
from hydrasurr.stores.info import SPLITS
from hydrasurr.text_table import NOT_UTF8
from preprocessing.card import Card
from preprocessing.moments import Moments
from preprocessing.results import ChunkResult, ChunkSummary
from preprocessing.rows import Chunk
from preprocessing.splits import UNKNOWN, SplitPlan
from preprocessing.targets import node_values, parse_targets


class RejectedRow(NamedTuple):
    """A row that became no graph."""

    row: int
    smiles: str
    reason: str

    def __str__(self) -> str:
        return f"row {self.row}, '{self.smiles}': {self.reason}"


@dataclass(frozen=True)
class FeaturizeChunk:
    """The work on one chunk, as an object that can be sent to other processes."""

    card: Card
    plan: SplitPlan

    def __call__(self, chunk: Chunk) -> ChunkResult:
        reasons = dict(chunk.problems)
        table = _graphs(self.card, chunk, reasons)
        positions = (table.columns["row"] - chunk.first_row).tolist()
        splits = self.plan.assign(table.smiles(), [chunk.split[position] for position in positions])
        for place in np.flatnonzero(splits == UNKNOWN).tolist():
            label = chunk.split[positions[place]]
            reasons[positions[place]] = f"split column says '{label}', expected train, val or test"
        tables = {name: table.gather(np.flatnonzero(splits == k)) for k, name in enumerate(SPLITS)}
        rejects = [
            RejectedRow(chunk.first_row + position, chunk.smiles[position], reason)
            for position, reason in sorted(reasons.items())
        ]
        return ChunkResult(len(chunk), tables, rejects, _summarise(self.card, tables, len(rejects)))


def _graphs(card: Card, chunk: Chunk, reasons: dict[int, str]) -> GraphTable:
    """The graphs of all good rows; why the other rows are none goes to `reasons` (position -> text)."""
    positions, values = [], []
    for position, (smiles, cells) in enumerate(zip(chunk.smiles, chunk.cells, strict=True)):
        if position in reasons:
            continue
        try:
            if not smiles.strip():
                raise ValueError("empty SMILES")
            if NOT_UTF8 in smiles:
                raise ValueError("SMILES is not UTF-8 text")
            values.append(parse_targets(card, cells))
            positions.append(position)
        except ValueError as error:
            reasons[position] = str(error)

    texts = [chunk.smiles[position].strip() for position in positions]
    graphs = featurize(texts, card.schema_of_graphs, card.max_atoms)
    reasons.update((positions[reject.index], reject.reason) for reject in graphs.rejects)
    accepted = graphs.accepted.tolist()
    rows = chunk.first_row + np.array(positions, np.int64)[graphs.accepted]
    table = graphs.table.with_columns(row=rows).with_smiles([texts[place] for place in accepted])
    levels = [target.level for target in card.targets]
    if "graph" in levels:
        y = np.array([values[place][0] for place in accepted], np.float64)
        table = table.with_columns(y=y.reshape(len(accepted), levels.count("graph")))
    if "node" in levels:
        lists = [values[place][1] for place in accepted]
        table = _with_node_values(card, table, lists, chunk.first_row, reasons)
    return table


def _with_node_values(
    card: Card, table: GraphTable, lists: list[list[list[float]]], first_row: int, reasons: dict[int, str]
) -> GraphTable:
    """`table` with the column `node_y`, without the graphs whose lists do not fit."""
    kept, parts = [], []
    sizes = table.counts("node").tolist()
    for place, (smiles, values, size) in enumerate(zip(table.smiles(), lists, sizes, strict=True)):
        try:
            parts.append(node_values(card, values, smiles, size))
            kept.append(place)
        except ValueError as error:
            reasons[int(table.columns["row"][place]) - first_row] = str(error)
    targets = sum(target.level == "node" for target in card.targets)
    return table.gather(kept).with_columns(node_y=np.concatenate([np.empty((0, targets)), *parts]))


def _summarise(card: Card, tables: dict[str, GraphTable], rejected: int) -> ChunkSummary:
    train = tables["train"]
    columns = {
        level: iter(train.columns[name].T) if name in train.columns else iter(())
        for level, name in (("graph", "y"), ("node", "node_y"))
    }
    return ChunkSummary(
        sizes=np.array([[len(table), table.num_nodes, table.num_edges] for table in tables.values()]),
        rejected=rejected,
        moments=tuple(Moments.of(next(columns[target.level])) for target in card.targets),
        degrees=np.bincount(train.in_degrees()),
    )
