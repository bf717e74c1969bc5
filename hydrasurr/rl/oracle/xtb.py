"""Extended tight binding, by the tblite library, as a calculator of ASE that also tells the orbitals."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes

from hydrasurr.errors import missing_extra
from hydrasurr.rl.oracle.geometry import LabelError

try:
    import tblite.interface as tblite
    from tblite.exceptions import TBLiteRuntimeError
    from threadpoolctl import ThreadpoolController
except ImportError as error:
    raise missing_extra(error.name or "tblite", "oracle") from error

_THREADS = ThreadpoolController()


def one_thread() -> Any:
    """A context in which OpenMP and linear algebra keep to one thread.

    Molecules are small, and workers share the cores: with a thread a core each calculation takes several times as long.
    """
    return _THREADS.limit(limits=1)


class Frontier(NamedTuple):
    """Energies of the highest occupied and the lowest unoccupied orbital, eV; NaN for one that the basis lacks."""

    homo: float
    lumo: float


class XTB(Calculator):
    """Energies (eV) and forces (eV/Angstrom) of a closed-shell molecule without periodicity.

    One object is for one molecule: each calculation starts from the orbitals of the last.

    Raises LabelError when the self-consistent field does not converge, or atoms lie on top of each other.
    """

    implemented_properties = ["energy", "forces"]  # noqa: RUF012 (ASE's own name)

    def __init__(self, method: str, charge: int = 0):
        super().__init__()
        self._method, self._charge = method, charge
        self._solver: Any = None
        self._found: Any = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """As ASE calls it."""
        super().calculate(atoms, properties, system_changes)
        try:
            with one_thread():
                self._found = self._solve(self.atoms.positions / units.Bohr)
        except TBLiteRuntimeError as error:
            raise LabelError(f"no self-consistent field: {' '.join(str(error).split())}") from error
        energy, gradient = self._found.get("energy"), self._found.get("gradient")
        if not (np.isfinite(energy) and np.isfinite(gradient).all()):
            raise LabelError("no self-consistent field: the energy or a force is no finite number")
        self.results = {"energy": energy * units.Hartree, "forces": -gradient * units.Hartree / units.Bohr}

    def _solve(self, positions: np.ndarray) -> Any:
        if self._solver is None:
            self._solver = tblite.Calculator(self._method, self.atoms.numbers, positions, float(self._charge), 0)
            self._solver.set("verbosity", 0)
            return self._solver.singlepoint()
        self._solver.update(positions)
        try:
            return self._solver.singlepoint(self._found)
        except TBLiteRuntimeError:  # the last orbitals may have led astray
            return self._solver.singlepoint()

    def frontier(self) -> Frontier:
        """Of the last calculation."""
        energies = np.asarray(self._found.get("orbital-energies")) * units.Hartree
        occupied = round(float(np.sum(self._found.get("orbital-occupations")))) // 2
        homo = energies[occupied - 1] if occupied else np.nan
        lumo = energies[occupied] if occupied < len(energies) else np.nan
        return Frontier(float(homo), float(lumo))

    def dipole(self) -> float:
        """Of the last calculation, in Debye; NaN for ions, for which it depends on the origin."""
        moment = np.linalg.norm(self._found.get("dipole")) * units.Bohr / units.Debye
        return float(moment) if not self._charge else float("nan")
