"""The calculator behind an i-PI socket, in a process of its own; ASE's server asks it."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.socketio import SocketIOCalculator

from tests.runs import environment
from tests.surrogate.adapters.argon import argon
from tests.surrogate.potentials.differences import check_forces, check_virial
from tests.surrogate.potentials.structures import lattice

CLIENT = """
import sys
from ase import Atoms
from ase.calculators.socketio import SocketClient
from hydrasurr.surrogate.adapters.ase import HydrasurrCalculator
from tests.surrogate.adapters.argon import argon
from tests.surrogate.potentials.structures import lattice

system = lattice(3)
atoms = Atoms(system.numbers, system.positions, cell=system.cell[0], pbc=True)
atoms.calc = HydrasurrCalculator(argon(shift=True), skin=0.5)
SocketClient(unixsocket=sys.argv[1]).run(atoms, use_stress=True)
print("client done")
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SocketIOCalculator]:
    name = f"hydrasurr-{uuid.uuid4().hex[:12]}"
    with SocketIOCalculator(unixsocket=name, timeout=120) as calculator:
        client = subprocess.Popen(
            [sys.executable, "-c", CLIENT, name],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        yield calculator
    out, err = client.communicate(timeout=60)
    assert client.returncode == 0 and out == "client done\n", err


def test_a_second_process_answers(server: SocketIOCalculator) -> None:
    """The potential's own numbers, and finite differences of what comes over the socket."""
    from ase import Atoms

    system = lattice(3)
    atoms = Atoms(system.numbers, system.positions, cell=system.cell[0], pbc=True, calculator=server)

    def over_socket(numbers, positions, cell, pbc) -> tuple[float, np.ndarray, np.ndarray]:
        atoms.set_cell(cell)
        atoms.set_positions(positions)
        virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
        return atoms.get_potential_energy(), atoms.get_forces(), virial

    state = system.numbers, system.positions, system.cell[0], True
    for found, expected in zip(over_socket(*state), argon(shift=True)(*state), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    check_forces(over_socket, system, sample=10)
    check_virial(over_socket, system)
