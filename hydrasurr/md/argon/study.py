"""The stages of a study of liquid argon, one after another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.systems import Systems, join
from hydrasurr.md.argon import scaling
from hydrasurr.md.argon.production import Forces, another_start, produce, roll_out
from hydrasurr.md.argon.settings import ArgonStudy
from hydrasurr.md.engines import choose_engine
from hydrasurr.md.frame import Frame
from hydrasurr.md.study.fidelity import on_frames
from hydrasurr.md.study.formats import export_formats
from hydrasurr.md.study.progress import Watcher
from hydrasurr.md.study.stages import Result, StudyFolder
from hydrasurr.models.pair_mlp import load_pair, save_pair
from hydrasurr.surrogate.adapters.lammps_table import write_table
from hydrasurr.surrogate.potentials.pair_mlp import PairNetwork
from hydrasurr.surrogate.potentials.table import Table
from hydrasurr.training.pair_fit import fit_pair

REFERENCE, AGAIN = "lj", "lj_again"
"""Runs by Lennard-Jones; the second one from other velocities shows what of a difference is chance."""
MOST_POINTS = 50_000
"""Force magnitudes kept for figures."""


class Study:
    """All stages of a study in a folder; each is made once, so the same object can be made again after a stop.

    Raises HydrasurrError for a folder that holds something else.
    """

    def __init__(self, settings: ArgonStudy, path: str | Path, *, force: bool = False, visible: bool = True):
        torch.set_num_threads(settings.threads)
        self.settings, self.folder = settings, StudyFolder(path)
        self.folder.prepare(settings, force=force)
        self.watch = Watcher(visible)

    def run(self) -> dict[str, Result]:
        """Every stage by name."""
        results = {"reference": self._stage("reference", "reference trajectory", self._reference)}
        frames = _frames(results["reference"])
        results["fit"] = self._stage("fit", "fit of the network", lambda: self._fit(frames))
        results["export"] = self._stage("export", "formats", lambda: export_formats(self.folder, self.settings.formats))
        held_out = [frames[index] for index in results["fit"].arrays["test_frames"]]
        for name in self.settings.formats:
            results[f"forces-{name}"] = self._stage(
                f"forces-{name}", f"forces, {name}", lambda name=name: self._forces(name, held_out)
            )
        start = frames[-1]
        for name in (REFERENCE, AGAIN, *self.settings.formats):
            results[f"md-{name}"] = self._stage(
                f"md-{name}", f"dynamics, {name}", lambda name=name: self._produce(name, start)
            )
        for name in self.settings.formats:
            results[f"rollout-{name}"] = self._stage(
                f"rollout-{name}", f"network and table, {name}", lambda name=name: self._roll_out(name, start)
            )
        for factor in self.settings.scaling.factors:
            results[f"scaling-{factor}"] = self._stage(
                f"scaling-{factor}",
                f"times of {factor * self.settings.atoms:,} atoms",
                lambda factor=factor: self._scaling(factor, start),
            )
        return results

    def _stage(self, name: str, title: str, make: Callable[[], Result]) -> Result:
        with self.watch.stage(title):
            return self.folder.stage(name, make)

    def _reference(self) -> Result:
        plan, argon = self.settings.reference, self.settings.argon
        engine = choose_engine(self.settings.engine)
        self.watch.expect(plan.equilibration_ps + (plan.frames - 1) * plan.interval_ps, "ps")
        frames = []
        for frame in argon.frames(plan.frames, plan.interval_ps, engine):
            frames.append(frame)
            self.watch.advance(plan.interval_ps if len(frames) > 1 else plan.equilibration_ps)
        arrays = {
            "cell": frames[0].systems.cell[0],
            "time": np.array([frame.time_ps for frame in frames]),
            "positions": np.stack([frame.systems.positions for frame in frames]),
            "velocities": np.stack([frame.velocities for frame in frames]),
            "forces": np.stack([frame.forces for frame in frames]),
            "energy": np.array([frame.energy for frame in frames]),
            "stress": np.stack([frame.stress for frame in frames]),
        }
        return Result({"engine": engine}, arrays)

    def _fit(self, frames: list[Frame]) -> Result:
        config = self.settings.fit
        self.watch.expect(config.steps, "batches")
        forces = np.concatenate([frame.forces for frame in frames])
        systems = join([frame.systems for frame in frames])
        fit = fit_pair(systems, forces, config, lambda step, *_: self.watch.advance_to(step))
        notes = {"fitted to": f"{len(frames)} frames of {self.settings.atoms} argon atoms"}
        save_pair(self.folder.network("fp64"), fit.network, notes)
        return Result(
            {"r_min": fit.network.spec.r_min[0], "force_scale": fit.network.spec.force_scale},
            {"history": fit.history, "test_frames": fit.test_frames},
        )

    def _forces(self, name: str, held_out: list[Frame]) -> Result:
        metrics, forces = on_frames(self._network(name), held_out)
        reference = np.concatenate([frame.forces for frame in held_out])
        chosen = np.random.default_rng(self.settings.seed).permutation(len(forces))[:MOST_POINTS]
        magnitudes = [np.linalg.norm(f[chosen], axis=1) for f in (reference, forces)]
        return Result({**metrics, "atoms": len(forces)}, {"reference": magnitudes[0], "predicted": magnitudes[1]})

    def _produce(self, name: str, start: Frame) -> Result:
        plan, seed = self.settings.dynamics, self.settings.seed
        if name == AGAIN:
            seed += 1
            start = another_start(self.settings, start, seed)
        self.watch.expect(plan.equilibration_ps + plan.length_ps + plan.nve_ps, "ps")
        try:
            return produce(self.settings, self._tabulated(name), start, seed, self.watch.advance)
        except HydrasurrError as error:
            if name in (REFERENCE, AGAIN):
                raise
            return Result({"failed": str(error)})  # of a format that few bits have spoilt; the others go on

    def _roll_out(self, name: str, start: Frame) -> Result:
        self.watch.expect(2 * self.settings.dynamics.rollout_ps, "ps")
        try:
            return roll_out(self.settings, self._network(name), self._tabulated(name), start, self.watch.advance)
        except HydrasurrError as error:
            return Result({"failed": str(error)})

    def _scaling(self, factor: int, start: Frame) -> Result:
        plan = self.settings.scaling
        self.watch.expect(2 * plan.repeats + 1, "measurements")
        networks = {name: PairNetwork(load_pair(self.folder.network("fp64")), name) for name in plan.formats}
        return scaling.measure(
            start,
            factor,
            networks,
            plan.repeats,
            plan.search_steps,
            self.settings.timestep_fs,
            self.settings.skin,
            lambda: self.watch.advance(1),
        )

    def _network(self, name: str) -> PairNetwork:
        return PairNetwork.load(self.folder.network(name))

    def _tabulated(self, name: str) -> Forces:
        """The forces of a run: those of a format by its table, as a user's own LAMMPS would take them."""
        if name in (REFERENCE, AGAIN):
            argon = self.settings.argon
            return Forces(argon.potential, argon.lammps_style)
        path = self.folder.table(name)
        style = write_table(path, self._network(name), ["Ar"])
        return Forces(Table.from_lammps(path), style)


def _frames(reference: Result) -> list[Frame]:
    arrays, steps = reference.arrays, range(len(reference.arrays["time"]))
    numbers = np.full(arrays["positions"].shape[1], 18)
    return [
        Frame(
            step,
            float(arrays["time"][step]),
            Systems.single(numbers, arrays["positions"][step], arrays["cell"], True),
            arrays["velocities"][step],
            arrays["forces"][step],
            float(arrays["energy"][step]),
            arrays["stress"][step],
        )
        for step in steps
    ]
