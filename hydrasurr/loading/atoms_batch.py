"""A batch of structures: atoms and the edges between them as tensors, laid out for message passing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hydrasurr.graphs.neighbours import Pairs
from hydrasurr.graphs.structures import edge_shifts, to_systems, with_radius_graph, within
from hydrasurr.graphs.systems import Systems
from hydrasurr.graphs.table import GraphTable
from hydrasurr.loading.batch import sorted_edges
from hydrasurr.loading.tensors import Tensors


@dataclass(frozen=True)
class AtomsBatch(Tensors):
    """`S` structures with `N` atoms and `E` directed edges, disjoint in one big graph.

    Every edge is there in both directions; edges are sorted by destination, then source. The vector of an edge is
    `positions[source] + shift_vector - positions[destination]`.

    Attributes
    ----------
    numbers : int64 `[N]`, atomic numbers
    positions : float64 `[N, 3]`, Angstrom
    cell : float64 `[S, 3, 3]`, the rows are the cell vectors, Angstrom
    pbc : bool `[S, 3]`
    system_index : int64 `[N]`, the structure of each atom
    num_graphs : S
    edge_index : int64 `[2, E]`, sources (neighbours) and destinations (centres)
    shift_vector : float64 `[E, 3]`, from the source to the image of it that is meant, Angstrom
    energy : float64 `[S]` or None, eV; NaN where missing, as in the next two
    forces : float64 `[N, 3]` or None, eV/A
    stress : float64 `[S, 3, 3]` or None, eV/A^3, positive under tension
    """

    numbers: Tensor
    positions: Tensor
    cell: Tensor
    pbc: Tensor
    system_index: Tensor
    num_graphs: int
    edge_index: Tensor
    shift_vector: Tensor
    energy: Tensor | None = None
    forces: Tensor | None = None
    stress: Tensor | None = None

    @classmethod
    def from_table(cls, table: GraphTable, cutoff: float | None = None) -> AtomsBatch:
        """Build the batch on the CPU. It shares no memory with the table.

        With a cutoff (Angstrom), a table without edges gets them, and of a table with edges the longer ones are left
        out. Without one the edges are taken as they are.
        """
        if "shift" not in table.columns:
            if cutoff is None:
                raise ValueError("the table has no edges: a cutoff is needed to find them")
            table = with_radius_graph(table, cutoff)
        elif cutoff is not None:
            table = within(table, cutoff)
        source, destination = table.edge_index + table.node_offset[:-1].repeat(table.counts("edge"))
        energy = table.columns.get("y")
        labels = {
            "energy": None if energy is None else energy[:, 0],
            "forces": table.columns.get("force"),
            "stress": table.columns.get("stress"),
        }
        labels = {name: torch.from_numpy(np.array(label)) for name, label in labels.items() if label is not None}
        return cls._build(to_systems(table), source, destination, edge_shifts(table), labels)

    @classmethod
    def from_systems(cls, systems: Systems, pairs: Pairs) -> AtomsBatch:
        """The batch of `systems` with `pairs` as edges, without labels."""
        shift = pairs.shift.astype(np.float64)
        if len(systems) == 1:
            shift_vector = shift @ systems.cell[0]
        else:
            shift_vector = np.einsum("pi,pij->pj", shift, systems.cell[systems.system_index[pairs.i]])
        return cls._build(systems, pairs.j, pairs.i, shift_vector, {})

    @classmethod
    def _build(
        cls,
        systems: Systems,
        source: np.ndarray,
        destination: np.ndarray,
        shifts: np.ndarray,
        labels: dict[str, Tensor],
    ) -> AtomsBatch:
        """`source`, `destination` `[P]` and `shifts` `[P, 3]` hold each pair of atoms once."""
        ends = np.stack([np.concatenate([source, destination]), np.concatenate([destination, source])])
        edge_index, row = sorted_edges(ends, systems.num_atoms, directed=True)
        return cls(
            numbers=torch.from_numpy(systems.numbers.copy()),
            positions=torch.from_numpy(systems.positions.copy()),
            cell=torch.from_numpy(systems.cell.copy()),
            pbc=torch.from_numpy(systems.pbc.copy()),
            system_index=torch.from_numpy(systems.system_index),
            num_graphs=len(systems),
            edge_index=torch.from_numpy(edge_index),
            shift_vector=torch.from_numpy(np.concatenate([shifts, -shifts]).take(row, axis=0)),
            **labels,
        )

    @property
    def num_nodes(self) -> int:
        return len(self.numbers)

    @property
    def num_edges(self) -> int:
        return self.edge_index.shape[1]
