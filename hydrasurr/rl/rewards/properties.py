"""Properties of molecules: those that RDKit computes from the structure, and those that a trained model predicts."""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from rdkit import Chem, DataStructs
from rdkit.Chem import QED, Crippen
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

from hydrasurr.strict import Strict


class Property(Strict):
    """Base: a number for each molecule."""

    @property
    @abstractmethod
    def name(self) -> str:
        """For tables."""


class Computed(Property):
    """Base of those that RDKit computes, molecule by molecule."""

    @abstractmethod
    def of(self, mol: Chem.Mol) -> float:
        """The value of a molecule that has atoms."""

    @property
    def name(self) -> str:
        return self.type


class DrugLikeness(Computed):
    """QED, 0 to 1. G. R. Bickerton et al., Nature Chemistry 4, 90 (2012)."""

    type: Literal["qed"] = "qed"

    def of(self, mol: Chem.Mol) -> float:
        return QED.qed(mol)


class LogP(Computed):
    """Crippen's estimate of the logarithm of the octanol-water partition coefficient."""

    type: Literal["logp"] = "logp"

    def of(self, mol: Chem.Mol) -> float:
        return Crippen.MolLogP(mol)


class SyntheticAccessibility(Computed):
    """SA score, 1 (easy to make) to 10 (hard). P. Ertl, A. Schuffenhauer, J. Cheminformatics 1, 8 (2009)."""

    type: Literal["sa"] = "sa"

    def of(self, mol: Chem.Mol) -> float:
        from rdkit.Contrib.SA_Score import sascorer

        return sascorer.calculateScore(mol)


class PenalisedLogP(Computed):
    """logP less the SA score, less the atoms by which the largest ring exceeds six.

    As in MolDQN, Z. Zhou et al., Scientific Reports 9, 10752 (2019); some others standardise each of the three first.
    """

    type: Literal["penalised_logp"] = "penalised_logp"

    def of(self, mol: Chem.Mol) -> float:
        largest = max(map(len, mol.GetRingInfo().AtomRings()), default=0)
        return LogP().of(mol) - SyntheticAccessibility().of(mol) - max(largest - 6, 0)


class Similarity(Computed):
    """Tanimoto similarity to a molecule, 0 to 1, of Morgan fingerprints of radius 2 and 2,048 bits."""

    type: Literal["similarity"] = "similarity"
    to: str
    """SMILES."""

    @field_validator("to")
    @classmethod
    def _a_molecule(cls, text: str) -> str:
        mol = Chem.MolFromSmiles(text)
        if mol is None or not mol.GetNumAtoms():
            raise ValueError("RDKit reads no molecule there")
        return text

    def of(self, mol: Chem.Mol) -> float:
        return DataStructs.TanimotoSimilarity(_fingerprint_of(self.to), _fingerprint(mol))

    @property
    def name(self) -> str:
        return f"similarity to {self.to}"


_MORGAN = GetMorganGenerator(radius=2, fpSize=2048)


def _fingerprint(mol: Chem.Mol) -> DataStructs.ExplicitBitVect:
    return _MORGAN.GetFingerprint(mol)


@lru_cache
def _fingerprint_of(smiles: str) -> DataStructs.ExplicitBitVect:
    return _fingerprint(Chem.MolFromSmiles(smiles))


class Predicted(Property):
    """What a trained model predicts; an ensemble, or Gaussian heads, also say how certain that is."""

    type: Literal["surrogate"] = "surrogate"
    model: Path
    """A run folder or an exported file."""
    target: str
    """One of the model's targets."""
    device: str = "cpu"
    """"cpu", "cuda", "cuda:1", ..., or "auto": CUDA where there is one."""

    @property
    def name(self) -> str:
        return self.target


AnyProperty = Annotated[
    DrugLikeness | LogP | SyntheticAccessibility | PenalisedLogP | Similarity | Predicted,
    Field(discriminator="type"),
]
