"""What the work on a chunk of rows gives, whatever the rows are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hydrasurr.graphs.table import GraphTable
from preprocessing.moments import Moments


@dataclass(frozen=True)
class ChunkSummary:
    """What the header needs to know of a chunk.

    Attributes
    ----------
    sizes : int64 `[3, 3]`: graphs, nodes and edges (columns) of each split (rows)
    rejected : number of rows
    moments : of each target over the training split
    degrees : int64 `[d]`: number of its nodes of each in-degree
    """

    sizes: np.ndarray
    rejected: int
    moments: tuple[Moments, ...]
    degrees: np.ndarray


@dataclass(frozen=True)
class ChunkResult:
    """`rejects` are named tuples, those of the recipe."""

    rows: int
    tables: dict[str, GraphTable]
    rejects: list[Any]
    summary: ChunkSummary
