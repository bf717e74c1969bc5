"""Energies, forces and stresses: under which keys they are found, and their numbers in eV and Angstrom."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from hydrasurr.errors import ConfigError, did_you_mean
from hydrasurr.graphs.labels import LABELS, as_stress, fits, is_virial, usual_keys
from hydrasurr.graphs.systems import Systems
from preprocessing.structures.card import Label, StressLabel, StructureCard
from preprocessing.structures.frames import Frame

_COMPONENTS = {"voigt": [0, 5, 4, 5, 1, 3, 4, 3, 2], "vasp": [0, 3, 5, 3, 1, 4, 5, 4, 2]}
"""Which of six numbers each of the nine components is."""


class Labels(NamedTuple):
    """Of one structure, eV and Angstrom, NaN where missing: a number, `[N, 3]`, `[3, 3]` (positive under tension)."""

    energy: float
    forces: np.ndarray
    stress: np.ndarray


def resolve_labels(card: StructureCard, samples: Iterable[Frame]) -> StructureCard:
    """The card with the keys of all labels, and None for a label that is not in the samples.

    Raises ConfigError if a key of the card is not there, if several usual ones are, or if there is no label at all.
    """
    found: dict[str, dict[str, None]] = {name: {} for name in LABELS}  # dictionaries, as sets that keep an order
    for frame in samples:
        for key, value in frame.values.items():
            for name in LABELS:
                if fits(name, len(frame.numbers), value):
                    found[name][key] = None
    labels = {name: _resolve(card, name, list(keys)) for name, keys in found.items()}
    if not any(labels.values()) and (card.energy or card.forces or card.stress):
        keys = ", ".join(dict.fromkeys(key for keys in found.values() for key in keys)) or "none"
        raise ConfigError(
            f"{_files(card)}: no energies, forces or stresses found; what could be one: {keys}. Name them in the card, "
            'say "energy": "E0" (for a new card: --energy E0), or set all three to null for structures without labels'
        )
    return card.model_copy(update=labels)


def energy_of(card: StructureCard, frame: Frame) -> float:
    """The energy of a frame, eV; NaN if it is missing. Raises ValueError if it is no number."""
    return float(_number(card.energy, frame, "energy", [()]).reshape(()))


def labels_of(card: StructureCard, frame: Frame, system: Systems) -> Labels:
    """The labels of a frame.

    Raises ValueError if one is not what it should be, or all that are wanted are missing, and StructureError for a
    stress without a cell.
    """
    atoms = system.num_atoms
    forces = _number(card.forces, frame, "forces", [(atoms, 3)])
    stress = _number(card.stress, frame, "stress", [(6,), (9,), (3, 3)])
    labels = Labels(
        energy=energy_of(card, frame),
        forces=np.full((atoms, 3), np.nan) if forces.ndim == 0 else forces,
        stress=np.full((3, 3), np.nan) if stress.ndim == 0 else _stress(card.stress, stress, system),
    )
    wanted = card.energy or card.forces or card.stress
    if wanted and all(np.isnan(label).all() for label in labels):
        raise ValueError("no energy, forces or stress")
    return labels


def _resolve(card: StructureCard, name: str, there: list[str]) -> Label | None:
    label: Label | None = getattr(card, name)
    if label is None:
        return None
    if label.key:
        if label.key not in there:
            raise ConfigError(f"{_files(card)}: no {name} called '{label.key}'{did_you_mean(label.key, there)}")
    else:
        choices = usual_keys(name, there)
        if len(choices) > 1:
            raise ConfigError(
                f"{_files(card)}: several kinds of {name}: {', '.join(choices)}; choose one in the card, "
                f'say "{name}": "{choices[0]}" (for a new card: --{name} {choices[0]})'
            )
        if not choices:
            return None
        label = label.model_copy(update={"key": choices[0]})
    if isinstance(label, StressLabel) and label.quantity is None:
        quantity = "virial" if is_virial(label.key) else "stress"
        label = label.model_copy(update={"quantity": quantity})
    return label


def _number(label: Label | None, frame: Frame, name: str, shapes: list[tuple[int, ...]]) -> np.ndarray:
    """The scaled numbers of a label, or NaN (of no dimensions) if it is missing."""
    value = None if label is None else frame.values.get(label.key)
    if value is None:
        return np.array(np.nan)
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} '{label.key}' is not a number: '{str(value)[:40]}'") from None
    if numbers.size == 1:
        numbers = numbers.reshape(())
    if numbers.shape not in shapes:
        expected = " or ".join(map(str, shapes))
        raise ValueError(f"{name} '{label.key}' has shape {numbers.shape}, expected {expected}")
    if np.isinf(numbers).any():
        raise ValueError(f"{name} '{label.key}' is infinite")
    return numbers * label.scale


def _stress(label: StressLabel, numbers: np.ndarray, system: Systems) -> np.ndarray:
    nine = numbers.take(_COMPONENTS[label.order]) if numbers.size == 6 else numbers
    return as_stress(nine.reshape(3, 3), label.key, float(system.volume[0]), virial=label.quantity == "virial")


def _files(card: StructureCard) -> str:
    return ", ".join(f"'{file.path}'" for file in card.files)
