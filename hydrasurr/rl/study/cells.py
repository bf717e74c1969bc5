"""Pieces of the report that its sections share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hydrasurr.rl.study.figures import COLOR, NAMES
from hydrasurr.rl.study.settings import StudyConfig
from hydrasurr.tables import significant
from hydrasurr.training import page

MEASURED = '<span class="badge" style="margin-left: 0">measured</span>'
SIMULATED = '<span class="badge" style="margin-left: 0">simulated</span>'
MINUS = "\u2212"


def percent(value: float) -> str:
    return f"{100 * value:.3g} %" if abs(value) < 9.995 else f"{100 * value:,.0f} %"


def signed(value: float | None) -> str:
    """With one decimal."""
    if value is None:
        return "-"
    size = f"{abs(value):.1f}" if abs(value) < 999 else significant(abs(value))
    return ("+" if value > 0 else MINUS if value < 0 else "") + size


def with_error(value: Mapping[str, float]) -> str:
    """Of a value and its error, which is 0 where it is not known."""
    error = value["error"]
    return significant(value["value"]) + (f" ± {error:,.0f}" if error >= 10 else f" ± {error:.2g}" if error else "")


def change(mean: Mapping[str, float], digits: int) -> str:
    """A mean with its sign, and its error if that is known."""
    error = f" ± {mean['error']:.{digits}f}" if mean["error"] else ""
    return f"{mean['mean']:+.{digits}f}".replace("-", MINUS) + error


def shape_text(place: Mapping[str, Any]) -> str:
    """Learners × actors of each."""
    return f"{place['learners']} × {place['actors']}"


def variant_cell(variant: str) -> str:
    return page.swatch(COLOR[variant]) + NAMES[variant]


def counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + "s" * (number != 1)


def seeds_text(study: StudyConfig) -> str:
    count = len(study.seeds)
    return f"{count} seeds" if count > 1 else "a single seed, which says nothing of chance"


def tasks_text(study: StudyConfig) -> str:
    """How long rollouts take."""
    disturbance = study.design.running.disturbance
    if not disturbance.delay:
        return "no time is added to rollouts"
    return (
        f"each rollout takes {disturbance.delay:g} s longer on average, a lognormal time with σ = "
        f"{disturbance.delay_spread:g} of its logarithm, which needs no core, as an oracle elsewhere would"
    )
