"""Processes that get signals as soon as they are started: `python -m tests.newborn WAY SIGNAL...` in an own group.

Prints what the process says, and how it ended after a SIGTERM of its own.
"""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing import get_context
from multiprocessing.connection import Connection

from hydrasurr import processes


def live(pipe: Connection, way: str) -> None:
    getattr(processes, way)()
    pipe.send("alive")
    signal.pause()


def main(way: str, *names: str) -> None:
    for number in processes.SIGNALS:
        signal.signal(number, lambda *_: None)
    spawn = get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=live, args=(there, way))
    processes.start_process(process)
    there.close()
    for name in names:
        os.killpg(os.getpid(), signal.Signals[name])
    try:
        print(here.recv())
    except EOFError:
        print("dead")
    process.terminate()
    process.join()
    print(process.exitcode)


if __name__ == "__main__":
    main(*sys.argv[1:])
