"""`hydrasurr scaling`: measure, fit, forecast, write."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from hydrasurr.errors import ConfigError, HydrasurrError, did_you_mean
from hydrasurr.files import write_json
from hydrasurr.launcher import Ranks, discover
from hydrasurr.scaling.allreduce import AllReduceTimes, measure_all_reduce, message_sizes
from hydrasurr.scaling.analysis import Analysis, Measurements, Question, analyse
from hydrasurr.scaling.measure import Effort, check_graphs, measure_point
from hydrasurr.scaling.models import MODELS
from hydrasurr.scaling.network import find_network
from hydrasurr.scaling.record import Point
from hydrasurr.scaling.world import World, open_world, parse_ranks, rank_counts, ranks_at_hand, start_ranks
from hydrasurr.stores import open_store
from hydrasurr.training.config import RunConfig
from hydrasurr.training.folder import RunFolder, describe_environment
from hydrasurr.training.ranks import choose_device
from hydrasurr.training.run import Job
from hydrasurr.training.tasks import choose_task

SMALLER_BATCHES = (2, 4)
"""One rank is also timed with batches so many times smaller: what part of a step does not shrink with it?"""


@dataclass(frozen=True)
class Options:
    """What the command line says beside the run's configuration."""

    ranks: str | None = None
    network: str = "perlmutter"
    model: str | None = None
    max_gpus: int = 1024
    global_batch: int | None = None
    compute_ms: float | None = None
    fixed_ms: float | None = None
    most_mb: float = 64
    effort: Effort = field(default_factory=Effort)


def scaling(config: RunConfig, options: Options, out: Path, arguments: Sequence[str]) -> Analysis | None:
    """Measure a run's scaling, forecast it, and write `scaling.json`, `scaling.png` and `scaling.svg` to `out`.

    Started by a launcher, all its ranks call this alike, and smaller rank counts are measured on the first of them.
    Started plainly with more than one rank to measure, the ranks are started with the command line `arguments`.
    Returns the analysis on rank 0 and nothing on the others.
    """
    ranks = discover()
    launched = ranks.launcher != Ranks().launcher
    device = choose_device(config.training.device, ranks)
    store = open_store(config.data.dataset)
    job = Job(config, RunFolder(out), store, choose_task(config, store.info), ranks, device)
    counts = parse_ranks(
        options.ranks, ranks.world_size if launched else ranks_at_hand(device, config.training.threads)
    )
    question = _question(options, counts)
    warnings = _check(job, counts, launched)
    if not launched and counts[-1] > 1:
        start_ranks(counts[-1], arguments)
        return None
    torch.set_num_threads(config.training.threads)
    console = Console(stderr=True, quiet=not ranks.is_root, highlight=False)
    for warning in warnings:
        console.print(f"[yellow]{warning}[/]", soft_wrap=True)
    with open_world(ranks, device) as world:
        measured = _measure(world, job, counts, options, console)
    if not ranks.is_root:
        return None
    analysis = analyse(measured, question)
    _write(analysis, job, options, warnings, out)
    return analysis


def _question(options: Options, counts: Sequence[int]) -> Question:
    """Raises ConfigError for options that do not fit together."""
    if options.model is not None and options.model not in MODELS:
        raise ConfigError(f"--all-reduce {options.model} is no model{did_you_mean(options.model, MODELS)}")
    if options.max_gpus < 1:
        raise ConfigError(f"--max-gpus {options.max_gpus}: expected a number of at least 1")
    if options.fixed_ms is not None and (options.compute_ms is None or options.fixed_ms > options.compute_ms):
        raise ConfigError("--fixed-ms is a part of the time given with --compute-ms, and so cannot exceed it")
    network = find_network(options.network)
    if network is None and counts[-1] == 1:
        raise HydrasurrError(
            "--network measured needs an all-reduce to measure, so at least two ranks: give --ranks 1,2, or a preset"
        )
    return Question(
        network=network,
        model=options.model,
        ranks=rank_counts(options.max_gpus),
        step_graphs=options.global_batch,
        compute_seconds=None if options.compute_ms is None else options.compute_ms / 1e3,
        fixed_seconds=None if options.fixed_ms is None else options.fixed_ms / 1e3,
    )


def _check(job: Job, counts: Sequence[int], launched: bool) -> list[str]:
    """Warnings. Raises HydrasurrError if the run cannot be measured on that many ranks."""
    most, batch, threads = counts[-1], job.config.training.batch_size, job.config.training.threads
    if launched and most > job.ranks.world_size:
        raise HydrasurrError(f"--ranks asks for {most} ranks, but {job.ranks.launcher} started {job.ranks.world_size}")
    if most > batch:
        raise HydrasurrError(
            f"training.batch_size is {batch}, so strong scaling leaves some of {most} ranks without a graph; choose "
            f"fewer --ranks, or --set training.batch_size={most} or more"
        )
    for count in counts:
        check_graphs(job, count, batch)
    warnings = []
    # Of the launchers only torchrun, and this command itself, tell how many ranks share a machine.
    here = min(most, int(os.environ.get("LOCAL_WORLD_SIZE", 1))) if launched else most
    room = ranks_at_hand(job.device, threads)
    if here > room and job.device.type == "cuda":
        raise HydrasurrError(
            f"{here} ranks on this machine need a GPU each, but it has {room}; choose fewer --ranks, start this "
            "command on more nodes with torchrun or srun, or use --set training.device=cpu"
        )
    if here > room:
        each = f" with {threads} threads each" if threads > 1 else ""
        warnings.append(f"{here} ranks{each} on cores for {room}: their times show the sharing, not scaling")
    if job.config.training.communication.compression == "powersgd":
        warnings.append("gradients are sent whole until training.communication.powersgd_start; so they are here")
    return warnings


def _measure(world: World, job: Job, counts: Sequence[int], options: Options, console: Console) -> Measurements | None:
    """Called by all ranks together; the measurements on rank 0."""
    batch, accumulate = job.config.training.batch_size, job.config.training.accumulate
    plan = [("single", 1, batch)]
    plan += [("single", 1, batch // part) for part in SMALLER_BATCHES if batch // part]
    plan += [("strong", count, batch // count) for count in counts[1:]]
    plan += [("weak", count, batch) for count in counts[1:]]
    points: list[Point | None] = []
    for kind, count, size in dict.fromkeys(plan):
        ranks_text = "1 rank" if count == 1 else f"{kind} scaling, {count} ranks"
        console.print(f"measuring {ranks_text} with {size * accumulate:,} graphs a step", soft_wrap=True)
        points.append(world.among(count, lambda ranks, k=kind, s=size: measure_point(job, k, ranks, s, options.effort)))
    gradient = _gradient_bytes(job)
    sizes, times = message_sizes(gradient, options.most_mb), []
    for count in counts[1:]:
        console.print(f"measuring all-reduce on {count} ranks", soft_wrap=True)
        times.append(
            world.among(count, lambda ranks: measure_all_reduce(ranks, job.device, sizes, options.effort.repeats))
        )
    if not world.ranks.is_root:
        return None
    found: list[AllReduceTimes] = [row for rows in times for row in rows]
    graphs = len(job.store["train"])
    return Measurements([point for point in points if point], found, gradient, graphs, job.device.type)


def _gradient_bytes(job: Job) -> int:
    """Bytes of gradients that a rank hands to the all-reduce in each step."""
    parameters = list(job.network(job.config.training.seed).parameters())
    halved = job.config.training.communication.compression in ("fp16", "bf16")
    return sum(p.numel() * (2 if halved else p.element_size()) for p in parameters if p.requires_grad)


def _write(analysis: Analysis, job: Job, options: Options, warnings: list[str], out: Path) -> None:
    from hydrasurr.scaling.figure import write_figures

    out.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {
        "run": job.config.model_dump(mode="json"),
        "written": datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": {**describe_environment(), "processor": _processor(), "cores": os.cpu_count()},
        "ranks": {"launcher": job.ranks.launcher, "started": job.ranks.world_size, "device": job.device.type},
        "effort": vars(options.effort),
        "warnings": warnings,
        **analysis.as_dict(),
    }
    write_json(out / "scaling.json", document)
    write_figures(analysis, job.config.name, out)


def _processor() -> str:
    """The processor's name, empty where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
