"""The stages of a study of rock salt, one after another."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.systems import join
from hydrasurr.md.engines import choose_engine
from hydrasurr.md.frame import Frame
from hydrasurr.md.nacl import far, madelung, scaling
from hydrasurr.md.nacl.bound import bound
from hydrasurr.md.nacl.far import PLACES, Labelled
from hydrasurr.md.nacl.graph import build_graph, fit_graph
from hydrasurr.md.nacl.model import CHARGES, Forces, RockSalt
from hydrasurr.md.nacl.runs import produce, record, shuffled
from hydrasurr.md.nacl.settings import NaClStudy
from hydrasurr.md.study.fidelity import force_metrics
from hydrasurr.md.study.formats import export_formats
from hydrasurr.md.study.progress import Watcher
from hydrasurr.md.study.stages import Result, StudyFolder
from hydrasurr.models.pair_mlp import load_pair, save_pair
from hydrasurr.surrogate.potentials.contract import Potential, Sum
from hydrasurr.surrogate.potentials.damped_shifted import DampedShiftedForce
from hydrasurr.surrogate.potentials.network import NetworkPotential
from hydrasurr.surrogate.potentials.pair_mlp import PairNetwork
from hydrasurr.surrogate.potentials.pair_sum import PairSum
from hydrasurr.surrogate.potentials.pairwise import PairPotential
from hydrasurr.training.pair_fit import PairFit, fit_pair

REFERENCE, AGAIN = "reference", "again"
P3M, NONE, GRAPH = "p3m", "none", "graph"
LOOSER = (1e-3, 5e-3)
"""Accuracies of PPPM that are measured too: time that is saved by asking for less is saved without learning."""
MOST_POINTS = 20_000
"""Force components kept for figures."""


class Study:
    """All stages of a study in a folder; each is made once, so the same object can be made again after a stop.

    Raises HydrasurrError for a folder that holds something else.
    """

    def __init__(self, settings: NaClStudy, path: str | Path, *, force: bool = False, visible: bool = True):
        self.settings, self.folder = settings, StudyFolder(path)
        self.folder.prepare(settings, force=force)
        self.watch = Watcher(visible)
        torch.set_num_threads(settings.threads)
        self.model = RockSalt(settings)
        self.results: dict[str, Result] = {}

    def run(self) -> dict[str, Result]:
        """Every stage by name."""
        study, stage = self.settings, self._stage
        stage("madelung", "Madelung's constant", self._madelung)
        crystal = far.labelled(self.model, stage("reference", "reference trajectory", self._reference))
        train, test = far.split(crystal)
        wanted = study.fit_hot or any(one.hot for one in study.learned.values())
        hot = self._place("hot", len(PLACES), "hot-to-learn") if wanted else None
        stage("fit", "fit of the short range", lambda: self._fit_short(train, hot))
        stage("export", "formats", lambda: export_formats(self.folder, self.settings.formats))
        for name in study.formats:
            stage(f"forces-{name}", f"short-range forces, {name}", lambda name=name: self._forces(name, test))
        visits = {"crystal": test, **{name: self._place(name, seed) for seed, name in enumerate(PLACES) if seed}}
        for name in study.learned:
            stage(f"fit-{name}", f"fit of {name}", lambda name=name: self._fit_far(name, train, hot))
        stage("damping", "damping of shifted forces", lambda: self._damping(train))
        stage("bound", "the best that pairs could do", lambda: self._bound(train, test))
        if study.graph:
            stage("fit-graph", "fit of the graph network", lambda: self._fit_graph(train))
        for name in (P3M, NONE, *study.stand_ins, *([GRAPH] if study.graph else [])):
            stage(f"far-{name}", f"far forces, {name}", lambda name=name: self._far(name, train, visits))
        for name in (REFERENCE, AGAIN, *study.formats, *study.stand_ins):
            make = lambda name=name: self._produce(name, crystal.frames[-1])  # noqa: E731
            stage(f"md-{name}", f"dynamics, {name}", make)
        if choose_engine(study.engine) == "lammps":
            stage("pppm", "accuracies of PPPM", lambda: self._pppm(test))
        for edge in study.scaling.edges:
            stage(f"scaling-{edge}", f"times of {8 * edge**3:,} ions", lambda edge=edge: self._scaling(edge))
        return self.results

    def _stage(self, name: str, title: str, make: Callable[[], Result]) -> Result:
        with self.watch.stage(title):
            self.results[name] = self.folder.stage(name, make)
        return self.results[name]

    def _place(self, name: str, seed: int, stage: str | None = None) -> Labelled:
        make = lambda: self._visit(name, seed)  # noqa: E731
        return far.labelled(self.model, self._stage(stage or f"place-{name}", PLACES[name], make))

    # -- the model --------------------------------------------------------------------------------------

    def _madelung(self) -> Result:
        found = {"exact": madelung.MADELUNG, "ewald": madelung.madelung("ewald", madelung.EWALD_ACCURACY, cells=1)}
        accuracies = madelung.P3M_ACCURACIES
        return Result({**found, "p3m": {f"{a:g}": madelung.madelung("p3m", a) for a in accuracies}})

    def _reference(self) -> Result:
        plan, study = self.settings.reference, self.settings
        self.watch.expect(plan.equilibration_ps + plan.frames * plan.interval_ps, "ps")
        run = study.temperature_K, plan.equilibration_ps, plan.frames, plan.interval_ps, study.seed
        frames = record(study, self.model.reference(), self.model.crystal(), *run, self.watch.advance)
        made = far.label(self.model, frames)
        mine = Sum([self.model.born, self.model.coulomb()])
        last = frames[-1]
        found = mine.evaluate(last.systems)
        difference = float(np.sqrt(np.mean((found.forces - last.forces) ** 2)))
        stress = np.abs(found.stress(last.systems)[0] - last.stress).max()
        facts = {
            "engine": choose_engine(study.engine),
            "smearing": self.model.splitting.smearing,
            "resolution": self.model.splitting.resolution,
            "programs": {"force": difference, "stress": float(stress), "energy": float(found.energy[0] - last.energy)},
            "force_rms": _rms(last.forces),
            "lattice_energy": self._lattice_energy(self.model.born),
        }
        return Result({**made.facts, **facts}, made.arrays)

    def _lattice_energy(self, short: PairPotential) -> float:
        """eV for each NaCl of the perfect crystal."""
        crystal = self.model.crystal()
        energy = Sum([short, self.model.coulomb(fine=True)]).evaluate(crystal).energy[0]
        return float(energy / (crystal.num_atoms / 2))

    # -- the short range ---------------------------------------------------------------------------------

    def _fit_short(self, train: Labelled, hot: Labelled | None) -> Result:
        frames = [*train.frames, *(hot.frames if hot and self.settings.fit_hot else [])]
        fit = self._fit(frames, [self.model.born.evaluate(frame.systems).forces for frame in frames], self.settings.fit)
        save_pair(self.folder.network("fp64"), fit.network, {"fitted to": "the short-range forces of NaCl"})
        return Result({"r_min": fit.network.spec.r_min, "relative_rmse": fit.relative_rmse}, {"history": fit.history})

    def _fit(self, frames: list[Frame], forces: list[np.ndarray], config: Any) -> PairFit:
        self.watch.expect(config.steps, "batches")
        systems = join([frame.systems for frame in frames])
        return fit_pair(systems, np.concatenate(forces), config, lambda step, *_: self.watch.advance_to(step))

    def _forces(self, name: str, test: Labelled) -> Result:
        network = self._network(name)
        ours, theirs = [], []
        for frame in test.frames:
            ours.append(network.evaluate(frame.systems))
            theirs.append(self.model.born.evaluate(frame.systems))
        predicted, reference = (np.concatenate([one.forces for one in found]) for found in (ours, theirs))
        ions = test.frames[0].systems.num_atoms
        shift = [1000 * (a.energy[0] - b.energy[0]) / ions for a, b in zip(ours, theirs, strict=True)]
        chosen = np.random.default_rng(self.settings.seed).permutation(len(predicted))[:MOST_POINTS]
        magnitudes = [np.linalg.norm(forces[chosen], axis=1) for forces in (reference, predicted)]
        facts = {
            **force_metrics(predicted, reference),
            "of_total": _rms(predicted - reference) / _rms(np.concatenate([frame.forces for frame in test.frames])),
            "energy_shift": float(np.mean(shift)),
            "lattice_energy": self._lattice_energy(network),
            "programs": self._programs(name, test.frames[0]),
        }
        return Result(facts, {"reference": magnitudes[0], "predicted": magnitudes[1]})

    def _programs(self, name: str, frame: Frame) -> float | None:
        """Root mean square difference of all forces by LAMMPS, from the table, and by torch, from the network."""
        if choose_engine(self.settings.engine) != "lammps":
            return None
        mine = Sum([self._network(name), self.model.coulomb()]).evaluate(frame.systems)
        with self._road(name).engine(self.settings, frame.state(self.model.born)) as engine:
            return _rms(engine.frame(0).forces - mine.forces)

    # -- reciprocal space --------------------------------------------------------------------------------

    def _visit(self, name: str, seed: int) -> Result:
        plan = self.settings.limits
        self.watch.expect(plan.equilibration_ps + plan.frames * plan.interval_ps, "ps")
        return far.visit(self.model, name, self.settings.seed + seed, self.watch.advance)

    def _fit_far(self, name: str, train: Labelled, hot: Labelled | None) -> Result:
        learned = self.settings.learned[name]
        sources = [train, hot] if learned.hot and hot else [train]
        frames = [frame for source in sources for frame in source.frames]
        labels = [one for source in sources for one in (source.far if learned.part == "far" else source.coulomb)]
        fit = self._fit(frames, [one.forces for one in labels], learned.fit)
        save_pair(self.folder.network(name), fit.network, {"fitted to": f"{learned.part} forces of NaCl"})
        return Result({"relative_rmse": fit.relative_rmse}, {"history": fit.history})

    def _damping(self, train: Labelled) -> Result:
        cutoffs = self.settings.dsf_cutoffs
        return Result({f"dsf-{cutoff:g}": far.fitted_damping(train, cutoff).damping for cutoff in cutoffs})

    def _bound(self, train: Labelled, test: Labelled) -> Result:
        cutoffs = sorted({one.fit.cutoff for one in self.settings.learned.values()} | set(self.settings.dsf_cutoffs))
        return Result({f"{cutoff:g}": bound(train, test, cutoff) for cutoff in cutoffs})

    def _fit_graph(self, train: Labelled) -> Result:
        self.watch.expect(self.settings.graph.steps, "steps")
        network = fit_graph(
            train, self.settings.graph, tuple(CHARGES), self.settings.seed, lambda: self.watch.advance(1)
        )
        state = {key: value.numpy() for key, value in network.state_dict().items()}
        return Result({"parameters": network.num_parameters}, state)

    def _far(self, name: str, train: Labelled, visits: dict[str, Labelled]) -> Result:
        potential = None if name == NONE else self._coulomb(name)
        shift = far.constant(potential, train)
        places = {where: far.errors(potential, labels, shift) for where, labels in visits.items()}
        facts: dict[str, Any] = {"constant": shift, "places": places}
        if potential is None:
            return Result(facts)
        start = time.perf_counter()
        drawn = far.scatter(potential, visits["crystal"], MOST_POINTS, self.settings.seed)
        facts["evaluation_ms"] = 1000 * (time.perf_counter() - start) / len(visits["crystal"].frames)
        return Result(facts, drawn)

    def _coulomb(self, name: str) -> Potential:
        """All of Coulomb, with a stand-in for its far part."""
        if name == P3M:
            return self.model.coulomb()
        if name == GRAPH:
            return Sum([self.model.near, self._graph()])
        return self._radial(name)

    def _radial(self, name: str) -> PairPotential:
        if name.startswith("dsf-"):
            return DampedShiftedForce(CHARGES, self.results["damping"].facts[name], float(name.removeprefix("dsf-")))
        network = PairNetwork.load(self.folder.network(name), repulsive=False)
        return network if self.settings.learned[name].part == "coulomb" else PairSum([self.model.near, network])

    def _graph(self) -> NetworkPotential:
        network, arrays = build_graph(self.settings.graph, tuple(CHARGES)), self.results["fit-graph"].arrays
        network.load_state_dict({key: torch.from_numpy(arrays[key]) for key in network.state_dict()})
        return NetworkPotential(network)

    def _pppm(self, test: Labelled) -> Result:
        """The errors of LAMMPS' own sum, eV/Angstrom, by the accuracy that is asked for; short-range forces exact."""
        facts = {}
        for accuracy in (self.settings.accuracy, *LOOSER):
            errors, forces = [], self._tabled(accuracy, self.model.born)
            for frame, coulomb in zip(test.frames, test.coulomb, strict=True):
                with forces.engine(self.settings, frame.state(self.model.born)) as engine:
                    exact = self.model.born.evaluate(frame.systems).forces + coulomb.forces
                    errors.append(engine.frame(0).forces - exact)
            facts[f"{accuracy:g}"] = _rms(np.stack(errors))
        return Result(facts)

    # -- runs ----------------------------------------------------------------------------------------------

    def _road(self, name: str) -> Forces:
        """The forces of a run, as a user's own LAMMPS would take them."""
        if name in (REFERENCE, AGAIN):
            return self.model.reference()
        path = self.folder.table(name)
        if name in self.settings.formats:
            return self.model.with_table(path, self._network(name))
        return self.model.table_alone(path, PairSum([self.model.born, self._radial(name)]))

    def _tabled(self, accuracy: float, short: PairPotential) -> Forces:
        return self.model.tabled(self.folder.table(f"near-{accuracy:g}"), short, accuracy)

    def _produce(self, name: str, start: Frame) -> Result:
        plan = self.settings.dynamics
        self.watch.expect(plan.equilibration_ps + plan.length_ps + plan.nve_ps, "ps")
        try:
            start = shuffled(start, self.settings.seed) if name == AGAIN else start
            return produce(self.settings, self._road(name), start, self.watch.advance)
        except HydrasurrError as error:
            if name in (REFERENCE, AGAIN):
                raise
            return Result({"failed": str(error)})  # of one that does not hold the crystal; the others go on

    def _scaling(self, edge: int) -> Result:
        plan, facts = self.settings.scaling, {"ions": 8 * edge**3}
        roads = self._roads() if choose_engine(self.settings.engine) == "lammps" else {}
        self.watch.expect(plan.repeats * len(roads) + plan.repeats + 1, "measurements")
        if roads:
            facts["lammps"] = scaling.in_lammps(self.model, edge, roads, lambda: self.watch.advance(1))
        network = load_pair(self.folder.network("fp64"))
        networks = {f"short {name}": PairNetwork(network, name) for name in ("fp64", "fp32")}
        facts["torch"] = scaling.in_torch(self.model, edge, networks, lambda: self.watch.advance(1))
        return Result(facts)

    def _roads(self) -> dict[str, scaling.Road]:
        """What is timed. A table takes its time whatever is in it, so one for each cutoff will do."""
        fp64 = self.model.with_table(self.folder.table("fp64"), self._network("fp64"))
        roads = {"reference": scaling.Road(self.model.reference().style), "short": scaling.Road(fp64.style)}
        for accuracy in (self.settings.accuracy, *LOOSER):
            roads[f"near table {accuracy:g}"] = scaling.Road(self._tabled(accuracy, self._network("fp64")).style)
        for name in self.settings.stand_ins:
            road = scaling.Road(self._road(name).style, charged=False)
            roads.setdefault(f"table {self._radial(name).cutoff:g}", road)
        return roads

    def _network(self, name: str) -> PairNetwork:
        return PairNetwork.load(self.folder.network(name))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
