"""The report: its figures show the data, its page holds every section and needs nothing else."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.figure import Figure

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.schema import Target, molecule_schema
from hydrasurr.models.network import GraphNetwork
from hydrasurr.models.package import save_package
from hydrasurr.stores.info import DatasetInfo, TargetStatistics
from hydrasurr.training import figures
from hydrasurr.training.config import RunConfig
from hydrasurr.training.figure_style import COLORS, to_svg
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.report import write_report
from hydrasurr.training.run_files import RunFiles
from hydrasurr.training.timing import WITHIN_BACKWARD
from hydrasurr.training.trainer import EpochRecord

GAP = Target("gap", "eV")
VOID = {"html", "meta", "link", "br", "img", "hr", "input"}


def epoch_record(epoch: int, targets: list[Target], *, best: bool, val: bool = True, mae: float = 0.5) -> EpochRecord:
    metrics = {t.name: {"count": 90, "mae": mae / (epoch + 1), "rmse": mae, "r2": 0.5} for t in targets}
    seconds = {"load": 0.5, "forward": 2.0 + epoch, "backward": 3.0, "all_reduce": 0.25, "exposed": 0.125}
    seconds |= {"optimizer": 0.5, "evaluate": 0.125}
    return EpochRecord(
        epoch=epoch, updates=3 * epoch + 3, lr=1e-3 / (epoch + 1), train_loss=1.0 / (epoch + 1), train=metrics,
        val_loss=0.9 / (epoch + 1), val=metrics if val else None, best=best, seconds=seconds, graphs_per_second=700.0,
    )  # fmt: skip


def dataset_info(targets: list[Target], description: str) -> DatasetInfo:
    sizes = {"train": 90, "val": 6, "test": 4}
    return DatasetInfo(
        name="molecules",
        description=description,
        feature_schema=molecule_schema(),
        targets=tuple(targets),
        graphs=sizes,
        nodes={split: 9 * n for split, n in sizes.items()},
        edges={split: 8 * n for split, n in sizes.items()},
        statistics=tuple(TargetStatistics(count=90, mean=1.0, std=2.0, min=-3.0, max=5.0) for _ in targets),
        degree_histogram=(0, 500, 200, 100, 10),
        split={"rule": "random", "seed": 0},
        source={"licence": "CC0 1.0", "source": "see https://example.org/data"},
    )


def run_folder(
    path: Path,
    targets: list[Target],
    *,
    members: int = 1,
    begun: int | None = None,
    epochs: int = 3,
    splits: tuple[str, ...] = ("train", "val", "test"),
    std: bool = False,
    description: str = "Some molecules",
) -> RunFolder:
    """A run folder as training leaves it; `splits` with results: none for a run still under way."""
    folder = RunFolder(path)
    config = {"name": "tiny", "data": {"dataset": "molecules.bp"}, "members": members, "training": {"epochs": 3}}
    info = dataset_info(targets, description)
    folder.prepare(RunConfig.model_validate(config), info, resume=False, force=False)
    for index in range(members if begun is None else begun):
        member = folder.member(index, members)
        member.path.mkdir(parents=True, exist_ok=True)
        for epoch in range(epochs):
            record = epoch_record(epoch, targets, best=epoch != 2, val="val" in splits or not splits)
            member.append_record(record)
    if splits:
        write_predictions(folder, targets, splits, std)
    return folder


def write_predictions(folder: RunFolder, targets: list[Target], splits: tuple[str, ...], std: bool) -> None:
    rng, results = np.random.default_rng(0), {}
    (folder.path / "predictions").mkdir()
    for split in splits:
        rows = {}
        for target in targets:
            labels = rng.normal(size=60)
            spread = np.full(60, 0.1 if std else np.nan)
            rows[target.name] = np.stack([labels, labels + 0.1 * rng.normal(size=60), spread])
        np.savez_compressed(folder.predictions(split), **rows)
        results[split] = {t.name: {"count": 60, "mae": 0.08, "rmse": 0.1, "r2": 0.99} for t in targets}
    folder.results.write_text(json.dumps(results))


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects headings, text, ids and references."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "xlink:href", "src"):
                self.links.append(value)
            self.links += re.findall(r"url\(([^)]*)\)", value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text.append(data)
        if self.open[-1:] == ["h2"]:
            self.headings.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def read_page(folder: RunFolder) -> Page:
    """Write the report and check what holds for all of them."""
    assert write_report(folder) == folder.report
    page = Page(folder.report.read_text())
    assert len(page.ids) == len(set(page.ids))
    internal = [link for link in page.links if not link.startswith("data:image/png;base64,")]
    assert internal
    assert {link.removeprefix("#") for link in internal} <= set(page.ids)
    assert not {"script", "link", "iframe"} & set(page.tags)
    return page


# -- the page -----------------------------------------------------------------------------------------


def test_a_finished_run_has_every_section(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", [GAP], std=True)
    before = dict(matplotlib.rcParams)
    page = read_page(folder)
    assert dict(matplotlib.rcParams) == before
    assert page.headings == [
        "Results", "Learning curves", "Predictions", "Uncertainty", "Time", "Data", "Configuration",
    ]  # fmt: skip
    assert page.tags.count("svg") == 2 + 3 + 1 + 1 + 1 + 1  # curves, parity, errors, calibration, time, degrees
    assert "test MAE, gap 0.08000 eV R² 0.9900" in page.words
    assert "0.1000 eV" in page.words  # RMSE in the corner of a parity plot
    assert "700.0 graphs/s" in page.words and "best: 2" in page.words
    assert "CC0 1.0" in page.words and "see https://example.org/data" in page.words
    assert '"batch_size": 128' in page.words
    assert "unfinished" not in page.words
    assert "Points drawn" not in page.words
    first = folder.report.read_bytes()
    write_report(folder)
    assert folder.report.read_bytes() == first  # no dates, no random ids


def test_time_is_added_up_without_counting_all_reduce_twice(tmp_path: Path) -> None:
    page = read_page(run_folder(tmp_path / "run", [GAP]))
    # Three epochs of 0.5 + (2, 3, 4) + 3 + 0.5 + 0.125 seconds.
    assert "training time 21.4 s" in page.words
    assert "all-reduce 0.750 s 3.5 %" in page.words
    assert "backward 8.25 s 38.6 %" in page.words
    assert "For 0.375 s of it training waited" in page.words


def test_an_unfinished_run_shows_its_curves(tmp_path: Path) -> None:
    page = read_page(run_folder(tmp_path / "run", [GAP], epochs=2, splits=()))
    assert page.headings == ["Learning curves", "Time", "Data", "Configuration"]
    assert "unfinished: 2 of 3 epochs" in page.words
    assert "best val MAE, gap 0.2500 eV" in page.words


def test_a_run_that_has_just_begun(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", [GAP], epochs=0, splits=())
    folder.dataset.unlink()
    folder.environment.unlink()
    page = read_page(folder)
    assert page.headings == ["Learning curves", "Configuration"]
    assert "No epoch has been completed yet" in page.words


def test_an_ensemble_begun_in_part(tmp_path: Path) -> None:
    page = read_page(run_folder(tmp_path / "run", [GAP], members=3, begun=2, splits=()))
    assert "unfinished: 6 of 9 epochs" in page.words
    assert "ensemble of 3" in page.words
    assert "of 2 networks together" in page.words


def test_many_targets_of_both_levels_without_validation(tmp_path: Path) -> None:
    targets = [GAP, Target("mu", "D"), Target("charge", "e", "node"), Target("plain")]
    page = read_page(run_folder(tmp_path / "run", targets, splits=("train", "test")))
    # loss, rate, a curve a target; two parity plots and a histogram a target; time, degrees
    assert page.tags.count("svg") == 2 + 4 + 4 * 3 + 2
    assert "charge e node 1.000 2.000 -3.000 5.000 90" in page.words
    assert "test MAE, plain 0.08000 R² 0.9900" in page.words
    assert page.words.split().count("val") == 1  # only where the sizes of the splits are told


def test_a_target_without_labels(tmp_path: Path) -> None:
    void = Target("void", "K")
    folder = run_folder(tmp_path / "run", [GAP, void])
    nothing = {"count": 0, "mae": math.nan, "rmse": math.nan, "r2": math.nan}
    results = json.loads(folder.results.read_text())
    for split, metrics in results.items():
        metrics["void"] = nothing
        with np.load(folder.predictions(split)) as rows:
            labels = rows["void"] * [[math.nan], [1], [1]]
            np.savez_compressed(folder.predictions(split), gap=rows["gap"], void=labels)
    folder.results.write_text(json.dumps(results))
    records = [record | {"train": record["train"] | {"void": nothing}} for record in folder.members()[0].records()]
    records = [record | {"val": record["train"]} for record in records]
    folder.members()[0].metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
    page = read_page(folder)
    assert "no labels" in page.words
    assert "void K train - - - 0" in page.words
    assert page.tags.count("svg") == 2 + 2 + (3 + 1) + 2  # no parity plot of void


def test_points_left_out_are_told(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", [GAP])
    results = json.loads(folder.results.read_text())
    results["train"]["gap"]["count"] = 120
    folder.results.write_text(json.dumps(results))
    assert "Points drawn: 60 of 120 in train." in read_page(folder).words


def test_text_of_files_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>"
    target = Target(f'a"{evil}$x$', f"<b>{evil}&")
    page = read_page(run_folder(tmp_path / "run", [target], description=evil))  # checks that no script is there
    assert page.words.count(evil) > 5  # and here is its text, in the page and in figures
    assert "b" not in page.tags


def test_parameters_come_from_the_best_network_so_far(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", [GAP], members=2, begun=1, splits=())
    assert RunFiles.read(folder).parameters is None
    config = RunConfig.model_validate(json.loads(folder.config.read_text())).model
    network = GraphNetwork(config, molecule_schema(), [GAP], [0.0], [1.0], [0, 5, 3])
    save_package(folder.members()[0].best, [network], {})
    expected = sum(p.numel() for p in network.parameters())
    assert f"parameters {expected:,} each of 2 networks" in read_page(folder).words
    folder.members()[0].best.write_bytes(b"of another version")
    assert "parameters" not in read_page(folder).words


def test_a_trained_run(train: Callable[..., RunFolder]) -> None:
    page = read_page(folder := train(training={"epochs": 1}, model={"uncertainty": "gaussian"}))
    test = json.loads(folder.results.read_text())["test"]["gap"]
    assert f"test {test['mae']:#.4g} {test['rmse']:#.4g} {test['r2']:.4f} 40" in page.words
    assert {"Predictions", "Uncertainty", "Data"} < set(page.headings)


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(HydrasurrError, match=r"holds no run: it has no config\.json"):
        write_report(RunFolder(tmp_path))


def test_every_colour_has_a_dark_version(tmp_path: Path) -> None:
    report = write_report(run_folder(tmp_path / "run", [GAP], epochs=0, splits=()))
    style = re.search(r"<style>(.*?)</style>", report.read_text(), re.S)[1]
    light, dark = style.split("prefers-color-scheme: dark", 1)
    for name in COLORS:
        assert f"--{name}:" in light
        assert f"--{name}:" in dark


# -- figures ------------------------------------------------------------------------------------------


def records(*members: list[EpochRecord]) -> list[list[dict[str, Any]]]:
    return [[asdict(record) for record in member] for member in members]


def lines(figure: Figure) -> dict[str, np.ndarray]:
    """Label -> points `[n, 2]` of the last line that has it."""
    return {line.get_label(): line.get_xydata() for line in figure.axes[0].get_lines()}


def test_curves_are_the_records() -> None:
    member = [epoch_record(epoch, [GAP], best=epoch in (0, 2), val=epoch != 1) for epoch in range(4)]
    drawn = lines(figures.mae_curve(records(member), "gap", "eV", figures.WIDE))
    np.testing.assert_array_equal(drawn["train"], [[e + 1, 0.5 / (e + 1)] for e in range(4)])
    np.testing.assert_array_equal(drawn["val"], [[e + 1, 0.5 / (e + 1)] for e in (0, 2, 3)])  # 1 was not evaluated
    np.testing.assert_array_equal(drawn["best epoch"], [[3, 0.5 / 3]])
    np.testing.assert_array_equal(
        lines(figures.learning_rate(records(member)))["muted"], [[e + 1, 1e-3 / (e + 1)] for e in range(4)]
    )


def test_members_of_an_ensemble_have_a_line_each_and_one_name() -> None:
    members = [[epoch_record(e, [GAP], best=e == 1, mae=mae) for e in range(3)] for mae in (0.5, 0.7)]
    (ax,) = figures.mae_curve(records(*members), "gap", "eV", figures.WIDE).axes
    starts = sorted(line.get_ydata()[0] for line in ax.get_lines() if line.get_label() == "val")
    assert starts == [0.5, 0.7]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["train", "val", "best epoch"]


def test_without_validation_the_best_epoch_is_marked_on_the_training_curve() -> None:
    member = [epoch_record(epoch, [GAP], best=epoch == 1, val=False) for epoch in range(3)]
    drawn = lines(figures.loss_curve(records(member)))
    assert set(drawn) == {"train", "best epoch"}
    np.testing.assert_array_equal(drawn["best epoch"], [[2, 0.5]])


@pytest.mark.parametrize(("values", "scale"), [([1.0, 0.5], "linear"), ([1.0, 0.1], "log"), ([1.0, -0.1], "linear")])
def test_log_axis_only_for_positive_values_of_a_wide_range(values: list[float], scale: str) -> None:
    member = [epoch_record(epoch, [GAP], best=False) for epoch in range(2)]
    for record, value in zip(member, values, strict=True):
        record.train_loss = record.val_loss = value
    assert figures.loss_curve(records(member)).axes[0].get_yscale() == scale


def test_stacked_times_add_up_to_the_records() -> None:
    members = [[epoch_record(epoch, [GAP], best=False) for epoch in range(n)] for n in (3, 2)]
    members[0][0].seconds["all_reduce"] = 10.0  # many buckets at a time: more than the backward pass itself
    (ax,) = figures.timing(records(*members)).axes
    heights = {p.get_label(): p.get_data().values - p.get_data().baseline for p in ax.patches}
    assert list(heights) == ["load", "forward", "backward", "all_reduce", "optimizer", "evaluate"]
    everything = [record for member in members for record in member]
    expected = [sum(s for phase, s in r.seconds.items() if phase not in WITHIN_BACKWARD) for r in everything]
    np.testing.assert_allclose(sum(heights.values()), expected)
    np.testing.assert_allclose(heights["all_reduce"], [3.0, 0.25, 0.25, 0.25, 0.25])
    np.testing.assert_allclose(heights["forward"], [2, 3, 4, 2, 3])


def test_parity_plots_all_points_on_equal_axes() -> None:
    rng = np.random.default_rng(1)
    labels = rng.normal(size=500)
    predicted = labels + 0.1 * rng.normal(size=500)
    predicted[7] = 1e6
    limits = figures.parity_limits(labels, predicted)
    metrics = {"mae": 0.123456, "rmse": 0.2, "r2": 0.97}
    (ax,) = figures.parity(labels, predicted, metrics, limits, "eV", "test", figures.SQUARE).axes
    points = np.asarray(ax.collections[0].get_offsets())
    np.testing.assert_array_equal(np.sort(points[:, 0]), np.sort(labels))
    assert set(map(tuple, points)) == set(zip(labels, predicted, strict=True))
    assert ax.get_xlim() == ax.get_ylim() == limits
    assert ax.texts[0].get_text().split("\n") == ["MAE 0.1235 eV", "RMSE 0.2000 eV", "R² 0.9700", "1 outside"]


def test_density_is_higher_where_points_are_dense() -> None:
    rng = np.random.default_rng(2)
    dense, sparse = rng.normal(0, 0.01, size=(300, 2)), rng.uniform(2, 4, size=(20, 2))
    x, y = np.concatenate([dense, sparse]).T
    metrics = {"mae": 1.0, "rmse": 1.0, "r2": 0.0}
    (ax,) = figures.parity(x, y, metrics, figures.parity_limits(x, y), "", "", figures.SQUARE).axes
    points, colours = np.asarray(ax.collections[0].get_offsets()), ax.collections[0].get_array()
    assert colours[points[:, 0] < 1].min() > colours[points[:, 0] > 1].max()
    assert (np.diff(colours) >= 0).all()  # the dense ones are drawn on top


finite = st.floats(-1e6, 1e6)


@given(arrays(float, st.integers(1, 20), elements=finite), arrays(float, st.integers(1, 20), elements=finite))
def test_parity_limits_hold_all_labels(labels: np.ndarray, predicted: np.ndarray) -> None:
    low, high = figures.parity_limits(labels, predicted)
    assert low < labels.min() and labels.max() < high
    if np.ptp(labels) > 0:
        assert high - low <= 2 * 1.08 * np.ptp(labels) * (1 + 1e-9)


def test_error_histogram_counts_predictions() -> None:
    rng = np.random.default_rng(3)
    errors = {"train": rng.normal(size=1000), "test": rng.normal(size=200)}
    (ax,) = figures.error_histogram(errors, "eV", figures.HALF).axes
    steps = {patch.get_label(): patch.get_data() for patch in ax.patches}
    for split, values in errors.items():
        heights, edges, _ = steps[split]
        inside = [np.sum((np.abs(values) >= a) & (np.abs(values) < b)) for a, b in pairwise(edges)]
        np.testing.assert_allclose(heights, np.array(inside) / len(values) * 100)
    marks = [line.get_xdata()[0] for line in ax.get_lines()]
    assert marks == [np.median(np.abs(errors["test"])), np.percentile(np.abs(errors["test"]), 95)]


def test_errors_of_zero_can_be_drawn() -> None:
    assert "svg" in to_svg(figures.error_histogram({"test": np.zeros(5)}, "", figures.HALF), "zero", "zero")


def test_calibration_of_a_known_model() -> None:
    rng = np.random.default_rng(4)
    std = rng.uniform(0.1, 2.0, size=24_000)
    expected, observed = figures.calibration_bins(std * rng.normal(size=len(std)), std)
    np.testing.assert_allclose(expected, observed, rtol=0.1)
    parts = np.sort(std).reshape(12, 2000)
    np.testing.assert_allclose(expected, np.sqrt((parts**2).mean(axis=1)))
    (ax,) = figures.calibration(0.5 * std, std, "eV", "gap").axes
    assert ax.texts[0].get_text().startswith("within 1 std: 100.0 %")


def test_degree_bars_are_percentages() -> None:
    (ax,) = figures.degree_histogram((0, 6, 3, 1)).axes
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], [0, 60, 30, 10])


def test_svg_takes_its_colours_from_the_page() -> None:
    svg = to_svg(figures.degree_histogram((0, 6, 3, 1)), "degrees", 'a "label" & more')
    assert svg.startswith('<svg role="img" aria-label="a &quot;label&quot; &amp; more"')
    assert "http" not in svg
    assert f"var(--train, {COLORS['train']})" in svg
    for color in COLORS.values():
        assert svg.count(color) == svg.count(f", {color})")
