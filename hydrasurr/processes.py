"""Processes that end when the one that started them says so, whatever signals come to all of them together.

A terminal sends Ctrl-C to a whole group of processes, batch systems send SIGTERM and SIGUSR1 to it: what follows is for
the one that was started first to decide.
"""

from __future__ import annotations

import os
import signal
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


def start_process(process: BaseProcess) -> None:
    """Start a spawned process that hears none of these signals until it calls one of the functions below."""
    resource_tracker.ensure_running()  # whose start unblocks signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # which a process inherits
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_interrupts() -> None:
    """From here on SIGTERM ends this process, and Ctrl-C and SIGUSR1 do not."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def leave_group() -> None:
    """From here on only a SIGTERM to this very process ends it; one that came to the group until now does not."""
    os.setpgid(0, 0)
    handler = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # forgets one that waits
    signal.signal(signal.SIGTERM, handler)
    ignore_interrupts()
