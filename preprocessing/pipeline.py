"""From a card to a data set: scan the files, plan the split, make graphs chunk by chunk, write."""

from __future__ import annotations

from pathlib import Path

from hydrasurr.errors import ConfigError, HydrasurrError, did_you_mean
from preprocessing.card import AnyCard
from preprocessing.crew import make_crew
from preprocessing.output import SUFFIXES, Outcome, Output, check_free
from preprocessing.progress import show_progress
from preprocessing.recipe import recipe_for


def preprocess(
    card: AnyCard,
    out: str | Path | None = None,
    *,
    kind: str = "bp",
    workers: int | None = None,
    limit: int | None = None,
    strict: bool = False,
    force: bool = False,
    show: bool = True,
) -> Outcome | None:
    """Turn the files of a card into a data set. Under MPI every rank calls this; rank 0 gets the Outcome.

    Parameters
    ----------
    out : the data set; by default named after the card, in the current folder
    kind : "bp", "pickle" or "csv"
    workers : processes (None: one for each available core); the content does not depend on their number
    limit : take only the first rows, or frames
    strict : the first rejected row is an error
    force : replace a data set that is there
    show : progress on stderr

    Raises HydrasurrError if anything about the input is wrong; then nothing is left behind. Ranks other than
    0 raise SystemExit instead where rank 0 has the error to tell.
    """
    if kind not in SUFFIXES:
        raise ConfigError(f"no store '{kind}'{did_you_mean(kind, SUFFIXES)}")
    if kind == "csv" and card.kind != "molecules":
        raise ConfigError("a csv store holds molecules as SMILES; structures go to --store bp, or pickle")
    out = Path(out or card.name + SUFFIXES[kind])
    recipe = recipe_for(card, limit)
    with make_crew(workers, collective=kind == "bp") as crew:
        show = show and crew.rank == 0
        crew.share(lambda: check_free(out, force))
        with show_progress("scan", None, show, recipe.unit) as progress:
            scan = crew.share(lambda: recipe.scan(progress.advance))
        work = recipe.work(scan, crew, show)
        with (
            Output(crew, kind, out, recipe) as output,
            show_progress("featurize", scan.rows, show, recipe.unit) as progress,
        ):
            for result in crew.map(work, recipe.chunks(scan), scan.chunks):
                if strict and result is not None and result.rejects:
                    files = ", ".join(f"'{path}'" for path in card.paths)
                    where = "" if card.kind == "structures" else f"{files}, "  # a frame names its file itself
                    raise HydrasurrError(f"{where}{result.rejects[0]} (strict)")
                output.add(result)
                if result is not None:
                    progress.advance(result.rows * crew.stride)
                    progress.note(output.rejected)
            outcome = output.finish(scan)
        return outcome if crew.rank == 0 else None
