"""`python -m benchmarks NAME`: measure, print a table, write it with the machine's description."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.molecules import Setting

BENCHMARKS = ("preprocess", "storage", "loading", "pna", "train", "ddp", "query", "memory", "md", "rl", "design")

app = typer.Typer(add_completion=False, help=__doc__, pretty_exceptions_enable=False)


@app.command()
def main(
    names: Annotated[list[str], typer.Argument(help=f"Any of {', '.join(BENCHMARKS)}; or 'all'.", metavar="NAME...")],
    minimal: Annotated[bool, typer.Option(help="Only show that it works: few molecules, one repeat.")] = False,
    repeats: Annotated[int, typer.Option(help="Rounds, in each of which every competitor is measured.")] = 5,
    out: Annotated[Path, typer.Option(help="Folder for NAME.json and NAME.md.")] = Path("benchmarks/results"),
    cache: Annotated[Path, typer.Option(help="Folder for data sets made to measure on.")] = Path("benchmarks/.cache"),
    simulate_ranks: Annotated[
        int | None, typer.Option(help="With 'loading': only plan an epoch of 1e9 graphs on this many ranks.")
    ] = None,
) -> None:
    import torch

    torch.set_num_threads(1)
    chosen = list(BENCHMARKS) if names == ["all"] else names
    for name in chosen:
        if name not in BENCHMARKS:
            raise typer.BadParameter(f"'{name}' is not one of {', '.join(BENCHMARKS)}, all")
    if simulate_ranks is not None and names != ["loading"]:
        raise typer.BadParameter("--simulate-ranks goes with 'loading' alone")
    setting = Setting(cache / "minimal" if minimal else cache, minimal, 1 if minimal else repeats)
    for name in chosen:
        if simulate_ranks is None:
            result = import_module(f"benchmarks.{name}").run(setting)
        else:
            result = import_module("benchmarks.plan").run(setting, simulate_ranks)
        result.show(Console())
        typer.echo(f"written to {result.save(out)}")


app()
