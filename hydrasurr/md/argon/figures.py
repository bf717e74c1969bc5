"""The figures of a study of liquid argon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from hydrasurr.md.study.figures import COLOR, NAMES, heading, log_ticks
from hydrasurr.tables import significant
from hydrasurr.training.figure_style import COLORS, new_axes, styled
from hydrasurr.training.figures import HALF, THIRD, WIDE

OFF_SCALE = 30
"""Values farther from the reference than so many times the median of all are drawn at the edge."""
WINDOW_PS = 0.5

Curves = Mapping[str, Mapping[str, np.ndarray]]
"""Run -> arrays of its stage."""


@styled
def sizes_in_bytes(sizes: Mapping[str, int]) -> Figure:
    """A bar for the weights of each format."""
    figure, ax = new_axes(THIRD)
    names = list(sizes)
    bars = ax.barh(range(len(names)), list(sizes.values()), color=[COLORS[COLOR[name]] for name in names], height=0.62)
    ax.bar_label(bars, [f"{size:,}" for size in sizes.values()], padding=3)
    ax.set_yticks(range(len(names)), [NAMES[name] for name in names])
    ax.set(ylim=(len(names) - 0.5, -0.5), xlim=(0, 1.22 * max(sizes.values())))
    ax.grid(visible=False)
    ax.xaxis.set_major_locator(NullLocator())
    ax.spines["bottom"].set_visible(False)
    heading(ax, "bytes of the weights", legend=False)
    return figure


@styled
def radial(curves: Curves, measured: tuple[np.ndarray, np.ndarray] | None) -> Figure:
    """g(r) of all runs, and the measured one."""
    figure, ax = new_axes(WIDE)
    if measured:
        r_max = next(iter(curves.values()))["r"][-1]
        r, g = (column[measured[0] <= r_max] for column in measured)
        ax.plot(r, g, "o", color=COLORS["optimizer"], markersize=2.4, label="measured, 85 K")
    for name, curve in curves.items():
        ax.plot(curve["r"], curve["g"], color=COLORS[COLOR[name]], **_style(name))
    ax.set(xlim=(2.5, None), ylim=(0, None), xlabel="r (Å)")
    heading(ax, "g(r)", columns=2, inside="upper right")
    return figure


@styled
def radial_deviation(curves: Curves) -> Figure:
    """g(r) less that of Lennard-Jones."""
    figure, ax = new_axes(THIRD)
    reference = curves["lj"]
    differences = {name: curve["g"] - reference["g"] for name, curve in curves.items() if name != "lj"}
    for name, values in differences.items():
        ax.plot(reference["r"], values, color=COLORS[COLOR[name]], **{**_style(name), "linewidth": 1.1})
    ax.axhline(0, color=COLORS["ink"], linewidth=0.8)
    limit = 1.15 * _limit([np.abs(values).max() for values in differences.values()])
    beyond = [NAMES[name] for name, values in differences.items() if np.abs(values).max() > limit]
    ax.set(xlim=(2.5, None), ylim=(-limit, limit), xlabel="r (Å)" + _off_scale(beyond))
    heading(ax, "g(r) - g(r) of LJ", legend=False)
    return figure


@styled
def energy_over_time(curves: Curves) -> Figure:
    """Potential energy along the runs, in means over windows."""
    figure, ax = new_axes(WIDE)
    means = {name: float(curve["potential_energy"].mean()) for name, curve in curves.items()}
    limit = _limit([abs(mean - means["lj"]) for name, mean in means.items() if name != "lj"])
    beyond = []
    for name, curve in curves.items():
        if abs(means[name] - means["lj"]) > limit:
            beyond.append(f"{NAMES[name]}: {significant(means[name])}")
            continue
        time, values = windows(curve["time"], curve["potential_energy"])
        ax.plot(time, values, color=COLORS[COLOR[name]], **{**_style(name), "linewidth": 1.2})
    ax.set(xlabel="time (ps)" + _off_scale(beyond), xlim=(0, None))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    heading(ax, "potential energy (meV/atom)", columns=4)
    return figure


def windows(time: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over WINDOW_PS each; what is left at the end is dropped."""
    length = max(round(WINDOW_PS / (time[1] - time[0])), 1)
    count = len(time) // length
    return tuple(column[: count * length].reshape(count, length).mean(1) for column in (time, values))


@styled
def displacement(curves: Curves) -> Figure:
    """Mean square displacement over time; a sixth of its slope is the diffusion coefficient."""
    figure, ax = new_axes(THIRD)
    for name, curve in curves.items():
        ax.plot(curve["msd_time"], curve["msd"], color=COLORS[COLOR[name]], **{**_style(name), "linewidth": 1.2})
    ax.set(xlabel="time (ps)", xlim=(0, None), ylim=(0, None))
    heading(ax, "mean square displacement (Å²)", legend=False)
    return figure


@styled
def means(values: Mapping[str, Mapping[str, Any]], title: str, reference: bool = True) -> Figure:
    """A mean and its standard error for each run, one below the other; the reference as a band over all."""
    figure, ax = new_axes(HALF)
    names = list(values)
    centre = values["lj"]["mean"] if reference else 0.0
    if reference:
        error = values["lj"]["error"] or 0.0
        ax.axvspan(centre - error, centre + error, color=COLORS["grid"], linewidth=0)
    ax.axvline(centre, color=COLORS["muted"], linewidth=0.8)
    spread = {name: abs(value["mean"] - centre) + (value["error"] or 0.0) for name, value in values.items()}
    others = [each for name, each in spread.items() if name != "lj"]
    limit = 1.2 * (_limit(others) if reference else max(spread.values()) or 1.0)
    for row, name in enumerate(names):
        value, color = values[name], COLORS[COLOR[name]]
        away = value["mean"] - centre
        if abs(away) > limit:
            sign = np.sign(away)
            ax.plot(centre + 0.97 * sign * limit, row, marker=">" if sign > 0 else "<", color=color, markersize=6)
            side = "right" if sign > 0 else "left"
            ax.text(centre + 0.92 * sign * limit, row, significant(value["mean"]), ha=side, va="center")
        else:
            ax.errorbar(value["mean"], row, xerr=value["error"], fmt="o", color=color, markersize=5, capsize=2.5)
    ax.set(xlim=(centre - limit, centre + limit), ylim=(len(names) - 0.5, -0.5))
    ax.set_yticks(range(len(names)), [NAMES[name] for name in names])
    ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}".replace("-", "\u2212")))
    heading(ax, title, legend=False)
    return figure


@styled
def force_times(sizes: Sequence[Mapping[str, Any]]) -> Figure:
    """Force evaluation over system size with lines of O(N), O(N log N) and O(N^2) through the first point."""
    figure, ax = new_axes((4.95, 3.4))
    atoms = np.array([size["atoms"] for size in sizes], float)
    times = {name: np.array([size["forces"][name] for size in sizes]) for name in sizes[0]["forces"]}
    first = next(iter(times.values()))[0]
    ratio, logarithm = atoms / atoms[0], np.log(atoms) / np.log(atoms[0])
    guides = {"O(N)": ratio, "O(N log N)": ratio * logarithm, "O(N²)": ratio**2}
    for (name, growth), dashes in zip(guides.items(), ((4, 2), (1, 1.5), (6, 2, 1, 2)), strict=True):
        ax.plot(atoms, first * growth, color=COLORS["muted"], linewidth=0.9, dashes=dashes, label=name)
    for name, values in times.items():
        ax.plot(atoms, values, "o-", color=COLORS[COLOR[name]], markersize=4, label=NAMES[name])
    ax.set(xscale="log", yscale="log", xlabel="atoms")
    _size_axis(ax, atoms)
    log_ticks(ax)
    heading(ax, "force evaluation (ms a step)", columns=1, inside="upper left")
    return figure


@styled
def search_times(sizes: Sequence[Mapping[str, Any]]) -> Figure:
    """Neighbour search over system size, with lines of O(1) and O(N) through the first point."""
    figure, ax = new_axes((4.95, 3.4))
    atoms = np.array([size["atoms"] for size in sizes], float)
    fresh, kept = (np.array([size[key] for size in sizes]) for key in ("search", "search_with_skin"))
    for name, growth, dashes in (("O(N)", atoms / atoms[0], (4, 2)), ("O(1)", np.ones_like(atoms), (1, 1.5))):
        ax.plot(atoms, fresh[0] * growth, color=COLORS["muted"], linewidth=0.9, dashes=dashes, label=name)
    ax.plot(atoms, fresh, "o-", color=COLORS["train"], markersize=4, label="anew in every step")
    ax.plot(atoms, kept, "o-", color=COLORS["test"], markersize=4, label="with a skin")
    ax.set(xlabel="atoms", ylim=(0, None))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    heading(ax, "neighbour search (ms a step), all formats alike", columns=1, inside="upper left")
    return figure


def _size_axis(ax: Axes, atoms: np.ndarray) -> None:
    ax.set_xticks(atoms, [f"{count:,.0f}" for count in atoms])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.tick_params(axis="x", labelrotation=25)


def _style(name: str) -> dict[str, Any]:
    """Lennard-Jones below all others, broad; its repetition dashed."""
    style: dict[str, Any] = {"label": NAMES[name]}
    if name == "lj":
        return {**style, "linewidth": 2.6, "zorder": 1.5}
    return {**style, "linewidth": 1.2, **({"dashes": (3, 2)} if name == "lj_again" else {})}


def _limit(distances: Sequence[float]) -> float:
    """How far from the reference the axis goes, so that one run far off does not flatten all others."""
    near = OFF_SCALE * float(np.median(distances))
    return max([distance for distance in distances if distance <= near] or [1.0]) or 1.0


def _off_scale(runs: Sequence[str]) -> str:
    return f"; off the scale: {', '.join(runs)}" if runs else ""
