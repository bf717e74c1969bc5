"""The network's scores: they belong to the right actions, whatever the order of atoms and molecules."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from hydrasurr.loading.batch import GraphBatch
from hydrasurr.models.config import ModelConfig
from hydrasurr.rl.environment.actions import ADD, BOND, ORDERS, ActionSpace
from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.environment.table import to_table
from hydrasurr.rl.policy.network import ActionNetwork, Choice
from hydrasurr.rl.policy.observation import Observation
from tests.rl.environment.walks import RULES, walked

SPACE = ActionSpace(RULES)


@pytest.fixture(params=["GIN", "PNA"])
def network(request: pytest.FixtureRequest) -> ActionNetwork:
    torch.manual_seed(0)
    config = ModelConfig(conv=request.param, hidden=16, layers=2, norm="layer")
    made = ActionNetwork(config, RULES).double()
    for parameter in made.parameters():  # as initialised, all actions are nearly alike
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def by_edit(choice: Choice, molecules: Molecules) -> list[dict[tuple[int, ...], float]]:
    """For each molecule the score of each edit."""
    legal = SPACE.legal(molecules)
    edits = zip(*(values.tolist() for values in SPACE.decode(legal.number)), strict=True)
    found: list[dict[tuple[int, ...], float]] = [{} for _ in range(len(molecules))]
    for m, edit, score in zip(legal.molecule.tolist(), edits, choice.score.tolist(), strict=True):
        found[m][edit] = score
    return found


def renumbered(molecules: Molecules, order: np.ndarray) -> Molecules:
    """One molecule with atom `order[k]` as its k-th."""
    other = copy.deepcopy(molecules)
    full = np.concatenate([order, np.arange(len(order), molecules.max_atoms)])
    for name in ("element", "charge", "valence", "capacity"):
        setattr(other, name, getattr(molecules, name)[:, full])
    for name in ("bond", "distance", "ring"):
        setattr(other, name, getattr(molecules, name)[:, full][:, :, full])
    return other


def test_molecules_do_not_touch_each_other(network: ActionNetwork) -> None:
    molecules = walked(0, 15)
    together = network(Observation.of(SPACE, molecules))
    scores = by_edit(together, molecules)
    for m in range(len(molecules)):
        alone = network(Observation.of(SPACE, molecules[[m]]))
        assert alone.value[0].item() == pytest.approx(together.value[m].item())
        [expected] = by_edit(alone, molecules[[m]])
        assert scores[m] == pytest.approx(expected)


def test_the_order_of_atoms_does_not_matter(network: ActionNetwork) -> None:
    molecules = walked(1, 15)
    for m in range(len(molecules)):
        one, count = molecules[[m]], int(molecules.count[m])
        order = np.random.default_rng(m).permutation(count)
        place = np.argsort(order)  # where atom i went
        [before] = by_edit(network(Observation.of(SPACE, one)), one)
        other = renumbered(one, order)
        [after] = by_edit(network(Observation.of(SPACE, other)), other)
        assert len(before) == len(after)
        for (kind, first, second, bond), score in before.items():
            if kind == ADD:
                first = int(place[first])
            elif kind == BOND:
                first, second = sorted((int(place[first]), int(place[second])))
            assert after[kind, first, second, bond] == pytest.approx(score)


def test_scores_by_the_heads_alone(network: ActionNetwork) -> None:
    """Each head on the features of one atom or pair, put side by side."""
    molecules = walked(5, 15)
    found = network(Observation.of(SPACE, molecules))
    for m, scores in enumerate(by_edit(found, molecules)):
        graph = GraphBatch.from_table(to_table(molecules[[m]]))
        h = graph.in_table_order(network.graph.embed(graph))
        whole = h.mean(0)
        assert found.value[m].item() == pytest.approx(network.value(whole).item())
        for (kind, first, second, order), score in scores.items():
            if kind == ADD:
                wanted = network.add(torch.cat([h[first], whole]))[len(ORDERS) * second + order - 1]
            elif kind == BOND:
                present = 2 * int(molecules.bond[m, first, second]) + int(molecules.ring[m, first, second])
                pair = [h[first] + h[second], h[first] * h[second], whole, network.present.weight[present]]
                wanted = network.bond(torch.cat(pair))[order]
            else:
                wanted = network.stop(whole)
            assert score == pytest.approx(wanted.item())


def test_values_without_scores(network: ActionNetwork) -> None:
    molecules = walked(6, 15)
    observation = Observation.of(SPACE, molecules)
    torch.testing.assert_close(network.values(observation.graphs), network(observation).value)


def test_probabilities_and_action_values(network: ActionNetwork) -> None:
    molecules = walked(2, 15)
    choice = network(Observation.of(SPACE, molecules))
    legal = SPACE.legal(molecules)
    for m in range(len(molecules)):
        part = slice(legal.offset[m], legal.offset[m + 1])
        assert choice.log_probability[part].exp().sum().item() == pytest.approx(1)
        assert choice.action_value[part].mean().item() == pytest.approx(choice.value[m].item())
        gaps = choice.action_value[part].diff(), choice.score[part].diff()
        torch.testing.assert_close(*gaps)


def test_all_weights_of_use_have_gradients(network: ActionNetwork) -> None:
    choice = network(Observation.of(SPACE, walked(3, 15)))
    (choice.log_probability.square().sum() + choice.value.sum()).backward()
    without = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert not without


def test_it_begins_without_preferences() -> None:
    network = ActionNetwork(ModelConfig(conv="GIN", hidden=32, layers=3, norm="layer"), RULES)
    choice = network(Observation.of(SPACE, walked(4, 10)))
    counts = torch.bincount(choice.molecule)
    torch.testing.assert_close(choice.entropy, counts.float().log(), rtol=0.05, atol=0.05)
