"""A card for files that have none yet."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hydrasurr.errors import ConfigError
from hydrasurr.files import write_text
from hydrasurr.graphs.labels import LABELS
from hydrasurr.graphs.schema import ELEMENTS
from hydrasurr.strict import parse
from preprocessing.card import Card, StructureCard
from preprocessing.rows import read_chunks
from preprocessing.structures.card import Label
from preprocessing.structures.frames import Frame
from preprocessing.structures.labels import resolve_labels
from preprocessing.structures.scan import read_isolated_atoms, some_frames
from preprocessing.structures.units import archive_scales


def draft_card(table: Path, smiles: str, targets: list[str], out: Path) -> Card:
    """Write a card for `table` to `out`. Targets are given as `COLUMN` or `COLUMN:UNIT`.

    Raises ConfigError if `out` exists, or the table lacks one of the columns.
    """
    _check(out, table)
    raw = {
        "name": _name(table),
        "description": "",
        "files": [_relative(table, out)],
        "smiles": smiles,
        "targets": [_target(text) for text in targets],
        "split": {"rule": "random", "seed": 0, "fractions": [0.94, 0.02, 0.04]},
        "licence": "",
        "source": "",
    }
    card = parse(Card, raw, out)
    next(read_chunks(card.with_files([table]), 1), None)  # complains of missing columns
    _write(raw, out)
    return card


def draft_structure_card(
    file: Path,
    val: Path | None,
    test: Path | None,
    isolated_atoms: Path | None,
    out: Path,
    keys: Mapping[str, str] | None = None,
) -> StructureCard:
    """Write a card for the structures in `file` to `out`, with the labels that are found in it, and return it.

    Frames of `file` make up for the files of `val` and `test` that are not given. `keys` has the names of labels that
    cannot be told by usual ones; units are told if the file says them.

    Raises ConfigError if `out` exists, a file cannot be read, or it is not clear what the labels are.
    """
    fixed = {split: path for split, path in (("val", val), ("test", test)) if path is not None}
    _check(out, file, *fixed.values(), *([isolated_atoms] if isolated_atoms else []))
    held_out = [0.0 if split in fixed else 0.05 for split in ("val", "test")]
    raw: dict[str, Any] = {
        "kind": "structures",
        "name": _name(file),
        "description": "",
        "files": [_relative(file, out)] + [{"path": _relative(p, out), "split": s} for s, p in fixed.items()],
        **dict.fromkeys(LABELS, ""),
        **(keys or {}),
        "atomic_energies": _relative(isolated_atoms, out) if isolated_atoms else "fitted",
        "split": {"rule": "random", "seed": 0, "fractions": [1 - sum(held_out), *held_out]},
        "licence": "",
        "source": "",
    }
    here = {"files": [str(file), *map(str, fixed.values())]}
    if isolated_atoms:
        here["atomic_energies"] = str(isolated_atoms)
    card = parse(StructureCard, raw | here, out)
    samples = [frame for path in card.paths for frame in some_frames(path)]
    card = _scaled(resolve_labels(card, samples), *archive_scales(file))
    raw |= {name: _label(getattr(card, name)) for name in LABELS}
    raw |= {} if card.length_scale == 1 else {"length_scale": card.length_scale}
    raw["description"] = _describe(samples)
    read_isolated_atoms(card)  # complains of a file without them
    _write(raw, out)
    return card


def _scaled(card: StructureCard, energy: float, length: float) -> StructureCard:
    """The card for files with these units, eV and Angstrom."""
    factors = {"energy": energy, "forces": energy / length, "stress": energy / length**3}
    if card.stress and card.stress.quantity == "virial":
        factors["stress"] = energy
    labels = {
        name: label.model_copy(update={"scale": factors[name]}) for name in LABELS if (label := getattr(card, name))
    }
    return card.model_copy(update={**labels, "length_scale": length})


def _label(label: Label | None) -> str | dict[str, Any] | None:
    """As a card has it."""
    return {"key": label.key, "scale": label.scale} if label and label.scale != 1 else label and label.key


def _check(out: Path, *files: Path) -> None:
    if out.exists():
        raise ConfigError(f"'{out}' exists; choose another --out")
    for file in files:
        if not file.is_file():
            raise ConfigError(f"no file '{file}'")


def _name(file: Path) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", file.name.split(".")[0]).lstrip("._-") or "table"


def _relative(file: Path, out: Path) -> str:
    return os.path.relpath(file.resolve(), out.resolve().parent)


def _write(raw: dict[str, Any], out: Path) -> None:
    try:
        write_text(out, json.dumps(raw, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ConfigError(f"cannot write '{out}': {error.strerror}; choose another --out") from error


def _describe(samples: list[Frame]) -> str:
    numbers = sorted({int(number) for frame in samples for number in frame.numbers})
    elements = ", ".join(ELEMENTS[number] for number in numbers if 0 < number < len(ELEMENTS))
    periodic = {bool(np.any(frame.pbc)) for frame in samples}
    kind = {(True,): "periodic", (False,): "not periodic"}.get(tuple(periodic), "periodic and not")
    return f"Structures of {elements}; {kind}"


def _target(text: str) -> dict[str, str]:
    column, _, unit = text.partition(":")
    name = re.sub(r"\s+", "_", column.strip())
    return {"name": name, "column": column, "unit": unit}
