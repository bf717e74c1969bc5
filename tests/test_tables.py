"""Results on the terminal."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.tables import coefficient, duration, print_metrics, print_results, significant

METRICS = {
    "train": {"gap": {"count": 32633, "mae": 0.249921, "rmse": 0.359101, "r2": 0.921259}},
    "test": {"gap": {"count": 1389, "mae": 0.247414, "rmse": 0.337839, "r2": float("nan")}},
}


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.24741418, "0.2474"),
        (0.2, "0.2000"),
        (0.0001234567, "0.0001235"),
        (0.0000123456, "1.235e-05"),
        (12.3456, "12.35"),
        (999.94, "999.9"),
        (999.96, "1,000"),
        (11180.99, "11,181"),
        (-11180.99, "-11,181"),
        (1.2345e8, "1.234e+08"),
        (0.0, "0"),
        (None, "-"),
        (math.nan, "-"),
        (-math.inf, "-"),
    ],
)
def test_numbers_have_four_digits(value: float | None, text: str) -> None:
    assert significant(value) == text


@given(st.floats(1e-12, 1e12) | st.floats(-1e12, -1e-12))
def test_a_shown_number_is_near_the_true_one(value: float) -> None:
    text = significant(value)
    assert len(text) <= 11
    assert float(text.replace(",", "")) == pytest.approx(value, rel=5.1e-4)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (53.21, "53.2 s"), (99.9, "99.9 s"), (744, "12.4 min"), (6000, "1.67 h"), (400 * 3600, "400 h")],
)
def test_durations_choose_their_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_coefficient_has_four_decimals() -> None:
    assert [coefficient(0.921259), coefficient(-3.0), coefficient(math.nan)] == ["0.9213", "-3.0000", "-"]


def test_a_line_for_each_split_with_the_unit_once(capsys: pytest.CaptureFixture[str]) -> None:
    print_metrics(METRICS, {"gap": "eV"})
    head, _, train, test = rows(capsys.readouterr().out)
    assert head == ["target", "unit", "split", "labels", "MAE", "RMSE", "R²"]
    assert train == ["gap", "eV", "train", "32,633", "0.2499", "0.3591", "0.9213"]
    assert test == ["test", "1,389", "0.2474", "0.3378", "-"]


def test_targets_with_missing_labels_and_odd_names(capsys: pytest.CaptureFixture[str]) -> None:
    empty = {"count": 0, "mae": math.nan, "rmse": math.nan, "r2": math.nan}
    print_metrics({"test": {"[red]a": METRICS["test"]["gap"], "b": empty}}, {"[red]a": "[bohr]"})
    _, _, first, second = rows(capsys.readouterr().out)
    assert first[:2] == ["[red]a", "[bohr]"]  # square brackets are text here, not markup
    assert second == ["b", "test", "0", "-", "-", "-"]


def test_results_end_with_the_paths_that_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / ("a-long-name-" * 10) / "run"
    folder.mkdir(parents=True)
    (folder / "report.html").touch()
    (folder / "surrogate.safetensors").touch()
    print_results(folder, METRICS, {"gap": "eV"})
    lines = capsys.readouterr().out.splitlines()
    shown = [line.split() for line in lines if str(tmp_path) in line]
    assert shown == [["surrogate", str(folder / "surrogate.safetensors")], ["report", str(folder / "report.html")]]
