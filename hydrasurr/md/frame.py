"""One moment of a trajectory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_masses

from hydrasurr.errors import StructureError
from hydrasurr.graphs.systems import Systems
from hydrasurr.md.state import State, begin
from hydrasurr.surrogate.potentials.contract import Potential


@dataclass(frozen=True)
class Frame:
    """One system at one time; None is what is not known.

    Attributes
    ----------
    step : time step of the run
    time_ps : ps
    systems : one system; positions are not wrapped into the cell
    velocities : float64 `[N, 3]`, Angstrom/fs
    forces : float64 `[N, 3]`, eV/Angstrom
    energy : potential energy, eV
    stress : float64 `[3, 3]`, eV/Angstrom^3 in the sign of ASE, of the potential alone
    """

    step: int
    time_ps: float
    systems: Systems
    velocities: np.ndarray | None = None
    forces: np.ndarray | None = None
    energy: float | None = None
    stress: np.ndarray | None = None

    @classmethod
    def of(cls, state: State, step: int, timestep_fs: float) -> Frame:
        """All of a state of one system."""
        return cls(
            step,
            step * timestep_fs / 1000,
            state.systems,
            state.velocities,
            state.result.forces,
            float(state.result.energy[0]),
            state.result.stress(state.systems)[0] if state.systems.pbc.all() else None,
        )

    def state(self, potential: Potential) -> State:
        """Something to go on from, with standard atomic masses. Needs velocities."""
        masses = atomic_masses[self.systems.numbers]
        return begin(self.systems, potential, masses[:, None] * self.velocities / units.fs, masses)

    @property
    def total_energy(self) -> float:
        """Potential and kinetic, eV. Needs energy and velocities."""
        return self.energy + self.to_ase().get_kinetic_energy()

    @property
    def pressure_bar(self) -> float | None:
        """Of the potential and the motion together, with standard atomic masses; None if one of them is missing."""
        if self.stress is None or self.velocities is None:
            return None
        atoms = self.to_ase()
        kinetic = 2 * atoms.get_kinetic_energy() / atoms.get_volume()
        return float((kinetic - np.trace(self.stress)) / 3 / units.bar)

    def to_ase(self) -> Atoms:
        """With energy, forces and stress as its calculator's results."""
        systems = self.systems
        atoms = Atoms(systems.numbers, systems.positions, cell=systems.cell[0], pbc=systems.pbc[0])
        if self.velocities is not None:
            atoms.set_velocities(self.velocities / units.fs)
        known = {name: getattr(self, name) for name in ("energy", "forces", "stress")}
        results = {name: value for name, value in known.items() if value is not None}
        if results:
            atoms.calc = SinglePointCalculator(atoms, **results)
        atoms.info.update(step=self.step, time_ps=self.time_ps)
        return atoms

    @classmethod
    def from_ase(cls, atoms: Atoms, step: int = 0, time_ps: float = 0.0) -> Frame:
        """`step` and `time_ps` count where the atoms themselves do not tell."""
        results = atoms.calc.results if atoms.calc is not None else {}
        stress = results.get("stress")
        return cls(
            int(atoms.info.get("step", step)),
            float(atoms.info.get("time_ps", time_ps)),
            Systems.from_ase(atoms),
            atoms.get_velocities() * units.fs if atoms.has("momenta") else None,
            results.get("forces"),
            results.get("energy"),
            None if stress is None else atoms.get_stress(voigt=False),
        )


def paths(frames: Iterable[Frame]) -> tuple[np.ndarray, float]:
    """Positions float64 `[F, N, 3]` (Angstrom) of equally spaced frames, and the time between two of them in ps.

    Raises StructureError if there are fewer than two frames, or their spacing is not the same.
    """
    frames = list(frames)
    spacing = np.diff([frame.time_ps for frame in frames])
    if len(frames) < 2 or spacing.min() <= 0 or not np.allclose(spacing, spacing[0], rtol=1e-4):
        raise StructureError(f"paths need at least two frames at equal distances in time; there are {len(frames)}")
    return np.stack([frame.systems.positions for frame in frames]), float(spacing.mean())


def each_system(frames: Frame | Systems | Atoms | Iterable) -> Iterator[Systems]:
    """The single systems of a frame, of systems, of ASE atoms, or of an iterable of these."""
    if isinstance(frames, Frame):
        yield frames.systems
    elif isinstance(frames, Systems):
        yield from (frames[s] for s in range(len(frames)))
    elif isinstance(frames, Atoms):
        yield Systems.from_ase(frames)
    else:
        for frame in frames:
            yield from each_system(frame)
