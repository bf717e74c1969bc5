"""What is told of a round: how the surrogate fared against the oracle, and what the agent proposed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from hydrasurr.rl.loop.comparison import Molecule, Wanted, compare
from hydrasurr.rl.loop.dataset import flat
from hydrasurr.rl.loop.selection import Pick, diversity
from hydrasurr.rl.oracle.labelling import Labels, reasons
from hydrasurr.rl.rewards.history import History

LOOKED_AT = 10_000
"""Of more proposals than that so many are looked at, evenly spaced."""
TOP = 100
"""Best proposals whose diversity is told."""


class Proposals(NamedTuple):
    """What an agent found in a round.

    Attributes
    ----------
    count : different SMILES that the objective was asked for
    validity : part of them that RDKit reads
    uniqueness : different molecules, whatever their SMILES, as part of the valid ones
    novelty : part of these that the surrogate's data set does not have; stereochemistry does not count
    best : mean worth of the TOP best
    diversity : mean Tanimoto distance among these
    """

    count: int
    validity: float
    uniqueness: float
    novelty: float
    best: float
    diversity: float


def proposals(history: History, known: Collection[str]) -> Proposals:
    """Of a history; `known` are the molecules of the data set as by `flat`."""
    chosen = np.unique(np.linspace(0, len(history) - 1, min(len(history), LOOKED_AT)).astype(int)).tolist()
    valid = [text for place in chosen if (text := flat(history.smiles[place])) is not None]
    different = set(valid)
    best = history.top(TOP)
    readable = [text for text in best.smiles if flat(text) is not None]
    return Proposals(
        count=len(history),
        validity=len(valid) / max(len(chosen), 1),
        uniqueness=len(different) / max(len(valid), 1),
        novelty=len(different.difference(known)) / max(len(different), 1),
        best=float(best.worth.value.mean()) if len(best) else 0.0,
        diversity=diversity(readable),
    )


def chosen_molecules(history: History, picks: Sequence[Pick], column: int) -> list[Molecule]:
    """What is known of the picks before the oracle is asked; `column` as of `select`."""
    worth = history.worth
    return [
        Molecule(
            history.smiles[place],
            why,
            float(worth.value[place]),
            float(worth.properties[place, column]),
            float(worth.std[place, column]),
        )
        for place, why in picks
    ]


def with_truth(molecules: Sequence[Molecule], labels: Labels, target: str) -> list[Molecule]:
    """The molecules, in their order, with what the oracle says of the target."""
    found = dict(zip(labels.smiles, labels.entries, strict=True))
    true = dict(zip(labels.smiles, labels[target].tolist(), strict=True))
    return [
        one._replace(true=true[one.smiles] if np.isfinite(true[one.smiles]) else None, error=found[one.smiles].error)
        for one in molecules
    ]


def label_facts(labels: Labels) -> dict[str, Any]:
    """How a labelling went, as JSON."""
    failures = labels.failures
    return {
        "asked": len(labels),
        "labelled": len(labels.labelled),
        "failures": failures,
        "reasons": reasons(list(failures.values())),
        "worker_seconds": labels.seconds,
        "load": None if labels.load is None else {**asdict(labels.load), **labels.load.summary()},
    }


def comparisons(molecules: Sequence[Molecule], wanted: Wanted) -> dict[str, Any]:
    """A Comparison for each reason of being chosen, and for all together, as JSON."""
    groups: Mapping[str, list[Molecule]] = {
        why: [one for one in molecules if one.why == why] for why in dict.fromkeys(m.why for m in molecules)
    }
    return {why: compare(group, wanted)._asdict() for why, group in {**groups, "all": list(molecules)}.items()}
