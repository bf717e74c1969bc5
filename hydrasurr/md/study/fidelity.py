"""How close the forces, energies and structures of a format come to the reference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import units

from hydrasurr.md.frame import Frame
from hydrasurr.surrogate.potentials.contract import Potential

Numbers = dict[str, float]


def force_metrics(predicted: np.ndarray, reference: np.ndarray) -> Numbers:
    """Errors of forces `[n, 3]`, eV/Angstrom.

    `r2`, `rmse` and `mae` are those of the magnitudes |F|, as PNNL-38353 has them in its Figs. 10 and 12. R^2 is taken
    about the diagonal, `1 - sum (|F| - |F_ref|)^2 / sum (|F_ref| - mean)^2`, and so falls with any deviation, also one
    that a straight line would explain. `component_rmse` is over x, y and z, `relative_rmse` the same in the root mean
    square of the reference.
    """
    ours, theirs = (np.linalg.norm(forces, axis=1) for forces in (predicted, reference))
    error, difference = ours - theirs, predicted - reference
    component = float(np.sqrt(np.mean(difference**2)))
    return {
        "r2": float(1 - (error**2).sum() / ((theirs - theirs.mean()) ** 2).sum()),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.abs(error).mean()),
        "component_rmse": component,
        "relative_rmse": component / float(np.sqrt(np.mean(reference**2))),
    }


def on_frames(potential: Potential, frames: Sequence[Frame]) -> tuple[Numbers, np.ndarray]:
    """A potential on frames of the reference: figures, and its forces `[n, 3]` on all their atoms.

    `energy_shift` (meV/atom) and `pressure_shift` (bar) are the means of its differences from the reference on the
    same positions: without the noise of two trajectories.
    """
    forces, energy, pressure = [], [], []
    for frame in frames:
        found = potential.evaluate(frame.systems)
        forces.append(found.forces)
        energy.append(1000 * (found.energy[0] - frame.energy) / frame.systems.num_atoms)
        pressure.append(np.trace(frame.stress - found.stress(frame.systems)[0]) / 3 / units.bar)
    all_forces = np.concatenate(forces)
    metrics = force_metrics(all_forces, np.concatenate([frame.forces for frame in frames]))
    return {**metrics, "energy_shift": float(np.mean(energy)), "pressure_shift": float(np.mean(pressure))}, all_forces


def deviation(g: np.ndarray, reference: np.ndarray) -> Numbers:
    """The largest and the mean absolute difference of two g(r) on the same distances, where either is above 0."""
    difference = np.abs(g - reference)[(g > 0) | (reference > 0)]
    return {"g_max_deviation": float(difference.max()), "g_mean_deviation": float(difference.mean())}


def difference(mean: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Of two independent means, as a Mean."""
    errors = mean["error"], other["error"]
    error = None if None in errors else math.hypot(*errors)
    return {"mean": mean["mean"] - other["mean"], "error": error, "unit": mean["unit"]}
