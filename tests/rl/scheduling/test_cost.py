"""The cost model against least squares over all rows, and against what it is fed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrasurr.rl.scheduling.cost import CostModel
from hydrasurr.rl.scheduling.tasks import Task


def draw_tasks(count: int, features: int, seed: int) -> list[Task]:
    random = np.random.default_rng(seed)
    values = random.normal(3, 2, (count, features))
    return [Task(str(i), None, tuple(values[i]), float(random.lognormal(1, 1))) for i in range(count)]


def ridge(rows: np.ndarray, values: np.ndarray, penalty: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """The same as one problem of least squares, the penalty as further rows."""
    root = np.diag(np.sqrt(penalty))
    return np.linalg.lstsq(np.vstack([rows, root]), np.concatenate([values, root @ towards]), rcond=None)[0]


def reference(tasks: list[Task], seconds: np.ndarray, device: list[str], asked: list[Task]) -> dict[str, np.ndarray]:
    def raw(tasks: list[Task]) -> np.ndarray:
        return np.array([[np.log(task.hint), *task.features] for task in tasks])

    mean, deviation = raw(tasks).mean(0), raw(tasks).std(0)

    def standard(tasks: list[Task]) -> np.ndarray:
        return np.column_stack([np.ones(len(tasks)), (raw(tasks) - mean) / deviation])

    ratio = np.log(seconds) - raw(tasks)[:, 0]
    width = 1 + len(mean)
    shared = ridge(standard(tasks), ratio, np.array([0.0] + [1.0] * (width - 1)), np.zeros(width))
    predictions = {"unknown": shared}
    for name in set(device):
        own = [i for i, x in enumerate(device) if x == name]
        predictions[name] = ridge(standard([tasks[i] for i in own]), ratio[own], np.ones(width), shared)
    return {name: np.exp(raw(asked)[:, 0] + standard(asked) @ weights) for name, weights in predictions.items()}


@given(st.integers(3, 60), st.integers(0, 3), st.integers(0, 10_000))
def test_it_is_two_ridge_regressions(count: int, features: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    tasks, asked = draw_tasks(count, features, seed), draw_tasks(5, features, seed + 1)
    seconds = random.lognormal(0, 1, count)
    device = random.choice(["cpu", "gpu"], count).tolist()
    model = CostModel(features)
    for task, taken, name in zip(tasks, seconds, device, strict=True):
        model.observe(task, taken, name)
    model.fit()
    for name, expected in reference(tasks, seconds, device, asked).items():
        np.testing.assert_allclose(model.predict(asked, name), expected, rtol=1e-6)
    np.testing.assert_allclose(model.predict(asked, None), model.predict(asked, "unknown"))


def test_before_there_are_results_hints_are_believed() -> None:
    tasks = draw_tasks(20, 2, 0)
    hints = [task.hint for task in tasks]
    model = CostModel(2)
    np.testing.assert_allclose(model.predict(tasks, "cpu"), hints)
    assert model.speed("cpu") == 1
    low, high = model.quantile(tasks, 0.1, "cpu"), model.quantile(tasks, 0.9, "cpu")
    assert (low < hints).all() and (hints < high).all() and np.isfinite(high).all()


def test_it_learns_features_and_devices() -> None:
    random = np.random.default_rng(1)
    model = CostModel(2)

    def true(task: Task, factor: float) -> float:
        return factor * float(np.exp(0.5 * task.features[0] - 0.2 * task.features[1]))

    tasks = [Task(str(i), None, tuple(random.normal(0, 1, 2))) for i in range(4000)]
    for i, task in enumerate(tasks):
        name, factor = [("cpu", 4.0), ("gpu", 0.5)][i % 2]
        model.observe(task, true(task, factor) * random.lognormal(0, 0.3), name)
    model.fit()
    asked = [Task("x", None, tuple(random.normal(0, 1, 2))) for _ in range(100)]
    np.testing.assert_allclose(model.predict(asked, "cpu"), [true(task, 4.0) for task in asked], rtol=0.1)
    np.testing.assert_allclose(model.predict(asked, "gpu"), [true(task, 0.5) for task in asked], rtol=0.1)
    assert model.speed("gpu") / model.speed("cpu") == pytest.approx(8, rel=0.1)
    fresh = [Task("y", None, tuple(random.normal(0, 1, 2))) for _ in range(4000)]
    for part in (0.5, 0.9, 0.99):
        within = np.array([true(task, 4.0) for task in fresh]) * random.lognormal(0, 0.3, len(fresh))
        assert (within <= model.quantile(fresh, part, "cpu")).mean() == pytest.approx(part, abs=0.025)


def test_right_hints_in_odd_units_need_few_results() -> None:
    model = CostModel(0)
    for task in draw_tasks(8, 0, 3):
        model.observe(task, 60 * task.hint, "cpu")
    model.fit()
    asked = draw_tasks(50, 0, 4)
    np.testing.assert_allclose(model.predict(asked, "cpu"), [60 * task.hint for task in asked], rtol=1e-6)


def test_what_never_varies_is_of_no_consequence() -> None:
    model, plain = CostModel(2), CostModel(0)
    random = np.random.default_rng(0)
    for i in range(30):
        seconds = random.lognormal()
        model.observe(Task(str(i), None, (7.0, 0.0)), seconds, "cpu")
        plain.observe(Task(str(i)), seconds, "cpu")
    model.fit()
    plain.fit()
    with_features, without = [Task("x", None, (1e9, -3.0))], [Task("x")]
    np.testing.assert_allclose(model.predict(with_features, "cpu"), plain.predict(without, "cpu"))
    np.testing.assert_allclose(model.quantile(with_features, 0.9, "cpu"), plain.quantile(without, 0.9, "cpu"))


def test_saved_and_loaded_it_is_the_same() -> None:
    model, loaded = CostModel(1), CostModel(0)
    tasks = draw_tasks(40, 1, 0)
    for i, task in enumerate(tasks[:30]):
        model.observe(task, 1.0 + i, ("cpu", "gpu")[i % 2])
    loaded.load_state_dict(json.loads(json.dumps(model.state_dict())))
    for each in (model, loaded):
        for task in tasks[30:]:
            each.observe(task, 2.0, "cpu")
        each.fit()
    assert loaded.count == model.count == 40
    np.testing.assert_array_equal(loaded.predict(tasks, "gpu"), model.predict(tasks, "gpu"))
    np.testing.assert_array_equal(loaded.quantile(tasks, 0.9, "cpu"), model.quantile(tasks, 0.9, "cpu"))
