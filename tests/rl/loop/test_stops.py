"""Loops that are killed, and go on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.rl.loop.agents import Walker
from tests.rl.loop.loops import configure, run, untimed

ROOT = Path(__file__).resolve().parents[3]


def test_a_loop_that_is_killed_again_and_again_ends_the_same(
    smiles_file: Path, tmp_path: Path, closed: tuple[Path, dict[str, Any], Walker]
) -> None:
    """By -9, each time when another file has appeared."""
    path, config = tmp_path / "loop", tmp_path / "config.json"
    config.write_text(json.dumps(configure(smiles_file)))
    script = f"""
from pathlib import Path
from tests.rl.loop.agents import Walker
from tests.rl.oracle.oracles import CheapOracle
from hydrasurr.rl.loop.config import load_loop_config
from hydrasurr.rl.loop.loop import Loop
if __name__ == "__main__":
    config = load_loop_config({str(config)!r})
    Loop(config, Path({str(path)!r}), Walker(config), oracle=CheapOracle(config.oracle), visible=False).run()
"""
    for mark in ("models/0/members/0/checkpoints", "rounds/0/selection.json", "models/1/members/1", "final"):
        with (tmp_path / "said").open("w+") as said:
            process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=said)
            deadline = time.monotonic() + 300
            while process.poll() is None and not (path / mark).exists() and time.monotonic() < deadline:
                time.sleep(0.002)
            if process.poll() is None:
                process.kill()
            assert process.wait() in (-signal.SIGKILL, 0) and (path / mark).exists(), (tmp_path / "said").read_text()
    results, _ = run(configure(smiles_file), path)
    _, expected, _ = closed
    assert untimed(results)["rounds"] == untimed(expected)["rounds"]
    assert untimed(results)["final"] == untimed(expected)["final"]
    asked = [json.loads(line)["smiles"] for line in (path / "labels.jsonl").read_text().splitlines()[1:]]
    assert len(asked) == len(set(asked))
