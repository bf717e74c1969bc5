"""Times of force evaluation and neighbour search over system size, as in Fig. 13 of PNNL-38353."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from hydrasurr.graphs.neighbours import NeighbourList
from hydrasurr.graphs.systems import Systems
from hydrasurr.md.frame import Frame
from hydrasurr.md.study.stages import Result
from hydrasurr.surrogate.potentials.contract import Potential


def copies(frame: Frame, factor: int) -> tuple[Systems, np.ndarray]:
    """`factor` copies of a frame's box side by side, as near to a cube as that goes, and their velocities.

    Exactly so many times its atoms, at the same density and in equilibrium but for the copies moving alike.
    """
    counts = _near_cube(factor)
    systems = frame.systems
    shifts = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), -1).reshape(-1, 1, 3) @ systems.cell[0]
    positions = (systems.positions + shifts).reshape(-1, 3)
    cell = systems.cell[0] * np.array(counts)[:, None]
    larger = Systems.single(np.tile(systems.numbers, factor), positions, cell, True)
    return larger, np.tile(frame.velocities, (factor, 1))


def _near_cube(factor: int) -> tuple[int, int, int]:
    """Three numbers with the product `factor` and the least sum."""
    divisors = [d for d in range(1, factor + 1) if factor % d == 0]
    choices = [(a, b, factor // (a * b)) for a in divisors for b in divisors if factor % (a * b) == 0]
    return min(choices, key=sum)


def measure(
    frame: Frame,
    factor: int,
    potentials: Mapping[str, Potential],
    repeats: int,
    search_steps: int,
    timestep_fs: float,
    skin: float,
    advance: Callable[[], None],
) -> Result:
    """Milliseconds a step for `factor` copies of a frame.

    `forces` holds for each potential the median of `repeats` evaluations of the same pairs, the potentials taking
    turns, so that whatever else slows the machine slows all alike. `search` is the median of as many searches from
    nothing, as in every step without a skin; `search_with_skin` the mean over a motion of `search_steps` steps, new
    searches included. Searches know nothing of the number format.
    """
    systems, velocities = copies(frame, factor)
    cutoff = max(potential.cutoff for potential in potentials.values())
    search = []
    for _ in range(repeats):
        fresh = NeighbourList(cutoff)
        seconds, pairs = _timed(lambda fresh=fresh: fresh.pairs(systems))
        search.append(seconds)
        advance()
    names = list(potentials)
    forces: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        potentials[name].compute(systems, pairs)
    for turn in range(repeats):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            forces[name].append(_timed(lambda name=name: potentials[name].compute(systems, pairs))[0])
        advance()
    kept, moving = NeighbourList(cutoff, skin), 0.0
    for step in range(search_steps):
        # Free flight: over the few hundredths of a picosecond between two searches atoms hardly change direction.
        moved = replace(systems, positions=systems.positions + step * timestep_fs * velocities)
        moving += _timed(lambda moved=moved: kept.pairs(moved))[0]
    advance()
    return Result(
        {
            "atoms": systems.num_atoms,
            "pairs": len(pairs),
            "forces": {name: 1000 * float(np.median(times)) for name, times in forces.items()},
            "search": 1000 * float(np.median(search)),
            "search_with_skin": 1000 * moving / search_steps,
        }
    )


def _timed(call: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result
