"""Potentials in LAMMPS and beside ASE."""

from __future__ import annotations

import numpy as np
import torch
from ase import Atoms
from ase.calculators.lj import LennardJones as ASELennardJones
from ase.md.verlet import VelocityVerlet
from ase.units import fs

from benchmarks.md import argon
from benchmarks.md.argon import InLammps
from benchmarks.md.pair_network import plain_network
from benchmarks.measure import Timing, interleaved
from benchmarks.molecules import Setting
from benchmarks.result import Bar, Result
from hydrasurr.graphs.systems import Systems
from hydrasurr.md.dynamics import NVE
from hydrasurr.models.pair_mlp import PairMLP
from hydrasurr.surrogate.adapters.lammps_external import attach
from hydrasurr.surrogate.adapters.lammps_plugin_file import write_plugin_file
from hydrasurr.surrogate.adapters.lammps_table import write_table
from hydrasurr.surrogate.potentials.contract import Evaluation, Potential
from hydrasurr.surrogate.potentials.pair_mlp import PairNetwork

TABLES = {"spline": 4_000, "linear": 20_000}
"""Points of each style of interpolation; with these, forces are right to 1e-8 and 2e-6 of the largest."""


def table(result: Result, setting: Setting, liquid: Systems, network: PairMLP) -> None:
    """The network as a table of LAMMPS against LAMMPS' own Lennard-Jones; whole steps."""
    reference = argon.lennard_jones()
    own = f"pair_style lj/cut {argon.CUTOFF}\npair_coeff 1 1 {reference.epsilon} {reference.sigma}\n"
    cases = {"LAMMPS lj/cut": InLammps(liquid, own)}
    for style, points in TABLES.items():
        path = setting.cache / f"argon_{style}.table"
        lines = write_table(path, PairNetwork(network), ["Ar"], points=points, style=style)
        cases[f"LAMMPS table of the network, {style}"] = InLammps(liquid, lines)
    steps = setting.size(100, 5)
    timing = interleaved({name: lambda lmp=lmp: lmp.run(steps) for name, lmp in cases.items()}, setting.repeats)
    _rows(result, "a step", liquid, timing)
    spline, linear = (1 / times.over(timing["LAMMPS lj/cut"]) for name, times in timing.items() if "table" in name)
    result.bars.append(Bar("LAMMPS table of the network (linear), time of lj/cut", linear, 1.5, at_most=True))
    result.notes.append(
        f"a LAMMPS table takes {linear:.2f} times as long as lj/cut with style linear and 20,000 points, and "
        f"{spline:.2f} times with style spline and 4,000, the default"
    )


def plugin(result: Result, setting: Setting, liquid: Systems, network: PairMLP) -> None:
    """The plugin's whole step in LAMMPS against the bare network in torch on the distances of the same pairs."""
    lines = write_plugin_file(network, setting.cache / "argon.pair")
    lmp = InLammps(liquid, lines, plugin=True)
    distance = argon.lennard_jones().neighbours.pairs(liquid).distance
    inputs, plain = torch.from_numpy(distance).float()[:, None] / argon.CUTOFF, plain_network(network)
    steps = setting.size(5, 2)

    @torch.inference_mode()
    def forward() -> int:
        plain(inputs)
        return 1

    cases = {"plain torch, network alone": forward, "plugin fp32": lambda: lmp.run(steps)}
    timing = interleaved(cases, setting.repeats)
    _rows(result, "a step of the plugin", liquid, timing)
    ratio = timing["plugin fp32"].over(timing["plain torch, network alone"])
    result.bars.append(Bar("plugin fp32, a whole step / plain torch MLP on the same pairs", ratio, 5))


def lennard_jones(result: Result, setting: Setting, liquid: Systems) -> None:
    """A step of molecular dynamics with Lennard-Jones, here and in ASE."""
    reference = argon.lennard_jones()
    state = argon.at_100_kelvin(liquid, reference)
    dynamics = NVE(state, reference, timestep_fs=2)
    atoms = Atoms(liquid.numbers, liquid.positions, cell=liquid.cell[0], pbc=True)
    atoms.set_momenta(state.momenta)
    atoms.calc = ASELennardJones(sigma=reference.sigma, epsilon=reference.epsilon, rc=argon.CUTOFF)
    theirs = VelocityVerlet(atoms, timestep=2 * fs)
    np.testing.assert_allclose(atoms.get_forces(), state.result.forces, atol=1e-8)
    steps = setting.size(20, 2)

    def ours() -> int:
        for _ in range(steps):
            dynamics.step()
        return steps

    def ase() -> int:
        theirs.run(1)
        return 1

    timing = interleaved({"vesin + torch": ours, "ASE calculators.lj": ase}, setting.repeats)
    _rows(result, "a step of Lennard-Jones in Python", liquid, timing)
    ratio = timing["vesin + torch"].over(timing["ASE calculators.lj"])
    result.bars.append(Bar("vesin + torch / ASE calculators.lj", ratio, 10))


class Known(Potential):
    """Says always the same, at no cost: what is left is the bridge."""

    cutoff = 1.0

    def __init__(self, answer: Evaluation):
        self.answer = answer

    def evaluate(self, systems: Systems) -> Evaluation:
        return self.answer

    def compute(self, systems: Systems, pairs: object) -> Evaluation:
        return self.answer


def external(result: Result, setting: Setting, liquid: Systems) -> None:
    """`fix external` with forces that cost nothing, less the same LAMMPS without it."""
    forces = argon.lennard_jones().evaluate(liquid)
    still = Evaluation(forces.energy, 1e-6 * forces.forces, forces.virial)  # so that LAMMPS need not search again
    cases = {}
    for name in ("LAMMPS without forces", "LAMMPS with fix external"):
        cases[name] = lmp = InLammps(liquid, "pair_style zero 1.0\npair_coeff * *\n")
        if name.endswith("external"):
            attach(lmp.lmp, Known(still), ["Ar"])
            lmp.lmp.command("run 0")
    steps = setting.size(100, 5)
    timing = interleaved({name: lambda lmp=lmp: lmp.run(steps) for name, lmp in cases.items()}, 3 * setting.repeats)
    _rows(result, "a step, the bridge alone", liquid, timing)
    without, bridged = (np.array(times.wall) for times in timing.values())
    ms = 1000 * float(np.median(bridged - without)) / steps
    result.bars.append(Bar("fix external, beyond the force itself", ms, 0.6, at_most=True, unit=" ms a step"))


def _rows(result: Result, what: str, liquid: Systems, timing: dict[str, Timing]) -> None:
    for name, times in timing.items():
        result.rows.append({"what": what, "atoms": liquid.num_atoms, "by": name, "ms": 1000 / times.rate})
