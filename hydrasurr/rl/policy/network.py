"""The project's graph layers with a number for each allowed action."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.config import ModelConfig
from hydrasurr.models.incidence import Incidence
from hydrasurr.models.mlp import mlp
from hydrasurr.models.network import GraphNetwork
from hydrasurr.models.pooling import pool
from hydrasurr.rl.environment.actions import ORDERS
from hydrasurr.rl.environment.rules import Rules
from hydrasurr.rl.environment.table import STATE_SCHEMA
from hydrasurr.rl.policy.observation import BOND_ORDERS, Observation
from hydrasurr.rl.policy.segments import segment_entropy, segment_log_softmax, segment_sum

DEGREES = (0, 30, 45, 20, 5)
"""Atoms of drug-like molecules by their bonds to heavy atoms, out of a hundred; layers that scale by degree use it."""


@dataclass(frozen=True)
class Choice:
    """What a network says of `B` molecules with `K` allowed actions in all.

    Attributes
    ----------
    score : float `[K]`: logits of a policy, or values of actions
    value : float `[B]`: of the molecules
    molecule : int64 `[K]`, of each action
    """

    score: Tensor
    value: Tensor
    molecule: Tensor

    @property
    def log_probability(self) -> Tensor:
        """`[K]`: of the policy whose logits are the scores."""
        return segment_log_softmax(self.score, self.molecule, len(self.value))

    @property
    def entropy(self) -> Tensor:
        """`[B]`: of that policy, nats."""
        return segment_entropy(self.log_probability, self.molecule, len(self.value))

    @property
    def action_value(self) -> Tensor:
        """`[K]`: the value of the molecule and the advantage of the action, which is 0 on average over its actions.

        Z. Wang et al., Dueling Network Architectures (arXiv:1511.06581), Eq. 9.
        """
        count = segment_sum(torch.ones_like(self.score), self.molecule, len(self.value))
        mean = segment_sum(self.score, self.molecule, len(self.value)) / count
        return (self.value - mean)[self.molecule] + self.score


class ActionNetwork(nn.Module):
    """Scores all allowed actions of molecules in one pass over their graphs.

    An atom's features score what may be added to it; the sum and the product of two atoms' features, which do not
    depend on their order, score the orders of their bond; the mean over atoms scores stopping and gives the value.

    The first layer of these heads is linear in parts that belong to an atom, a molecule or a kind of bond. Each part is
    multiplied once where it belongs, and the results are added up for each pair: a fraction of the multiplications.

    Parameters
    ----------
    config : of the graph network; its heads are not used
    rules : which elements may be added
    """

    def __init__(self, config: ModelConfig, rules: Rules):
        super().__init__()
        self.graph = GraphNetwork(config, STATE_SCHEMA, (), [], [], DEGREES)
        width, activation = config.hidden, config.activation

        def head(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(mlp(inputs, width, 1, activation), nn.Linear(width, outputs))

        self.present = nn.Embedding(2 * BOND_ORDERS, width)
        self.add, self.bond = head(2 * width, len(rules.elements) * len(ORDERS)), head(4 * width, BOND_ORDERS)
        self.stop, self.value = head(width, 1), head(width, 1)
        for last in (self.add[-1], self.bond[-1], self.stop[-1]):  # begin with all actions alike likely
            nn.init.normal_(last.weight, std=0.01)
            nn.init.zeros_(last.bias)

    def forward(self, observation: Observation) -> Choice:
        h, whole = self._features(observation.graphs)
        adds = self._score_adds(h, whole, observation.graphs)
        bonds = self._score_bonds(h, whole, observation)
        scores = torch.cat([adds.flatten(), bonds.flatten(), self.stop(whole)[:, 0]])
        return Choice(scores[observation.source], self.value(whole)[:, 0], observation.molecule)

    def values(self, graphs: GraphBatch) -> Tensor:
        """float `[B]`: those of `forward`, without the scores of actions."""
        return self.value(self._features(graphs)[1])[:, 0]

    def _features(self, graphs: GraphBatch) -> tuple[Tensor, Tensor]:
        """Of atoms, `[N, width]`, and of molecules, `[B, width]`."""
        h = self.graph.embed(graphs)
        return h, pool(h, graphs, ("mean",))

    def _score_adds(self, h: Tensor, whole: Tensor, graphs: GraphBatch) -> Tensor:
        """`[N, elements x orders]`."""
        (first, activation), last = self.add
        of_atom, of_molecule = first.weight.chunk(2, 1)
        molecule = Incidence(graphs.graph_index[:, None], len(whole))
        hidden = linear(h, of_atom) + molecule.gather(linear(whole, of_molecule, first.bias))
        return last(activation(hidden))

    def _score_bonds(self, h: Tensor, whole: Tensor, observation: Observation) -> Tensor:
        """`[P, BOND_ORDERS]`."""
        (first, activation), last = self.bond
        of_sum, of_product, of_molecule, of_present = first.weight.chunk(4, 1)
        parts = [linear(h, of_sum), linear(whole, of_molecule, first.bias), linear(self.present.weight, of_present)]
        i, j = observation.pair
        molecule = len(h) + observation.graphs.graph_index[i]
        present = len(h) + len(whole) + observation.pair_present
        rows = Incidence(torch.stack([i, j, molecule, present], 1), sum(map(len, parts)))
        left, right = (Incidence(end[:, None], len(h)).gather(h) for end in (i, j))
        hidden = rows.gather(torch.cat(parts)) + linear(left * right, of_product)
        return last(activation(hidden))
