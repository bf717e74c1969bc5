"""Forces and virials against central differences of the energy: the test that every potential and adapter must pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hydrasurr.graphs.systems import Systems
from hydrasurr.surrogate.potentials.contract import Evaluation, Potential

Call = Callable[..., tuple[float, np.ndarray, np.ndarray | None]]
"""`(numbers, positions, cell, pbc) -> energy, forces [N, 3], virial [3, 3]`, as a Potential is called."""

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def check_forces(
    potential: Potential | Call, systems: Systems, *, step: float = 1e-4, tolerance: float = 1e-6, sample: int = 0
) -> None:
    """Compare every force component, or a random `sample` of them, with `-dE/dx`.

    Each coordinate is moved by `step` Angstrom both ways. `tolerance` is relative to the largest force (at least 1
    eV/Angstrom). Also asserts that moving an atom changes the energy of no other system.
    """
    evaluate = _evaluator(potential)
    forces, owner = evaluate(systems).forces, systems.system_index
    assert forces.shape == systems.positions.shape and forces.dtype == np.float64
    bound = tolerance * max(1.0, np.abs(forces).max(initial=0))
    coordinates = np.arange(forces.size)
    if sample:
        coordinates = np.random.default_rng(0).permutation(coordinates)[:sample]
    for atom, axis in zip(*divmod(coordinates, 3), strict=True):
        slope = _slope(lambda h: evaluate(_moved(systems, atom, axis, h)).energy, step)  # noqa: B023
        expected = np.where(np.arange(len(systems)) == owner[atom], -forces[atom, axis], 0)
        np.testing.assert_allclose(
            slope, expected, rtol=0, atol=bound, err_msg=f"dE/dx of each system, atom {atom}, axis {'xyz'[axis]}"
        )


def check_virial(potential: Potential | Call, systems: Systems, *, step: float = 1e-5, tolerance: float = 1e-6) -> None:
    """Compare all six components of each virial with `-dE/dstrain`; `tolerance` as in check_forces, in eV."""
    evaluate = _evaluator(potential)
    virial = evaluate(systems).virial
    assert virial.shape == (len(systems), 3, 3)
    bound = tolerance * max(1.0, np.abs(virial).max(initial=0))
    np.testing.assert_allclose(virial, virial.swapaxes(1, 2), rtol=0, atol=bound, err_msg="symmetry of the virial")
    for a, b in VOIGT:
        slope = _slope(lambda h: evaluate(strained(systems, a, b, h)).energy, step)  # noqa: B023
        np.testing.assert_allclose(
            virial[:, a, b], -slope, rtol=0, atol=bound, err_msg=f"virial component {'xyz'[a]}{'xyz'[b]}"
        )


def strained(systems: Systems, a: int, b: int, amount: float) -> Systems:
    """All of space strained by the symmetric strain whose components `[a, b]` and `[b, a]` add up to `amount`."""
    strain = np.zeros((3, 3))
    strain[a, b] += amount / 2
    strain[b, a] += amount / 2
    deform = np.eye(3) + strain
    return replace(systems, positions=systems.positions @ deform, cell=systems.cell @ deform)


def _slope(energy: Callable[[float], np.ndarray], step: float) -> np.ndarray:
    return (energy(step) - energy(-step)) / (2 * step)


def _moved(systems: Systems, atom: int, axis: int, amount: float) -> Systems:
    positions = systems.positions.copy()
    positions[atom, axis] += amount
    return replace(systems, positions=positions)


def _evaluator(potential: Potential | Call) -> Callable[[Systems], Evaluation]:
    """What evaluates several systems; a function that only knows one system at a time is called for each."""
    if isinstance(potential, Potential):
        return potential.evaluate

    def evaluate(systems: Systems) -> Evaluation:
        parts = [systems[s] for s in range(len(systems))]
        results = [potential(part.numbers, part.positions, part.cell[0], part.pbc[0]) for part in parts]
        energy, forces, virial = zip(*results, strict=True)
        return Evaluation(np.array(energy), np.concatenate(forces), np.array(virial, np.float64))

    return evaluate
