"""The stages of a study of distributed agents, one after another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console

from hydrasurr.errors import HydrasurrError
from hydrasurr.files import read_records
from hydrasurr.launcher import refuse_launcher
from hydrasurr.rl.running.folder import DesignFolder
from hydrasurr.rl.study import simulation
from hydrasurr.rl.study.final import final_rewards
from hydrasurr.rl.study.folder import Facts, StudyFolder
from hydrasurr.rl.study.launch import complete, interrupted
from hydrasurr.rl.study.links import all_reduce_times, gradient_bytes, measure_links
from hydrasurr.rl.study.measures import gaps, measure, played
from hydrasurr.rl.study.settings import StudyConfig
from hydrasurr.rl.study.variants import KILLED, STALLED, Run, Shape, ablation_shape, fault_shape, scaling_shapes
from hydrasurr.scaling.fit import fit_all_reduce
from hydrasurr.scaling.models import MODELS
from hydrasurr.tables import duration

MOST_ROLLOUTS = 20_000
"""That simulations draw from."""
GRAIN = 0.05
"""Seconds by which the times of files and of processes may be apart."""


class Study:
    """All stages of a study in a folder; each is made once, so the same object can be made again after a stop.

    Raises HydrasurrError for a folder that holds something else, and ConfigError under a launcher.
    """

    def __init__(self, settings: StudyConfig, path: str | Path, *, force: bool = False, visible: bool = True):
        refuse_launcher("study")
        self.settings, self.folder = settings, StudyFolder(path)
        self.folder.prepare(settings, force=force)
        self._console = Console(stderr=True, quiet=not visible, highlight=False)
        self._done = 0

    def run(self) -> dict[str, Facts]:
        """What every stage found, by name; design runs under their names."""
        runs = planned_runs(self.settings)
        found = {"links": self._stage("links", "links between processes", self._links)}
        for number, run in enumerate(runs, 1):
            title = f"run {number} of {len(runs)}, {run.name}"
            found[run.name] = self._stage(run.name, title, lambda run=run: self._run(run))
        found["schedulers"] = self._stage("schedulers", "simulation of schedulers", lambda: self._schedulers(found))
        found["cluster"] = self._stage("cluster", "simulation of learners", lambda: self._cluster(found))
        return found

    def _stage(self, name: str, title: str, make: Callable[[], Facts]) -> Facts:
        made: list[Facts] = []

        def remember() -> Facts:
            made.append(make())
            return made[0]

        facts = self.folder.stage(name, remember)
        if made:
            self._console.print(f"{title}: {duration(facts['stage_seconds'])}", soft_wrap=True)
        return facts

    # -- measurements ----------------------------------------------------------------------------------

    def _links(self) -> Facts:
        design = self.settings.design
        return measure_links(self.settings.links, gradient_bytes(design.model, design.environment.rules))

    def _run(self, run: Run) -> Facts:
        study = self.settings
        make = interrupted if run.fault == "restart_learner" else complete
        try:
            costs = make(run, study, self.folder)
        except HydrasurrError as error:
            if run.fault is None:
                raise
            return {"failed": str(error)}  # which is a finding
        if "absent" in costs:
            return costs
        config, design = run.config(study), DesignFolder(self.folder.run(run.name))
        if (mark := fault_mark(design, run)) is not None and not mark.exists():
            return {"absent": "the actor that was to suffer it played too few rollouts"}
        facts = {**costs, **measure(design, config, run.shape.learners, study.warm_up)}
        if run.fault is not None:
            facts["recovery"] = recovery(design, run, costs)
        return {**facts, "rewards": final_rewards(design, config, study.ablations.episodes)}

    # -- simulations -----------------------------------------------------------------------------------

    def _schedulers(self, found: dict[str, Facts]) -> Facts:
        costs = measured_costs(self.settings, found).rollouts
        rows = simulation.compare_schedulers(self.settings, costs)
        return {"rows": rows, "loads": simulation.example_loads(self.settings, costs)}

    def _cluster(self, found: dict[str, Facts]) -> Facts:
        study, measured = self.settings, measured_costs(self.settings, found)
        counts = [2**power for power in range(11) if 2**power <= study.scaling.most]
        facts: Facts = {
            "one_learner": simulation.one_learner(study, measured, sorted({*counts, *study.scaling.actors})),
            "handing": measured.handing,
            "compressed": measured.compressed,
            "links": measured.links,
            "cases": [],
        }
        for case in study.simulation.cases:
            cluster = simulation.Cluster(study, measured, case)
            facts["cases"].append(
                {
                    "network": cluster.name,
                    "bytes": cluster.bytes,
                    "node": cluster.links.node,
                    "full": cluster.curve(simulation.FULL),
                    "without": cluster.curve(simulation.WITHOUT_COMMUNICATION),
                    "optimisations": cluster.optimisations(),
                }
            )
        facts["checked"] = self._checked(measured)
        return facts

    def _checked(self, measured: simulation.Measured) -> list[Facts]:
        """The shapes that were measured, simulated."""
        study = self.settings
        cluster = simulation.Cluster(study, measured, study.simulation.cases[0])
        systems = {
            "baseline": simulation.FULL,
            "no_async": simulation.System(asynchronous=False),
            "no_dynamic": simulation.System(dynamic=False),
        }
        shapes = [("baseline", shape) for shape in scaling_shapes(study)]
        shapes += [(variant, ablation_shape(study)) for variant in systems if variant in study.variants]
        return [
            {
                "variant": variant,
                "learners": shape.learners,
                "actors": shape.actors,
                **cluster.run(shape.learners, systems[variant], shape.actors),
            }
            for variant, shape in dict.fromkeys(shapes)
        ]


def planned_runs(study: StudyConfig) -> list[Run]:
    """All design runs, those of the first seed first, so that a study which is stopped early has seen most of it."""
    runs: list[Run] = []
    for seed in study.seeds:
        runs += [Run("baseline", shape, seed) for shape in scaling_shapes(study)]
        runs += [Run(variant, ablation_shape(study), seed) for variant in study.variants]
        suffering = ("baseline", *(study.faults.variants if seed == study.seeds[0] else ()))
        runs += [Run(v, fault_shape(study), seed, fault) for v in suffering for fault in (None, *study.faults.kinds)]
    return list(dict.fromkeys(runs))


def measured_costs(study: StudyConfig, found: dict[str, Facts]) -> simulation.Measured:
    """Of the runs of the smallest shape, in which processes share the cores least."""
    alone = [found[Run("baseline", Shape(1, 1), seed).name] for seed in study.seeds]
    rollouts = np.concatenate([run["rollouts"]["seconds"] for run in alone])
    between = np.concatenate([gaps(run["rollouts"]) for run in alone])
    times = all_reduce_times(found["links"])
    fit = fit_all_reduce(
        MODELS[study.simulation.all_reduce],
        [t.ranks for t in times],
        [t.bytes for t in times],
        [t.estimate().value for t in times],
    )
    return simulation.Measured(
        rollouts=rollouts[:MOST_ROLLOUTS],
        learning=np.concatenate([run["learn"] for run in alone]),
        handing=float(np.median(between)) if len(between) else 0.0,
        gradient_bytes=found["links"]["gradient_bytes"],
        compressed=_compressed(study, found),
        links=(float(fit.values[0]), float(fit.values[1])),
    )


def _compressed(study: StudyConfig, found: dict[str, Facts]) -> float:
    """Bytes that the baseline sends in an update, which takes one average of gradients, over those of a whole gradient;
    1 with one learner."""
    runs = [found[Run("baseline", ablation_shape(study), seed).name] for seed in study.seeds]
    sent = float(np.mean([sum(run["bytes"].values()) for run in runs]))
    return sent / found["links"]["gradient_bytes"] if sent else 1.0


def fault_mark(design: DesignFolder, run: Run) -> Path | None:
    """The file that an actor writes when its fault happens; None if no actor has one."""
    names = {"kill_actor": f"killed-{KILLED}", "stall_actor": f"stalled-{STALLED}"}
    return design.marks / names[run.fault] if run.fault in names else None


def recovery(design: DesignFolder, run: Run, costs: Facts) -> float | None:
    """Seconds from a fault until whoever suffered it has done a rollout again; None if that never happened."""
    rollouts, mark = played(read_records(design.metrics)), fault_mark(design, run)
    if mark is None:
        since, ends = costs["killed"], rollouts["end"]
    else:
        number = KILLED if run.fault == "kill_actor" else STALLED
        since, ends = mark.stat().st_mtime, rollouts["end"][rollouts["actor"] == number]
    later = ends[ends > since + GRAIN]
    return float(later.min() - since) if len(later) else None
