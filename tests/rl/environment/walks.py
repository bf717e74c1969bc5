"""Molecules to test on: real ones, and what random walks make of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hydrasurr.rl.environment.actions import ActionSpace
from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.environment.rules import Rules
from hydrasurr.rl.environment.smiles import from_smiles

STARTS = (
    "C",
    "c1ccccc1O",
    "CC(=O)N",
    "C1CC1C#N",
    "O=[N+]([O-])c1ccncc1",
    "CS(=O)(=O)C",
    "c1cc[nH]c1",
    "C[NH3+]",
    "OP(=O)(O)O",
    "C1CC2CC1CC2",
    "C1CCC2(CC1)CCO2",
    "FC(F)=C=C",
)
"""Rings fused, bridged and spiro, charges, and atoms with more than their usual valence."""
HYDRIDES = ("C[PH2]=O", "O=[PH](O)O")
"""With more hydrogens than RDKit adds by itself."""
RULES = Rules(elements=("C", "N", "O", "F", "S"), max_atoms=12, ring_sizes=(3, 4, 5, 6))


def random_walk(molecules: Molecules, rules: Rules, steps: int, seed: int) -> None:
    """Take random allowed actions, all alike likely but for stopping, which changes nothing."""
    space, random = ActionSpace(rules), np.random.default_rng(seed)
    for _ in range(steps):
        legal = space.legal(molecules)
        pick = (random.random(len(molecules)) * legal.counts).astype(int)
        space.apply(molecules, legal.number[legal.offset[:-1] + pick])


def walked(seed: int, steps: int, rules: Rules = RULES, starts: Sequence[str] = STARTS) -> Molecules:
    """What random walks of some steps make of all starts."""
    molecules = from_smiles(starts, rules.max_atoms)
    random_walk(molecules, rules, steps, seed)
    return molecules
