"""The environment as Gymnasium knows it: one molecule, and many."""

from __future__ import annotations

from typing import Any

import numpy as np

from hydrasurr.errors import missing_extra
from hydrasurr.rl.environment.actions import NOTHING
from hydrasurr.rl.environment.episodes import EpisodeConfig, Episodes, Objective, Step
from hydrasurr.rl.environment.smiles import to_smiles

try:
    import gymnasium
    from gymnasium import spaces
    from gymnasium.vector import AutoresetMode, VectorEnv
    from gymnasium.vector.utils import batch_space
except ImportError as error:
    raise missing_extra(error.name or "gymnasium", "rl") from error

Observation = dict[str, np.ndarray]
ALL = slice(None)


def observation_space(episodes: Episodes) -> spaces.Dict:
    """One molecule, as in `Molecules`, and the mask of its actions."""
    atoms = episodes.config.rules.max_atoms
    return spaces.Dict(
        {
            "element": spaces.Box(0, 118, (atoms,), np.uint8),
            "charge": spaces.Box(-8, 8, (atoms,), np.int8),
            "hydrogens": spaces.Box(0, 8, (atoms,), np.int8),
            "bond": spaces.Box(0, 3, (atoms, atoms), np.int8),
            "action_mask": spaces.MultiBinary(episodes.actions.size),
        }
    )


def observe(episodes: Episodes, chosen: np.ndarray | slice = ALL) -> Observation:
    """Present states, all of them or those at the places `chosen`; arrays that nobody changes later."""
    molecules = episodes.molecules[chosen]
    return {
        "element": molecules.element.copy(),
        "charge": molecules.charge.copy(),
        "hydrogens": molecules.hydrogens,
        "bond": molecules.bond.copy(),
        "action_mask": episodes.actions.mask(molecules).astype(np.int8),
    }


class MoleculeEnv(gymnasium.Env):
    """One molecule that is built step by step.

    An action is a number of `ActionSpace`; `observation["action_mask"]` says which are allowed, and
    `action_space.sample(mask=...)` draws one. One that is not allowed changes nothing but takes a step, and
    `info["illegal"]` is True. `info["smiles"]` is the molecule, and `info["objective"]` what it is worth, if asked.

    Parameters
    ----------
    config : the rules, where episodes start, how long they are, when the reward is given
    objective : what molecules are worth
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012 (Gymnasium's own name)

    def __init__(self, config: EpisodeConfig, objective: Objective, render_mode: str | None = None):
        self._episodes = Episodes(config, objective, 1)
        self.observation_space = observation_space(self._episodes)
        self.action_space = spaces.Discrete(self._episodes.actions.size)
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, dict]:
        super().reset(seed=seed)
        if seed is not None:
            self._episodes.seed(seed)
        self._episodes.reset()
        return self._observe(), self._info()

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        legal = bool(self._mask[action])
        step = self._episodes.step(np.array([action if legal else NOTHING]))
        info = self._info() | {"illegal": not legal}
        if not np.isnan(step.objective[0]):
            info["objective"] = float(step.objective[0])
        return self._observe(), float(step.reward[0]), bool(step.terminated[0]), bool(step.truncated[0]), info

    def render(self) -> str | None:
        return self._info()["smiles"] if self.render_mode == "ansi" else None

    def _observe(self) -> Observation:
        observation = {name: values[0] for name, values in observe(self._episodes).items()}
        self._mask = observation["action_mask"]
        return observation

    def _info(self) -> dict[str, Any]:
        return {"smiles": to_smiles(self._episodes.molecules)[0]}


class MoleculeVectorEnv(VectorEnv):
    """Many molecules, each in an episode of its own that begins anew in the step in which it ended.

    Of ended episodes `info["final_obs"]` and `info["final_info"]` (`smiles`, `objective`) tell as Gymnasium does:
    `info["_final_obs"]` is True where one ended. Parameters as for MoleculeEnv; `num_envs` molecules.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(self, config: EpisodeConfig, objective: Objective, num_envs: int):
        self.num_envs, self._episodes = num_envs, Episodes(config, objective, num_envs)
        self.single_observation_space = observation_space(self._episodes)
        self.single_action_space = spaces.Discrete(self._episodes.actions.size)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, dict]:
        super().reset(seed=seed)
        if seed is not None:
            self._episodes.seed(seed)
        self._episodes.reset()
        return self._observe(), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        actions = np.asarray(actions)
        legal = self._mask[np.arange(self.num_envs), actions].astype(bool)
        step = self._episodes.step(np.where(legal, actions, NOTHING))
        info: dict[str, Any] = {"illegal": ~legal}
        if step.ended.any():
            info |= self._final(step)
            self._episodes.reset(np.flatnonzero(step.ended))
        return self._observe(), step.reward, step.terminated, step.truncated, info

    def _final(self, step: Step) -> dict[str, Any]:
        """What ended episodes came to."""
        ended = np.flatnonzero(step.ended)
        last = observe(self._episodes, ended)
        observations, smiles = (np.full(self.num_envs, None, object) for _ in range(2))
        for k, place in enumerate(ended):
            observations[place] = {name: values[k] for name, values in last.items()}
        smiles[ended] = to_smiles(self._episodes.molecules[ended])
        told = {"smiles": smiles, "_smiles": step.ended, "objective": step.objective, "_objective": step.ended}
        return {"final_obs": observations, "_final_obs": step.ended, "final_info": told, "_final_info": step.ended}

    def _observe(self) -> Observation:
        observation = observe(self._episodes)
        self._mask = observation["action_mask"]
        return observation
