"""Stand-ins for the sum over reciprocal space: what they learn, where they are tested, and how they are judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import units

from hydrasurr.graphs.systems import Systems
from hydrasurr.md.frame import Frame
from hydrasurr.md.nacl.model import CHARGES, RockSalt
from hydrasurr.md.nacl.runs import Advance, frames_of, kept, record
from hydrasurr.md.study.stages import Result
from hydrasurr.surrogate.potentials.contract import Evaluation, Potential
from hydrasurr.surrogate.potentials.coulomb import CoulombFar
from hydrasurr.surrogate.potentials.damped_shifted import DampedShiftedForce

DAMPINGS = np.arange(0.0, 0.31, 0.025)
"""Of damped shifted forces, 1/Angstrom: that with the smallest error of forces on training frames is taken."""
PLACES = {
    "crystal": "the crystal it learned from",
    "hot": "the crystal, hot",
    "strained": "the crystal, strained along x",
    "vacancies": "a Na and a Cl taken out",
    "slab": "a slab with two surfaces",
}
SCAN_FRAMES = 4
HELD_OUT = 5
EVALUATION = "energy", "forces", "virial"


@dataclass(frozen=True)
class Labelled:
    """Frames with what Coulomb says of each, near and far apart: lists of one evaluation a frame."""

    frames: list[Frame]
    near: list[Evaluation]
    far: list[Evaluation]

    def take(self, chosen: Iterable[int]) -> Labelled:
        """Some of the frames."""
        chosen = list(chosen)
        return Labelled(*([column[k] for k in chosen] for column in (self.frames, self.near, self.far)))

    @property
    def coulomb(self) -> list[Evaluation]:
        """Of near and far together."""
        return [near + far for near, far in zip(self.near, self.far, strict=True)]


def place(model: RockSalt, name: str) -> tuple[Systems, float]:
    """Where to begin, and the temperature."""
    study, atoms = model.study, model.atoms()
    if name == "strained":
        cell = atoms.cell.array.copy()  # `array` is the cell itself: atoms are scaled from the old one to the new
        cell[0] *= 1 + study.limits.strain
        atoms.set_cell(cell, scale_atoms=True)
    elif name == "vacancies":
        # As far apart as the box lets them: otherwise they are one neutral defect.
        sodium = np.flatnonzero(atoms.numbers == 11)[0]
        chlorine = np.flatnonzero(atoms.numbers == 17)
        far = chlorine[atoms.get_distances(sodium, chlorine, mic=True).argmax()]
        del atoms[[sodium, far]]
    elif name == "slab":
        cell = atoms.cell.array.copy()
        cell[2, 2] += study.limits.vacuum
        atoms.set_cell(cell)
    return Systems.from_ase(atoms), study.limits.hot_K if name == "hot" else study.temperature_K


def visit(model: RockSalt, name: str, seed: int, advance: Advance) -> Result:
    """Frames of a place by the reference, with labels."""
    systems, temperature = place(model, name)
    plan = model.study.limits
    run = temperature, plan.equilibration_ps, plan.frames, plan.interval_ps, seed, advance
    return label(model, record(model.study, model.reference(), systems, *run))


def label(model: RockSalt, frames: Sequence[Frame]) -> Result:
    """Frames and the far part of Coulomb on them, finely summed."""
    far = CoulombFar(CHARGES, model.fine)
    found = [far.evaluate(frame.systems) for frame in frames]
    columns = {f"far_{name}": np.stack([getattr(one, name) for one in found]) for name in EVALUATION}
    return Result({"frames": len(frames)}, {**kept(frames), **columns})


def labelled(model: RockSalt, result: Result) -> Labelled:
    """What `label` kept, with the near part."""
    frames, columns = frames_of(result), result.arrays
    far = [Evaluation(*row) for row in zip(*(columns[f"far_{name}"] for name in EVALUATION), strict=True)]
    return Labelled(frames, [model.near.evaluate(frame.systems) for frame in frames], far)


def fitted_damping(labels: Labelled, cutoff: float) -> DampedShiftedForce:
    """Damped shifted forces with the damping that suits some frames best."""
    some = labels.take(range(min(SCAN_FRAMES, len(labels.frames))))

    def error(damping: float) -> float:
        return _rms(_forces(DampedShiftedForce(CHARGES, damping, cutoff), some) - _stack(some.coulomb))

    return DampedShiftedForce(CHARGES, float(min(DAMPINGS, key=error)), cutoff)


def errors(potential: Potential | None, labels: Labelled, constant: float) -> dict[str, float]:
    """How far a whole Coulomb potential is from near and far together, on the same positions.

    `force` (eV/Angstrom) is the root mean square error of components, `of_far` and `of_total` the same in the root
    mean square of the far part's forces and of all forces of the model; `energy` (meV/ion) the mean difference less
    `constant`, `energy_spread` its standard deviation; `pressure` (bar) the mean difference. No potential: no far part.
    """
    reference, ions = labels.coulomb, labels.frames[0].systems.num_atoms
    found = labels.near if potential is None else [potential.evaluate(frame.systems) for frame in labels.frames]
    error = _rms(_stack(found) - _stack(reference))
    energy = _energy(found, reference, ions) - constant
    volume = np.array([frame.systems.volume[0] for frame in labels.frames])
    virial = np.array([np.trace((a.virial - b.virial)[0]) / 3 for a, b in zip(found, reference, strict=True)])
    return {
        "force": error,
        "of_far": error / _rms(_stack(labels.far)),
        "of_total": error / _rms(np.concatenate([frame.forces for frame in labels.frames])),
        "energy": float(energy.mean()),
        "energy_spread": float(energy.std()),
        "pressure": float((virial / volume).mean() / units.bar),
    }


def constant(potential: Potential | None, labels: Labelled) -> float:
    """The mean difference of energy, meV/ion: forces tell nothing of it, so it is taken from frames of training."""
    found = labels.near if potential is None else [potential.evaluate(frame.systems) for frame in labels.frames]
    return float(_energy(found, labels.coulomb, labels.frames[0].systems.num_atoms).mean())


def split(labels: Labelled) -> tuple[Labelled, Labelled]:
    """Training and held-out frames: every fifth is one of the latter."""
    count = len(labels.frames)
    return labels.take(k for k in range(count) if k % HELD_OUT), labels.take(range(0, count, HELD_OUT))


def scatter(potential: Potential, labels: Labelled, most: int, seed: int) -> Mapping[str, np.ndarray]:
    """Components of the far forces of some ions: `reference`, and `predicted` by the potential less the near part."""
    reference = _stack(labels.far).ravel()
    predicted = (_forces(potential, labels) - _stack(labels.near)).ravel()
    chosen = np.random.default_rng(seed).permutation(len(reference))[:most]
    return {"reference": reference[chosen], "predicted": predicted[chosen]}


def _forces(potential: Potential, labels: Labelled) -> np.ndarray:
    return np.concatenate([potential.evaluate(frame.systems).forces for frame in labels.frames])


def _stack(evaluations: Sequence[Evaluation]) -> np.ndarray:
    return np.concatenate([one.forces for one in evaluations])


def _energy(found: Sequence[Evaluation], reference: Sequence[Evaluation], ions: int) -> np.ndarray:
    return np.array([1000 * (a.energy[0] - b.energy[0]) / ions for a, b in zip(found, reference, strict=True)])


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
