"""The first pass over files of structures: how many frames and atoms, the labels' keys, how to split."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from hydrasurr.errors import ConfigError
from hydrasurr.graphs.schema import ELEMENTS
from preprocessing.card_base import file_hashes
from preprocessing.splits import BINS, ColumnPlan, RandomPlan, SplitPlan, hash_bins
from preprocessing.structures.card import StructureCard
from preprocessing.structures.chunks import all_frames
from preprocessing.structures.frames import Frame, Raw, frame_format, parse_frame, read_frames
from preprocessing.structures.labels import energy_of, resolve_labels

_SAMPLES = 20
"""Frames of each file in which labels are looked for whatever their names."""
_NAME = re.compile(r"[^\s=]+(?==)")
_ISOLATED = 6.0
"""Angstrom: an atom with an image of itself closer than this is a crystal."""
_ADVANCE = 256
_ATOMS_IN_CHUNK, _LARGEST_CHUNK = 32_768, 1024


class Samples:
    """Frames in which labels are looked for: the first of each file, and all with a name that none before them has.

    Files are often sorted, so that some labels are only in the frames that come late.
    """

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self._names: set[str] = set()

    def offer(self, number: int, raw: Raw) -> None:
        """Take the frame, counted in its file from 1, if it is a good one and there is a reason to."""
        names = _names_in(raw)
        if number <= _SAMPLES or not names <= self._names:
            parsed = list(_parsed(raw))
            self.frames += parsed
            self._names |= names if parsed else set()


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
    samples = Samples()
    for path in card.paths if limit else ():  # labels that the card names may be in files that the limit leaves out
        for number, raw in enumerate(islice(read_frames(path, card.format), _SAMPLES), start=1):
            samples.offer(number, raw)
    histogram = np.zeros(BINS, np.int64)
    for place, raw in all_frames(card, limit):
        rows += 1
        atoms += _atoms_in(raw)
        samples.offer(place.number, raw)
        if not card.files[place.file].split:
            histogram[hash_bins([str(rows)], card.split.seed)] += 1
        if rows % _ADVANCE == 0:
            advance(_ADVANCE)
    advance(rows % _ADVANCE)
    if not rows:
        raise ConfigError(f"no frames in {', '.join(repr(str(path)) for path in card.paths)}")
    if samples.frames:
        card = resolve_labels(card, samples.frames)
    plan = ColumnPlan() if card.split.rule == "column" else RandomPlan.from_histogram(card.split, histogram)
    return StructureScan(card, rows, atoms, sha256, plan, read_isolated_atoms(card))


def some_frames(file: Path) -> list[Frame]:
    """Frames with all names in a file. Raises ConfigError if no frame is good, saying what is wrong with the first."""
    samples = Samples()
    for number, raw in enumerate(read_frames(file), start=1):
        samples.offer(number, raw)
    if not samples.frames:
        try:
            for raw in read_frames(file):
                parse_frame(raw)
        except ValueError as error:
            raise ConfigError(f"no structure can be read from '{file}': {error}") from None
        raise ConfigError(f"no structure in '{file}'")
    return samples.frames


def read_isolated_atoms(card: StructureCard) -> dict[int, float]:
    """Atomic number -> energy, eV, of the frames of one atom in the file that the card names; empty without one.

    Crystals of one atom a cell do not count.

    Raises ConfigError if the file has none, or two different energies of an element.
    """
    if card.isolated_atoms is None or card.energy is None:
        return {}
    file, energies = card.isolated_atoms, {}
    if not file.is_file():
        raise ConfigError(f"atomic_energies: no file '{file}', which is to hold a frame of each isolated atom")
    format = frame_format(file) or card.format
    for frame in (frame for raw in read_frames(file, format) for frame in _parsed(raw)):
        if len(frame.numbers) == 1 and _is_isolated(frame, card.length_scale):
            number, energy = int(frame.numbers[0]), _energy(file, card, frame)
            if not math.isnan(energy) and energies.setdefault(number, energy) != energy:
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


def _is_isolated(frame: Frame, length_scale: float) -> bool:
    """Whether no image of the only atom is near."""
    if frame.cell is None or not np.any(frame.pbc):
        return True
    vectors = np.asarray(frame.cell, np.float64)[np.broadcast_to(frame.pbc, 3).astype(bool)] * length_scale
    steps = np.stack(np.meshgrid(*[[-1, 0, 1]] * len(vectors)), -1).reshape(-1, len(vectors))
    return bool((np.linalg.norm(steps[steps.any(1)] @ vectors, axis=1) >= _ISOLATED).all())


def _energy(file: Path, card: StructureCard, frame: Frame) -> float:
    try:
        return energy_of(card, frame)
    except ValueError as error:
        raise ConfigError(f"'{file}': {error}") from None


def _names_in(raw: Raw) -> set[str]:
    """Names of values in a frame; of text, all that may be one."""
    if isinstance(raw, Frame):
        return set(raw.values)
    if not isinstance(raw, str):
        return set()
    comment = raw.split("\n", 2)[1]
    columns = re.search(r"Properties=(\S+)", comment, re.IGNORECASE)
    return {*_NAME.findall(comment), *(columns[1].split(":") if columns else ())}


def _parsed(raw: Raw) -> Iterator[Frame]:
    """The frame, if it is one."""
    try:
        yield parse_frame(raw)
    except ValueError:
        return
