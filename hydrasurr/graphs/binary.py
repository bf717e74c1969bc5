"""The atoms and bonds of a molecule as feature codes, read from RDKit's binary form.

`Mol.ToBinary` writes a whole molecule in one call, in the time of about ten of the hundreds of calls that
`walk` makes. Its layout (RDKit's MolPickler, version 16.4, one byte an index):

    header     u32 endianness, 0, major, minor, patch; u32 atoms, bonds; 2 bytes
    atom       u8 element; u8 flags (aromatic, no implicit hydrogens, ...); u32 fields; then one byte for each
               field that is there, but four for the isotope: charge, chiral tag, hybridization, explicit hydrogens,
               explicit valence, implicit hydrogens, radical electrons, isotope
    (one tag)
    bond       u8 begin, end, flags (aromatic, conjugated, ...); then what the flags say: type, direction,
               stereo with the number and indices of its atoms
    (one tag)
    rings      u32 number; then u8 size and the atoms of each

Another version, or anything here unknown (atom maps, wildcards, 256 atoms and more), is refused, for `walk` to do.
"""

from __future__ import annotations

from functools import lru_cache

from rdkit import Chem
from rdkit.Chem import rdchem

from hydrasurr.graphs.schema import MAX_RADICALS
from hydrasurr.graphs.walk import (
    CHIRALITY,
    EDGE_RING,
    EDGE_WIDTH,
    NODE_WIDTH,
    RING,
    Codes,
    bond_type_code,
    charge_code,
    chirality_code,
    stereo_code,
)

_HEADER = b"".join(word.to_bytes(4, "little") for word in (0xDEADBEEF, 0, 16, 4, 0))
_FIRST_ATOM = len(_HEADER) + 10
_END_OF_ATOMS, _END_OF_BONDS = 0x0B, 0x42
_UNKNOWN_ATOM_FLAGS, _UNKNOWN_BOND_FLAGS = 0b1001_1111, 0b1001_0001
_AROMATIC, _NO_IMPLICIT = 0b0100_0000, 0b0010_0000
_CONJUGATED, _TYPED, _DIRECTED, _STEREO = 0b0010_0000, 0b1000, 0b0100, 0b0010
_CHARGE, _CHIRAL, _HYBRIDIZATION, _EXPLICIT, _VALENCE, _IMPLICIT, _RADICALS, _ISOTOPE = (1 << k for k in range(1, 9))
_ATOM_WIDTH = [6 + (fields >> 1).bit_count() + 3 * (fields >> 8) for fields in range(512)]
"""Bytes of an atom by its fields."""
_BOND_WIDTH = [3 + (flags & (_TYPED | _DIRECTED | _STEREO)).bit_count() for flags in range(256)]
"""Bytes of a bond by its flags, up to its stereo code."""


def read(mol: Chem.Mol, codes: Codes) -> bool:
    """Append the codes of a molecule to `codes`; False, with nothing appended, if it cannot be read this way."""
    data = mol.ToBinary(0)
    if not data.startswith(_HEADER) or data[21] or data[22] or data[23]:
        return False
    nodes, hydrogens, chiral = bytearray(), bytearray(), []
    place = _FIRST_ATOM
    for index in range(data[20]):
        fields = data[place + 2] | data[place + 3] << 8
        if data[place + 1] & _UNKNOWN_ATOM_FLAGS or fields & 1 or fields >= len(_ATOM_WIDTH):
            return False
        end = place + _ATOM_WIDTH[fields]
        row, added, has_tag = _atom(data[place:end])
        nodes += row
        hydrogens.append(added)
        if has_tag:
            chiral.append(index)
        place = end
    if data[place] != _END_OF_ATOMS:
        return False
    place += 1

    edges, ends = bytearray(), bytearray()
    for _ in range(int.from_bytes(data[24:28], "little")):
        flags = data[place + 2]
        if flags & _UNKNOWN_BOND_FLAGS:
            return False
        ends += data[place : place + 2]
        end = place + _BOND_WIDTH[flags]
        edges += _bond(data[place + 2 : end])
        place = end + 1 + data[end] if flags & _STEREO else end
    if data[place] != _END_OF_BONDS:
        return False

    _mark_rings(data, place + 1, nodes, edges, ends)
    for index in chiral:
        nodes[index * NODE_WIDTH + CHIRALITY] = chirality_code(mol.GetAtomWithIdx(index))
    codes.nodes += nodes
    codes.hydrogens += hydrogens
    codes.edges += edges
    codes.ends.extend(ends)
    return True


def _mark_rings(data: bytes, place: int, nodes: bytearray, edges: bytearray, ends: bytearray) -> None:
    """Set the ring codes of atoms and bonds."""
    rings = int.from_bytes(data[place : place + 4], "little")
    if not rings:
        return
    place += 4
    bond = {pair: k for k, pair in enumerate(zip(ends[::2], ends[1::2], strict=True))}
    for _ in range(rings):
        ring = data[place + 1 : place + 1 + data[place]]
        place += 1 + len(ring)
        last = ring[-1]
        for atom in ring:
            nodes[atom * NODE_WIDTH + RING] = 1
            k = bond.get((last, atom))
            edges[(bond[atom, last] if k is None else k) * EDGE_WIDTH + EDGE_RING] = 1
            last = atom


@lru_cache(4096)
def _atom(record: bytes) -> tuple[bytes, int, bool]:
    """An atom's codes (those of its ring and chirality left 0), its hydrogens, and whether it has a chiral tag.

    Molecules have few kinds of atoms, so nearly every call is answered from the cache.
    """
    element, flags, fields = record[0], record[1], int.from_bytes(record[2:6], "little")
    rest = iter(record[6:])
    # The order of these lines is that of the bytes.
    charge = next(rest) if fields & _CHARGE else 0
    tag = next(rest) if fields & _CHIRAL else 0
    hybridization = next(rest) if fields & _HYBRIDIZATION else int(rdchem.HybridizationType.SP3)
    hydrogens = next(rest) if fields & _EXPLICIT else 0
    if fields & _VALENCE:
        next(rest)
    implicit = next(rest) if fields & _IMPLICIT else 0
    radicals = next(rest) if fields & _RADICALS else 0
    codes = (
        element,
        charge_code(charge - 256 if charge > 127 else charge),
        0,
        hybridization,
        bool(flags & _AROMATIC),
        0,
        0,
        0,
        min(radicals, MAX_RADICALS),
    )
    return bytes(codes), hydrogens if flags & _NO_IMPLICIT else hydrogens + implicit, tag != 0


@lru_cache(1024)
def _bond(record: bytes) -> bytes:
    """A bond's codes (that of its ring left 0) from its flags and what they announce."""
    flags, rest = record[0], iter(record[1:])
    bond_type = next(rest) if flags & _TYPED else 1
    if flags & _DIRECTED:
        next(rest)
    stereo = next(rest) if flags & _STEREO else 0
    return bytes((bond_type_code(bond_type), stereo_code(stereo), bool(flags & _CONJUGATED), 0))
