"""The results of a study side by side, as report.json has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from hydrasurr.errors import HydrasurrError
from hydrasurr.md.argon.study import AGAIN, REFERENCE
from hydrasurr.md.study.fidelity import deviation, difference
from hydrasurr.md.study.stages import Result
from hydrasurr.tables import coefficient, significant

PUBLISHED = {
    "fp32": {"r2": "1.000", "rmse": "< 0.001"},
    "bf16": {"r2": "0.998", "rmse": "0.002"},
    "int4": {"r2": "0.944", "rmse": "0.010"},
}
"""X. Shen et al., PNNL-38353 (2025), section 4 and Fig. 12: of force magnitudes on held-out frames, RMSE in eV/Angstrom
(for INT4 it also states 9.61e-3)."""
PUBLISHED_SAVING = "25-27 %"
"""Of the time of force evaluation by BF16 instead of FP32, on an H100; section 4 and Fig. 13."""

MEANS = ("temperature", "potential_energy", "pressure", "diffusion", "drift")
CURVES = ("r", "g", "msd_time", "msd")


def summary(results: Mapping[str, Result], formats: Sequence[str]) -> dict[str, Any]:
    """All figures by format, and over system size. JSON.

    `dynamics` has for Lennard-Jones and each format the means of its run, and, but for Lennard-Jones itself, their
    `differences` from it (each with a standard error) and those of g(r). What `lj_again` differs by is chance.
    """
    runs, reference = (REFERENCE, AGAIN, *formats), results["reference"]
    return {
        "reference": {**reference.facts, "frames": len(reference.arrays["time"])},
        "fit": {**results["fit"].facts, "history": results["fit"].arrays["history"].tolist()},
        "bytes": results["export"].facts["bytes"],
        "forces": {name: {**results[f"forces-{name}"].facts, "published": PUBLISHED.get(name)} for name in formats},
        "dynamics": {name: _dynamics(results[f"md-{name}"], results[f"md-{REFERENCE}"]) for name in runs},
        "rollout": {name: results[f"rollout-{name}"].facts for name in formats},
        "scaling": [result.facts for name, result in results.items() if name.startswith("scaling-")],
        "curves": {
            name: {key: results[f"md-{name}"].arrays[key].tolist() for key in CURVES}
            for name in runs
            if "failed" not in results[f"md-{name}"].facts
        },
        "seconds": {name: result.facts["seconds"] for name, result in results.items()},
    }


def _dynamics(run: Result, reference: Result) -> dict[str, Any]:
    if run is reference or "failed" in run.facts:
        return run.facts
    differences = {name: difference(run.facts[name], reference.facts[name]) for name in MEANS}
    return {**run.facts, "differences": differences, **deviation(run.arrays["g"], reference.arrays["g"])}


def read_measured(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Distances (Angstrom) and g of a measured curve: two columns of text. Raises HydrasurrError."""
    try:
        columns = np.loadtxt(path, ndmin=2)
    except (OSError, ValueError) as error:
        raise HydrasurrError(f"cannot read the measured curve '{path}': {error}") from error
    if columns.shape[1] != 2 or not np.isfinite(columns).all():
        raise HydrasurrError(f"'{path}' has {columns.shape[1]} columns; a measured curve has two: r in Angstrom, and g")
    return tuple(columns[np.argsort(columns[:, 0])].T)


def print_summary(numbers: Mapping[str, Any]) -> None:
    """Print the main figures of each format to standard output."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for k, name in enumerate(("", "bytes", "R² |F|", "RMSE", "U", "P", "D", "max Δg")):
        table.add_column(name, justify="right" if k else "left", no_wrap=True)
    table.add_row("", "", "", "meV/Å", "meV/atom", "bar", "1e-5 cm²/s", "", style="dim")
    for name, run in numbers["dynamics"].items():
        forces, cells = numbers["forces"].get(name), []
        if forces:
            weights = numbers["bytes"][name]["weights"]
            cells = [f"{weights:,}", coefficient(forces["r2"]), significant(1000 * forces["rmse"])]
        means = [significant(run[key]["mean"]) if key in run else "failed" for key in MEANS[1:4]]
        deviates = f"{run['g_max_deviation']:.3f}" if "g_max_deviation" in run else "-"
        table.add_row(name, *(cells or [""] * 3), *means, deviates)
    Console(highlight=False).print(table)
