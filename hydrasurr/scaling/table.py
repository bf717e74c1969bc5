"""Results on the terminal: what was measured, what was fitted to it, and what is forecast, each under its own name."""

from __future__ import annotations

import math

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from hydrasurr.scaling.analysis import Analysis, Forecast
from hydrasurr.scaling.forecast import CONFIDENCE, Band
from hydrasurr.scaling.models import MODELS
from hydrasurr.scaling.record import BREAKDOWN, Estimate


def print_analysis(analysis: Analysis) -> None:
    """Print all tables to standard output."""
    console = Console(highlight=False)
    console.print(_measured(analysis))
    console.print(_breakdown(analysis))
    if analysis.all_reduce is not None:
        console.print(_all_reduce(analysis))
    if analysis.speed_up is not None:
        console.print(_speed_up(analysis))
    console.print(_forecast(analysis))


def _measured(analysis: Analysis) -> RenderableType:
    table = _table("graphs", "ms/step", "speed-up", "Eq. 1", "Eq. 8", "σ_load", "γ", first="ranks")
    for row in (*analysis.strong, *analysis.weak):
        table.add_row(
            f"{row.kind} {row.ranks}",
            f"{row.graphs:,}",
            _with_error(row.step.times(1e3)),
            _with_error(row.speedup),
            f"{100 * row.efficiency.value:.3g}%",
            f"{100 * row.efficiency_eq8:.3g}%",
            short(row.sigma_load),
            f"{row.gamma:.3f}",
            end_section=row is analysis.strong[-1],
        )
    return _titled(
        "MEASURED: strong scaling (the graphs of a step are shared) and weak scaling (each rank has as many)",
        table,
        "graphs: of a rank and step. Efficiency by Eq. 1, T_1/(N T_N), and by Eq. 8, from computation without peers "
        "and an all-reduce of the gradient. σ_load (Eq. 4) in nodes of a rank and step, γ (Eq. 5): largest over mean. "
        "± standard error.",
    )


def _breakdown(analysis: Analysis) -> RenderableType:
    names = [name.replace("_", "-") for name in BREAKDOWN]
    table = _table(*names, "step", "Eq. 11", first="ranks")
    for row in (*analysis.strong, *analysis.weak):
        means, largest = ([short(row.phases[name][key] * 1e3) for name in BREAKDOWN] for key in ("mean", "max"))
        whole = [short(row.iteration[key] * 1e3) for key in ("measured", "sum")]
        last = row is analysis.strong[-1]
        table.add_row(f"{row.kind} {row.ranks}", *means, *whole, end_section=last and row.ranks == 1)
        if row.ranks > 1:
            table.add_row("  largest", *largest, "", "", style="dim", end_section=last)
    return _titled(
        "MEASURED: where a step goes, ms, mean and largest over ranks",
        table,
        "backward: without peers; all-reduce: what it takes longer in training. Eq. 11: the fastest rank's step "
        "without peers, its wait for the slowest, and an all-reduce of the gradient, each measured by itself.",
    )


def _all_reduce(analysis: Analysis) -> RenderableType:
    measured, fits = analysis.measured, analysis.all_reduce
    assert fits is not None
    counts = sorted({times.ranks for times in measured.all_reduce})
    times = _table(*(f"{count} ranks, ms" for count in counts), first="message")
    for size in sorted({t.bytes for t in measured.all_reduce}):
        # In the order of the rank counts, as measured.
        cells = [_with_error(t.estimate().times(1e3)) for t in measured.all_reduce if t.bytes == size]
        gradient = "  (the gradient)" if abs(size - measured.gradient_bytes) < 4 else ""
        times.add_row(bytes_text(size) + gradient, *cells)
    fitted = _table("alpha, µs", "1/beta, GB/s", "misfit", first="model")
    for name, fit in fits.fits.items():
        alpha, beta = (Estimate(value, error) for value, error in zip(fit.values, fit.errors, strict=True))
        bandwidth = Estimate(1e-9 / beta.value, 1e-9 * beta.error / beta.value**2) if beta.value else None
        best = "  (best)" if name == fits.best and fits.distinguishable else ""
        fitted.add_row(
            MODELS[name].title + best,
            _with_error(alpha.times(1e6)),
            _with_error(bandwidth) if bandwidth else "-",
            f"{fit.residual:.1%}",
        )
    formulas = [f"{MODELS[name].title}: {MODELS[name].formula}" for name in fits.fits]
    verdict = (
        f"'{MODELS[fits.best].title}' fits best (misfit: root mean square of relative deviations)."
        if fits.distinguishable
        else "With one rank count all models fit alike: how time grows with ranks is not tested by these points."
    )
    remark = "\n".join([*formulas, verdict])
    return Group(
        _titled("MEASURED: all-reduce", times),
        _titled("FITTED to it by relative least squares (Eq. 6, 7), ± standard error", fitted, remark),
    )


def _speed_up(analysis: Analysis) -> RenderableType:
    assert analysis.speed_up is not None
    fit = analysis.speed_up.fit
    table = _table("value", "standard error", "unit", first="parameter")
    for name, value, error, unit in zip(fit.names, fit.values, fit.errors, ("ms", "ms", "1"), strict=True):
        factor = 1e3 if unit == "ms" else 1.0
        table.add_row(name, short(value * factor), short(error * factor), unit)
    remark = "S(N) = T_1 / (T_1/N + alpha log2 N + beta (N-1) + gamma sigma_L)."
    if not fit.determined:
        remark += (
            " There are fewer rank counts than parameters: the first ones took what there is, the others are 0. "
            "Not to be used beyond the measured ranks."
        )
    return _titled("FITTED: speed-up model of strong scaling (Eq. 9)", table, remark)


def _forecast(analysis: Analysis) -> RenderableType:
    forecast = analysis.forecast
    eq9 = analysis.eq9_forecast()
    weak = _table("all-reduce, ms", "ms/step", "efficiency", first="GPUs")
    epoch = _table("seconds", "speed-up", first="GPUs")
    strong = _table("ms/step", "speed-up", *(["Eq. 9, with the links here"] if eq9 else []), first="GPUs")
    for row in forecast.rows:
        ranks = f"{row.ranks:,}"
        weak.add_row(ranks, _range(row.all_reduce, 1e3), _range(row.weak_step, 1e3), _percent(row.weak_efficiency))
        epoch.add_row(ranks, _range(row.epoch), _range(row.epoch_speedup))
        if row.strong_step is not None and row.strong_speedup is not None:
            fitted = [_range(eq9[row.ranks])] if row.ranks in eq9 else []
            strong.add_row(ranks, _range(row.strong_step, 1e3), _range(row.strong_speedup), *fitted)
    graphs = f"{forecast.cost.graphs:,} graphs on each GPU"
    return Group(
        _titled(f"FORECAST, not measured: weak scaling, {graphs}", weak),
        _titled(f"\nFORECAST, not measured: strong scaling of an epoch, {graphs} and step", epoch),
        _titled(f"\nFORECAST, not measured: strong scaling of a step, {forecast.step_graphs:,} graphs shared", strong),
        Text("\n".join(forecast_notes(forecast)), style="dim"),
    )


def forecast_notes(forecast: Forecast) -> list[str]:
    """What a forecast rests on, in sentences."""
    cost = forecast.cost
    network = forecast.network.name if forecast.network else "the links of this machine, as fitted"
    return [
        f"Network: {network}.",
        f"All-reduce: {MODELS[forecast.model].title}, {MODELS[forecast.model].formula}. No part of it is assumed to "
        "hide behind the backward pass.",
        f"Computation: {cost.seconds.value * 1e3:.4g} ms for {cost.graphs:,} graphs, of which "
        f"{cost.per_graph.value * cost.graphs * 1e3:.4g} ms grow with the graphs; "
        f"{forecast.computed_on} (--compute-ms).",
        "Epoch: the training split in steps of the weak kind, as in Fig. 5 of Choi et al. The step that is shared ends "
        "where a GPU would get less than a graph (--global-batch).",
        f"In brackets: the middle {CONFIDENCE:.0%} of random draws of all parameters within their errors. GPUs are "
        "assumed not to hinder each other but for waiting for the one with the largest molecules.",
    ]


def bytes_text(size: int) -> str:
    """A size in the largest unit that leaves a number above one."""
    for unit, power in (("MiB", 20), ("KiB", 10)):
        if size >= 2**power:
            return f"{size / 2**power:.4g} {unit}"
    return f"{size} B"


def short(value: float) -> str:
    """Three significant digits, thousands grouped."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _range(band: Band, factor: float = 1.0) -> str:
    value, low, high = (short(x * factor) for x in (band.value, band.low, band.high))
    return value if value == low == high else f"{value} [{low}, {high}]"


def _percent(band: Band) -> str:
    value, low, high = (f"{100 * x:.3g}" for x in (band.value, band.low, band.high))
    return f"{value}%" if value == low == high else f"{value}% [{low}, {high}]"


def _with_error(estimate: Estimate) -> str:
    """As many digits as the error has meaning."""
    if not estimate.error:
        return short(estimate.value)
    digits = max(1 - math.floor(math.log10(estimate.error)), 0)
    return f"{estimate.value:,.{digits}f} ± {estimate.error:,.{digits}f}"


def _table(*columns: str, first: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 0, 0, 1))
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _titled(title: str, table: Table, remark: str = "") -> RenderableType:
    parts: list[RenderableType] = [Text(title, style="bold"), table]
    return Group(*parts, Text(remark + "\n", style="dim")) if remark else Group(*parts)
