"""The table and the figure tell what was measured from what was forecast."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from matplotlib.lines import Line2D

from hydrasurr.scaling.analysis import Analysis, Question, analyse
from hydrasurr.scaling.figure import FORECAST, MEASURED, scaling_figure, write_figures
from hydrasurr.scaling.network import PRESETS
from hydrasurr.scaling.table import bytes_text, print_analysis
from hydrasurr.scaling.world import rank_counts
from tests.scaling.synthetic import measurements


def _analysis(ranks: tuple[int, ...] = (2, 4, 8)) -> Analysis:
    return analyse(measurements(ranks, noise=0.03), Question(PRESETS["perlmutter"], ranks=rank_counts(1024)))


def test_the_table_says_what_is_measured_fitted_and_forecast(capsys: pytest.CaptureFixture) -> None:
    print_analysis(_analysis())
    out = capsys.readouterr().out
    kinds = re.findall("^(MEASURED|FITTED|FORECAST)", out, re.MULTILINE)
    assert kinds == ["MEASURED"] * 3 + ["FITTED"] * 2 + ["FORECAST"] * 3
    assert "'ring' fits best" in out and "Perlmutter-like" in out
    assert "1,024" in out.split("FORECAST")[1] and "1,024" not in out.split("FORECAST")[0]
    assert max(map(len, out.splitlines())) <= 80 and "…" not in out


def test_with_one_rank_count_the_table_says_what_is_not_known(capsys: pytest.CaptureFixture) -> None:
    print_analysis(_analysis((2,)))
    out = " ".join(capsys.readouterr().out.split())
    assert "all models fit alike" in out and "fits best" not in out
    assert "Not to be used beyond the measured ranks" in out and "Eq. 9, with the links" not in out


@pytest.mark.parametrize("ranks", [(), (2,), (2, 4, 8)])
def test_the_figure_marks_measured_points_and_draws_forecasts_as_bands(ranks: tuple[int, ...]) -> None:
    analysis = _analysis(ranks)
    figure = scaling_figure(analysis, "run")
    assert len(figure.axes) == 6
    panels = {ax.get_title(loc="left").split(":")[0].split(" of")[0]: ax for ax in figure.axes}
    assert {"weak scaling", "strong scaling", "all-reduce", "an epoch"} == set(panels)
    for ax in figure.axes:
        assert ax.get_title(loc="left") and ax.get_xlabel()
    for title in ("weak scaling", "an epoch"):
        ax = panels[title]
        points = [line for line in ax.lines if line.get_marker() == "o"]
        assert [list(line.get_xdata()) for line in points] == [[1, *ranks]]
        assert points[0].get_color() == MEASURED and points[0].get_linestyle() == "None"
        (line,) = [line for line in ax.lines if line.get_color() == FORECAST]
        assert isinstance(line, Line2D) and line.get_marker() in ("None", "")
        assert max(line.get_xdata()) == 1024 and len(ax.collections) >= 1
        labels = ax.get_legend_handles_labels()[1]
        assert any("measured" in label for label in labels) and any("forecast" in label for label in labels)


def test_files_are_written(tmp_path: Path) -> None:
    paths = write_figures(_analysis(), "run", tmp_path)
    assert [path.name for path in paths] == ["scaling.png", "scaling.svg"]
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    text = paths[1].read_text()
    assert "forecast, 90% band" in text and "measured here" in text


def test_an_analysis_is_plain_json() -> None:
    document = json.loads(json.dumps(_analysis().as_dict(), allow_nan=False))
    assert set(document) == {"measured", "fitted", "forecast"}
    assert document["forecast"]["network"]["between"]["source"]
    assert [row["ranks"] for row in document["forecast"]["rows"]] == rank_counts(1024)
    assert [row["ranks"] for row in document["measured"]["strong"]] == [1, 2, 4, 8]


def test_sizes_in_words() -> None:
    assert [bytes_text(size) for size in (4, 1024, 1536, 2**20, 64 * 2**20)] == [
        "4 B", "1 KiB", "1.5 KiB", "1 MiB", "64 MiB"
    ]  # fmt: skip
