"""How well any function of pairs could stand for the far part: least squares instead of training."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array

from hydrasurr.graphs.neighbours import NeighbourList
from hydrasurr.graphs.systems import Systems
from hydrasurr.md.nacl.far import Labelled

BIN = 0.15
"""Width of the intervals between which the function of the distance is a straight line, Angstrom."""
NEAREST = 2.0
"""No two ions are closer, Angstrom."""
RIDGE = 1e-6
"""Of the mean of the diagonal: for distances that never occur in a crystal."""


def bound(train: Labelled, test: Labelled, cutoff: float) -> dict[str, float]:
    """Errors of forces (eV/Angstrom, root mean square of components) of the piecewise linear function of the distance,
    one for each kind of pair, that fits the far forces of the frames of training best.

    `fitted` is its error there, which no pair function of this resolution can be below; `held_out` that on others.
    """
    normal, right = 0.0, 0.0
    for frame, far in zip(train.frames, train.far, strict=True):
        design = _design(frame.systems, cutoff)
        normal = normal + (design.T @ design).toarray()
        right = right + design.T @ far.forces.ravel()
    ridge = RIDGE * np.trace(normal) / len(normal) * np.eye(len(normal))
    solution = np.linalg.solve(normal + ridge, right)
    return {"fitted": _error(train, solution, cutoff), "held_out": _error(test, solution, cutoff)}


def _design(systems: Systems, cutoff: float) -> coo_array:
    """`[3 N, 3 K]`: what a force of 1 at each of K distances, for each kind of pair, gives on each ion."""
    pairs, count = NeighbourList(cutoff).pairs(systems), int(np.ceil((cutoff - NEAREST) / BIN))
    chlorines = (systems.numbers == 17).astype(int)
    kind = chlorines[pairs.i] + chlorines[pairs.j]
    place = np.clip((pairs.distance - NEAREST) / BIN, 0, count - 1e-9)
    below = place.astype(int)
    unit = pairs.vector / pairs.distance[:, None]
    rows, columns, values = [], [], []
    for node, weight in ((below, 1 - (place - below)), (below + 1, place - below)):
        for atom, sign in ((pairs.j, 1), (pairs.i, -1)):
            rows.append((3 * atom[:, None] + np.arange(3)).ravel())
            columns.append(np.repeat(kind * (count + 1) + node, 3))
            values.append((sign * unit * weight[:, None]).ravel())
    entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    return coo_array(entries, shape=(3 * systems.num_atoms, 3 * (count + 1))).tocsr()


def _error(labels: Labelled, solution: np.ndarray, cutoff: float) -> float:
    errors = [
        _design(frame.systems, cutoff) @ solution - far.forces.ravel()
        for frame, far in zip(labels.frames, labels.far, strict=True)
    ]
    return float(np.sqrt(np.mean(np.square(errors))))
