"""A potential behind an i-PI socket, in a process of its own: ASE asks here, i-PI and others may as well."""

import os
from multiprocessing import Process

from ase.build import bulk
from ase.calculators.socketio import SocketClient, SocketIOCalculator

from hydrasurr.surrogate.adapters.ase import HydrasurrCalculator
from hydrasurr.surrogate.potentials.lennard_jones import LennardJones

NAME = f"argon-{os.getpid()}"  # of the socket, /tmp/ipi_NAME
atoms = bulk("Ar", cubic=True) * (4, 4, 4)


def serve(name: str) -> None:
    atoms.calc = HydrasurrCalculator(LennardJones(epsilon=0.0103, sigma=3.405, cutoff=8.5), skin=1.0)
    SocketClient(unixsocket=name).run(atoms, use_stress=True)


if __name__ == "__main__":
    with SocketIOCalculator(unixsocket=NAME, timeout=60) as atoms.calc:
        server = Process(target=serve, args=(NAME,))
        server.start()
        print("energy", atoms.get_potential_energy(), "eV; stress", atoms.get_stress(), "eV/A^3")
    server.join()
