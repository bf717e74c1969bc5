"""A command that sends itself a signal: `python -m tests.signalled MOMENT COUNT SIGNAL ARGUMENT...`.

MOMENT: so many epochs of a training were told (`record`), or so many checkpoints (of a design run, parts of one) were
written (`checkpoint`), or are about to take the place of the one before (`replace`). SIGNAL: as in SIGTERM; all:SIGTERM
is for the whole group of processes.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main(moment: str, count: str, name: str, *arguments: str) -> None:
    from hydrasurr import cli
    from hydrasurr.training import checkpoint
    from hydrasurr.training.tensorboard import Board

    left = int(count)

    def strike() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            whom, _, number = name.rpartition(":")
            os.kill(0 if whom == "all" else os.getpid(), signal.Signals[number])

    def followed(function: Callable[..., None]) -> Callable[..., None]:
        def wrapped(*given: Any) -> None:
            function(*given)
            strike()

        return wrapped

    def replace(source: Path, place: Path, genuine: Callable[..., None] = os.replace) -> None:
        if place.stem == "latest":
            strike()
        genuine(source, place)

    if moment == "record":
        Board.add = followed(Board.add)
    elif moment == "checkpoint":
        checkpoint.save = followed(checkpoint.save)
    else:
        os.replace = replace
    sys.argv = ["hydrasurr", *arguments]
    cli.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
