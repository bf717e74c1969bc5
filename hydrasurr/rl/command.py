"""`hydrasurr design`: agents that design molecules."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

app = typer.Typer(no_args_is_help=True, help="Design molecules by reinforcement learning.")

ConfigJson = Annotated[str, typer.Argument(help="The JSON file, or the name of a shipped one.", metavar="CONFIG.json")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override a key: --set frames=50000. Repeatable.")]
Out = Annotated[Path | None, typer.Option(help="Folder; default runs/NAME.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with what is in the folder, if anything.")]
Force = Annotated[bool, typer.Option("--force", help="Delete what is in the folder.")]
TimeLimit = Annotated[str | None, typer.Option(help="Checkpoint and stop after this time: 90s, 45m, 1.5h, 1-12:00:00.")]


@app.command()
def train(
    config_json: ConfigJson,
    out: Out = None,
    overrides: Overrides = None,
    resume: Resume = False,
    force: Force = False,
    time_limit: TimeLimit = None,
) -> None:
    """Train an agent by the learner that the configuration names: PPO, A3C, IMPALA or Ape-X.

    Alone it starts actors as processes of this machine; under torchrun, mpirun or srun ranks are learners, or with
    running.executor "torchrun" or "mpi" learners, actors and an evaluator. Ctrl-C and SIGTERM stop a run with a
    checkpoint; --resume goes on with it.
    """
    from hydrasurr.rl.running.config import load_design_config
    from hydrasurr.rl.running.folder import DesignFolder
    from hydrasurr.rl.running.run import run
    from hydrasurr.shipped import find
    from hydrasurr.training.stop import parse_duration

    config = load_design_config(find("run_configs", config_json), overrides)
    folder = DesignFolder(out or Path("runs") / config.name)
    limit = parse_duration(time_limit) if time_limit else None
    results = run(config, folder, resume=resume, force=force, time_limit=limit)
    if results:
        from hydrasurr.rl.running.report import write_report  # late: only the first learner needs matplotlib

        write_report(folder)
        _print_results(folder.path, results, config.top_k)


@app.command()
def loop(config_json: ConfigJson, out: Out = None, overrides: Overrides = None, force: Force = False) -> None:
    """Close the loop: an agent finds molecules, GFN2-xTB labels some of them, the surrogate learns from these.

    Each round tells what surrogate and oracle say of the best molecules; report.html and report.json have it all.
    Started again after a stop, it goes on where it was.
    """
    from hydrasurr.rl.loop.command import run_loop
    from hydrasurr.shipped import find

    print(f"wrote '{run_loop(find('run_configs', config_json), overrides, out, force)}'", file=sys.stderr)


@app.command()
def sample(
    run_dir: Annotated[
        Path, typer.Argument(help="Folder of a finished run, or its policy.safetensors.", metavar="RUN")
    ],
    count: Annotated[int, typer.Option(min=1, help="Molecules.")] = 100,
    out: Annotated[Path | None, typer.Option(help="CSV file to write; default: standard output.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn.")] = 0,
) -> None:
    """Let a trained agent design molecules, and say what they are worth."""
    from hydrasurr.rl.running.sample import sample as draw

    draw(run_dir, count, seed, out)
    if out:
        print(f"wrote '{out}'", file=sys.stderr)


@app.command()
def report(run_dir: Annotated[Path, typer.Argument(help="Folder of a run.", metavar="RUN")]) -> None:
    """Write report.html of a run again, also of one still under way."""
    from hydrasurr.rl.running.folder import DesignFolder
    from hydrasurr.rl.running.report import write_report

    print(f"wrote '{write_report(DesignFolder(run_dir))}'")


@app.command()
def study(
    config_json: Annotated[
        Path | None, typer.Argument(help="Settings that differ from the defaults.", metavar="[CONFIG.json]")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One seed and shorter runs: some minutes.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder; default runs/design_study, or runs/design_study_quick.")
    ] = None,
    overrides: Overrides = None,
    force: Annotated[bool, typer.Option("--force", help="Delete a study that is in the folder.")] = False,
) -> None:
    """Study what distribution gains and what faults cost: scaling, ablations, faults, and simulations of more ranks.

    Makes many short design runs on this machine and writes report.html and report.json. Started again after a stop, it
    goes on with the stage it was in.
    """
    from hydrasurr.rl.study.command import run_study

    folder = out or Path("runs") / ("design_study_quick" if quick else "design_study")
    print(f"wrote '{run_study(config_json, quick, overrides, folder, force)}'", file=sys.stderr)


class Kind(StrEnum):
    """What a configuration is for."""

    TRAIN = "train"
    LOOP = "loop"
    STUDY = "study"


Of = Annotated[Kind, typer.Option("--of", help="Which command's configurations.")]


@app.command()
def schema(of: Of = Kind.TRAIN) -> None:
    """Print the JSON Schema of configurations, for editors."""
    print(json.dumps(_configuration(of)[0].model_json_schema(), indent=2))


@app.command()
def check(config_json: ConfigJson, overrides: Overrides = None, of: Of = Kind.TRAIN) -> None:
    """Check a configuration and print it with all defaults filled in."""
    from hydrasurr.shipped import find

    _, load = _configuration(of)
    print(load(find("run_configs", config_json), overrides).model_dump_json(indent=2))
    print(f"'{config_json}' is valid", file=sys.stderr)


def _configuration(of: Kind) -> tuple[type[BaseModel], Callable[[Path, list[str] | None], BaseModel]]:
    """The class of a kind of configurations, and what reads one from a file."""
    match of:
        case Kind.TRAIN:
            from hydrasurr.rl.running.config import DesignConfig, load_design_config

            return DesignConfig, load_design_config
        case Kind.LOOP:
            from hydrasurr.rl.loop.config import LoopConfig, load_loop_config

            return LoopConfig, load_loop_config
    from hydrasurr.rl.study.settings import StudyConfig, load_study

    return StudyConfig, lambda path, overrides: load_study(path, False, overrides)


def _print_results(path: Path, results: dict[str, Any], top_k: int) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from hydrasurr.tables import significant

    console = Console(highlight=False)
    columns = [f"{c['name']} ({c['unit']})" if c["unit"] else c["name"] for c in results["columns"]]
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("worth", *columns):
        table.add_column(name, justify="right")
    table.add_column("molecule", overflow="fold")
    for row in results["top"][:10]:
        numbers = ["" if value is None else significant(value) for value in (row["worth"], *row["properties"])]
        table.add_row(*numbers, row["smiles"])
    console.print(table)
    mean = results[f"top_{top_k}_mean"]
    console.print(
        f"{results['molecules']:,} different molecules in {results['frames']:,} actions; the best {top_k} are worth "
        f"{'nothing' if mean is None else significant(mean)} on average"
    )
    console.print(f"molecules  {path / 'molecules.csv'}\nreport     {path / 'report.html'}", soft_wrap=True)
