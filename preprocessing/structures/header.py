"""The header of a data set of structures, from the card and what was counted on the way."""

from __future__ import annotations

import math
from functools import reduce
from itertools import combinations_with_replacement

import numpy as np

from hydrasurr.errors import ConfigError
from hydrasurr.graphs.schema import ELEMENTS, Target
from hydrasurr.graphs.structures import structure_schema
from hydrasurr.stores.info import DatasetInfo, StructureFacts
from preprocessing.header import base_facts
from preprocessing.moments import Moments
from preprocessing.structures.chunks import Composition, StructureSummary
from preprocessing.structures.scan import StructureScan


def make_info(scan: StructureScan, limit: int | None, summaries: list[StructureSummary]) -> DatasetInfo:
    """Merge the summaries in the order of the chunks, so that every crew gets the same digits.

    Raises HydrasurrError as for molecules, and if the card gives atomic energies but not of all elements.
    """
    card = scan.card
    elements = tuple(sorted({number for summary in summaries for number in summary.elements}))
    energies: dict[Composition, Moments] = {}
    for summary in summaries:
        for composition, moments in summary.energies.items():
            energies[composition] = energies[composition].merge(moments) if composition in energies else moments
    atomic, origin = _atomic_energies(scan, elements, energies)
    mean, std = energy_residuals(energies, atomic)
    labelled = sum(summary.labelled for summary in summaries).tolist()
    (force_count, force_sum), (stress_count, stress_sum) = sum(summary.squares for summary in summaries).tolist()
    targets = (Target("energy", "eV"),) if card.energy else ()
    return DatasetInfo(
        **base_facts(card, scan, limit, summaries),
        feature_schema=structure_schema(),
        targets=targets,
        statistics=tuple(
            reduce(Moments.merge, parts).statistics()
            for parts in zip(*(summary.moments for summary in summaries), strict=True)
        ),
        structures=StructureFacts(
            elements=elements,
            cutoff=card.cutoff,
            atomic_energies=atomic,
            atomic_energies_from=origin,
            labelled=dict(zip(("energy", "forces", "stress"), labelled, strict=True)),
            energy_mean=mean,
            energy_std=std,
            force_rms=math.sqrt(force_sum / max(force_count, 1)),
            stress_rms=math.sqrt(stress_sum / max(stress_count, 1)),
            r_min=_r_min(elements, reduce(np.minimum, (summary.nearest for summary in summaries))),
        ),
    )


def _r_min(elements: tuple[int, ...], nearest: np.ndarray) -> dict[str, float]:
    pairs = combinations_with_replacement(elements, 2)
    return {f"{ELEMENTS[a]}-{ELEMENTS[b]}": float(nearest[a, b]) for a, b in pairs}


def fit_atomic_energies(energies: dict[Composition, Moments]) -> dict[int, float]:
    """Energy of each element, eV, for which the energies per atom come out best (least squares).

    Where the compositions do not tell elements apart, as with one molecule alone, the smallest energies that do.
    """
    elements = sorted({number for composition in energies for number, _ in composition})
    counts = np.array([[dict(composition).get(number, 0) for number in elements] for composition in energies])
    weight = np.sqrt([moments.count for moments in energies.values()]) / counts.sum(1)
    mean = np.array([moments.mean for moments in energies.values()])
    solution, *_ = np.linalg.lstsq(counts * weight[:, None], mean * weight, rcond=None)
    return dict(zip(elements, solution.tolist(), strict=True))


def energy_residuals(energies: dict[Composition, Moments], atomic: dict[int, float]) -> tuple[float, float]:
    """Mean and standard deviation of what atomic energies leave of the energies, eV per atom."""
    residuals = Moments.of(np.empty(0))
    for composition, moments in energies.items():
        atoms = sum(count for _, count in composition)
        rest = (moments.mean - sum(count * atomic.get(number, 0.0) for number, count in composition)) / atoms
        residuals = residuals.merge(Moments(moments.count, rest, moments.squares / atoms**2, rest, rest))
    statistics = residuals.statistics()
    return statistics.mean, statistics.std


def _atomic_energies(
    scan: StructureScan, elements: tuple[int, ...], energies: dict[Composition, Moments]
) -> tuple[dict[int, float], str]:
    card = scan.card
    if not energies:
        return {}, ""
    if card.atomic_energies == "fitted":
        return fit_atomic_energies(energies), "fitted"
    if isinstance(card.atomic_energies, dict):
        given = {ELEMENTS.index(symbol): energy for symbol, energy in card.atomic_energies.items()}
        origin = "card"
    else:
        given, origin = scan.isolated, "isolated atoms"
    missing = [ELEMENTS[number] for number in elements if number not in given]
    if missing:
        raise ConfigError(f"atomic_energies: none of {', '.join(missing)}, which the structures have")
    return {number: given[number] for number in elements}, origin
