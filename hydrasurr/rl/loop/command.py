"""`hydrasurr design loop`."""

from __future__ import annotations

from pathlib import Path

from hydrasurr.rl.loop.config import load_loop_config
from hydrasurr.rl.loop.loop import Loop


def run_loop(config_json: str | Path, overrides: list[str] | None, out: Path | None, force: bool) -> Path:
    """Run a loop, or what is left of it, and return the path of its report. Raises HydrasurrError."""
    config = load_loop_config(config_json, overrides)
    loop = Loop(config, out or Path("runs") / config.name, force=force)
    loop.run()
    return loop.folder.report
