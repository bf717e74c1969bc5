"""All parts, each in a process of its own and within its time; a part that fails does not hide the others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from benchmarks.result import Bar, Result

LIMITS = {"correctness": 50, "training, width 55": 190, "training, width 200": 180, "query": 50, "forces": 60}
"""Seconds for each part, of `benchmarks.gpu.part`."""
COLUMNS = ("measured", "width", "batch", "atoms", "network", "graphs/s", "ms a step", "GPU busy", "peak MiB")
SKIPPED_IN_MINIMAL = ("training, width 200",)


def main(
    file: Annotated[Path, typer.Argument(help="Molecules, from `python -m benchmarks.gpu.file`.")],
    device: Annotated[str, typer.Option(help="cuda, or cpu for a dry run.")] = "cuda",
    minimal: Annotated[bool, typer.Option(help="Only show that it works.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("benchmarks/results"),
) -> None:
    """Correctness and speed on a GPU. Exits with 1 if anything is not correct."""
    start = time.monotonic()
    dry = device == "cpu"
    if not dry and not torch.cuda.is_available():
        raise typer.BadParameter("torch finds no CUDA device here; '--device cpu' makes a dry run")
    result = Result(
        "gpu_dry_run" if dry else "gpu",
        "a dry run on the CPU: nothing here was measured on a GPU"
        if dry
        else "PNA, 6 layers with bond features, fp32, on one GPU, against the same network of PyG's PNAConv; forces of "
        "the pair network and of PaiNN, and neighbour search",
        minimal=minimal or dry,
        command="benchmarks/gpu.sh",
    )
    findings: list[tuple[str, Any]] = []
    for part, limit in LIMITS.items():
        if not (minimal and part in SKIPPED_IN_MINIMAL):
            typer.echo(f"{part} (at most {limit} s) ...", err=True)
            findings += run_part(part, limit, file, device, minimal)
    checks = [value for kind, value in findings if kind == "check"]
    rows = [value for kind, value in findings if kind == "row"]
    result.rows = [{column: row.get(column, "") for column in COLUMNS} for row in rows]
    result.bars = bars(result.rows)
    result.notes = [value for kind, value in findings if kind == "note"]
    result.notes += [check_note(check) for check in checks]
    result.notes.append(
        "GPU busy: time in kernels (CUPTI, without copies) of the steps on ready batches, over the time that as many "
        "graphs took without the profiler; peak MiB: memory of a step above weights, optimizer and batches"
    )
    result.notes.append(f"{time.monotonic() - start:.0f} s in all")
    result.show(Console())
    typer.echo(f"written to {result.save(out)}")
    if not checks or not all(check["ok"] for check in checks):
        raise typer.Exit(1)


def run_part(part: str, limit: float, file: Path, device: str, minimal: bool) -> list[tuple[str, Any]]:
    """What a part found: (kind, value) pairs; that it failed or was stopped is the last one."""
    with tempfile.TemporaryDirectory() as folder:
        journal, log = Path(folder) / "journal", Path(folder) / "log"
        command = [sys.executable, "-m", "benchmarks.gpu.part", part, str(file), device, str(journal)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command + ["--minimal"] * minimal, stdout=output, stderr=output, start_new_session=True
            )
            try:
                status = process.wait(limit)
                problem = f"ended with status {status}" if status else ""
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # with its workers
                process.wait()
                problem = f"was stopped after {limit} s"
        lines = journal.read_text().splitlines() if journal.exists() else []
        found = [item for line in lines for item in json.loads(line).items()]
        if problem:
            last = " / ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
            found.append(("note", f"the part '{part}' {problem}: {last}"))
        return found


def bars(rows: list[dict[str, Any]]) -> list[Bar]:
    """Of whole epochs: our faster network against PyG's, and how busy it keeps the GPU."""
    found = []
    epochs = [row for row in rows if row["measured"] == "epoch"]
    for width, batch in dict.fromkeys((row["width"], row["batch"]) for row in epochs):
        by_name = {row["network"]: row for row in epochs if (row["width"], row["batch"]) == (width, batch)}
        where = f"epoch, width {width}, batch {batch}"
        ours = [row for name, row in by_name.items() if "hydrasurr" in name]
        if not ours:
            continue
        best = max(ours, key=lambda row: row["graphs/s"])
        for peer, bar in (("PyG", 3.0), ("PyG, compiled", 1.5)):
            if peer in by_name:
                ratio = best["graphs/s"] / by_name[peer]["graphs/s"]
                found.append(Bar(f"{where}: {best['network']} / {peer}", ratio, bar))
        found.append(Bar(f"{where}: GPU busy with {best['network']}", 100 * best["GPU busy"], 92, unit=" %"))
    return found


def check_note(check: dict[str, Any]) -> str:
    verdict = "correct" if check["ok"] else "NOT CORRECT"
    return f"{verdict}: {check['what']}: {check['error']:.1e}, bound {check['bound']:g}"


if __name__ == "__main__":
    typer.run(main)
