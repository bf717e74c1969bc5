"""Potentials as ASE calculators; through ASE also behind i-PI sockets."""

from __future__ import annotations

from collections.abc import Sequence

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from hydrasurr.graphs.systems import Systems
from hydrasurr.surrogate.potentials.contract import Potential


class HydrasurrCalculator(Calculator):
    """An ASE calculator of any potential: energy (eV), forces (eV/Angstrom), stress (eV/Angstrom^3, Voigt order).

    The stress is that of periodic or boxed systems; asking for it without three cell vectors raises ASE's
    PropertyNotImplementedError. To serve a code that speaks the i-PI protocol, hand atoms with this calculator to
    `ase.calculators.socketio.SocketClient`.

    Parameters
    ----------
    potential : use one for each `Atoms` that moves: it keeps a neighbour list
    skin : Verlet skin of that list, Angstrom, or None to leave the potential's own; changes the speed only
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012 (ASE's own declaration)
    ignored_changes = {"initial_charges", "initial_magmoms"}  # noqa: RUF012

    def __init__(self, potential: Potential, skin: float | None = None):
        super().__init__()
        self.potential = potential
        if skin is not None:
            potential.skin = skin

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Evaluate the potential; all properties at once, as ASE keeps them until the atoms change."""
        super().calculate(atoms, properties, system_changes)
        systems = Systems.from_ase(self.atoms)
        result = self.potential.evaluate(systems)
        energy = float(result.energy[0])
        self.results = {"energy": energy, "free_energy": energy, "forces": result.forces}
        if self.atoms.cell.rank == 3:
            self.results["stress"] = full_3x3_to_voigt_6_stress(-result.virial[0] / self.atoms.get_volume())
