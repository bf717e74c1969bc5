"""The command `hydrasurr-preprocess`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from hydrasurr.errors import ConfigError, HydrasurrError


class _RunByDefault(TyperGroup):
    """`hydrasurr-preprocess CARD` means `hydrasurr-preprocess run CARD`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunByDefault,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Turn tables of molecules, or files of structures, into data sets of graphs. `hydrasurr-preprocess CARD` "
    "means `run CARD`.",
)
Dataset = Annotated[Path, typer.Argument(help="A data set: what a run wrote.", metavar="DATASET")]
Card = Annotated[str, typer.Argument(help="A card (JSON), its folder, or the name of a shipped data set.")]
Out = Annotated[Path | None, typer.Option(help="The data set to write; default: the card's name, here.")]
Files = Annotated[list[Path] | None, typer.Option(help="File to read instead of the card's; repeatable.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a data set that exists.")]


@app.command()
def run(
    card: Card,
    out: Out = None,
    file: Files = None,
    store: Annotated[str, typer.Option(help="bp, pickle or csv.")] = "bp",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: all cores.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only the first rows (frames).")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first bad row (frame).")] = False,
    force: Force = False,
) -> None:
    """Make the graphs of a card, with all cores or with the ranks of mpirun."""
    from hydrasurr.shipped import find
    from hydrasurr.text_table import TABLE_SUFFIXES
    from preprocessing.card import read_card
    from preprocessing.pipeline import preprocess
    from preprocessing.structures.frames import FRAME_SUFFIXES

    suffix = Path(Path(card).name.lower().removesuffix(".gz")).suffix
    if suffix in (*TABLE_SUFFIXES, *FRAME_SUFFIXES) and suffix != ".json":
        what = "a table" if suffix in TABLE_SUFFIXES else "a file of structures"
        raise ConfigError(f"'{card}' is {what}; draft a card for it first: hydrasurr-preprocess card {card} --help")
    loaded = read_card(find("datasets", card))
    if file:
        loaded = loaded.with_files(file)
    try:
        outcome = preprocess(loaded, out, kind=store, workers=workers, limit=limit, strict=strict, force=force)
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        raise typer.Exit(130) from None
    if outcome is not None:
        from preprocessing.report import print_outcome

        print_outcome(outcome)


@app.command()
def inspect(
    dataset: Dataset, json: Annotated[bool, typer.Option("--json", help="The header as JSON.")] = False
) -> None:
    """Show what is in a data set."""
    from hydrasurr.stores import open_store
    from preprocessing.report import print_dataset

    store = open_store(dataset)
    if json:
        print(store.info.model_dump_json(indent=1))
    else:
        print_dataset(dataset, store.info)


@app.command()
def verify(dataset: Dataset) -> None:
    """Read everything and compare with the checksums."""
    from hydrasurr.stores import open_store
    from preprocessing.progress import show_progress
    from preprocessing.verify import verify_store

    graphs = sum(open_store(dataset).info.graphs.values())
    with show_progress("verify", graphs, unit="graphs") as progress:
        report = verify_store(dataset, progress.advance)
    if report.damages:
        lines = [f"'{dataset}' is damaged, preprocess it again:", *map(str, report.damages)]
        raise HydrasurrError("\n  ".join(lines))
    how = "match their checksums" if report.checksums else "can be read; this kind of store has no checksums"
    print(f"'{dataset}': all {report.graphs:,} graphs in {report.blocks:,} blocks {how}")


@app.command()
def convert(
    source: Dataset,
    destination: Annotated[Path, typer.Argument(help="The data set to write.")],
    store: Annotated[str, typer.Option(help="bp, pickle or csv.")],
    force: Force = False,
) -> None:
    """Copy a data set to another kind of store."""
    from hydrasurr.stores import open_store
    from preprocessing.convert import convert_store
    from preprocessing.progress import show_progress

    graphs = sum(open_store(source).info.graphs.values())
    with show_progress("convert", graphs, unit="graphs") as progress:
        convert_store(source, destination, store, force, progress.advance)
    print(f"data set: {destination}")


@app.command()
def card(
    file: Annotated[
        Path,
        typer.Argument(help="A table (CSV, TSV, .smi) or structures (.xyz, .extxyz, .npz, .db, .traj); also with .gz."),
    ],
    smiles: Annotated[str, typer.Option(help="Of a table: header of the column with the molecules.")] = "smiles",
    target: Annotated[list[str] | None, typer.Option(help="Of a table: COLUMN or COLUMN:UNIT; repeatable.")] = None,
    val: Annotated[Path | None, typer.Option(help="Of structures: a file to validate with.")] = None,
    test: Annotated[Path | None, typer.Option(help="Of structures: a file to test with.")] = None,
    atoms: Annotated[Path | None, typer.Option(help="Of structures: a file of isolated atoms.")] = None,
    energy: Annotated[str, typer.Option(help="Of structures: name of the energy, if it is no usual one.")] = "",
    forces: Annotated[str, typer.Option(help="Of structures: name of the forces.")] = "",
    stress: Annotated[str, typer.Option(help="Of structures: name of the stress or virial.")] = "",
    out: Annotated[Path, typer.Option(help="The card to write.")] = Path("card.json"),
) -> None:
    """Write a card for a table or for structures of your own."""
    from hydrasurr.text_table import TABLE_SUFFIXES
    from preprocessing.new_card import draft_card, draft_structure_card
    from preprocessing.report import labels_and_units
    from preprocessing.structures.frames import FRAME_SUFFIXES, frame_format

    if frame_format(file) is not None:
        keys = {"energy": energy, "forces": forces, "stress": stress}
        drafted = draft_structure_card(file, val, test, atoms, out, {name: key for name, key in keys.items() if key})
        print(f"labels: {labels_and_units(drafted)}")
    elif Path(file.name.lower().removesuffix(".gz")).suffix in TABLE_SUFFIXES:
        draft_card(file, smiles, target or [], out)
    else:
        known = ", ".join((*TABLE_SUFFIXES, *FRAME_SUFFIXES))
        raise ConfigError(f"cannot tell the format of '{file}' by its name; known are {known}, text also with .gz")
    print(f"card: {out}\nnext: hydrasurr-preprocess {out}")


def _fail(message: object) -> NoReturn:
    from rich.console import Console
    from rich.text import Text

    from hydrasurr.launcher import MPI, discover

    if discover(launchers=MPI).is_root:  # an error that all ranks know; one says it
        Console(stderr=True).print(Text(f"error: {message}", style="red"), soft_wrap=True)
    sys.exit(1)


def main() -> None:
    """Entry point: errors of the user in red without a traceback; SIGTERM cleans up as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        app()
    except HydrasurrError as error:
        _fail(error)
