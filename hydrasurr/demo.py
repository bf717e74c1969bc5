"""The main job on a shipped sample, as the commands a person would type."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from hydrasurr.errors import HydrasurrError

SAMPLE = "qm9_gap_5k"
MOLECULES = ("CCO", "c1ccccc1", "CC(=O)N", "C1CC1C#N", "not a molecule")


def run_demo(out: Path, training: Sequence[str] = ()) -> None:
    """Preprocess, train, evaluate and predict in the folder `out`, showing each command; `training` are further
    arguments of the training.

    Raises HydrasurrError if a command fails.
    """
    out.mkdir(parents=True, exist_ok=True)
    run = f"runs/{SAMPLE}"
    molecules = [part for smiles in MOLECULES for part in ("--smiles", smiles)]
    commands = (
        ["hydrasurr-preprocess", SAMPLE, "--force"],
        ["hydrasurr", "train", SAMPLE, "--force", *training],
        ["hydrasurr", "evaluate", run, "--split", "test", "--out", "test_predictions.csv"],
        ["hydrasurr", "predict", run, *molecules],
    )
    console = Console(stderr=True, highlight=False)
    for command in commands:
        shown = " ".join(f"'{part}'" if " " in part or "(" in part else part for part in command)
        console.print(f"\n[bold cyan]$ {shown}[/bold cyan]", soft_wrap=True)
        module = {"hydrasurr": "hydrasurr", "hydrasurr-preprocess": "preprocessing"}[command[0]]
        if subprocess.run([sys.executable, "-m", module, *command[1:]], cwd=out).returncode:
            raise HydrasurrError(f"the command failed: {shown}")
    files = (f"{SAMPLE}.bp", f"{run}/report.html", f"{run}/surrogate.safetensors", "test_predictions.csv")
    console.print("\nwritten:")
    for file in files:
        console.print(f"  {out / file}", soft_wrap=True)
