"""What a design run's records say of its speed, its work and its learning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hydrasurr.errors import HydrasurrError
from hydrasurr.files import read_records
from hydrasurr.rl.running.condensed import Record, together
from hydrasurr.rl.running.config import DesignConfig
from hydrasurr.rl.running.folder import DesignFolder
from hydrasurr.rl.scheduling.metrics import gamma, sigma_load
from hydrasurr.rl.study.convergence import Curve
from hydrasurr.rl.study.folder import Facts

PERIODS = 3
"""Of a run, whose operations are told apart."""
OPERATIONS = ("synchronisation", "forward, backward", "rewards", "play", "other")


def measure(folder: DesignFolder, config: DesignConfig, learners: int, warm_up: float) -> Facts:
    """Of a finished run; see the functions below. Of several learners, times and loads are those of the first.

    Raises HydrasurrError for a run that is too short to be measured.
    """
    records = read_records(folder.metrics)
    steady = steady_records(records, warm_up * config.frames)
    whole = together(steady)
    if not whole["updates"]:
        raise HydrasurrError(
            f"the run in '{folder.path}' has learnt nothing but at its begin; give it more design.frames"
        )
    seconds, frames = whole["seconds"]["all"], whole["frames"] * learners
    busy = busy_seconds(records, steady)
    rollouts = played(steady)
    return {
        "frames": records[-1]["total_frames"],
        "rate": frames / seconds,
        "seconds": config.frames * seconds / frames,
        "window": {"seconds": seconds, "updates": whole["updates"], "rollouts": whole["rollouts"]},
        "learner": learner_parts(whole),
        "actors": {"busy": busy.tolist(), "weights": whole["actor_seconds"]["load"] / len(busy)},
        "load": {"sigma": sigma_load(busy), "gamma": gamma(busy)},
        "vain": sum(records[-1]["load"]["vain"]),
        "lag": whole["lag"]["mean"],
        "bytes": {scope: count / whole["updates"] for scope, count in whole["bytes_sent"].items()},
        "all_reduce": whole["all_reduce_seconds"] / whole["updates"],
        "rollouts": {name: np.round(values, 6).tolist() for name, values in rollouts.items()},
        "learn": [round(r["seconds"]["learn"] / r["updates"], 6) for r in steady if r["updates"]],
        "operations": operations(steady),
        "curve": Curve.of(records).lists(),
        "loss": loss_variance(records, config.frames / 2),
        "counted": counted(folder, config, records, learners),
        "times": frames_over_time(records, learners),
    }


def steady_records(records: Sequence[Record], after: float) -> list[Record]:
    """Those that begin after so many frames; of a short run the last ones, but never the first, in which processes
    start."""
    first = next((k + 1 for k, record in enumerate(records) if record["total_frames"] >= after), len(records))
    chosen = list(records[max(min(first, len(records) - 2), 1) :])
    if not chosen:
        raise HydrasurrError(
            f"a run of {records[-1]['total_frames'] if records else 0:,} frames ended within its first record, so its "
            "speed cannot be told; give it more design.frames"
        )
    return chosen


def learner_parts(whole: Record) -> dict[str, float]:
    """Seconds of a learner in the time of a record: computing; waiting for averages of gradients, which come when the
    slowest learner has its own; waiting for rollouts; and the rest, which is waiting to be in step with other learners,
    if there are any."""
    seconds = whole["seconds"]
    exposed = min(whole["exposed_seconds"], seconds["learn"])
    parts = {
        "computation": seconds["learn"] - exposed + seconds["publish"] + seconds["save"],
        "communication": exposed,
        "wait": seconds["wait"],
    }
    return parts | {"step": max(seconds["all"] - sum(parts.values()), 0.0)}


def busy_seconds(records: Sequence[Record], steady: Sequence[Record]) -> np.ndarray:
    """float64 `[actors]`: of each actor in the time of the steady records, at most all of it.

    A rollout counts where it ends, so one that began before may count for too much, and the last ones are missing.
    """
    before = records[len(records) - len(steady) - 1]
    after = steady[-1]
    seconds = sum(record["seconds"]["all"] for record in steady)
    first = np.array(before["load"]["busy"])
    last = np.array(after["load"]["busy"])
    # A learner that was restarted in between began to count anew.
    grown = last - first if (last >= first).all() else last
    return np.clip(grown, 0.0, seconds)


def played(records: Sequence[Record]) -> dict[str, np.ndarray]:
    """`actor`, `end` and `seconds` of each rollout, float64 `[rollouts]`."""
    names = ("actor", "end", "seconds")
    return {name: np.array([x for record in records for x in record["played"][name]], np.float64) for name in names}


def gaps(rollouts: dict[str, Sequence[float]]) -> np.ndarray:
    """float64: seconds between the end of a rollout and the begin of the same actor's next one."""
    actor, end, seconds = (np.asarray(rollouts[name], np.float64) for name in ("actor", "end", "seconds"))
    found = [np.empty(0)]
    for number in np.unique(actor):
        order = np.argsort(end[actor == number])
        ends, taken = end[actor == number][order], seconds[actor == number][order]
        found.append(ends[1:] - taken[1:] - ends[:-1])
    return np.maximum(np.concatenate(found), 0.0)


def operations(records: Sequence[Record]) -> list[dict[str, float]]:
    """For each of PERIODS, seconds of learner and actors together in each of OPERATIONS; waiting is in none."""
    rows = []
    for part in np.array_split(np.arange(len(records)), min(PERIODS, len(records))):
        whole = together([records[k] for k in part])
        learner, actor = whole["seconds"], whole["actor_seconds"]
        exposed = min(whole["exposed_seconds"], learner["learn"])
        seconds = (
            exposed + learner["publish"] + actor.get("load", 0.0),
            learner["learn"] - exposed,
            actor.get("reward", 0.0),
            actor.get("play", 0.0),
            actor.get("digest", 0.0) + learner["save"],
        )
        rows.append(dict(zip(OPERATIONS, seconds, strict=True)))
    return rows


def loss_variance(records: Sequence[Record], after: float) -> Facts:
    """Variance between updates of the loss of values, of which all learners have one, after so many frames.

    A record holds the mean of `n` updates, whose variance is `n` times smaller if updates are independent; weighted
    with `n`, the squared deviations of records give that of single updates, whatever the records cover.
    """
    rows = [record for record in records if record["total_frames"] > after and record["updates"] and record["loss"]]
    if not rows:
        return {"name": None, "variance": None, "mean": None}
    name = "value_loss" if "value_loss" in rows[0]["loss"] else next(iter(rows[0]["loss"]))
    values = [record["loss"][name] for record in rows]
    return {"name": name, **variance_of_means(values, [record["updates"] for record in rows])}


def variance_of_means(values: Sequence[float], counts: Sequence[int]) -> dict[str, float | None]:
    """Mean and variance of single numbers, of which `values` are means of `counts` each; unbiased if independent."""
    mean = float(np.average(values, weights=counts))
    if len(values) < 2:
        return {"mean": mean, "variance": None}
    squares = np.asarray(counts, np.float64) * (np.asarray(values) - mean) ** 2
    return {"mean": mean, "variance": float(squares.sum() / (len(values) - 1))}


def counted(folder: DesignFolder, config: DesignConfig, records: Sequence[Record], learners: int) -> dict[str, Any]:
    """Whether every frame counts once: by the records, which must add up, and by the lanes of the last checkpoint."""
    frames = records[-1]["total_frames"]
    lanes = [lane for rank in range(learners) for lane in folder.load_part(rank, learners)["lanes"]]
    by_records = sum(record["frames"] for record in records) * learners
    by_lanes = sum(lane["rollouts"] for lane in lanes) * config.frames_a_rollout
    updates = sum(record["updates"] for record in records)
    # One update's worth may have come since the frames were complete.
    most = config.frames + config.frames_a_rollout * learners * max(config.lanes(config.running.actors), 1)
    good = frames == by_records == by_lanes and updates == records[-1]["update"] and config.frames <= frames <= most
    return {"once": bool(good), "total": frames, "records": by_records, "lanes": by_lanes}


def frames_over_time(records: Sequence[Record], learners: int) -> dict[str, list[float]]:
    """Frames whose rollouts had ended by a time, both from the end of the first rollout on; by the clock, so the time
    in which a run lay still counts."""
    end = np.sort(played(records)["end"])
    each = sum(record["frames"] for record in records) / len(end) * learners
    kept = np.unique(np.linspace(0, len(end) - 1, min(len(end), 200)).astype(int))
    return {"seconds": np.round(end[kept] - end[0], 3).tolist(), "frames": (each * (kept + 1)).tolist()}


def mean_rate(times: dict[str, list[float]]) -> float:
    """Frames a second from the end of the first rollout to that of the last one."""
    seconds, frames = times["seconds"][-1], times["frames"][-1] - times["frames"][0]
    return frames / seconds if seconds > 0 and math.isfinite(frames) else float("nan")
