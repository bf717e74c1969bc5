"""Processes that signals to the whole group meet while they are starting."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.runs import ROOT, environment


@pytest.mark.parametrize(
    ("way", "signals", "said"),
    [
        ("ignore_interrupts", ["SIGINT", "SIGUSR1"], "alive"),
        ("ignore_interrupts", ["SIGTERM"], "dead"),
        ("leave_group", ["SIGINT", "SIGUSR1", "SIGTERM"], "alive"),
    ],
)
def test_signals_that_come_at_once(way: str, signals: list[str], said: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.newborn", way, *signals],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=100,
    )
    assert run.stderr == ""
    assert run.stdout.split() == [said, str(-signal.SIGTERM)]
