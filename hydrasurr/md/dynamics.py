"""What every ensemble offers to a run: a state, and a step to the next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from hydrasurr.md.frame import Frame
from hydrasurr.md.integrate import velocity_verlet
from hydrasurr.md.state import State
from hydrasurr.surrogate.potentials.contract import Potential


class Dynamics(ABC):
    """Moves one system step by step.

    Attributes
    ----------
    state : now
    timestep_fs : fs
    """

    state: State
    timestep_fs: float

    @abstractmethod
    def step(self) -> None:
        """Go one time step further."""

    @property
    @abstractmethod
    def conserved(self) -> float | None:
        """The energy (eV) that would be constant with an infinitely short time step; None if there is none."""

    @property
    def memory(self) -> dict[str, Any]:
        """All that the next steps depend on beside the state and the configuration, as JSON."""
        return {}


class NVE(Dynamics):
    """Constant energy: velocity Verlet, see hydrasurr.md.integrate."""

    def __init__(self, state: State, potential: Potential, timestep_fs: float):
        self.state, self.potential, self.timestep_fs = state, potential, timestep_fs

    def step(self) -> None:
        self.state = velocity_verlet(self.state, self.potential, self.timestep_fs)

    @property
    def conserved(self) -> float:
        return float(self.state.total_energy[0])


def frames(dynamics: Dynamics, steps: int, interval: int) -> Iterator[Frame]:
    """Go `steps` further, and give a frame of the begin and then one every `interval` steps."""
    yield Frame.of(dynamics.state, 0, dynamics.timestep_fs)
    for step in range(1, steps + 1):
        dynamics.step()
        if step % interval == 0:
            yield Frame.of(dynamics.state, step, dynamics.timestep_fs)
