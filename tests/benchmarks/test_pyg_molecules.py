"""The way from SMILES to PyG that `query` measures against: the same graphs as ours, or the comparison is none."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.pyg_molecules import pyg_data
from hydrasurr.graphs.pyg import to_pyg
from hydrasurr.graphs.smiles import featurize
from tests.molecules import HARD


def edges(data) -> list[list[int]]:
    """Ends and features of each directed edge, sorted."""
    return sorted(np.concatenate([data.edge_index.numpy(), data.edge_attr.numpy().T]).T.astype(int).tolist())


@pytest.mark.parametrize("smiles", HARD.values(), ids=HARD.keys())
def test_the_same_graph(smiles: str) -> None:
    [expected] = to_pyg(featurize([smiles]).table)
    data = pyg_data(smiles)
    np.testing.assert_array_equal(data.x.numpy(), expected.x.numpy())
    assert edges(data) == edges(expected)
