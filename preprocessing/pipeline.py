"""From a card to a data set: scan the table, plan the split, featurize chunk by chunk, write."""

from __future__ import annotations

from pathlib import Path

from hydrasurr.errors import ConfigError, HydrasurrError, did_you_mean
from preprocessing.card import Card
from preprocessing.chunks import FeaturizeChunk, RejectedRow
from preprocessing.crew import make_crew
from preprocessing.output import SUFFIXES, Outcome, Output, check_free
from preprocessing.progress import show_progress
from preprocessing.rows import read_chunks
from preprocessing.scan import make_plan, scan_table


def preprocess(
    card: Card,
    out: str | Path | None = None,
    *,
    kind: str = "bp",
    workers: int | None = None,
    limit: int | None = None,
    strict: bool = False,
    force: bool = False,
    show: bool = True,
) -> Outcome | None:
    """Turn the table of a card into a data set. Under MPI every rank calls this; rank 0 gets the Outcome.

    Parameters
    ----------
    out : the data set; by default named after the card, in the current folder
    kind : "bp", "pickle" or "csv"
    workers : processes (None: one for each available core); the content does not depend on their number
    limit : take only the first rows
    strict : the first rejected row is an error
    force : replace a data set that is there
    show : progress on stderr

    Raises HydrasurrError if anything about the input is wrong; then nothing is left behind. Ranks other than
    0 raise SystemExit instead where rank 0 has the error to tell.
    """
    if kind not in SUFFIXES:
        raise ConfigError(f"no store '{kind}'{did_you_mean(kind, SUFFIXES)}")
    out = Path(out or card.name + SUFFIXES[kind])
    with make_crew(workers, collective=kind == "bp") as crew:
        show = show and crew.rank == 0
        crew.share(lambda: check_free(out, force))
        with show_progress("scan", None, show) as progress:
            scan = crew.share(lambda: scan_table(card, limit, progress.advance))
        with show_progress("scaffolds", scan.rows, show and card.split.rule == "scaffold") as progress:
            plan = make_plan(card, scan, crew, limit, progress.advance)
        chunks = read_chunks(card, scan.chunk_size, limit)
        with (
            Output(crew, kind, out, card.schema_of_graphs) as output,
            show_progress("featurize", scan.rows, show) as progress,
        ):
            for result in crew.map(FeaturizeChunk(card, plan), chunks, scan.chunks):
                if strict and result is not None and result.rejects:
                    raise _strict_error(card, result.rejects[0])
                output.add(result)
                if result is not None:
                    progress.advance(result.rows * crew.stride)
                    progress.note(output.rejected)
            outcome = output.finish(card, scan, limit)
        return outcome if crew.rank == 0 else None


def _strict_error(card: Card, reject: RejectedRow) -> HydrasurrError:
    files = ", ".join(f"'{file}'" for file in card.files)
    return HydrasurrError(f"{files}, row {reject.row}, '{reject.smiles}': {reject.reason} (strict)")
