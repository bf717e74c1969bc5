"""One part of the GPU benchmark, in a process of its own: `python -m benchmarks.gpu.part NAME FILE DEVICE JOURNAL`."""

from __future__ import annotations

from pathlib import Path

import torch
import typer

from benchmarks.gpu import correctness, query, training
from benchmarks.gpu.job import Job


def forces(job: Job) -> None:
    """Needs two packages more than the other parts."""
    try:
        from benchmarks.gpu import forces
    except ModuleNotFoundError as error:
        job.note(f"forces were not measured: there is no '{error.name}' here")
        return
    forces.run(job)


PARTS = {
    "correctness": correctness.run,
    "training, width 55": lambda job: training.run(job, 55),
    "training, width 200": lambda job: training.run(job, 200),
    "query": query.run,
    "forces": forces,
}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(name: str, file: Path, device: str, journal: Path, minimal: bool = False) -> None:
    torch.set_num_threads(1)
    PARTS[name](Job(file, torch.device(device), minimal, journal))


if __name__ == "__main__":
    app()
