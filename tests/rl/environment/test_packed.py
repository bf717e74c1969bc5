"""Packed molecules are the same molecules."""

from __future__ import annotations

import pickle
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.environment.packed import PackedMolecules, concatenate, pack
from hydrasurr.rl.environment.smiles import from_smiles
from tests.rl.environment.walks import STARTS, walked


def require_same(found: Molecules, expected: Molecules) -> None:
    for field in fields(Molecules):
        ours, theirs = getattr(found, field.name), getattr(expected, field.name)
        np.testing.assert_array_equal(ours, theirs, field.name, strict=True)


@given(seed=st.integers(0, 10_000), steps=st.integers(0, 60))
def test_there_and_back(seed: int, steps: int) -> None:
    molecules = walked(seed, steps)
    before = molecules.copy()
    require_same(pack(molecules).unpack(), before)
    require_same(molecules, before)


@pytest.mark.parametrize("max_atoms", [12, 13, 38, 64, 65, 250])
def test_any_size(max_atoms: int) -> None:
    """Also where the last byte of bonds and the last word of bits are full, and where they are not."""
    molecules = from_smiles([*STARTS, "C" * max_atoms, "C1" + "C" * (max_atoms - 2) + "C1"], max_atoms)
    packed = pack(molecules)
    require_same(packed.unpack(), molecules)
    assert packed.rows.shape[1] <= 1 + 4 * max_atoms + max_atoms * (max_atoms - 1) / 8 + 1
    chain, ring = (molecules[[k]] for k in (-2, -1))
    apart = np.abs(np.subtract.outer(np.arange(max_atoms), np.arange(max_atoms)))
    np.testing.assert_array_equal(chain.distance[0], apart)
    np.testing.assert_array_equal(ring.distance[0], np.minimum(apart, max_atoms - apart))
    assert not chain.ring.any() and (ring.ring == (ring.bond > 0)).all()


def test_bonds_are_two_bits() -> None:
    """The order of the pairs (0, 1), (0, 2), ... from the lowest bits of the first byte on."""
    row = pack(from_smiles(["C=C=C=C"], 4)).rows[0]
    assert row.tolist() == [4, *[6] * 4, *[0] * 4, *[4] * 4, *[4] * 4, 2 | 2 << 6, 2 << 2]


def test_as_molecules_are_handled() -> None:
    molecules = walked(7, 30)
    packed, some, mask = pack(molecules), np.array([3, 0, 3]), np.arange(len(molecules)) % 2 == 0
    for chosen in (some, mask, slice(2, 5)):
        require_same(packed[chosen].unpack(), molecules[chosen])
    assert len(packed) == len(molecules)
    np.testing.assert_array_equal(packed.count, molecules.count)
    packed[np.array([0, 1])] = packed[np.array([4, 5])]
    packed[6:8].rows[:] = packed[8:10].rows  # a slice is a view
    changed = molecules[np.array([4, 5, 2, 3, 4, 5, 8, 9])]
    require_same(packed[:8].unpack(), changed)
    joined = concatenate([packed[:2], packed[some]])
    require_same(joined.unpack(), changed[np.array([0, 1, 3, 0, 3])])


def test_nothing_and_none() -> None:
    require_same(PackedMolecules.empty(3, 5).unpack(), Molecules.empty(3, 5))
    require_same(PackedMolecules.empty(0, 5).unpack(), Molecules.empty(0, 5))
    require_same(pack(Molecules.empty(2, 6)).unpack(), Molecules.empty(2, 6))


def test_sent_to_others() -> None:
    molecules = from_smiles(STARTS, 38)
    packed = pack(molecules)
    sent = pickle.dumps(packed, pickle.HIGHEST_PROTOCOL)
    require_same(pickle.loads(sent).unpack(), molecules)
    assert len(sent) < len(pickle.dumps(molecules, pickle.HIGHEST_PROTOCOL)) / 12
