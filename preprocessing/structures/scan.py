"""The first pass over files of structures: how many frames and atoms, the labels' keys, how to split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from hydrasurr.errors import ConfigError
from hydrasurr.graphs.schema import ELEMENTS
from preprocessing.card_base import file_hashes
from preprocessing.splits import BINS, ColumnPlan, RandomPlan, SplitPlan, hash_bins
from preprocessing.structures.card import FrameFormat, StructureCard
from preprocessing.structures.chunks import all_frames
from preprocessing.structures.frames import Frame, Raw, parse_frame, read_frames
from preprocessing.structures.labels import resolve_labels

_SAMPLES = 20
"""Frames of each file in which labels are looked for."""
_ADVANCE = 256
_ATOMS_IN_CHUNK, _LARGEST_CHUNK = 32_768, 1024


@dataclass(frozen=True)
class StructureScan:
    """Facts about the files of a card.

    Attributes
    ----------
    card : with the keys of all labels
    rows : frames, good and bad, at most the limit
    atoms : in the frames that could be counted
    sha256 : of each file, by its name
    plan : for the frames of files without a split of their own
    isolated : energy of each element, eV, if the card names a file of them
    """

    card: StructureCard
    rows: int
    atoms: int
    sha256: dict[str, str]
    plan: SplitPlan
    isolated: dict[int, float]

    unit = "frames"

    @property
    def chunk_size(self) -> int:
        """Frames in a chunk: a matter of the files alone, so that every crew makes the same chunks."""
        return min(max(_ATOMS_IN_CHUNK * self.rows // max(self.atoms, 1), 1), _LARGEST_CHUNK)

    @property
    def chunks(self) -> int:
        return -(-self.rows // self.chunk_size)


def scan_structures(card: StructureCard, limit: int | None, advance: Callable[[int], None]) -> StructureScan:
    """Read all frames once, calling `advance(frames)` on the way.

    Raises ConfigError if a file is missing, unreadable, without frames, or not the one the card means, or if the
    labels are not found.
    """
    sha256 = file_hashes(card)
    rows = atoms = 0
    histogram = np.zeros(BINS, np.int64)
    for place, raw in all_frames(card, limit):
        rows += 1
        atoms += _atoms_in(raw)
        if not card.files[place.file].split:
            histogram[hash_bins([str(rows)], card.split.seed)] += 1
        if rows % _ADVANCE == 0:
            advance(_ADVANCE)
    advance(rows % _ADVANCE)
    if not rows:
        raise ConfigError(f"no frames in {', '.join(repr(str(path)) for path in card.paths)}")
    samples = [frame for path in card.paths for frame in sample_frames(path, card.format)]
    if samples:
        card = resolve_labels(card, samples)
    plan = ColumnPlan() if card.split.rule == "column" else RandomPlan.from_histogram(card.split, histogram)
    return StructureScan(card, rows, atoms, sha256, plan, read_isolated_atoms(card))


def sample_frames(file: Path, format: FrameFormat | None) -> list[Frame]:
    """The good ones of the first frames of a file, in which labels are looked for."""
    return [frame for raw in islice(read_frames(file, format), _SAMPLES) for frame in _parsed(raw)]


def some_frames(file: Path) -> list[Frame]:
    """The good ones of the first frames. Raises ConfigError if there is none, saying what is wrong with the first."""
    samples = sample_frames(file, None)
    if not samples:
        try:
            for raw in read_frames(file):
                parse_frame(raw)
        except ValueError as error:
            raise ConfigError(f"no structure can be read from '{file}': {error}") from None
        raise ConfigError(f"no structure in '{file}'")
    return samples


def read_isolated_atoms(card: StructureCard) -> dict[int, float]:
    """Atomic number -> energy, eV, of the frames of one atom in the file that the card names; empty without one.

    Raises ConfigError if the file has none, or two different energies of an element.
    """
    if card.isolated_atoms is None or card.energy is None:
        return {}
    file, energies = card.isolated_atoms, {}
    if not file.is_file():
        raise ConfigError(f"atomic_energies: no file '{file}', which is to hold a frame of each isolated atom")
    for frame in (frame for raw in read_frames(file) for frame in _parsed(raw)):
        energy = frame.values.get(card.energy.key)
        if len(frame.numbers) == 1 and energy is not None:
            number, energy = int(frame.numbers[0]), float(energy) * card.energy.scale
            if energies.setdefault(number, energy) != energy:
                raise ConfigError(
                    f"'{file}': isolated {ELEMENTS[number]} has the energies {energies[number]} and {energy} eV"
                )
    if not energies:
        raise ConfigError(f"'{file}': no frame of a single atom with an energy '{card.energy.key}'")
    return energies


def _atoms_in(raw: Raw) -> int:
    if isinstance(raw, Frame):
        return len(raw.numbers)
    return int(raw[: raw.index("\n")]) if isinstance(raw, str) else 0


def _parsed(raw: Raw) -> Iterator[Frame]:
    """The frame, if it is one."""
    try:
        yield parse_frame(raw)
    except ValueError:
        return
