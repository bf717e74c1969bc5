"""From raw measurements to scaling, fits and a forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hydrasurr.scaling.allreduce import AllReduceTimes
from hydrasurr.scaling.fit import Fit, SpeedUp, fit_all_reduce, fit_speed_up
from hydrasurr.scaling.forecast import CONFIDENCE, DRAWS, Band, Row, StepCost, forecast
from hydrasurr.scaling.models import MODELS
from hydrasurr.scaling.network import Level, Network, levels_of, measured_level
from hydrasurr.scaling.record import Estimate, Point


@dataclass(frozen=True)
class Measurements:
    """All that was timed; `points` of kind "single" are one rank with several batch sizes."""

    points: list[Point]
    all_reduce: list[AllReduceTimes]
    gradient_bytes: int
    epoch_graphs: int
    """Graphs of the training split."""
    device: str = "cpu"

    @property
    def singles(self) -> list[Point]:
        """Largest batch first: that of the run's configuration."""
        return sorted((p for p in self.points if p.kind == "single"), key=lambda point: -point.graphs)

    def of_kind(self, kind: str) -> list[Point]:
        """Points of "strong" or "weak" scaling, one rank first."""
        return [self.singles[0], *(point for point in self.points if point.kind == kind)]

    def gradient_all_reduce(self, ranks: int) -> Estimate:
        """Seconds of the all-reduce of a message as large as the gradient."""
        if ranks == 1:
            return Estimate(0.0, 0.0)
        times = [times for times in self.all_reduce if times.ranks == ranks]
        return min(times, key=lambda t: abs(t.bytes - self.gradient_bytes)).estimate()

    def as_dict(self) -> dict[str, Any]:
        return {
            "points": [point.as_dict() for point in self.points],
            "all_reduce": [vars(times) for times in self.all_reduce],
            "gradient_bytes": self.gradient_bytes,
            "epoch_graphs": self.epoch_graphs,
            "device": self.device,
        }


@dataclass(frozen=True)
class Scaled:
    """A measured point beside the one-rank step."""

    kind: str
    ranks: int
    graphs: int
    """Of a rank and step."""
    step: Estimate
    """Seconds; in strong scaling for exactly the graphs of the one-rank step."""
    speedup: Estimate
    """S = T_1 / T_N; in weak scaling N T_1 / T_N, since N times as many graphs are done."""
    efficiency: Estimate
    """eta = S / N (Eq. 1)."""
    efficiency_eq8: float
    """eta = T_1 / (N (T_comp + T_comm)) (Eq. 8), from a rank's step without peers and an all-reduce of the gradient."""
    sigma_load: float
    """Nodes (Eq. 4)."""
    gamma: float
    """Largest over mean number of nodes (Eq. 5)."""
    phases: dict[str, dict[str, float]]
    iteration: dict[str, float]
    """Eq. 11, seconds."""

    def as_dict(self) -> dict[str, Any]:
        return {name: vars(value) if isinstance(value, Estimate) else value for name, value in vars(self).items()}


def scale(measured: Measurements, kind: str) -> list[Scaled]:
    """The points of "strong" or "weak" scaling compared with one rank."""
    one, *_ = points = measured.of_kind(kind)
    first, rows = one.seconds(), []
    for point in points:
        # Where the graphs of one rank's step cannot be shared evenly, a little less was done.
        factor = one.graphs / (point.ranks * point.graphs) if kind == "strong" else 1.0
        more = 1 if kind == "strong" else point.ranks
        step, communication = point.seconds().times(factor), measured.gradient_all_reduce(point.ranks).value
        speedup = first.over(step).times(more) if point.ranks > 1 else Estimate(1.0, 0.0)
        sigma, gamma = point.imbalance()
        busy = point.computation().value * factor + communication
        rows.append(
            Scaled(
                kind=kind,
                ranks=point.ranks,
                graphs=point.graphs,
                step=step,
                speedup=speedup,
                efficiency=speedup.times(1 / point.ranks),
                efficiency_eq8=first.value * more / (point.ranks * busy) if point.ranks > 1 else 1.0,
                sigma_load=sigma,
                gamma=gamma,
                phases=point.phases(),
                iteration=point.iteration(communication),
            )
        )
    return rows


@dataclass(frozen=True)
class AllReduceFits:
    """The all-reduce models fitted to the measured times."""

    fits: dict[str, Fit]
    best: str
    """Least relative residual; of equals the first."""
    distinguishable: bool
    """False with one rank count, to which all models fit alike."""


def fit_models(times: Sequence[AllReduceTimes]) -> AllReduceFits | None:
    """None if nothing was measured, on one rank."""
    if not times:
        return None
    ranks, sizes = [t.ranks for t in times], [t.bytes for t in times]
    seconds = [t.estimate().value for t in times]
    fits = {name: fit_all_reduce(model, ranks, sizes, seconds) for name, model in MODELS.items()}
    # Rounding is no reason to prefer a model.
    best = min(fits, key=lambda name: round(fits[name].residual, 9))
    return AllReduceFits(fits, best, len(set(ranks)) > 1)


@dataclass(frozen=True)
class Forecast:
    """Rows of a forecast and what they rest on."""

    rows: list[Row]
    network: Network | None
    """None: the links of this machine."""
    model: str
    step_graphs: int
    cost: StepCost
    computed_on: str
    """What the computation of a step was measured on."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.model_dump() if self.network else "measured",
            "all_reduce_model": self.model,
            "step_graphs": self.step_graphs,
            "computation": {
                "source": self.computed_on,
                "graphs": self.cost.graphs,
                "seconds": vars(self.cost.seconds),
                "per_graph": vars(self.cost.per_graph),
                "spread": self.cost.spread,
            },
            "errors": f"{CONFIDENCE:.0%} of {DRAWS - 1:,} random draws of all fitted and stated parameters",
            "rows": [row.as_dict() for row in self.rows],
        }


@dataclass(frozen=True)
class Analysis:
    """All results of `hydrasurr scaling`."""

    measured: Measurements
    strong: list[Scaled]
    weak: list[Scaled]
    all_reduce: AllReduceFits | None
    speed_up: SpeedUp | None
    forecast: Forecast

    def eq9(self, ranks: Sequence[float]) -> list[Band] | None:
        """Speed-up by Eq. 9 when `ranks` share the graphs of one rank's step; None if the points do not determine it.

        sigma_L is that of molecules dealt out at random: it falls with the root of the graphs of a rank.
        """
        if self.speed_up is None or not self.speed_up.fit.determined:
            return None
        counts = np.asarray(ranks, float)
        imbalance = StepCost.measured(self.measured.singles).spread * np.sqrt(counts - 1) / counts
        parameters = self.speed_up.fit.draws(np.random.default_rng(0), DRAWS)
        return [Band.of(draws) for draws in self.speed_up(counts, imbalance, parameters).T]

    def eq9_forecast(self) -> dict[int, Band]:
        """Rank count -> speed-up by Eq. 9, up to a graph a rank; empty if the points do not determine it."""
        counts = [row.ranks for row in self.forecast.rows if row.ranks <= self.strong[0].graphs]
        return dict(zip(counts, self.eq9(counts) or [], strict=False))

    def as_dict(self) -> dict[str, Any]:
        return {
            "measured": {
                "strong": [row.as_dict() for row in self.strong],
                "weak": [row.as_dict() for row in self.weak],
                "all_reduce": [{**vars(t), "median": vars(t.estimate())} for t in self.measured.all_reduce],
                "raw": self.measured.as_dict(),
            },
            "fitted": {
                "all_reduce": self.all_reduce
                and {
                    "best": self.all_reduce.best,
                    "distinguishable": self.all_reduce.distinguishable,
                    "models": {
                        name: {"formula": MODELS[name].formula, "source": MODELS[name].source, **fit.as_dict()}
                        for name, fit in self.all_reduce.fits.items()
                    },
                },
                "speed_up": self.speed_up
                and {"formula": "Eq. 9", "T_1": self.speed_up.first, **self.speed_up.fit.as_dict()},
            },
            "forecast": self.forecast.as_dict()
            | {"eq9": [{"ranks": count, "strong_speedup": vars(band)} for count, band in self.eq9_forecast().items()]},
        }


@dataclass(frozen=True)
class Question:
    """What to forecast."""

    network: Network | None
    model: str | None = None
    """Name of an all-reduce model; None: the best fitting one for the links of this machine, else "tree"."""
    ranks: Sequence[int] = (1,)
    step_graphs: int | None = None
    """Graphs of a step of all ranks in strong scaling; None: those of one rank's step."""
    compute_seconds: float | None = None
    fixed_seconds: float | None = None


def analyse(measured: Measurements, question: Question) -> Analysis:
    """Scaling, fits and forecast; the same numbers give the same result."""
    fits = fit_models(measured.all_reduce)
    strong = scale(measured, "strong")
    here = StepCost.measured(measured.singles)
    speed_up = None
    if len(strong) > 1:
        seconds_a_node = here.per_graph.value * here.graphs / measured.singles[0].nodes().mean()
        speed_up = fit_speed_up(
            [row.ranks for row in strong],
            [row.step.value for row in strong],
            [row.step.error for row in strong],
            [row.sigma_load * seconds_a_node for row in strong],
        )
    weak = scale(measured, "weak")
    return Analysis(measured, strong, weak, fits, speed_up, _forecast(measured, fits, here, question))


def _forecast(measured: Measurements, fits: AllReduceFits | None, here: StepCost, question: Question) -> Forecast:
    generator = np.random.default_rng(0)
    stated = question.compute_seconds is not None
    cost = here.stated(question.compute_seconds, question.fixed_seconds) if stated else here
    levels: list[Level]
    if question.network is not None:
        name = question.model or "tree"
        levels = levels_of(question.network, generator, DRAWS)
    else:
        assert fits is not None
        name = question.model or fits.best
        levels = measured_level(fits.fits[name], generator, DRAWS)
    step_graphs = question.step_graphs or cost.graphs
    rows = forecast(
        cost,
        levels,
        MODELS[name],
        measured.gradient_bytes,
        question.ranks,
        step_graphs=step_graphs,
        epoch_graphs=measured.epoch_graphs,
        generator=generator,
    )
    here_or_there = (
        "stated, not measured here" if stated else f"measured on one rank ({measured.device}) of this machine"
    )
    return Forecast(rows, question.network, name, step_graphs, cost, here_or_there)
