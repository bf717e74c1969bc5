"""What a sampler reports against the same steps taken one by one."""

from __future__ import annotations

import copy

import numpy as np
import torch

from hydrasurr.models.config import ModelConfig
from hydrasurr.rl.environment.episodes import EpisodeConfig, Episodes
from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.environment.smiles import to_smiles
from hydrasurr.rl.learners.apex import transitions_of
from hydrasurr.rl.policy.evaluate import evaluate, values, values_after
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.policy.unroll import Sampler, Unroll, side_by_side

CONFIG = EpisodeConfig.model_validate(
    {"rules": {"max_atoms": 8}, "max_steps": 5, "start": {"smiles": ["C", "CO"]}, "reward": "dense"}
)
STEPS, COUNT = 12, 4


def size(molecules: Molecules) -> np.ndarray:
    return molecules.count.astype(float) ** 2


def made(seed: int, count: int = COUNT) -> tuple[Sampler, Unroll]:
    torch.manual_seed(seed)
    network = ActionNetwork(ModelConfig(conv="GIN", hidden=8, layers=2, norm="layer"), CONFIG.rules)
    sampler = Sampler(Episodes(CONFIG, size, count, seed), network, seed)
    return sampler, sampler.unroll(STEPS)


def taken(unroll: Unroll, sampler: Sampler) -> Molecules:
    """The molecules after each step, by taking it again."""
    after = copy.deepcopy(unroll.states)
    sampler.episodes.actions.apply(after, unroll.action.ravel())
    return after


def test_states_follow_each_other() -> None:
    sampler, unroll = made(0)
    after = to_smiles(taken(unroll, sampler))
    states = to_smiles(unroll.states)
    ended = unroll.ended.ravel()
    assert ended.any() and not ended.all()
    for place in range((STEPS - 1) * COUNT):
        if not ended[place]:
            assert states[place + COUNT] == after[place]
    left = [after[place] for place in unroll.beyond_place]
    assert to_smiles(unroll.beyond) == left
    over = np.zeros((STEPS, COUNT), bool)
    over[-1] = True
    expected = np.flatnonzero(~unroll.terminated & (unroll.truncated | over))
    np.testing.assert_array_equal(unroll.beyond_place, expected)
    gain = size(taken(unroll, sampler)) - size(unroll.states)
    np.testing.assert_allclose(unroll.reward.ravel(), np.where(unroll.terminated.ravel(), 0, gain))


def test_probabilities_are_those_of_the_policy() -> None:
    sampler, unroll = made(1)
    again = evaluate(sampler.network, sampler.episodes.actions, unroll.states, unroll.action.ravel())
    torch.testing.assert_close(again.log_probability.detach(), torch.from_numpy(unroll.log_probability.ravel()))


def test_values_of_what_comes_after() -> None:
    sampler, unroll = made(2)
    network, space = sampler.network, sampler.episodes.actions
    value = values(network, space, unroll.states).reshape(STEPS, COUNT)
    expected = values(network, space, taken(unroll, sampler)).reshape(STEPS, COUNT)
    expected[torch.from_numpy(unroll.terminated)] = 0
    torch.testing.assert_close(values_after(network, space, unroll, value), expected)


def test_unrolls_side_by_side() -> None:
    parts = [made(seed, count) for seed, count in ((3, 2), (4, 3), (5, 1))]
    joined = side_by_side([unroll for _, unroll in parts])
    assert joined.action.shape == (STEPS, 6)
    sampler = parts[0][0]
    assert to_smiles(joined.beyond) == [to_smiles(taken(joined, sampler))[place] for place in joined.beyond_place]
    start = 0
    for _, unroll in parts:
        count = unroll.action.shape[1]
        columns = slice(start, start + count)
        np.testing.assert_array_equal(joined.reward[:, columns], unroll.reward)
        places = np.arange(STEPS * 6).reshape(STEPS, 6)[:, columns].ravel()
        assert to_smiles(joined.states[places]) == to_smiles(unroll.states)
        start += count


def test_transitions_over_several_steps() -> None:
    sampler, unroll = made(6)
    after = to_smiles(taken(unroll, sampler))
    found = transitions_of(unroll, steps=3, discount=0.9)
    following = to_smiles(found.after)
    for t in range(STEPS):
        for b in range(COUNT):
            end = next((k for k in range(t, STEPS) if unroll.ended[k, b]), STEPS - 1)
            last, place = min(end, t + 2), t * COUNT + b
            reward = sum(0.9 ** (k - t) * unroll.reward[k, b] for k in range(t, last + 1))
            np.testing.assert_allclose(found.reward[place], reward, rtol=1e-6)
            if unroll.terminated[last, b]:
                assert found.discount[place] == 0
            else:
                np.testing.assert_allclose(found.discount[place], 0.9 ** (last + 1 - t), rtol=1e-6)
                assert following[place] == after[last * COUNT + b]
