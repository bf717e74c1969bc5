"""One chunk of frames -> the graphs of each split. A pure function, so any process may run it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

import numpy as np

from hydrasurr.errors import StructureError
from hydrasurr.graphs.schema import ELEMENTS
from hydrasurr.graphs.structures import edge_vectors, to_table, with_radius_graph, within
from hydrasurr.graphs.systems import Systems, completed, join
from hydrasurr.graphs.table import GraphTable, smallest_uint
from hydrasurr.stores.info import NEAREST_SEARCH, SPLITS
from preprocessing.moments import Moments
from preprocessing.results import ChunkResult, ChunkSummary
from preprocessing.splits import UNKNOWN, SplitPlan
from preprocessing.structures.card import StructureCard
from preprocessing.structures.frames import Frame, Raw, parse_frame, read_frames
from preprocessing.structures.labels import Labels, labels_of

_FARTHEST = 30_000
"""Cells between an atom and its cell; differences are stored in 16 bits."""

_SEARCH = 2.0
"""A cutoff, in Angstrom, with which neighbour lists are fast; with a tiny one they make too many cells."""

Composition = tuple[tuple[int, int], ...]
"""Atomic numbers, ascending, and how many atoms have each."""


class Place(NamedTuple):
    """Where a frame stands: in which of the card's files, and there as which, counted from 1."""

    file: int
    number: int


class RejectedFrame(NamedTuple):
    """A frame that became no graph; `frame` counts over all files, `number` within the file, both from 1."""

    frame: int
    file: str
    number: int
    reason: str

    def __str__(self) -> str:
        return f"frame {self.number} of '{self.file}': {self.reason}"


@dataclass
class FrameChunk:
    """Consecutive frames; `first_row` counts from 1 over all files."""

    index: int
    first_row: int
    frames: list[Raw] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def last_row(self) -> int:
        return self.first_row + len(self) - 1


@dataclass(frozen=True)
class StructureSummary(ChunkSummary):
    """What the header needs to know of a chunk of structures; but for `elements`, of the training split.

    Attributes
    ----------
    elements : atomic numbers in any split
    energies : of the structures of each composition, eV
    labelled : int64 `[3]`: structures with energy, forces and stress
    squares : `[2, 2]`: number and sum of squares of the components of forces and stresses
    nearest : float64 `[119, 119]`: the smallest distance of two elements, Angstrom, if below NEAREST_SEARCH; symmetric
    """

    elements: tuple[int, ...]
    energies: dict[Composition, Moments]
    labelled: np.ndarray
    squares: np.ndarray
    nearest: np.ndarray


def all_frames(card: StructureCard, limit: int | None = None) -> Iterator[tuple[Place, Raw]]:
    """The frames of a card's files, or the first `limit`."""
    frames = (
        (Place(place, number), raw)
        for place, file in enumerate(card.paths)
        for number, raw in enumerate(read_frames(file, card.format), start=1)
    )
    return islice(frames, limit)


def read_chunks(card: StructureCard, size: int, limit: int | None = None) -> Iterator[FrameChunk]:
    """The frames in chunks of `size`; only the last may be shorter."""
    frames = all_frames(card, limit)
    index, row = 0, 1
    while batch := list(islice(frames, size)):
        places, raws = (list(part) for part in zip(*batch, strict=True))
        yield FrameChunk(index, row, raws, places)
        index, row = index + 1, row + len(batch)


@dataclass(frozen=True)
class ConvertChunk:
    """The work on one chunk, as an object that can be sent to other processes.

    Attributes
    ----------
    card : with the keys of all labels
    plan : for frames of files without a split of their own; it gets frame numbers
    """

    card: StructureCard
    plan: SplitPlan

    def __call__(self, chunk: FrameChunk) -> ChunkResult:
        reasons: dict[int, str] = {}
        table, cells = _graphs(self.card, chunk, reasons)
        positions = table.columns["row"] - chunk.first_row
        splits = self._splits(chunk, positions.tolist(), cells)
        for place in np.flatnonzero(splits == UNKNOWN).tolist():
            column = self.card.split.column
            reasons[int(positions[place])] = f"'{column}' says '{cells[place]}', expected train, val or test"
        tables = {name: table.gather(np.flatnonzero(splits == k)) for k, name in enumerate(SPLITS)}
        rejects = [
            RejectedFrame(
                chunk.first_row + position,
                self.card.paths[chunk.places[position].file].name,
                chunk.places[position].number,
                reason,
            )
            for position, reason in sorted(reasons.items())
        ]
        return ChunkResult(len(chunk), tables, rejects, _summarise(self.card, tables, len(rejects)))

    def _splits(self, chunk: FrameChunk, positions: list[int], cells: list[str]) -> np.ndarray:
        splits = self.plan.assign([str(chunk.first_row + position) for position in positions], cells)
        fixed = [self.card.files[chunk.places[position].file].split for position in positions]
        for place, split in enumerate(fixed):
            if split:
                splits[place] = SPLITS.index(split)
        return splits


def _graphs(card: StructureCard, chunk: FrameChunk, reasons: dict[int, str]) -> tuple[GraphTable, list[str]]:
    """The graphs of all good frames and their cells of the split column; why others are none goes to `reasons`."""
    # An empty structure comes first, and goes at the end, so that there always is one.
    positions, cells = [-1], [""]
    systems = [Systems.single([], np.empty((0, 3)))]
    labels = [Labels(np.nan, np.empty((0, 3)), np.full((3, 3), np.nan))]
    for position, raw in enumerate(chunk.frames):
        try:
            frame = parse_frame(raw)
            system = _system(card, frame)
            labels.append(labels_of(card, frame, system))
        except (ValueError, StructureError) as error:
            reasons[position] = str(error)
            continue
        systems.append(system)
        positions.append(position)
        cells.append(str(frame.values.get(card.split.column, "")))
    table = to_table(
        join(systems),
        energy=np.array([label.energy for label in labels]) if card.energy else None,
        forces=np.concatenate([label.forces for label in labels]) if card.forces else None,
        stress=np.stack([label.stress for label in labels]) if card.stress else None,
    ).with_columns(row=chunk.first_row + np.array(positions, np.int64))
    too_close = _too_close(card, table)
    reasons.update((positions[graph], reason) for graph, reason in too_close.items())
    kept = [graph for graph in range(1, len(table)) if graph not in too_close]
    return _with_edges(card, table.gather(kept)), [cells[graph] for graph in kept]


def _system(card: StructureCard, frame: Frame) -> Systems:
    """Raises ValueError or StructureError if the frame is no system for this card."""
    if not 0 < len(frame.numbers) <= card.max_atoms:
        raise ValueError(f"{len(frame.numbers):,} atoms, at most {card.max_atoms:,} are allowed (max_atoms)")
    cell = np.zeros((3, 3)) if frame.cell is None else np.asarray(frame.cell, np.float64)
    if cell.shape == (3, 3):
        cell = completed(cell, frame.pbc)
    positions = np.asarray(frame.positions, np.float64)
    system = Systems.single(frame.numbers, positions * card.length_scale, cell * card.length_scale, frame.pbc)
    if system.pbc.any() and np.abs(system.positions @ np.linalg.inv(system.cell[0])).max() > _FARTHEST:
        raise ValueError(f"an atom lies more than {_FARTHEST:,} cells away: wrap the positions into the cell")
    return system


def _too_close(card: StructureCard, table: GraphTable) -> dict[int, str]:
    """Why graphs with atoms too close to each other are rejected."""
    if not card.min_distance:
        return {}
    near = with_radius_graph(table, max(card.min_distance, _SEARCH))
    close = within(near, card.min_distance)
    distance = np.linalg.norm(edge_vectors(close), axis=1)
    reasons = {}
    for graph in np.flatnonzero(close.counts("edge")).tolist():
        edges = slice(*close.edge_offset[graph : graph + 2])
        nearest = edges.start + int(distance[edges].argmin())
        first, second = sorted((close.edge_index[:, nearest] + 1).tolist())
        reasons[graph] = f"atoms {first} and {second} are {distance[nearest]:.3g} A apart (min_distance)"
    return reasons


def _with_edges(card: StructureCard, table: GraphTable) -> GraphTable:
    """The table as it is stored, every chunk with the same types."""
    if card.cutoff is not None:
        table = with_radius_graph(table, card.cutoff)
    return replace(table, edge_index=table.edge_index.astype(smallest_uint(card.max_atoms - 1)))


def _summarise(card: StructureCard, tables: dict[str, GraphTable], rejected: int) -> StructureSummary:
    train = tables["train"]
    elements = np.unique(np.concatenate([table.x[:, 0] for table in tables.values()]))
    parts = [train.columns[name] if name in train.columns else np.empty(0) for name in ("force", "stress")]
    parts = [part[~np.isnan(part)] for part in parts]
    return StructureSummary(
        sizes=np.array([[len(table), table.num_nodes, table.num_edges] for table in tables.values()]),
        rejected=rejected,
        moments=(Moments.of(train.y[:, 0]),) if card.energy else (),
        degrees=np.bincount(train.in_degrees()) if card.cutoff is not None else np.zeros(0, np.int64),
        elements=tuple(elements.tolist()),
        energies=_energies(train) if card.energy else {},
        labelled=np.array([_labelled(train, name) for name in ("y", "force", "stress")]),
        squares=np.array([[part.size, float(np.square(part).sum())] for part in parts]),
        nearest=_nearest(train),
    )


def _nearest(table: GraphTable) -> np.ndarray:
    near = with_radius_graph(table, NEAREST_SEARCH)
    ends = near.x[:, 0][near.edge_index + near.node_offset[:-1].repeat(near.counts("edge"))]
    nearest = np.full((len(ELEMENTS), len(ELEMENTS)), NEAREST_SEARCH)
    np.minimum.at(nearest, tuple(ends), np.linalg.norm(edge_vectors(near), axis=1))
    return np.minimum(nearest, nearest.T)


def _labelled(table: GraphTable, name: str) -> int:
    """How many graphs have a label in a column."""
    if name not in table.columns:
        return 0
    column = table.columns[name]
    there = ~np.isnan(column).all(axis=tuple(range(1, column.ndim)))
    graph = np.arange(len(table)).repeat(table.counts("node")) if name == "force" else np.arange(len(table))
    return len(np.unique(graph[there]))


def _energies(table: GraphTable) -> dict[Composition, Moments]:
    """Of the graphs of each composition that have an energy."""
    groups: dict[Composition, list[float]] = defaultdict(list)
    energies, numbers, offset = table.y[:, 0].tolist(), table.x[:, 0], table.node_offset
    for graph, energy in enumerate(energies):
        elements, counts = np.unique(numbers[offset[graph] : offset[graph + 1]], return_counts=True)
        groups[tuple(zip(elements.tolist(), counts.tolist(), strict=True))].append(energy)
    moments = {composition: Moments.of(np.array(group)) for composition, group in groups.items()}
    return {composition: found for composition, found in moments.items() if found.count}
