"""Durations, signals and deadlines."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from hydrasurr.errors import ConfigError
from hydrasurr.training.stop import StopRequest, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("45m", 2700),
        ("1.5h", 5400),
        ("2d", 172_800),
        ("1-12:00:00", 129_600),
        ("03:30:15", 12_615),
        ("12:30", 45_000),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5", "1w", "1:2:3:4"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a duration"):
        parse_duration(text)


def test_a_signal_asks_and_a_second_ctrl_c_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopRequest().on_signals() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        assert stop.reason == "signal SIGINT"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_deadline_asks() -> None:
    assert not StopRequest(1000).requested
    stop = StopRequest(0)
    assert stop.requested
    assert stop.reason == "time limit"


def test_other_threads_leave_the_handlers_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work() -> None:
        with StopRequest().on_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
