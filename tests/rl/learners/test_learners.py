"""Each learner on a small problem: it finds what is wanted; and its step against the formula, written out."""

from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch

from hydrasurr.models.config import ModelConfig
from hydrasurr.rl.environment.episodes import EpisodeConfig, Episodes
from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.learners import apex
from hydrasurr.rl.learners.a3c import A3C, A3CConfig, gradient
from hydrasurr.rl.learners.apex import ApeX, ApeXConfig, action_values, targets, transitions_of
from hydrasurr.rl.learners.impala import IMPALA, IMPALAConfig
from hydrasurr.rl.learners.optimizer import OptimizerConfig
from hydrasurr.rl.learners.ppo import PPO, PPOConfig
from hydrasurr.rl.policy.evaluate import evaluate
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.policy.observation import Observation
from hydrasurr.rl.policy.replay import Replay
from hydrasurr.rl.policy.unroll import Sampler, Unroll
from tests.runs import ROOT, environment

CONFIG = EpisodeConfig.model_validate(
    {"rules": {"elements": ["C", "O"], "max_atoms": 5, "removal": False, "ring_sizes": []}, "max_steps": 4}
)
FAST = OptimizerConfig(learning_rate=5e-3)
STEPS, COUNT = 8, 16


def oxygens(molecules: Molecules) -> np.ndarray:
    """At most 4: as many as atoms can be added."""
    return (molecules.element == 8).sum(1).astype(float)


def sampler(seed: int = 0) -> Sampler:
    torch.manual_seed(seed)
    network = ActionNetwork(ModelConfig(conv="GIN", hidden=16, layers=2, norm="layer"), CONFIG.rules)
    return Sampler(Episodes(CONFIG, oxygens, COUNT, seed), network, seed)


def final(unroll: Unroll) -> float:
    """The mean objective of the molecules that episodes ended with."""
    return float(unroll.objective[unroll.ended].mean())


def test_ppo_finds_what_is_wanted() -> None:
    acting = sampler()
    learner = PPO(PPOConfig(optimizer=FAST), acting.network, acting.episodes.actions)
    first = final(acting.unroll(STEPS))
    for _ in range(25):
        report = learner.learn(acting.unroll(STEPS))
        assert np.isfinite(list(report.values())).all()
    assert first < 1.5 < 2.5 < final(acting.unroll(STEPS))


def test_impala_learns_from_an_older_policy() -> None:
    acting = sampler()
    learner = IMPALA(IMPALAConfig(optimizer=FAST), copy.deepcopy(acting.network), acting.episodes.actions)
    first = final(acting.unroll(STEPS))
    for update in range(60):
        learner.learn([acting.unroll(STEPS)])
        if update % 4 == 3:
            acting.network.load_state_dict(learner.network.state_dict())
    assert first < 1.5 < 2.5 < final(acting.unroll(STEPS))


def test_a3c_learns_from_gradients_of_older_weights() -> None:
    actors = [sampler(seed) for seed in (0, 1)]
    server = A3C(A3CConfig(optimizer=FAST), copy.deepcopy(actors[0].network), actors[0].episodes.actions)
    first = final(actors[0].unroll(STEPS))
    for update in range(80):
        actor = actors[update % 2]
        unroll = actor.unroll(STEPS, version=max(server.version - 1, 0))
        server.take(0, unroll.version, gradient(server.config, actor.network, actor.episodes.actions, unroll))
        server.update()
        assert server.lags.seen[-1] == min(update, 1)
        actor.network.load_state_dict(server.network.state_dict())
    assert first < 1.5 < 2.5 < final(actors[0].unroll(STEPS))


def test_apex_learns_from_a_replay() -> None:
    acting = sampler()
    space = acting.episodes.actions
    config = ApeXConfig(
        optimizer=FAST, target_every=20, capacity=2000, warm_up=1, batch_size=64, updates=5, n_step=2
    )
    learner = ApeX(config, acting.network, space)
    for _ in range(30):  # the sampler draws actions by their scores, so better ones more and more often
        learner.take(0, learner.version, learner.digest(config, acting.network, space, acting.unroll(STEPS)))
        while learner.ready:
            learner.update()
    assert learner.version == 30 * STEPS * COUNT * 5 / 64
    greedy = Episodes(CONFIG, oxygens, 1)
    greedy.reset()
    for _ in range(4):
        legal = greedy.legal()
        choice = learner.network(Observation.of(space, greedy.molecules, legal))
        step = greedy.step(legal.number[[int(choice.action_value.argmax())]])
        if step.ended[0]:
            break
    assert step.objective[0] >= 3


def test_apex_draws_as_many_transitions_a_new_one_on_any_number_of_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of two ranks draws half a batch, so its new transitions are worth twice as many updates."""
    acting, due = sampler(), {}
    space = acting.episodes.actions
    config = ApeXConfig(warm_up=1, batch_size=64, updates=3)
    sent = ApeX.digest(config, acting.network, space, acting.unroll(STEPS))
    for ranks in (1, 2):
        monkeypatch.setattr(apex, "_ranks", lambda ranks=ranks: ranks)
        learner = ApeX(config, acting.network, space)
        learner.take(0, learner.version, sent)
        due[ranks] = learner.state_dict()["due"]
        assert due[ranks] * (64 / ranks) == pytest.approx(3 * len(sent.transitions))
    assert due[2] == 2 * due[1]


def test_the_first_step_of_ppo_and_impala_is_that_of_actor_critic() -> None:
    """With a policy of its own nothing is clipped or weighed: all three have the gradient that A3C sends."""
    acting = sampler()
    unroll = acting.unroll(STEPS)
    space = acting.episodes.actions
    expected = gradient(A3CConfig(), acting.network, space, unroll).values
    impala = IMPALA(IMPALAConfig(optimizer=OptimizerConfig(largest_norm=1e9)), copy.deepcopy(acting.network), space)
    impala.learn([unroll])
    for found, wanted in zip(impala.network.parameters(), expected, strict=True):
        torch.testing.assert_close(found.grad, wanted, rtol=1e-4, atol=1e-6)


def test_the_loss_of_ppo_by_hand() -> None:
    """One epoch, one minibatch: the surrogate objective of standardised advantages, value and entropy."""
    acting = sampler()
    unroll, space = acting.unroll(STEPS), acting.episodes.actions
    config = PPOConfig(epochs=1, minibatches=1, decay=1.0, optimizer=OptimizerConfig(largest_norm=1e9))
    network = copy.deepcopy(acting.network)
    taken = evaluate(network, space, unroll.states, unroll.action.ravel())
    going = torch.zeros(COUNT)
    returns = torch.empty(STEPS, COUNT)
    with torch.no_grad():
        if len(unroll.beyond):
            last = unroll.beyond_place >= (STEPS - 1) * COUNT
            value = acting.network(Observation.of(space, unroll.beyond)).value
            beyond = torch.zeros(STEPS * COUNT).index_put((torch.from_numpy(unroll.beyond_place),), value)
            assert last.any()
        for t in reversed(range(STEPS)):
            ended = torch.from_numpy(unroll.ended[t])
            at_end = beyond.view(STEPS, COUNT)[t]
            going = torch.from_numpy(unroll.reward[t]) + torch.where(ended | (t == STEPS - 1), at_end, going)
            returns[t] = going
        advantage = returns.flatten() - taken.value.detach()
        weight = (advantage - advantage.mean()) / advantage.std(unbiased=False)
    loss = -(weight * taken.log_probability).mean() + 0.5 * (taken.value - returns.flatten()).square().mean() / 2
    (loss - 0.01 * taken.entropy.mean()).backward()
    learner = PPO(config, acting.network, space)
    learner.learn(unroll)
    for found, wanted in zip(learner.network.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(found.grad, wanted.grad, rtol=1e-3, atol=1e-5)


def test_targets_of_apex_by_hand() -> None:
    acting, other = sampler(0), sampler(1)
    space = acting.episodes.actions
    for network in (acting.network, other.network):
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    transitions = transitions_of(acting.unroll(STEPS), 3, 0.9)
    found = targets(acting.network, other.network, space, transitions)
    with torch.no_grad():
        for k in range(len(transitions)):
            wanted = float(transitions.reward[k])
            if transitions.discount[k]:
                observation = Observation.of(space, transitions.after[[k]])
                best = int(acting.network(observation).action_value.argmax())
                wanted += float(transitions.discount[k]) * float(other.network(observation).action_value[best])
            assert found[k].item() == pytest.approx(wanted, abs=1e-5)
        values = action_values(acting.network, space, transitions.states, transitions.action)
        legal = space.legal(transitions.states[[0]])
        alone = acting.network(Observation.of(space, transitions.states[[0]], legal)).action_value
        place = list(legal.number).index(transitions.action[0])
        assert values[0].item() == pytest.approx(alone[place].item(), abs=1e-5)


def test_a_full_replay_forgets_the_oldest() -> None:
    acting = sampler()
    transitions = transitions_of(acting.unroll(STEPS), 1, 0.9)
    replay = Replay(100, CONFIG.rules.max_atoms)
    for start in range(0, 128, 32):
        part = transitions[np.arange(start, start + 32)].pack()
        replay.add(part, np.ones(32))
    assert len(replay) == 100 and replay.added == 128
    kept = {tuple(row) for row in replay.sample(4000).transitions.states.element.tolist()}
    assert kept <= {tuple(row) for row in transitions.states.element[28:].tolist()}
    replay.add(transitions.pack(), np.ones(128))
    assert replay.added == 256
    np.testing.assert_array_equal(np.sort(replay.state_dict()["kept"]["action"]), np.sort(transitions.action[28:]))


def test_shards_of_a_replay_weigh_as_one() -> None:
    """Two ranks, whose shards differ in size and priorities, against the formula for all of it."""
    ranks = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*ranks, "-m", "tests.rl.learners.shards"], capture_output=True, text=True, cwd=ROOT, env=environment()
    )
    assert done.returncode == 0 and "equal" in done.stdout, done.stderr
