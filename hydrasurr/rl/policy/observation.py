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


@dataclass(frozen=True)
class Observation(Tensors):
    """`B` molecules and their `K` allowed actions, end to end as in LegalActions.

    Attributes
    ----------
    graphs : the molecules
    molecule : int64 `[K]`, of each action
    add, add_node, add_choice : int64 `[adds]`: places of these actions among the K, the node bonded to, and which
        element with which order
    pair : int64 `[2, pairs]`, the nodes of each pair of atoms that can be rebonded
    pair_features : int64 `[2, pairs]`: the present order, and whether the bond is in a ring
    bond, bond_pair, bond_order : int64 `[bonds]`: places of these actions, their pair, and the order from then on
    stop : int64 `[B]`, places of stopping
    """

    graphs: GraphBatch
    molecule: Tensor
    add: Tensor
    add_node: Tensor
    add_choice: Tensor
    pair: Tensor
    pair_features: Tensor
    bond: Tensor
    bond_pair: Tensor
    bond_order: Tensor
    stop: Tensor

    @classmethod
    def of(cls, space: ActionSpace, molecules: Molecules, legal: LegalActions | None = None) -> Self:
        """Build it on the CPU; `legal` are the molecules' allowed actions if they are known already."""
        legal = space.legal(molecules) if legal is None else legal
        graphs = GraphBatch.from_table(to_table(molecules))
        node = torch.empty_like(graphs.node_order)
        node[graphs.node_order] = torch.arange(len(node))
        first_atom = np.cumsum(molecules.count) - molecules.count
        edit = space.decode(legal.number)
        add, bond, stop = (np.flatnonzero(edit.kind == kind) for kind in (ADD, BOND, STOP))
        m, i, j = legal.molecule[bond], edit.first[bond], edit.second[bond]
        starts = np.ones(len(bond), bool)  # the orders of one pair follow each other
        starts[1:] = (m[1:] != m[:-1]) | (i[1:] != i[:-1]) | (j[1:] != j[:-1])
        m_pair, i_pair, j_pair = m[starts], i[starts], j[starts]
        features = np.stack([molecules.bond[m_pair, i_pair, j_pair], molecules.ring[m_pair, i_pair, j_pair]])
        return cls(
            graphs=graphs,
            molecule=_tensor(legal.molecule),
            add=_tensor(add),
            add_node=node[_tensor(first_atom[legal.molecule[add]] + edit.first[add])],
            add_choice=_tensor(edit.second[add] * len(ORDERS) + edit.order[add] - 1),
            pair=node[_tensor(first_atom[m_pair] + np.stack([i_pair, j_pair]))],
            pair_features=_tensor(features),
            bond=_tensor(bond),
            bond_pair=_tensor(np.cumsum(starts) - 1),
            bond_order=_tensor(edit.order[bond]),
            stop=_tensor(stop),
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


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.int64))
