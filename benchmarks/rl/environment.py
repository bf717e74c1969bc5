"""Steps of the environment against RDKit's enumeration of all next molecules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.measure import interleaved
from benchmarks.molecules import Setting
from benchmarks.result import Bar, Result
from benchmarks.rl.drugs import SIZES, drugs
from benchmarks.rl.peer_environment import PeerEnvironment, successors
from benchmarks.rl.rows import add_rates
from hydrasurr.rl.environment.actions import ActionSpace
from hydrasurr.rl.environment.episodes import EpisodeConfig, Episodes
from hydrasurr.rl.environment.gym import MoleculeEnv, MoleculeVectorEnv
from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.environment.rules import Rules
from hydrasurr.rl.environment.smiles import from_smiles, to_smiles

BATCH = 64
PEER = "RDKit enumeration"
MANY = f"MoleculeVectorEnv of {BATCH}"


def steps(result: Result, setting: Setting) -> None:
    """Random allowed actions but stopping, which are told anew at each step; what molecules are worth costs nothing."""
    starts = {"drug-size": (drugs(64), 20), "carbon": (["C"], 40)}
    for name, (smiles, length) in starts.items():
        cases = _cases(setting, EpisodeConfig.model_validate({"start": {"smiles": smiles}, "max_steps": length}))
        timing = interleaved(cases, setting.repeats)
        add_rates(result, f"environment, {name}", timing, "steps")
        ratio = {by: times.over(timing[PEER], "cpu") for by, times in timing.items()}
        if name == "drug-size":
            result.bars += [
                Bar(f"environment, {name}: MoleculeEnv / {PEER}", ratio["MoleculeEnv"], 10),
                Bar(f"environment, {name}: {MANY} / {PEER}", ratio[MANY], 50),
            ]
        told = ", ".join(f"{by} {times:.0f}x" for by, times in ratio.items() if by != PEER)
        result.notes.append(f"environment, {name}, {length} steps an episode, against {PEER}: {told}")
    checked = require_same_choice(starts["drug-size"][0][: setting.size(20, 1)], Rules())
    result.notes.append(
        f"environment: drug-size molecules have {SIZES[0]} to {SIZES[-1]} heavy atoms; from {checked} of them one step "
        "leads to the same molecules on both sides. MoleculeEnv also writes the SMILES of each state; learners use "
        "Episodes"
    )


def require_same_choice(smiles: list[str], rules: Rules) -> int:
    """How many molecules were compared. Raises AssertionError if RDKit finds other next molecules than ActionSpace."""
    space, molecules = ActionSpace(rules), from_smiles(smiles, rules.max_atoms)
    for m, text in enumerate(smiles):
        numbers = space.legal(molecules[m : m + 1]).number[1:]  # all but stopping
        after = molecules[np.full(len(numbers), m)]
        space.apply(after, numbers)
        assert set(to_smiles(after)) == successors(text, rules), f"other molecules can follow on {text}"
    return len(smiles)


def _cases(setting: Setting, config: EpisodeConfig) -> dict[str, Callable[[], int]]:
    few, steps = setting.size(40, 1), setting.size(400, 4)
    return {
        PEER: _enumerating(config, few),
        "MoleculeEnv": _one(config, steps),
        "Episodes of 1": _episodes(config, 1, steps),
        MANY: _many(config, few),
        f"Episodes of {BATCH}": _episodes(config, BATCH, few),
    }


def worthless(molecules: Molecules) -> np.ndarray:
    """An objective that costs nothing."""
    return np.zeros(len(molecules))


def _enumerating(config: EpisodeConfig, steps: int) -> Callable[[], int]:
    environment = PeerEnvironment(config.rules, list(config.start.smiles))

    def case() -> int:
        for step in range(steps):
            if step % config.max_steps == 0:
                environment.reset()
            environment.random_step()
        return steps

    return case


def _episodes(config: EpisodeConfig, count: int, steps: int) -> Callable[[], int]:
    episodes, random = Episodes(config, worthless, count), np.random.default_rng(0)

    def case() -> int:
        episodes.reset()
        for _ in range(steps):
            legal = episodes.legal()
            step = episodes.step(legal.number[legal.offset[:-1] + _not_first(legal.counts, random)])
            if step.ended.any():
                episodes.reset(np.flatnonzero(step.ended))
        return steps * count

    return case


def _one(config: EpisodeConfig, steps: int) -> Callable[[], int]:
    environment, random = MoleculeEnv(config, worthless), np.random.default_rng(0)

    def case() -> int:
        observation, _ = environment.reset()
        for _ in range(steps):
            action = random.choice(np.flatnonzero(observation["action_mask"])[1:])
            observation, _, terminated, truncated, _ = environment.step(action)
            if terminated or truncated:
                observation, _ = environment.reset()
        return steps

    return case


def _many(config: EpisodeConfig, steps: int) -> Callable[[], int]:
    environment, random = MoleculeVectorEnv(config, worthless, BATCH), np.random.default_rng(0)
    size = environment.single_action_space.n

    def case() -> int:
        observation, _ = environment.reset()
        for _ in range(steps):
            molecule, number = np.divmod(np.flatnonzero(observation["action_mask"]), size)
            counts = np.bincount(molecule, minlength=BATCH)
            place = np.cumsum(counts) - counts + _not_first(counts, random)
            observation, *_ = environment.step(number[place])
        return steps * BATCH

    return case


def _not_first(counts: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One of each `counts` places by chance, but the first, which is stopping."""
    return 1 + (random.random(len(counts)) * (counts - 1)).astype(np.int64)
