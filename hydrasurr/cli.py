"""The command `hydrasurr`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from hydrasurr import __version__
from hydrasurr.errors import HydrasurrError
from hydrasurr.md.command import app as md_app
from hydrasurr.rl.command import app as design_app
from hydrasurr.shipped import find
from hydrasurr.surrogate.adapters.command import app as lammps_app

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train graph neural networks on data sets of molecules, and use them as surrogates.",
)
config_app = typer.Typer(no_args_is_help=True, help="Look at run configurations.")
app.add_typer(config_app, name="config")
app.add_typer(md_app, name="md")
app.add_typer(design_app, name="design")
app.add_typer(lammps_app, name="lammps")

RunJson = Annotated[str, typer.Argument(help="The run's JSON file, or the name of a shipped one.", metavar="RUN.json")]
RunDir = Annotated[Path, typer.Argument(help="A run folder or an exported model.", metavar="RUN_DIR")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override a key: --set training.epochs=3. Repeatable.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda or auto.")]


@app.command()
def train(
    run_json: RunJson,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default runs/NAME.")] = None,
    overrides: Overrides = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder, if any.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Delete a run that is in the folder.")] = False,
    time_limit: Annotated[
        str | None, typer.Option(help="Checkpoint and stop after this time: 90s, 45m, 1.5h, 1-12:00:00.")
    ] = None,
) -> None:
    """Train a run: alone, or on every rank of torchrun, mpirun or srun."""
    from hydrasurr.training.config import load_run_config
    from hydrasurr.training.folder import RunFolder
    from hydrasurr.training.run import run
    from hydrasurr.training.stop import parse_duration

    config = load_run_config(find("run_configs", run_json), overrides)
    folder = RunFolder(out or Path("runs") / config.name)
    limit = parse_duration(time_limit) if time_limit else None
    results = run(config, folder, resume=resume, force=force, time_limit=limit)
    if results:
        from hydrasurr.tables import print_results

        print_results(folder.path, results, folder.units())


@app.command()
def evaluate(
    run_dir: RunDir,
    dataset: Annotated[
        Path | None,
        typer.Argument(help="A data set, or for a force field a file of structures; default: what it was trained on."),
    ] = None,
    split: Annotated[str, typer.Option(help="train, val, test or all.")] = "all",
    out: Annotated[Path | None, typer.Option(help="Also write every prediction to this CSV file.")] = None,
    device: Device = "auto",
) -> None:
    """Compare predictions with the labels of a data set: MAE, RMSE and R2 of each target in its unit."""
    from hydrasurr.surrogate.assess import assess
    from hydrasurr.tables import print_metrics

    print_metrics(*assess(run_dir, dataset, split, out, device))


@app.command()
def predict(
    run_dir: RunDir,
    smiles: Annotated[list[str] | None, typer.Option(help="A molecule; repeatable.")] = None,
    csv: Annotated[Path | None, typer.Option(help="A table of molecules (CSV, TSV or .smi).")] = None,
    out: Annotated[Path | None, typer.Option(help="CSV file to write; default: standard output.")] = None,
    column: Annotated[str, typer.Option(help="The table's column of SMILES.")] = "smiles",
    device: Device = "auto",
) -> None:
    """Predict molecules; bad SMILES get an empty value and a reason, the order is kept."""
    from hydrasurr.surrogate.tabulate import predict_smiles, predict_table

    if bool(smiles) == bool(csv):
        raise HydrasurrError("give either --smiles (repeatable) or --csv")
    failed = (
        predict_smiles(run_dir, smiles, out, device) if smiles else predict_table(run_dir, csv, column, out, device)
    )
    if out:
        print(f"wrote '{out}'", file=sys.stderr)
    if failed:
        print(f"{failed:,} without a prediction; the column 'reason' says why", file=sys.stderr)


@app.command()
def export(
    run_dirs: Annotated[list[Path], typer.Argument(help="Run folders; several become an ensemble.", metavar="RUN_DIR")],
    out: Annotated[Path | None, typer.Option(help="The file to write; default surrogate.safetensors.")] = None,
    aot: Annotated[
        Path | None,
        typer.Option(help="In place of --out: compile a force field into this folder; needs a C++ compiler."),
    ] = None,
) -> None:
    """Write a trained model as one file for a colleague, or as native code for this machine."""
    from hydrasurr.models.package import save_package
    from hydrasurr.surrogate.predictor import load_networks

    if out and aot:
        raise HydrasurrError("give either --out, for a file of the model, or --aot, for a folder of native code")
    if aot is not None:
        from hydrasurr.surrogate.adapters.aot import export as compile_force_field

        manifest = compile_force_field(load_networks(run_dirs)[0], aot)
        print(
            f"wrote '{aot}'; over the structures tried its forces differ from PyTorch's by at most "
            f"{manifest.largest_difference:.1e} eV/A"
        )
        return
    out = out or Path("surrogate.safetensors")
    save_package(out, *load_networks(run_dirs))
    print(f"wrote '{out}' ({out.stat().st_size / 1e6:.1f} MB); use it as hydrasurr.load('{out}')")


@app.command()
def report(run_dir: RunDir) -> None:
    """Write report.html of a run again, also of one still under way."""
    from hydrasurr.training.folder import RunFolder
    from hydrasurr.training.report import write_report

    print(f"wrote '{write_report(RunFolder(run_dir))}'")


@app.command()
def scaling(
    run_json: RunJson,
    ranks: Annotated[str | None, typer.Option(help="Rank counts to measure: 1,2,4; default: as at hand.")] = None,
    network: Annotated[
        str, typer.Option(help="Forecast for perlmutter, summit, dgx-h100, measured, or a JSON file.")
    ] = "perlmutter",
    max_gpus: Annotated[int, typer.Option(min=1, help="Forecast up to so many GPUs.")] = 1024,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; default scaling/NAME.")] = None,
    overrides: Overrides = None,
    compute_ms: Annotated[
        float | None, typer.Option(min=1e-6, help="Forecast with this time of a rank's step, measured elsewhere.")
    ] = None,
    fixed_ms: Annotated[
        float | None, typer.Option(min=0, help="Part of --compute-ms that no smaller batch saves.")
    ] = None,
    global_batch: Annotated[
        int | None,
        typer.Option(min=1, help="Graphs of a step to forecast strong scaling for; default: the run's batch."),
    ] = None,
    all_reduce: Annotated[str | None, typer.Option(help="All-reduce model of the forecast: ring, tree or eq7.")] = None,
    updates: Annotated[int, typer.Option(min=1, help="Timed steps in a block.")] = 20,
    repeats: Annotated[int, typer.Option(min=2, help="Blocks, of which the median counts.")] = 5,
    warmup: Annotated[int, typer.Option(min=0, help="Steps before the first timed one.")] = 5,
    max_message_mb: Annotated[float, typer.Option(min=0.001, help="Largest message to all-reduce, in MiB.")] = 64,
) -> None:
    """Measure how a run scales on the ranks at hand, and forecast it for up to a thousand GPUs.

    Starts the ranks itself, or uses those of torchrun, mpirun or srun.
    """
    from hydrasurr.scaling.command import Options, scaling
    from hydrasurr.scaling.measure import Effort
    from hydrasurr.training.config import load_run_config

    config = load_run_config(find("run_configs", run_json), overrides)
    folder = out or Path("scaling") / config.name
    effort = Effort(warmup=warmup, updates=updates, repeats=repeats)
    options = Options(ranks, network, all_reduce, max_gpus, global_batch, compute_ms, fixed_ms, max_message_mb, effort)
    analysis = scaling(config, options, folder, sys.argv[1:])
    if analysis is not None:
        from hydrasurr.scaling.table import print_analysis

        print_analysis(analysis)
        print(f"wrote '{folder}/scaling.json', scaling.png and scaling.svg", file=sys.stderr)


@config_app.command()
def schema() -> None:
    """Print the JSON Schema of run configurations, for editors."""
    from hydrasurr.training.config import RunConfig

    print(json.dumps(RunConfig.model_json_schema(), indent=2))


@config_app.command()
def check(run_json: RunJson, overrides: Overrides = None) -> None:
    """Check a configuration and print it with all defaults filled in."""
    from hydrasurr.training.config import load_run_config

    print(load_run_config(find("run_configs", run_json), overrides).model_dump_json(indent=2))
    print(f"'{run_json}' is valid", file=sys.stderr)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to work in.")] = Path("hydrasurr_demo"),
) -> None:
    """Preprocess, train, evaluate and predict on a shipped sample of QM9, in about two minutes."""
    from hydrasurr.demo import run_demo

    run_demo(out)


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def _fail(message: object) -> NoReturn:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text(f"error: {message}", style="red"), soft_wrap=True)
    sys.exit(1)


def main() -> None:
    """Entry point: errors of the user in one red line, without a traceback."""
    try:
        app()
    except (HydrasurrError, OSError) as error:  # an OSError names the file, and no code can mend it
        _fail(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
