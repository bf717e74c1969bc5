"""Ionic crystals and their Madelung constants."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hydrasurr.graphs.systems import Systems

FCC = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2


class Crystal(NamedTuple):
    """Ions at fractions of the cell vectors, with charges by atomic number.

    `energy` is the electrostatic energy of one cell in units of e^2 and the unit of length of `cell`: its Madelung
    constant with a minus sign, for each formula unit.
    """

    cell: np.ndarray
    cations: np.ndarray
    anions: np.ndarray
    charges: dict[int, float]
    energy: float

    def system(self, length: float) -> Systems:
        """The crystal with this unit of length, Angstrom."""
        numbers = [11] * len(self.cations) + [17] * len(self.anions)
        fractions = np.concatenate([self.cations, self.anions])
        return Systems.single(numbers, fractions @ self.cell * length, self.cell * length, True)


def rock_salt() -> Crystal:
    """Unit of length: the distance of neighbours."""
    return Crystal(2 * FCC, np.zeros((1, 3)), np.full((1, 3), 0.5), {11: 1, 17: -1}, -1.7475645946331822)


def caesium_chloride() -> Crystal:
    """Unit of length: the edge of the cube."""
    energy = -1.76267477307099 / (math.sqrt(3) / 2)  # the constant is for the distance of neighbours
    return Crystal(np.eye(3), np.zeros((1, 3)), np.full((1, 3), 0.5), {11: 1, 17: -1}, energy)


def zincblende() -> Crystal:
    """Unit of length: the edge of the cube."""
    energy = -1.6380550533 / (math.sqrt(3) / 4)  # the constant is for the distance of neighbours
    return Crystal(FCC, np.zeros((1, 3)), np.full((1, 3), 0.25), {11: 1, 17: -1}, energy)


def wurtzite() -> Crystal:
    """Unit of length: the distance of neighbours; ideal ratio of axes."""
    a, c = math.sqrt(8 / 3), 8 / 3
    cell = np.array([[a / 2, -a * math.sqrt(3) / 2, 0], [a / 2, a * math.sqrt(3) / 2, 0], [0, 0, c]])
    cations = np.array([[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5]])
    return Crystal(cell, cations, cations + [0, 0, 3 / 8], {11: 1, 17: -1}, -2 * 1.64132162737)


def fluorite() -> Crystal:
    """Unit of length: the edge of the cube."""
    anions = np.array([[0.25] * 3, [0.75] * 3])
    return Crystal(FCC, np.zeros((1, 3)), anions, {11: 2, 17: -1}, -11.6365752270768)


CRYSTALS = {make.__name__: make() for make in (rock_salt, caesium_chloride, zincblende, wurtzite, fluorite)}
