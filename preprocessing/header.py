"""The header of a data set, from the card and what was counted on the way."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from hydrasurr.errors import HydrasurrError
from hydrasurr.stores.info import SPLITS, DatasetInfo
from preprocessing.card import AnyCard, Card
from preprocessing.moments import Moments
from preprocessing.recipe import Scan
from preprocessing.results import ChunkSummary
from preprocessing.scan import TableScan


def make_info(card: Card, scan: TableScan, limit: int | None, summaries: list[ChunkSummary]) -> DatasetInfo:
    """Merge the summaries in the order of the chunks, so that every crew gets the same digits.

    Raises HydrasurrError if there is no graph, nothing to train on although the split was to leave some, or a target
    without values.
    """
    facts = base_facts(card, scan, limit, summaries)
    columns = zip(*(summary.moments for summary in summaries), strict=True)
    moments = [reduce(Moments.merge, parts) for parts in columns]
    for target, moment in zip(card.targets, moments, strict=True):
        if facts["graphs"]["train"] and not moment.count:
            raise HydrasurrError(f"target '{target.name}' (column '{target.column}') has no value to train on")
    return DatasetInfo(
        **facts,
        feature_schema=card.schema_of_graphs,
        targets=card.schema_of_targets,
        statistics=tuple(moment.statistics() for moment in moments),
    )


def base_facts(card: AnyCard, scan: Scan, limit: int | None, summaries: list[ChunkSummary]) -> dict[str, Any]:
    """What the headers of all kinds of data sets have. Raises HydrasurrError if there is nothing to train on."""
    sizes = sum(summary.sizes for summary in summaries)
    graphs, nodes, edges = (dict(zip(SPLITS, column, strict=True)) for column in sizes.T.tolist())
    rejected = sum(summary.rejected for summary in summaries)
    accepted = sum(graphs.values())
    what = "molecules" if card.kind == "molecules" else "structures"
    if not accepted:
        raise HydrasurrError(f"no {what}: all {scan.rows:,} {scan.unit} were rejected")
    to_train_on = card.split.rule != "column" and card.split.fractions[0] > 0
    if to_train_on and not graphs["train"]:
        raise HydrasurrError(
            f"no {what} for training: of {scan.rows:,} {scan.unit} {rejected:,} were rejected, "
            f"and the split gave the {accepted:,} others to val and test"
        )
    return {
        "name": card.name,
        "description": card.description,
        "max_nodes": card.max_atoms,
        "graphs": graphs,
        "nodes": nodes,
        "edges": edges,
        "rejected": rejected,
        "degree_histogram": _add_histograms([summary.degrees for summary in summaries]),
        "split": _split_facts(card),
        "source": _source_facts(card, scan, limit),
    }


def _add_histograms(histograms: list[np.ndarray]) -> tuple[int, ...]:
    total = np.zeros(max(map(len, histograms)), np.int64)
    for histogram in histograms:
        total[: len(histogram)] += histogram
    return tuple(total.tolist())


def _split_facts(card: AnyCard) -> dict[str, object]:
    by_column = card.split.rule == "column"
    return card.split.model_dump(mode="json", exclude={"seed", "fractions"} if by_column else {"column"})


def _source_facts(card: AnyCard, scan: Scan, limit: int | None) -> dict[str, object]:
    facts: dict[str, object] = {
        "files": [{"name": name, "sha256": sha256} for name, sha256 in scan.sha256.items()],
        scan.unit: scan.rows,
        "licence": card.licence,
        "source": card.source,
    }
    if limit is not None:
        facts["limit"] = limit
    return facts
