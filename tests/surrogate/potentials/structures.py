"""Structures on which potentials are tried: every kind of cell and boundary, no two atoms too close."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hydrasurr.graphs.systems import Systems, join

TRICLINIC = np.array([[1.0, 0.0, 0.0], [0.3, 1.1, 0.0], [-0.2, 0.25, 0.9]])


def lattice(
    count: int = 3,
    spacing: float = 3.6,
    numbers: Sequence[int] = (18,),
    pbc: Sequence[bool] | bool = True,
    shape: np.ndarray = TRICLINIC,
    jitter: float = 0.25,
    seed: int = 0,
) -> Systems:
    """`count^3` atoms near the points of a lattice, up to `jitter` Angstrom from them along each axis.

    `spacing` times a row of `shape` is a lattice vector. Neighbours take the elements `numbers` in turn, as in rock
    salt for two elements and an even `count`.
    """
    points = np.stack(np.meshgrid(*[np.arange(count)] * 3, indexing="ij"), -1).reshape(-1, 3)
    moves = np.random.default_rng(seed).uniform(-jitter, jitter, points.shape)
    return Systems.single(
        np.asarray(numbers)[points.sum(1) % len(numbers)],
        points @ (spacing * shape) + moves,
        count * spacing * shape,
        pbc,
    )


def every_kind(spacing: float = 3.6, numbers: Sequence[int] = (18,)) -> dict[str, Systems]:
    """One system, or several, of each kind by name: cells, boundaries, images of an atom within the cutoff."""
    kinds = {
        "box": lattice(4, spacing, numbers, shape=np.eye(3)),
        "triclinic": lattice(4, spacing, numbers),
        "slab": lattice(3, spacing, numbers, pbc=(True, True, False)),
        "wire": lattice(3, spacing, numbers, pbc=(False, True, False)),
        "cluster": lattice(3, spacing, numbers, pbc=False),
        "small cell": lattice(2, spacing, numbers, jitter=0.1),
        "one atom": lattice(1, spacing, numbers),
    }
    return kinds | {"batch": join([kinds["small cell"], kinds["cluster"], kinds["one atom"], kinds["slab"]])}
