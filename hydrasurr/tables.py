"""Results as tables on the terminal, and numbers as a person reads them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from hydrasurr.training.metrics import Metrics

WRITTEN = ("surrogate.safetensors", "report.html", "results.json", "metrics.jsonl", "tensorboard")
"""Files of a run folder worth telling; those of each training are elsewhere for an ensemble."""


def significant(value: float | None) -> str:
    """A number with four significant digits, thousands grouped; `-` for None, NaN and infinity."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    size = abs(value)
    if size < 1e-4 or size >= 9_999_999.5:
        return f"{value:.3e}"
    if size >= 999.95:
        return f"{value:,.0f}"
    return f"{value:#.4g}".rstrip(".")


def coefficient(value: float | None) -> str:
    """R^2 with four decimals; `-` for None, NaN and infinity."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.4f}"


def duration(seconds: float) -> str:
    """A time span in the unit that suits it: 53.2 s, 12.4 min, 1.53 h."""
    size, unit = (seconds, "s") if seconds < 100 else (seconds / 60, "min") if seconds < 6000 else (seconds / 3600, "h")
    return f"{size:,.0f} {unit}" if size >= 100 or not size else f"{size:#.3g}".rstrip(".") + f" {unit}"


def print_metrics(results: dict[str, Metrics], units: dict[str, str]) -> None:
    """Print MAE, RMSE and R^2 of each target and split to standard output."""
    _console().print(_metrics_table(results, units))


def print_results(folder: Path, results: dict[str, Metrics], units: dict[str, str]) -> None:
    """Print what a run achieved and where its files are to standard output."""
    print_metrics(results, units)
    for name in WRITTEN:
        if (folder / name).exists():
            _console().print(Text.assemble((f"{Path(name).stem:<13}", "dim"), str(folder / name)), soft_wrap=True)


def _console() -> Console:
    return Console(highlight=False)


def _metrics_table(results: dict[str, Metrics], units: dict[str, str]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("target", "unit", "split"):
        table.add_column(name)
    for name in ("labels", "MAE", "RMSE", "R²"):
        table.add_column(name, justify="right", no_wrap=True)
    targets = list(dict.fromkeys(target for metrics in results.values() for target in metrics))
    for target in targets:
        splits = [split for split in results if target in results[split]]
        for split in splits:
            row, first = results[split][target], split == splits[0]
            table.add_row(
                Text(target if first else "", style="bold"),
                Text(units.get(target, "") if first else ""),
                split,
                f"{row['count']:,.0f}",
                significant(row["mae"]),
                significant(row["rmse"]),
                coefficient(row["r2"]),
                end_section=split == splits[-1] and len(targets) > 1,
            )
    return table
