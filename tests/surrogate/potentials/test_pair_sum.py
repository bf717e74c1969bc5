"""The sum of pair potentials as one of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hydrasurr.graphs.systems import Systems
from hydrasurr.surrogate.potentials.born import Born
from hydrasurr.surrogate.potentials.contract import Sum
from hydrasurr.surrogate.potentials.coulomb import CoulombNear
from hydrasurr.surrogate.potentials.pair_sum import PairSum
from tests.surrogate.potentials.crystals import rock_salt


def test_each_term_counts_up_to_its_own_cutoff() -> None:
    crystal = rock_salt().system(2.82)
    moved = crystal.positions + np.random.default_rng(0).normal(0, 0.1, crystal.positions.shape)
    ions = Systems.single(crystal.numbers, moved, crystal.cell[0], True)
    terms = [Born(cutoff=6.0), CoulombNear({11: 1, 17: -1}, 1.5, 9.0)]
    one, separate = PairSum(terms).evaluate(ions), Sum(terms).evaluate(ions)
    assert PairSum(terms).cutoff == 9.0
    for name in ("energy", "forces", "virial"):
        assert np.allclose(getattr(one, name), getattr(separate, name), rtol=1e-12, atol=1e-12)


def test_a_sum_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one potential"):
        PairSum([])


def test_terms_on_a_device_take_the_sum_there() -> None:
    near, network = CoulombNear({11: 1, 17: -1}, 1.5, 9.0), Born(cutoff=6.0)
    assert PairSum([near, network]).device == torch.device("cpu")
    network.device, network.chunk = torch.device("meta"), 2**20
    total = PairSum([near, network])
    assert total.device == torch.device("meta") and total.chunk == 2**20
