"""Which split a molecule belongs to: decided by the molecule and a plan, not by its place in the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

import numpy as np

from preprocessing.card import SplitRule

BINS = 1 << 20
"""Resolution of the random split: the hashes are sorted into this many bins."""
_SHIFT = np.uint64(64 - 20)
_NAMES = {"train": 0, "val": 1, "valid": 1, "validation": 1, "test": 2}
UNKNOWN = 255


class SplitPlan(Protocol):
    """Numbers of splits: 0 train, 1 val, 2 test, UNKNOWN none."""

    def assign(self, smiles: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        """uint8 `[n]`: the split of each molecule, given its SMILES and the cell of the split column."""
        ...


def hash_texts(texts: Iterable[str], seed: int) -> np.ndarray:
    """uint64 `[n]`: a hash of each text, keyed by the seed, the same on every machine."""
    key = seed.to_bytes(8, "little")
    digests = b"".join([blake2b(text.encode(), digest_size=8, key=key).digest() for text in texts])
    return np.frombuffer(digests, "<u8")


def hash_bins(smiles: Iterable[str], seed: int) -> np.ndarray:
    """int64 `[n]`: the bin, of `BINS`, of each SMILES; surrounding blanks do not count."""
    return (hash_texts((text.strip() for text in smiles), seed) >> _SHIFT).astype(np.int64)


@dataclass(frozen=True)
class RandomPlan:
    """Hashes below `bounds[0]` are train, below `bounds[1]` val, the others test."""

    seed: int
    bounds: tuple[int, int]

    @classmethod
    def from_histogram(cls, rule: SplitRule, histogram: np.ndarray) -> RandomPlan:
        """Put the bounds where the cumulated counts (int64 `[BINS]`) come nearest to the fractions."""
        cumulated = np.concatenate([[0], np.cumsum(histogram)])
        wanted = np.cumsum(rule.fractions[:2]) * cumulated[-1]
        above = np.searchsorted(cumulated, wanted).clip(1, BINS)
        nearer_below = wanted - cumulated[above - 1] < cumulated[above] - wanted
        first, second = (above - nearer_below).tolist()
        return cls(rule.seed, (first, second))

    def assign(self, smiles: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        return np.searchsorted(self.bounds, hash_bins(smiles, self.seed), side="right").astype(np.uint8)


@dataclass(frozen=True)
class ScaffoldPlan:
    """Split of each scaffold hash: sorted uint64 `[S]` and uint8 `[S]`."""

    seed: int
    hashes: np.ndarray
    splits: np.ndarray

    @classmethod
    def from_counts(cls, rule: SplitRule, hashes: np.ndarray, counts: np.ndarray) -> ScaffoldPlan:
        """Fill train, val and test with whole groups, the largest first, equal ones in the order of hashes.

        A group that no longer fits goes to the next split with room, as is usual for scaffold splits.
        """
        total = int(counts.sum())
        train_end, val_end = (total * part for part in (rule.fractions[0], sum(rule.fractions[:2])))
        splits = np.empty(len(hashes), np.uint8)
        train = val = 0
        for group in np.lexsort((hashes, -counts)).tolist():
            size = int(counts[group])
            if train + size <= train_end:
                splits[group], train = 0, train + size
            elif train + val + size <= val_end:
                splits[group], val = 1, val + size
            else:
                splits[group] = 2
        return cls(rule.seed, hashes, splits)

    def assign(self, smiles: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        wanted = scaffold_hashes(smiles, self.seed)
        place = np.searchsorted(self.hashes, wanted).clip(max=len(self.hashes) - 1)
        return np.where(self.hashes[place] == wanted, self.splits[place], UNKNOWN).astype(np.uint8)


class ColumnPlan:
    """The split is what a column of the table says, in capitals or not."""

    def assign(self, smiles: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        return np.array([_NAMES.get(label.strip().lower(), UNKNOWN) for label in labels], np.uint8)


def scaffold_hashes(smiles: Sequence[str], seed: int) -> np.ndarray:
    """uint64 `[n]`: hash of the Bemis-Murcko scaffold (J. Med. Chem. 39, 2887 (1996)) of each SMILES.

    Molecules without rings have the empty scaffold in common; SMILES that RDKit refuses count as such.
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

    with rdBase.BlockLogs():
        mols = (Chem.MolFromSmiles(text) for text in smiles)
        return hash_texts(("" if mol is None else MurckoScaffoldSmiles(mol=mol) for mol in mols), seed)
