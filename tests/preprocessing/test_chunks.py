from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocessing.card import Card
from preprocessing.chunks import FeaturizeChunk
from preprocessing.moments import Moments
from preprocessing.rows import Chunk
from preprocessing.splits import ColumnPlan

GAP = {"name": "gap"}
CHARGES = {"name": "charges", "level": "node"}


def _process(rows, targets=(GAP,), **keys):
    """The result of rows (SMILES, cells...), all for training unless a last cell `split=...` says otherwise."""
    chunk = Chunk(index=0, first_row=11)
    for smiles, *cells in rows:
        split = "train"
        if cells and cells[-1].startswith("split="):
            split = cells.pop().removeprefix("split=")
        chunk.smiles.append(smiles)
        chunk.cells.append(tuple(cells))
        chunk.split.append(split)
    card = Card(name="t", files=("t.csv",), targets=targets, **keys)
    return FeaturizeChunk(card, ColumnPlan())(chunk)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("C(C", "1"), "SMILES syntax error"),
        (("CF(C)C", "1"), "Explicit valence for atom # 1 F"),
        (("c1cccc1", "1"), "kekulize"),
        (("", "1"), "empty SMILES"),
        (("  ", ""), "empty SMILES"),
        (("CCO\ufffd", "1"), "SMILES is not UTF-8 text"),
        (("C" * 90, "1"), "272 atoms, over the limit of 256"),
        (("CCO", ""), "no target value"),
        (("CCO", "nan"), "no target value"),
        (("CCO", "N/A"), "no target value"),
        (("CCO", "abc"), "column 'gap' is not a number: 'abc'"),
        (("CCO", "1,5"), "column 'gap' is not a number: '1,5'"),
        (("CCO", "1_5"), "column 'gap' is not a number: '1_5'"),
        (("CCO", "-inf"), "column 'gap' is infinite"),
        (("CCO", "1e999"), "column 'gap' is infinite"),
        (("CCO", "1", "split=dev"), "split column says 'dev', expected train, val or test"),
    ],
)
def test_bad_rows_are_rejected_with_their_reason(row, reason):
    result = _process([("CC", "1"), row, ("CCC", "2")])
    assert [(reject.row, reject.smiles) for reject in result.rejects] == [(12, row[0])]
    assert reason in result.rejects[0].reason
    assert result.summary.rejected == 1
    train = result.tables["train"]
    assert train.smiles() == ["CC", "CCC"]
    assert train.columns["row"].tolist() == [11, 13]
    assert train.y.tolist() == [[1.0], [2.0]]


def test_a_chunk_of_bad_rows_only_gives_empty_tables():
    result = _process([("", "1", "1"), ("CC", "x", "1")], targets=(GAP, CHARGES))
    assert [len(table) for table in result.tables.values()] == [0, 0, 0]
    assert len(result.rejects) == 2
    assert result.summary.moments[0].count == 0


def test_rows_stay_in_order_within_their_split():
    rows = [("C" * (k + 1), str(k), f"split={('train', 'val', 'test')[k % 3]}") for k in range(9)]
    tables = _process(rows).tables
    assert {name: table.columns["row"].tolist() for name, table in tables.items()} == {
        "train": [11, 14, 17],
        "val": [12, 15, 18],
        "test": [13, 16, 19],
    }
    assert tables["val"].y.ravel().tolist() == [1, 4, 7]


def test_targets_are_scaled_and_may_be_missing_in_part():
    targets = ({"name": "a", "scale": 10.0}, {"name": "b"})
    result = _process([("C", " 1.5 ", "NA"), ("CC", "", "-2"), ("CCC", "null", "None")], targets)
    np.testing.assert_array_equal(result.tables["train"].y, [[15, math.nan], [math.nan, -2]])
    assert result.tables["train"].y.dtype == np.float64
    assert [reject.reason for reject in result.rejects] == ["no target value"]
    assert [moments.count for moments in result.summary.moments] == [1, 1]


def test_libraries_without_targets_need_none():
    result = _process([("C",), ("CC",)], targets=())
    assert set(result.tables["train"].columns) == {"x", "edge_attr", "row", "smiles"}
    assert result.rejects == [] and result.summary.moments == ()


def test_the_table_holds_what_a_reader_expects():
    table = _process([("OCC", "3")]).tables["train"].validate()
    assert (len(table), table.num_nodes, table.num_edges) == (1, 9, 8)
    assert table.columns["row"].dtype == np.int64
    assert _process([("OCC", "3")], explicit_hydrogens=False).tables["train"].num_nodes == 3


# -- node-level targets ------------------------------------------------------------------------------------


def test_node_values_reach_hydrogens_only_if_listed():
    rows = [("CO", "1 2"), ("CO", "3;4; 5 6 7 8"), ("[H][H]", "1 -1"), ("C[2H]", "1 nan")]
    table = _process(rows, (CHARGES | {"scale": 0.5},)).tables["train"]
    nan = math.nan
    expected = [0.5, 1, nan, nan, nan, nan, 1.5, 2, 2.5, 3, 3.5, 4, 0.5, -0.5, 0.5, nan, nan, nan, nan]
    np.testing.assert_array_equal(table.columns["node_y"], np.array(expected)[:, None])


def test_graph_and_node_targets_go_together():
    targets = (CHARGES, GAP, CHARGES | {"name": "shifts"})
    rows = [("CO", "1 2", "7", ""), ("C", "", "", "5"), ("C", "", "", ""), ("CC", "", "4", "1 2")]
    result = _process(rows, targets)
    table = result.tables["train"]
    np.testing.assert_array_equal(table.y, [[7], [math.nan], [4]])
    assert table.columns["node_y"].shape == (table.num_nodes, 2)
    np.testing.assert_array_equal(table[1].columns["node_y"][0], [math.nan, 5])
    assert [reject.reason for reject in result.rejects] == ["no target value"]
    assert [moments.count for moments in result.summary.moments] == [2, 2, 3]


@pytest.mark.parametrize(
    ("smiles", "cell", "reason"),
    [
        ("CO", "1 2 3", "column 'charges' has 3 values, expected 2 (or 6 with hydrogens)"),
        ("O=C=O", "1", "column 'charges' has 1 values, expected 3"),
        ("CO", "1 x", "column 'charges' is not a number: 'x'"),
        ("CO", "1 inf", "column 'charges' is infinite"),
    ],
)
def test_lists_that_do_not_fit_are_rejected(smiles, cell, reason):
    result = _process([("C", "1"), (smiles, cell), ("C", "2")], (CHARGES,))
    assert [(reject.row, reject.reason) for reject in result.rejects] == [(12, reason)]
    assert result.tables["train"].columns["row"].tolist() == [11, 13]


# -- statistics --------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(math.nan)), min_size=1, max_size=60), st.integers(1, 7))
def test_merged_moments_equal_those_of_the_whole(values, pieces):
    values = np.array(values)
    merged = Moments.of(np.empty(0))
    for piece in np.array_split(values, pieces):
        merged = merged.merge(Moments.of(piece))
    there = values[~np.isnan(values)]
    assert merged.count == len(there)
    if len(there):
        facts = merged.statistics()
        assert (facts.min, facts.max) == (there.min(), there.max())
        assert facts.mean == pytest.approx(there.mean(), rel=1e-9, abs=1e-9)
        assert facts.std == pytest.approx(there.std(), rel=1e-6, abs=1e-6)
