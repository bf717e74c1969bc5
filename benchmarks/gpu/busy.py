"""How long a GPU computes, and where the host waits for it."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.job import Job


def busy_seconds(job: Job, work: Callable[[], object]) -> float:
    """Seconds during which at least one kernel runs while `work` is done; copies of memory do not count.

    Kernels are recorded by CUPTI, by their start and end on the device, so it does not matter that profiling slows the
    host. 0 if nothing was recorded. In a dry run: seconds within operators of the CPU.
    """
    activity, category = (ProfilerActivity.CUDA, "kernel") if job.on_gpu else (ProfilerActivity.CPU, "cpu_op")
    with profile(activities=[activity]) as profiler:
        work()
        job.synchronize()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    spans = [(event["ts"], event["ts"] + event["dur"]) for event in events if event.get("cat") == category]
    if not spans:
        job.note("the profiler recorded nothing (no access to CUPTI?): 'GPU busy' is 0 for want of data")
    return covered(spans) / 1e6


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Length of the union of intervals."""
    length, end = 0.0, float("-inf")
    for start, stop in sorted(spans):
        length += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return length


def waits(job: Job, work: Callable[[], object]) -> Counter[str]:
    """How often the host waits for the GPU while `work` is done, by the place in the code; empty on a CPU.

    Such a wait keeps the host from giving the GPU its next kernels in advance.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if job.on_gpu:
            torch.cuda.set_sync_debug_mode("warn")
        try:
            work()
        finally:
            if job.on_gpu:
                torch.cuda.set_sync_debug_mode("default")
    places = (f"{Path(w.filename).name}:{w.lineno}" for w in caught if "called a synchronizing" in str(w.message))
    return Counter(places)
