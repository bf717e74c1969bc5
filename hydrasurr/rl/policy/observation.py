"""What the network is given: molecules as a batch of graphs, and their actions in terms of its nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from hydrasurr.loading.batch import GraphBatch
from hydrasurr.loading.tensors import Tensors
from hydrasurr.rl.environment.actions import ADD, BOND, ORDERS, STOP, ActionSpace, LegalActions
from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.environment.table import to_table

BOND_ORDERS = 4
"""None to triple."""


@dataclass(frozen=True)
class Observation(Tensors):
    """`B` molecules and their `K` allowed actions, end to end as in LegalActions.

    Attributes
    ----------
    graphs : the molecules, of `N` nodes together
    molecule : int64 `[K]`, of each action
    pair : int64 `[2, P]`, the nodes of each pair of atoms that can be rebonded
    pair_present : int64 `[P]`, twice its present order, and 1 more if its bond is in a ring
    source : int64 `[K]`, where each action is if all scores are laid end to end: for each node those of each element
        with each order, for each pair those of the orders, and for each molecule that of stopping
    """

    graphs: GraphBatch
    molecule: Tensor
    pair: Tensor
    pair_present: Tensor
    source: Tensor

    @classmethod
    def of(cls, space: ActionSpace, molecules: Molecules, legal: LegalActions | None = None) -> Self:
        """Build it on the CPU; `legal` are the molecules' allowed actions if they are known already."""
        legal = space.legal(molecules) if legal is None else legal
        graphs = GraphBatch.from_table(to_table(molecules))
        node = np.empty(graphs.num_nodes, np.int64)
        node[graphs.node_order.numpy()] = np.arange(len(node))
        first_atom = np.cumsum(molecules.count) - molecules.count
        edit = space.decode(legal.number)
        add, bond, stop = (np.flatnonzero(edit.kind == kind) for kind in (ADD, BOND, STOP))
        m, i, j = legal.molecule[bond], edit.first[bond], edit.second[bond]
        starts = np.ones(len(bond), bool)  # the orders of one pair follow each other
        starts[1:] = (m[1:] != m[:-1]) | (i[1:] != i[:-1]) | (j[1:] != j[:-1])
        m_pair, i_pair, j_pair = m[starts], i[starts], j[starts]
        present = 2 * molecules.bond[m_pair, i_pair, j_pair].astype(np.int64) + molecules.ring[m_pair, i_pair, j_pair]

        choices = len(space.rules.elements) * len(ORDERS)
        source = np.empty(len(legal), np.int64)
        source[add] = choices * node[first_atom[legal.molecule[add]] + edit.first[add]]
        source[add] += edit.second[add] * len(ORDERS) + edit.order[add] - 1
        source[bond] = choices * len(node) + BOND_ORDERS * (np.cumsum(starts) - 1) + edit.order[bond]
        source[stop] = choices * len(node) + BOND_ORDERS * len(m_pair) + legal.molecule[stop]
        return cls(
            graphs=graphs,
            molecule=torch.from_numpy(legal.molecule),
            pair=torch.from_numpy(node[first_atom[m_pair] + np.stack([i_pair, j_pair])]),
            pair_present=torch.from_numpy(present),
            source=torch.from_numpy(source),
        )

    def __len__(self) -> int:
        return self.graphs.num_graphs

    @property
    def num_actions(self) -> int:
        return len(self.molecule)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        moved = super().to(device, non_blocking)
        object.__setattr__(moved, "graphs", self.graphs.to(device, non_blocking))
        return moved
