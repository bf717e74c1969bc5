"""What a scheduler is told of molecules before they are calculated: numbers that the time may depend on."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from rdkit import Chem, rdBase
from rdkit.Chem.rdMolDescriptors import CalcNumRotatableBonds

from hydrasurr.rl.scheduling.tasks import Task

POWER = 2.3
"""Of the number of atoms, that the time of an optimisation grows with; the cost model corrects it."""
SECONDS = 2e-4
"""For one atom."""


def task_of(smiles: str) -> Task:
    """A task whose id and payload are the SMILES; its features are those of `features`."""
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        return Task(smiles, smiles, (0.0, 0.0, 0.0), SECONDS)
    atoms = max(mol.GetNumAtoms(onlyExplicit=False), 1)
    return Task(smiles, smiles, features(mol), SECONDS * atoms**POWER)


def features(mol: Chem.Mol) -> tuple[float, ...]:
    """log(1 + heavy atoms), log(1 + rotatable bonds), rings."""
    rings = mol.GetRingInfo().NumRings()
    return log(1 + mol.GetNumHeavyAtoms()), log(1 + CalcNumRotatableBonds(mol)), float(rings)


def tasks_of(smiles: Sequence[str]) -> list[Task]:
    return [task_of(text) for text in smiles]
