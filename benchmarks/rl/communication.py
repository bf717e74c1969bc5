"""Bytes of gradients that the learners of a policy send, whole and as PowerSGD."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.molecules import Setting
from benchmarks.result import Bar, Result
from benchmarks.rl.rows import add_row
from hydrasurr.models.config import ModelConfig
from hydrasurr.training.config import CommunicationConfig

RANKS = 2
COLUMNS = (1, 2, 4)
"""Of the factors of PowerSGD."""
WHOLE, BARRED = "whole", "PowerSGD of rank 4"
MODELS = {
    f"{conv}, {layers} layers of width {hidden}": ModelConfig(conv=conv, hidden=hidden, layers=layers)
    for conv, layers, hidden in (("PNA", 3, 64), ("PNA", 3, 128), ("GIN", 4, 128))
}


def compression(result: Result, setting: Setting) -> None:
    """Two learners; what each hands over to Gloo in a step."""
    models = list(MODELS)[:1] if setting.minimal else list(MODELS)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={RANKS}"]
    done = subprocess.run([*command, "-m", "benchmarks.rl.gradient_ranks", *models], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError(f"the learners failed:\n{done.stderr[-3000:]}")
    for name, sent in json.loads(lines[-1]).items():
        for way, count in sent.items():
            add_row(result, f"gradients, {name}", way, count / 1000, "kB a step")
        result.bars.append(Bar(f"bytes of gradients, {name}: {WHOLE} / {BARRED}", sent[WHOLE] / sent[BARRED], 8))
    result.notes.append(
        "gradients: what each of two learners hands over to Gloo in a step; PowerSGD sends vectors and small matrices "
        "whole. Here it begins with the first step, in a run with the step that powersgd_start says"
    )


def ways() -> dict[str, CommunicationConfig]:
    """Of sending gradients."""
    ways = {WHOLE: CommunicationConfig()}
    for columns in COLUMNS:
        config = CommunicationConfig(compression="powersgd", powersgd_rank=columns, powersgd_start=0)
        ways[f"PowerSGD of rank {columns}"] = config
    return ways
