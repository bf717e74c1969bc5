"""Requests to stop early: signals and a wall-clock limit."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hydrasurr.errors import ConfigError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class StopRequest:
    """Asked of at every step; a request is served with a checkpoint and a clean end.

    Parameters
    ----------
    time_limit : seconds from now after which to stop, None for no limit
    """

    def __init__(self, time_limit: float | None = None):
        self._deadline = None if time_limit is None else time.monotonic() + time_limit
        self._signal: int | None = None

    @property
    def requested(self) -> bool:
        return self._signal is not None or (self._deadline is not None and time.monotonic() >= self._deadline)

    @property
    def reason(self) -> str:
        return f"signal {signal.Signals(self._signal).name}" if self._signal is not None else "time limit"

    @contextmanager
    def on_signals(self) -> Iterator[StopRequest]:
        """While inside, SIGTERM, SIGUSR1 (Slurm's warning) and the first Ctrl-C ask to stop; a second Ctrl-C
        interrupts at once."""

        def ask(number: int, frame: object) -> None:
            if number == signal.SIGINT and self._signal is not None:
                raise KeyboardInterrupt
            self._signal = number

        if threading.current_thread() is not threading.main_thread():  # which alone may set handlers
            yield self
            return
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
        before = [signal.signal(number, ask) for number in numbers]
        try:
            yield self
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)


def parse_duration(text: str) -> float:
    """Seconds of "90", "90s", "45m", "1.5h", "2d", or Slurm's "D-HH:MM:SS" and "HH:MM:SS"."""
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip()):
        return float(match[1]) * _UNITS[match[2] or "s"]
    if match := re.fullmatch(r"(?:(\d+)-)?(\d+):(\d{2})(?::(\d{2}))?", text.strip()):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return days * 86_400.0 + hours * 3600 + minutes * 60 + seconds
    raise ConfigError(f"time limit '{text}': expected a duration such as 90s, 45m, 1.5h or 1-12:00:00")
