"""From what the stages found to the numbers of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hydrasurr.rl.study.convergence import Curve, Goal, Speed, speed
from hydrasurr.rl.study.equations import (
    convergence_degradation,
    efficiency_with_communication,
    iteration_seconds,
    performance_index,
    robustness,
    system_efficiency,
    utilisation,
)
from hydrasurr.rl.study.folder import Facts
from hydrasurr.rl.study.measures import mean_rate
from hydrasurr.rl.study.settings import Fault, StudyConfig, Variant
from hydrasurr.rl.study.variants import Run, Shape, ablation_shape, fault_shape, scaling_shapes
from hydrasurr.scaling.fit import SpeedUp, fit_speed_up
from hydrasurr.scaling.forecast import DRAWS, Band
from hydrasurr.scaling.record import Estimate


@dataclass(frozen=True)
class Summary:
    """All numbers of a study.

    Attributes
    ----------
    found : of each stage, by name
    environment : of the study: versions, and how many `cores` it could use
    """

    study: StudyConfig
    found: dict[str, Facts]
    environment: dict[str, Any]

    @cached_property
    def numbers(self) -> dict[str, Any]:
        """For report.json."""
        return {
            "scaling": {"points": self.points, "eq9": self._eq9_numbers()},
            "ablations": {variant: self.ablation(variant) for variant in self.study.variants},
            "goal": vars(self.goal),
            "faults": {
                variant: {fault: self.fault(variant, fault) for fault in self.study.faults.kinds}
                for variant in self.fault_variants
            },
            "index": {variant: self.index(variant) for variant in self.study.variants},
            "links": self.found["links"],
            "simulated": {name: self.found[name] for name in ("schedulers", "cluster")},
            "simulation_checked": self.checked,
            "seconds": {name: facts["stage_seconds"] for name, facts in self.found.items()},
        }

    def runs(self, variant: Variant, shape: Shape) -> list[Facts]:
        """Undisturbed ones, by seed."""
        return [self.found[Run(variant, shape, seed).name] for seed in self.study.seeds]

    # -- scaling ---------------------------------------------------------------------------------------

    @cached_property
    def points(self) -> list[dict[str, Any]]:
        """Of each measured shape of the baseline, one learner with one actor first."""
        return [self._point(shape) for shape in scaling_shapes(self.study)]

    def _point(self, shape: Shape) -> dict[str, Any]:
        runs, first = self.runs("baseline", shape), self.runs("baseline", Shape(1, 1))
        # By seed, as runs of one seed follow one another, and the machine may have been busier with another.
        gain = _over(runs, first)
        eq8 = [
            efficiency_with_communication(one["seconds"], *actor_seconds(run), shape.workers)
            for one, run in zip(first, runs, strict=True)
        ]
        return {
            "learners": shape.learners,
            "actors": shape.actors,
            "workers": shape.workers,
            "rate": vars(Estimate.of([run["rate"] for run in runs])),
            "seconds": vars(Estimate.of([run["seconds"] for run in runs])),
            "speedup": vars(gain),
            "efficiency": vars(gain.times(1 / shape.workers)),
            "efficiency_eq8": float(np.median(eq8)),
            "sigma_load": float(np.median([_whole(run, run["load"]["sigma"]) for run in runs])),
            "gamma": float(np.median([run["load"]["gamma"] for run in runs])),
            "lag": float(np.mean([run["lag"] for run in runs])),
            **usage(runs, self.environment["cores"]),
            "iteration": iteration(runs),
        }

    @cached_property
    def eq9(self) -> SpeedUp | None:
        """S(N) fitted to the points of one learner; None with one point."""
        points = [point for point in self.points if point["learners"] == 1]
        if len(points) == 1:
            return None
        first, gains = points[0]["seconds"]["value"], [Estimate(**point["speedup"]) for point in points]
        return fit_speed_up(
            [point["actors"] for point in points],
            [first / gain.value for gain in gains],
            [first * gain.error / gain.value**2 for gain in gains],
            [point["sigma_load"] for point in points],
        )

    def eq9_bands(self, actors: Sequence[float]) -> list[Band] | None:
        """Forecast of the speed-up by Eq. 9, with the imbalance of the most actors that were measured; None if the
        points do not determine it, or a single seed says nothing of their errors."""
        if self.eq9 is None or not self.eq9.fit.determined or len(self.study.seeds) == 1:
            return None
        counts = np.asarray(actors, np.float64)
        imbalance = [point["sigma_load"] for point in self.points if point["learners"] == 1][-1]
        parameters = self.eq9.fit.draws(np.random.default_rng(0), DRAWS)
        return [Band.of(draws) for draws in self.eq9(counts, np.full(len(counts), imbalance), parameters).T]

    def _eq9_numbers(self) -> dict[str, Any] | None:
        if self.eq9 is None:
            return None
        most = self.study.scaling.most
        bands = self.eq9_bands([most])
        forecast = {"actors": most, **vars(bands[0])} if bands else None
        return {"T_1": self.eq9.first, **self.eq9.fit.as_dict(), "forecast": forecast}

    @property
    def checked(self) -> list[dict[str, Any]]:
        """Frames a second of simulation and measurement, where both are there."""
        rows = []
        for row in self.found["cluster"]["checked"]:
            runs = self.runs(row["variant"], Shape(row["learners"], row["actors"]))
            measured = Estimate.of([run["rate"] for run in runs]).value
            keys = {key: row[key] for key in ("variant", "learners", "actors")}
            rows.append(keys | {"simulated": row["rate"], "measured": measured, "ratio": row["rate"] / measured})
        return rows

    # -- ablations -------------------------------------------------------------------------------------

    def curves(self, variant: Variant) -> list[Curve]:
        return [Curve.from_lists(run["curve"]) for run in self.runs(variant, ablation_shape(self.study))]

    @cached_property
    def goal(self) -> Goal:
        """Of convergence, as the baseline of the ablations gives it."""
        return Goal.of(self.curves("baseline"), self.study.ablations.target)

    def speeds(self, curves: Sequence[Curve]) -> list[Speed]:
        return [speed(curve, self.goal) for curve in curves]

    def ablation(self, variant: Variant) -> dict[str, Any]:
        """Throughput, efficiency, convergence and final rewards of a variant."""
        shape = ablation_shape(self.study)
        runs = self.runs(variant, shape)
        speed_up = _over(runs, self.runs("baseline", Shape(1, 1)))
        variances = [run["loss"]["variance"] for run in runs if run["loss"]["variance"] is not None]
        return {
            "rate": vars(Estimate.of([run["rate"] for run in runs])),
            "throughput": vars(_over(runs, self.runs("baseline", shape))),
            "efficiency": vars(speed_up.times(1 / shape.workers)),
            **usage(runs, self.environment["cores"]),
            "gamma": float(np.mean([run["load"]["gamma"] for run in runs])),
            "iteration": iteration(runs),
            "bytes": float(np.mean([sum(run["bytes"].values()) for run in runs])),
            "convergence": self._convergence(self.curves(variant)),
            "loss": {"name": runs[0]["loss"]["name"], "variance": float(np.mean(variances)) if variances else None},
            "final": spread([run["rewards"] for run in runs]),
        }

    def _convergence(self, curves: Sequence[Curve]) -> dict[str, Any]:
        """Speeds, means over seeds, over those of the baseline, and CDR (Eq. 10); None if that gained nothing."""
        found, reference = self.speeds(curves), self.speeds(self.curves("baseline"))
        result: dict[str, Any] = {"reached": sum(one.reached for one in found), "runs": len(found)}
        for key in ("per_frame", "per_second"):
            ours, theirs = (float(np.mean([getattr(one, key) for one in many])) for many in (found, reference))
            learnt = self.goal.gain > 0 and theirs > 0
            result[key] = {
                "speed": ours,
                "relative": ours / theirs if learnt else None,
                "cdr": convergence_degradation(theirs, ours) if learnt else None,
            }
        return result

    # -- faults ----------------------------------------------------------------------------------------

    @property
    def fault_variants(self) -> list[Variant]:
        return ["baseline", *self.study.faults.variants]

    def _pairs(self, variant: Variant, fault: Fault) -> list[tuple[Facts, Facts]]:
        """Runs with a fault, and the same without, by seed; those are left out in which it did not happen."""
        seeds = self.study.seeds if variant == "baseline" else self.study.seeds[:1]
        runs = [Run(variant, fault_shape(self.study), seed, fault) for seed in seeds]
        pairs = [(self.found[run.name], self.found[run.undisturbed.name]) for run in runs]
        return [(run, calm) for run, calm in pairs if "absent" not in run]

    def fault(self, variant: Variant, fault: Fault) -> dict[str, Any]:
        """What a fault cost."""
        pairs = self._pairs(variant, fault)
        survived = [(run, calm) for run, calm in pairs if "failed" not in run]
        facts: dict[str, Any] = {"runs": len(pairs), "recovered": len(survived)}
        facts["failed"] = [run["failed"] for run, _ in pairs if "failed" in run]
        if not survived:
            return facts
        losses = [self._lost_frames(run, fault) for run, _ in survived]
        slower = [run["times"]["seconds"][-1] - calm["times"]["seconds"][-1] for run, calm in survived]
        waits = [run["recovery"] for run, _ in survived if run["recovery"] is not None]
        worse = [np.mean(run["rewards"]) - np.mean(calm["rewards"]) for run, calm in survived]
        return facts | {
            "throughput": float(
                np.mean([mean_rate(run["times"]) / mean_rate(calm["times"]) for run, calm in survived])
            ),
            "seconds_lost": _mean_error(slower),
            "frames_lost": float(np.mean(losses)),
            "recovery": float(np.mean(waits)) if waits else None,
            "reward_change": _mean_error(worse),
            "counted_once": all(run["counted"]["once"] for run, _ in survived),
            "convergence": self._fault_degradation(survived),
        }

    def _lost_frames(self, run: Facts, fault: Fault) -> int:
        """Recorded and not saved, or those of a rollout that had to be played again."""
        if fault == "restart_learner":
            return run["frames_recorded"] - run["frames_saved"]
        return self.study.design.frames_a_rollout if run["vain"] > 0 else 0

    def _fault_degradation(self, pairs: Sequence[tuple[Facts, Facts]]) -> float | None:
        """CDR (Eq. 10) against the undisturbed runs, by frames."""
        ours, theirs = ([Curve.from_lists(run["curve"]) for run in runs] for runs in zip(*pairs, strict=True))
        goal = Goal.of(theirs, self.study.ablations.target)
        if goal.gain <= 0:
            return None
        reference, found = (np.mean([speed(curve, goal).per_frame for curve in curves]) for curves in (theirs, ours))
        return convergence_degradation(float(reference), float(found)) if reference > 0 else None

    def robustness(self, variant: Variant) -> tuple[float | None, bool]:
        """R of Eq. 14 over all faults and seeds, and whether it is the variant's own or the baseline's; None without
        faults."""
        own = variant in self.fault_variants
        source: Variant = variant if own else "baseline"
        pairs = [pair for fault in self.study.faults.kinds for pair in self._pairs(source, fault)]
        if not pairs:
            return None, own
        survived = [(run, calm) for run, calm in pairs if "failed" not in run]
        ratios = [mean_rate(run["times"]) / mean_rate(calm["times"]) for run, calm in survived]
        return robustness(len(survived), len(pairs), float(np.mean(ratios)) if ratios else 0.0, 1.0), own

    def index(self, variant: Variant) -> dict[str, Any]:
        """Eq. 14 and its parts; None where convergence could not be compared, or no fault happened."""
        settings, ablation = self.study.index, self.ablation(variant)
        cdr = ablation["convergence"][f"per_{settings.convergence.removesuffix('s')}"]["cdr"]
        robust, own = self.robustness(variant)
        weights = settings.alpha, settings.beta, settings.gamma
        eta = ablation["system_efficiency"]
        cpi = None if cdr is None or robust is None else performance_index(eta, cdr, robust, weights)
        return {"system_efficiency": eta, "cdr": cdr, "robustness": robust, "own_faults": own, "cpi": cpi}


def _over(runs: Sequence[Facts], others: Sequence[Facts]) -> Estimate:
    """Throughput against that of other runs with the same seeds."""
    return Estimate.of([run["rate"] / other["rate"] for run, other in zip(runs, others, strict=True)])


# -- of runs -------------------------------------------------------------------------------------------


def usage(runs: Sequence[Facts], cores: int) -> dict[str, float]:
    """Eq. 12 and 13 of the processes, and how busy the cores were."""
    window = [(processes(run), run["window"]["seconds"]) for run in runs]
    used = [run["cpu_seconds"] / (run["wall_seconds"] * cores) for run in runs]
    return {
        "utilisation": float(np.mean([utilisation(active, total) for active, total in window])),
        "system_efficiency": float(np.mean([system_efficiency(active, total) for active, total in window])),
        "cores_busy": float(np.mean(used)),
    }


def processes(run: Facts) -> list[float]:
    """Active seconds of the first learner and of its actors."""
    return [run["learner"]["computation"], *run["actors"]["busy"]]


def actor_seconds(run: Facts) -> tuple[float, float]:
    """Seconds that an actor computes, and that it or its learner communicates, in all frames of a run."""
    communication = run["actors"]["weights"] + run["learner"]["communication"]
    return _whole(run, float(np.mean(run["actors"]["busy"])) - run["actors"]["weights"]), _whole(run, communication)


def _whole(run: Facts, seconds: float) -> float:
    """From seconds of the measured part to such of all frames."""
    return seconds * run["seconds"] / run["window"]["seconds"]


def iteration(runs: Sequence[Facts]) -> dict[str, float]:
    """An update (an iteration) in seconds: of the learner its parts, which add up to `measured`; and Eq. 11.

    Eq. 11 with the computation and communication of the process that waits longest. Means over the runs.
    """
    rows = []
    for run in runs:
        updates, window = run["window"]["updates"], run["window"]["seconds"]
        learner = {name: seconds / updates for name, seconds in run["learner"].items()}
        busy = np.array(run["actors"]["busy"])
        idle = (window - busy) / updates
        waits = np.array([learner["wait"] + learner["step"], *idle])
        longest = int(waits.argmax())
        weights = run["actors"]["weights"] / updates
        if longest == 0:
            computation, communication = learner["computation"], learner["communication"]
        else:
            computation, communication = busy[longest - 1] / updates - weights, weights
        rows.append(
            learner
            | {
                "longest_wait": float(waits.max()),
                "eq11": iteration_seconds(computation, communication, waits),
                "measured": window / updates,
            }
        )
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def spread(rewards: Sequence[Sequence[float]]) -> dict[str, float]:
    """Of final rewards, by seed: their mean over all, its standard error over seeds, and their standard deviation."""
    pooled = np.concatenate(rewards)
    means = [float(np.mean(each)) for each in rewards]
    return {"mean": float(pooled.mean()), "error": _mean_error(means)["error"], "std": float(pooled.std())}


def _mean_error(values: Sequence[float]) -> dict[str, float]:
    """Mean and standard error; 0 of a single value."""
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "error": error}
