"""`hydrasurr md`: molecular dynamics."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="Molecular dynamics with any potential.")


@app.command()
def run(
    config_json: Annotated[
        str, typer.Argument(help="The run's JSON file, or the name of a shipped one.", metavar="CONFIG.json")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default runs/NAME.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Override a key: --set steps=5000. Repeatable.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder, if any.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Delete a run that is in the folder.")] = False,
    time_limit: Annotated[str | None, typer.Option(help="Stop with a restart after this time: 90s, 45m, 1.5h.")] = None,
) -> None:
    """Run a structure with a potential: constant energy or temperature, with log, trajectory and restarts.

    Ctrl-C and SIGTERM stop a run cleanly; --resume goes on with it as if it had never stopped.
    """
    from hydrasurr.md.config import load_md_config
    from hydrasurr.md.folder import MDFolder
    from hydrasurr.md.run import run
    from hydrasurr.shipped import find
    from hydrasurr.training.stop import parse_duration

    config = load_md_config(find("run_configs", config_json), overrides)
    folder = MDFolder(out or Path("runs") / config.name)
    limit = parse_duration(time_limit) if time_limit else None
    _print_results(run(config, folder, resume=resume, force=force, time_limit=limit))
    print(f"wrote '{folder.path}'", file=sys.stderr)


@app.command()
def argon(
    quick: Annotated[bool, typer.Option("--quick", help="864 atoms and shorter runs: some minutes.")] = False,
    atoms: Annotated[int | None, typer.Option(help="Atoms; default 6078, or 864 with --quick.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; default runs/md_argon, or runs/md_argon_quick.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Override a key: --set fit.steps=8000. Repeatable.")
    ] = None,
    measured: Annotated[
        Path | None, typer.Option(help="A measured g(r) at 85 K to draw: two columns, Angstrom and g.", metavar="FILE")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Delete a study that is in the folder.")] = False,
) -> None:
    """Study liquid argon: Lennard-Jones, a network of its force, and the network in fewer and fewer bits.

    Makes reference trajectories (by LAMMPS where installed), fits, rounds, runs and measures, and writes report.html
    and report.json. Started again after a stop, it goes on with the stage it was in.
    """
    from hydrasurr.md.argon.report import write_report
    from hydrasurr.md.argon.settings import load_study
    from hydrasurr.md.argon.study import Study
    from hydrasurr.md.argon.summary import print_summary, read_measured

    if measured:
        read_measured(measured)  # a wrong file is told before an hour has passed
    settings = load_study(quick, atoms, overrides)
    study = Study(settings, out or Path("runs") / ("md_argon_quick" if quick else "md_argon"), force=force)
    print_summary(write_report(settings, study.folder, study.run(), measured))
    print(f"wrote '{study.folder.report}' and '{study.folder.numbers}'", file=sys.stderr)


@app.command()
def nacl(
    quick: Annotated[bool, typer.Option("--quick", help="512 ions and shorter runs: some minutes.")] = False,
    cells: Annotated[
        int | None, typer.Option(help="Cubic cells of 8 ions along each edge; default 6, or 4 with --quick.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; default runs/md_nacl, or runs/md_nacl_quick.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Override a key: --set fit.steps=8000. Repeatable.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Delete a study that is in the folder.")] = False,
) -> None:
    """Study rock salt: a network of its short-range forces over k-space, and networks in place of k-space.

    Makes reference trajectories (by LAMMPS where installed), fits, rounds, runs and measures, and writes report.html
    and report.json. Started again after a stop, it goes on with the stage it was in.
    """
    from hydrasurr.md.nacl.report import write_report
    from hydrasurr.md.nacl.settings import load_study
    from hydrasurr.md.nacl.study import Study
    from hydrasurr.md.nacl.summary import print_summary

    settings = load_study(quick, cells, overrides)
    study = Study(settings, out or Path("runs") / ("md_nacl_quick" if quick else "md_nacl"), force=force)
    print_summary(write_report(settings, study.folder, study.run()))
    print(f"wrote '{study.folder.report}' and '{study.folder.numbers}'", file=sys.stderr)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configurations of runs, for editors."""
    import json

    from hydrasurr.md.config import MDConfig

    print(json.dumps(MDConfig.model_json_schema(), indent=2))


def _print_results(results: dict[str, Any]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from hydrasurr.tables import significant

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("", "mean", "error", "unit"):
        table.add_column(name, justify="left" if name in ("", "unit") else "right")
    for name, value in results.items():
        if isinstance(value, dict):
            table.add_row(name, significant(value["mean"]), significant(value["error"]), value["unit"])
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{results['time_ps']:,.6g} ps, {significant(results['ns_per_day'])} ns/day")
    for guard in results["close_pairs"]:
        if guard["below"]:
            console.print(
                f"[yellow]{guard['below']:,} of {guard['seen']:,} pairs were closer than the potential was trained "
                f"for; the closest {guard['smallest']:.4g} Angstrom[/]",
                soft_wrap=True,
            )
