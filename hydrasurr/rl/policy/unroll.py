"""Steps of the environment under a policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hydrasurr.rl.environment.episodes import Episodes
from hydrasurr.rl.environment.molecules import Molecules, concatenate
from hydrasurr.rl.policy.choosing import Chooser, draw
from hydrasurr.rl.policy.network import ActionNetwork
from hydrasurr.rl.policy.observation import Observation


@dataclass(frozen=True)
class Unroll:
    """`T` steps of `B` molecules, in the order of time.

    Attributes
    ----------
    states : the `T B` molecules before the steps, those of one time side by side
    beyond, beyond_place : the molecules after those steps that neither ended by stopping nor are followed by another
        one, because the episode was cut off or the unroll is over; and where these steps are among the `T B`, ascending
    action : int64 `[T, B]`, the numbers of the actions taken
    log_probability : float32 `[T, B]`, of these actions under the policy that took them
    reward : float32 `[T, B]`
    terminated, truncated : bool `[T, B]`
    objective : float64 `[T, B]`, of the molecules after the steps; NaN where it was not needed
    version : of the policy's weights
    """

    states: Molecules
    beyond: Molecules
    beyond_place: np.ndarray
    action: np.ndarray
    log_probability: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    objective: np.ndarray
    version: int = 0

    @property
    def ended(self) -> np.ndarray:
        return self.terminated | self.truncated

    @property
    def frames(self) -> int:
        return self.action.size


class Sampler:
    """Molecules in episodes, and what draws their actions.

    Parameters
    ----------
    episodes : they are reset here
    network : the policy; its weights may be changed between calls
    seed : of the actions
    choose : chooses them by what the network says
    """

    def __init__(self, episodes: Episodes, network: ActionNetwork, seed: int, choose: Chooser = draw):
        self.episodes, self.network, self.choose = episodes, network, choose
        self.seed(seed)
        episodes.reset()

    def seed(self, seed: int) -> None:
        """Draw actions anew from here on."""
        self._random = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def unroll(self, steps: int, version: int = 0) -> Unroll:
        """Go on by some steps; ended episodes begin anew."""
        episodes, device = self.episodes, next(self.network.parameters()).device
        states, beyond, places, rows = [], [], [], []
        for t in range(steps):
            legal = episodes.legal()
            choice = self.network(Observation.of(episodes.actions, episodes.molecules, legal).to(device))
            place, log_probability = self.choose(choice, self._random)
            action = legal.number[place.cpu().numpy()]
            states.append(episodes.molecules.copy())
            step = episodes.step(action)
            left = np.flatnonzero(step.truncated if t < steps - 1 else ~step.terminated)
            beyond.append(episodes.molecules[left])
            places.append(t * len(episodes) + left)
            taken = log_probability.float().cpu().numpy()
            rows.append((action, taken, step.reward, step.terminated, step.truncated, step.objective))
            if step.ended.any():
                episodes.reset(np.flatnonzero(step.ended))
        columns = (np.stack(column) for column in zip(*rows, strict=True))
        action, taken, reward, terminated, truncated, objective = columns
        return Unroll(
            states=concatenate(states),
            beyond=concatenate(beyond),
            beyond_place=np.concatenate(places),
            action=action,
            log_probability=taken,
            reward=reward.astype(np.float32),
            terminated=terminated,
            truncated=truncated,
            objective=objective,
            version=version,
        )


def side_by_side(unrolls: Sequence[Unroll]) -> Unroll:
    """Unrolls of the same number of steps as one of all their molecules."""
    if len(unrolls) == 1:
        return unrolls[0]
    steps = len(unrolls[0].action)
    counts = [one.action.shape[1] for one in unrolls]
    # By unroll, time and molecule they lie; by time, unroll and molecule they are wanted.
    parts = np.split(np.arange(steps * sum(counts)), np.cumsum([steps * count for count in counts])[:-1])
    order = np.concatenate([part.reshape(steps, -1) for part in parts], axis=1).ravel()
    lying = np.concatenate([part[one.beyond_place] for part, one in zip(parts, unrolls, strict=True)])
    wanted = order.argsort()[lying]
    ascending = wanted.argsort()
    arrays = ("action", "log_probability", "reward", "terminated", "truncated", "objective")
    return Unroll(
        states=concatenate([one.states for one in unrolls])[order],
        beyond=concatenate([one.beyond for one in unrolls])[ascending],
        beyond_place=wanted[ascending],
        **{name: np.concatenate([getattr(one, name) for one in unrolls], axis=1) for name in arrays},
        version=min(one.version for one in unrolls),
    )
