"""Molecules as graphs, read from RDKit's binary form: many at a time, without a Python loop over atoms.

`Mol.ToBinary` writes a whole molecule in one call, in the time of about ten of the hundreds of calls that `walk`
makes. Its layout (RDKit's MolPickler, version 16.4, one byte an index):

    header     u32 endianness, 0, major, minor, patch; u32 atoms, bonds; 2 bytes
    atom       u8 element; u8 flags (aromatic, no implicit hydrogens, ...); u32 fields; then one byte for each
               field that is there, but four for the isotope: charge, chiral tag, hybridization, explicit hydrogens,
               explicit valence, implicit hydrogens, radical electrons, isotope
    (one tag)
    bond       u8 begin, end, flags (aromatic, conjugated, ...); then what the flags say: type, direction,
               stereo with the number and indices of its atoms
    (one tag)
    rings      u32 number; then u8 size and the atoms of each

Records vary in length, so where one starts is known only from the one before: the first atoms of all molecules are
looked at together, then the second atoms, and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdchem

from hydrasurr.graphs import walk
from hydrasurr.graphs.schema import MAX_CHARGE, MAX_RADICALS
from hydrasurr.graphs.table import GraphTable, offsets_from_counts, ranges

_HEADER = np.array([0xDEADBEEF, 0, 16, 4, 0], "<u4").view(np.uint8)
_ATOMS, _BONDS, _FIRST_ATOM = len(_HEADER), len(_HEADER) + 4, len(_HEADER) + 10
_END_OF_ATOMS, _END_OF_BONDS = 0x0B, 0x42
_AROMATIC, _NO_IMPLICIT, _UNKNOWN_OF_ATOMS = 6, 5, 0b1001_1111
_CHARGE, _CHIRAL, _HYBRIDIZATION, _EXPLICIT, _IMPLICIT, _RADICALS = 1, 2, 3, 4, 6, 7
_CONJUGATED, _TYPED, _DIRECTED, _STEREO, _UNKNOWN_OF_BONDS = 5, 3, 2, 1, 0b1001_0001
"""Places of bits, but of the unknown ones, which are masks."""

_every = range(512)
_ATOM_WIDTH = np.array([6 + (fields >> 1).bit_count() + 3 * (fields >> 8) for fields in _every])
"""Bytes of an atom by its fields."""
_BEFORE = np.array([[(fields >> 1 & (1 << bit >> 1) - 1).bit_count() for fields in _every] for bit in range(8)])
"""`[bit, fields]`: how many of the fields come before the one of that bit."""
_BOND_WIDTH = np.array([3 + (flags & 0b1110).bit_count() for flags in range(256)])
"""Bytes of a bond by its flags, up to its stereo code."""
_TYPE_CODE = np.array([walk.BOND_TYPE_CODE.get(value, 0) for value in range(256)], np.uint8)
_STEREO_CODE = np.array([walk.STEREO_CODE.get(value, walk.OTHER_STEREO) for value in range(256)], np.uint8)


def read(mols: Sequence[Chem.Mol]) -> tuple[GraphTable, np.ndarray]:
    """What `walk` returns, for the molecules that can be read this way, and which these are (bool `[molecules]`).

    Others were written by another version of RDKit or have something unknown here: wildcards, atom maps, 256 atoms and
    more.
    """
    data, start = _concatenate([mol.ToBinary(0) for mol in mols])
    known = (data[start[:, None] + np.arange(len(_HEADER))] == _HEADER).all(1)
    known &= ~data[start[:, None] + [_ATOMS + 1, _ATOMS + 2, _ATOMS + 3, _BONDS + 2, _BONDS + 3]].any(1)
    atoms = np.where(known, data[start + _ATOMS], 0).astype(np.int64)
    bonds = np.where(known, data[start + _BONDS] + (data[start + _BONDS + 1].astype(np.int64) << 8), 0)

    atom, end = _records(data, start + _FIRST_ATOM, atoms, _atom_width)
    known &= data[end] == _END_OF_ATOMS
    bond, end = _records(data, end + 1, bonds, _bond_width)
    known &= data[end] == _END_OF_BONDS
    known &= ~data[end[:, None] + [2, 3, 4]].any(1)  # 256 rings
    molecule_of_atom, molecule_of_bond = (np.repeat(np.arange(len(mols)), count) for count in (atoms, bonds))
    odd = (data[atom + 1] & _UNKNOWN_OF_ATOMS) | (data[atom + 2] & 1) | (data[atom + 3] & 0xFE)
    known[molecule_of_atom[(odd | data[atom + 4] | data[atom + 5]) > 0]] = False
    known[molecule_of_bond[data[bond + 2] & _UNKNOWN_OF_BONDS > 0]] = False
    if not known.all():
        kept = [mol for mol, good in zip(mols, known.tolist(), strict=True) if good]
        return (read(kept) if kept else (walk.walk([]), None))[0], known

    table = GraphTable(
        offsets={"node": offsets_from_counts(atoms), "edge": offsets_from_counts(bonds)},
        edge_index=np.stack([data[bond], data[bond + 1]]).astype(np.int64),
        columns={"x": _nodes(data, atom), "edge_attr": _edges(data, bond)},
    )
    ring, _ = _records(data, end + 5, data[end + 1].astype(np.int64), lambda data, place: data[place] + 1)
    _mark_rings(table, data, ring, np.repeat(np.arange(len(mols)), data[end + 1]), molecule_of_bond)
    chiral = np.flatnonzero(_field(data, atom, _CHIRAL, 0))
    for node, molecule in zip(chiral.tolist(), molecule_of_atom[chiral].tolist(), strict=True):
        tagged = mols[molecule].GetAtomWithIdx(node - int(table.node_offset[molecule]))
        table.x[node, walk.CHIRALITY] = walk.chirality_code(tagged)
    return table, known


def _concatenate(binaries: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """All bytes, with some to spare at the end, and where each binary starts."""
    spare = bytes(64)
    sizes = np.array([len(binary) for binary in binaries], np.int64)
    return np.frombuffer(b"".join([*binaries, spare]), np.uint8), np.cumsum(sizes) - sizes


def _records(
    data: np.ndarray, first: np.ndarray, counts: np.ndarray, width: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Where each record of each molecule starts, molecule by molecule, and where each molecule's last one ends.

    `first` and `counts` are `[molecules]`; `width` gives the bytes of the records at some places.
    """
    by_count = np.argsort(-counts, kind="stable")
    place, falling = first[by_count], -counts[by_count]
    steps = np.arange(-falling[0] if len(falling) else 0)
    alive = np.searchsorted(falling, -steps)  # the first so many have a record at that step
    base = (np.cumsum(counts) - counts)[by_count]
    starts = np.empty(int(counts.sum()), np.int64)
    last = len(data) - 32  # a molecule that is not what it seems must not lead beyond the end
    for step, count in enumerate(alive.tolist()):
        now = place[:count]
        starts[base[:count] + step] = now
        now += width(data, now)
        np.minimum(now, last, out=now)
    end = np.empty_like(place)
    end[by_count] = place
    return starts, end


def _atom_width(data: np.ndarray, place: np.ndarray) -> np.ndarray:
    return _ATOM_WIDTH[_fields(data, place)]


def _bond_width(data: np.ndarray, place: np.ndarray) -> np.ndarray:
    flags = data[place + 2]
    width = _BOND_WIDTH[flags]
    stereo = np.flatnonzero(flags & 1 << _STEREO)
    if len(stereo):
        width[stereo] += 1 + data[place[stereo] + width[stereo]]
    return width


def _fields(data: np.ndarray, atom: np.ndarray) -> np.ndarray:
    return data[atom + 2] | (data[atom + 3] & 1).astype(np.int64) << 8


def _field(data: np.ndarray, atom: np.ndarray, bit: int, missing: int) -> np.ndarray:
    """uint8: a field of each atom."""
    fields = _fields(data, atom)
    return np.where(fields >> bit & 1, data[atom + 6 + _BEFORE[bit][fields]], np.uint8(missing))


def _nodes(data: np.ndarray, atom: np.ndarray) -> np.ndarray:
    """`x`, but for the columns of chirality and ring, which are 0."""
    x = np.zeros((len(atom), 9), np.uint8)
    flags = data[atom + 1]
    charge = _field(data, atom, _CHARGE, 0).view(np.int8)
    implicit = np.where(flags >> _NO_IMPLICIT & 1, np.uint8(0), _field(data, atom, _IMPLICIT, 0))
    x[:, walk.ELEMENT] = data[atom]
    x[:, walk.CHARGE] = np.clip(charge, -MAX_CHARGE, MAX_CHARGE) + np.int8(MAX_CHARGE)
    x[:, walk.HYBRIDIZATION] = _field(data, atom, _HYBRIDIZATION, int(rdchem.HybridizationType.SP3))
    x[:, walk.AROMATIC] = flags >> _AROMATIC & 1
    x[:, walk.ATTACHED] = _field(data, atom, _EXPLICIT, 0) + implicit
    x[:, walk.RADICALS] = np.minimum(_field(data, atom, _RADICALS, 0), MAX_RADICALS)
    return x


def _edges(data: np.ndarray, bond: np.ndarray) -> np.ndarray:
    """`edge_attr`, but for the ring column, which is 0."""
    edge_attr = np.zeros((len(bond), 4), np.uint8)
    flags = data[bond + 2]
    typed, directed, stereo = (flags >> bit & 1 for bit in (_TYPED, _DIRECTED, _STEREO))
    edge_attr[:, walk.BOND_TYPE] = _TYPE_CODE[np.where(typed, data[bond + 3], np.uint8(1))]
    edge_attr[:, walk.STEREO] = _STEREO_CODE[np.where(stereo, data[bond + 3 + typed + directed], np.uint8(0))]
    edge_attr[:, walk.CONJUGATED] = flags >> _CONJUGATED & 1
    return edge_attr


def _mark_rings(
    table: GraphTable, data: np.ndarray, ring: np.ndarray, molecule_of_ring: np.ndarray, molecule_of_bond: np.ndarray
) -> None:
    """Set the ring columns; `ring` holds the places of the rings."""
    sizes = data[ring].astype(np.int64)
    offset = offsets_from_counts(sizes)
    atom = data[ranges(ring + 1, sizes)].astype(np.int64)
    molecule = np.repeat(molecule_of_ring, sizes)
    table.x[table.node_offset[molecule] + atom, walk.RING] = 1
    before = np.roll(atom, 1)
    before[offset[:-1]] = atom[offset[1:] - 1]

    def key(molecule: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        return molecule << 16 | np.minimum(begin, end) << 8 | np.maximum(begin, end)

    bonds = key(molecule_of_bond, *table.edge_index)
    table.edge_attr[:, walk.BOND_RING] = np.isin(bonds, key(molecule, before, atom), kind="sort")
