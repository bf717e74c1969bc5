"""Training on two ranks against one, over Gloo on one machine, one core each."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist

from benchmarks.measure import Timing
from benchmarks.molecules import Setting, dataset
from benchmarks.result import Bar, Result
from benchmarks.train import BATCH, Epochs
from hydrasurr.launcher import Ranks, discover
from hydrasurr.training.ranks import process_group

WIDTHS = (55, 200)


def run(setting: Setting) -> Result:
    """Weak scaling: each rank has batches of 128; the same data set is shared out to the ranks."""
    result = Result(
        "ddp",
        f"graphs/s of training 6 PNA layers on QM9 with batches of {BATCH} a rank, one thread a rank, Gloo: "
        "two ranks against one; two single ranks at a time show what the machine's two cores give at best",
        minimal=setting.minimal,
    )
    for width in WIDTHS:
        path = dataset(setting, "QM9", setting.size(8000 if width < 100 else 2000, 400))
        cases = {"1 rank": (1, True), "2 ranks": (2, True), "2 x 1 rank": (2, False)}
        timing = {name: Timing() for name in cases}
        for _ in range(setting.repeats):
            for name, (ranks, together) in cases.items():
                timing[name].items, seconds = _start(path, width, ranks, together)
                timing[name].wall.append(seconds)
        for name, measured in timing.items():
            result.rows.append({"width": width, "training": name, "graphs/s": measured.rate})
        two, one, apart = (timing[name] for name in ("2 ranks", "1 rank", "2 x 1 rank"))
        result.bars.append(Bar(f"width {width}: 2 ranks / 1 rank", two.over(one), 1.8, 1.95))
        result.notes.append(
            f"width {width}: two ranks reach {two.over(apart):.1%} of two that do not talk to each other, which "
            f"together are {apart.over(one):.2f}x as fast as one alone"
        )
    return result


def _start(path: Path, width: int, ranks: int, together: bool) -> tuple[int, float]:
    """Graphs of all ranks and seconds of the slowest, from processes of their own."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    command = [*launch, "-m", "benchmarks.ddp", str(path), str(width), str(int(together))]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    found = json.loads(lines[-1])
    return found["graphs"], found["seconds"]


def _measure(path: Path, width: int, together: bool) -> None:
    """One rank's part: an epoch to warm up, then one timed between two barriers."""
    torch.set_num_threads(1)
    ranks = discover()
    with process_group(ranks, torch.device("cpu")):
        epoch = Epochs(path, width, ranks=ranks if together else Ranks())
        epoch()
        if ranks.world_size > 1:
            dist.barrier()
        start = time.perf_counter()
        graphs = epoch()
        if ranks.world_size > 1:
            dist.barrier()
        seconds = time.perf_counter() - start
        if ranks.is_root:
            # Together the ranks see each graph once, apart each of them sees all.
            print(json.dumps({"graphs": graphs if together else graphs * ranks.world_size, "seconds": seconds}))


if __name__ == "__main__":
    _measure(Path(sys.argv[1]), int(sys.argv[2]), bool(int(sys.argv[3])))
