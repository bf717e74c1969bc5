"""Ape-X: many actors fill replays with priorities of their own, a learner draws from them; double dueling DQN."""

from __future__ import annotations

import copy
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from pydantic import Field
from torch import Tensor

from hydrasurr.rl.environment.actions import ActionSpace
from hydrasurr.rl.environment.molecules import Molecules, concatenate
from hydrasurr.rl.learners.base import Learner, over_ranks
from hydrasurr.rl.learners.optimizer import OptimizerConfig
from hydrasurr.rl.maths.priorities import exploration
from hydrasurr.rl.maths.returns import n_step
from hydrasurr.rl.policy.choosing import Chooser, EpsilonGreedy
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.policy.observation import Observation
from hydrasurr.rl.policy.replay import Drawn, PackedTransitions, Replay, Transitions
from hydrasurr.rl.policy.segments import segment_argmax
from hydrasurr.rl.policy.unroll import Unroll
from hydrasurr.strict import Strict


class ApeXConfig(Strict):
    """D. Horgan et al., arXiv:1803.00933."""

    type: Literal["apex"] = "apex"
    steps: int = Field(20, ge=1)
    """Of each molecule between messages of an actor."""
    n_step: int = Field(3, ge=1)
    """Rewards added up before the value of a later state is taken for the rest."""
    discount: float = Field(0.99, gt=0, le=1)
    batch_size: int = Field(256, ge=1)
    capacity: int = Field(100_000, ge=1)
    """Transitions of all replays together."""
    warm_up: int = Field(2000, ge=1)
    """Transitions before learning begins."""
    updates: float = Field(1.0, gt=0)
    """Drawn transitions for each new one."""
    alpha: float = Field(0.6, ge=0, le=1)
    beta: float = Field(0.4, ge=0, le=1)
    exploration: float = Field(0.4, ge=0, le=1)
    """Of the first actor; that of the others falls with their number."""
    target_every: int = Field(500, ge=1)
    """Updates between copies of the weights for the target."""
    optimizer: OptimizerConfig = OptimizerConfig(largest_norm=10.0)


class Sent(NamedTuple):
    """What an actor sends: steps, and how far its own values were from what came of each, `[n]`."""

    transitions: PackedTransitions
    error: np.ndarray


class ApeX(Learner):
    """Learns the values of actions from drawn transitions; the scores of its network are advantages.

    Each rank has a replay of its own, filled by its own actors: a shard of one large replay, from all of which an
    update is drawn. That shards differ in their priorities is undone by the importance weights.
    """

    def __init__(self, config: ApeXConfig, network: ActionNetwork, space: ActionSpace, lanes: int = 1, seed: int = 0):
        super().__init__(config, network, space, lanes)
        self.target = copy.deepcopy(network).requires_grad_(False)
        ranks = _ranks()
        capacity, atoms = -(-config.capacity // ranks), space.rules.max_atoms
        self.replay = Replay(capacity, atoms, config.alpha, config.beta, seed)
        self._warm_up, self._batch = -(-config.warm_up // ranks), -(-config.batch_size // ranks)
        self._due = 0.0
        """Updates that the transitions added so far are worth, and that have not been made."""

    @staticmethod
    def chooser(config: ApeXConfig, lane: int, lanes: int) -> Chooser:
        return EpsilonGreedy(exploration(lane, lanes, config.exploration))

    @staticmethod
    def digest(config: ApeXConfig, network: ActionNetwork, space: ActionSpace, unroll: Unroll) -> Sent:
        transitions = transitions_of(unroll, config.n_step, config.discount)
        return Sent(transitions.pack(), errors_of(network, space, transitions))

    def _take(self, lane: int, lag: int, content: Sent) -> None:
        self.replay.add(*content)
        if self.replay.added >= self._warm_up:
            self._due += self.config.updates * len(content.transitions) / self._batch

    @property
    def ready(self) -> bool:
        return self._due >= 1

    @property
    def pending(self) -> bool:
        return False

    def _update(self) -> dict[str, float]:
        self._due -= 1
        drawn = self.replay.sample(self._batch)
        error, report = self.learn(drawn)
        self.replay.update(drawn.place, error)
        if (self.version + 1) % self.config.target_every == 0:
            self.target.load_state_dict(self.network.state_dict())
        return report

    def state_dict(self) -> dict[str, Any]:
        own = {"target": self.target.state_dict(), "replay": self.replay.state_dict(), "due": self._due}
        return super().state_dict() | own

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.target.load_state_dict(state["target"])
        self.replay.load_state_dict(state["replay"])
        self._due = state["due"]

    def learn(self, drawn: Drawn) -> tuple[np.ndarray, dict[str, float]]:
        """One step from a batch: the new errors `[n]` of its transitions, and what to report."""
        transitions = drawn.transitions
        found = action_values(self.forward, self.space, transitions.states, transitions.action)
        wanted = targets(self.network, self.target, self.space, transitions).to(found.device)
        error = found - wanted
        weight = torch.from_numpy(self._over_shards(drawn)).to(error)
        loss = (weight * torch.nn.functional.huber_loss(found, wanted, reduction="none")).mean()
        norm = self.stepper.step(loss)
        report = {"loss": loss, "gradient_norm": norm, "action_value": found.mean()}
        return error.detach().cpu().numpy(), {name: float(number.detach()) for name, number in report.items()}

    def _over_shards(self, drawn: Drawn) -> np.ndarray:
        """float64 `[n]`: importance weights as if all shards were one replay, from which each gave an equal part."""
        if _ranks() == 1:
            return drawn.weight
        size = float(over_ranks(torch.tensor(float(len(self.replay))))) / _ranks()
        largest = torch.tensor((size * drawn.probability.min()) ** -self.config.beta, dtype=torch.float64)
        return drawn.weight * float(largest / over_ranks(largest, dist.ReduceOp.MAX))


def _ranks() -> int:
    """How many learners there are."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def action_values(network: ActionNetwork, space: ActionSpace, states: Molecules, action: np.ndarray) -> Tensor:
    """float32 `[n]`: of one action of each state, by its number."""
    legal = space.legal(states)
    device = next(network.parameters()).device
    choice = network(Observation.of(space, states, legal).to(device))
    return choice.action_value[torch.from_numpy(legal.place(action)).to(device)]


@torch.no_grad()
def targets(network: ActionNetwork, target: ActionNetwork, space: ActionSpace, transitions: Transitions) -> Tensor:
    """float32 `[n]`: rewards and, from the target network, the value of the action that the other finds best later.

    H. van Hasselt et al., arXiv:1509.06461.
    """
    wanted = torch.from_numpy(transitions.reward)
    going = np.flatnonzero(transitions.discount)
    if not len(going):
        return wanted
    device = next(network.parameters()).device
    observation = Observation.of(space, transitions.after[going]).to(device)
    best = segment_argmax(network(observation).action_value, observation.molecule, len(going))
    value = target(observation).action_value[best].float().cpu()
    wanted = wanted.clone()
    wanted[going] += torch.from_numpy(transitions.discount[going]) * value
    return wanted


def transitions_of(unroll: Unroll, steps: int, discount: float) -> Transitions:
    """All steps of an unroll as transitions over up to `steps` actions; its last ones over fewer."""
    total, last, _ = n_step(torch.from_numpy(unroll.reward), torch.from_numpy(unroll.ended), steps, discount)
    times, count = unroll.action.shape
    last = last.numpy()
    stopped = np.take_along_axis(unroll.terminated, last, 0)
    length = last - np.arange(times)[:, None] + 1
    factor = np.where(stopped, 0, discount**length).astype(np.float32)
    # After a step comes the state before the next one, or what lies beyond; after stopping nothing is asked.
    after = (np.arange(times * count) + count) % (times * count)
    after[unroll.beyond_place] = times * count + np.arange(len(unroll.beyond_place))
    place = after[(last * count + np.arange(count)).ravel()]
    states = concatenate([unroll.states, unroll.beyond])
    return Transitions(unroll.states, states[place], unroll.action.ravel(), total.numpy().ravel(), factor.ravel())


def errors_of(network: ActionNetwork, space: ActionSpace, transitions: Transitions) -> np.ndarray:
    """float32 `[n]`: on the actor, how far its own values of actions are from what came, for the first priorities."""
    with torch.no_grad():
        found = action_values(network, space, transitions.states, transitions.action).cpu()
        return (found - targets(network, network, space, transitions)).numpy()
