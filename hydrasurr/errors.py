"""Errors a user can act on; every command prints these without a traceback."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class HydrasurrError(Exception):
    """Base of all errors caused by input, files or configuration rather than by a bug."""


class SchemaError(HydrasurrError):
    """Data and model, or two data sets, do not describe graphs in the same way."""


class StoreError(HydrasurrError):
    """A data set on disk is missing, incomplete or damaged."""


class StructureError(HydrasurrError):
    """An atomic structure cannot be one: wrong shapes, numbers that are none, a missing cell."""


class ConfigError(HydrasurrError):
    """A run configuration or a dataset card has a wrong key or value."""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for the nearest known name, or the list of known names."""
    known = list(known)
    near = get_close_matches(wrong, known, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known)}"


def missing_extra(module: str, extra: str) -> HydrasurrError:
    """The error for an optional library that is not installed."""
    return HydrasurrError(
        f"this needs the Python package '{module}', which is not installed: "
        f"pip install 'hydrasurr[{extra}]'"
    )
