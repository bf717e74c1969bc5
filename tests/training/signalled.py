"""A command that sends itself a signal: `python -m tests.training.signalled MOMENT COUNT SIGNAL ARGUMENT...`.

MOMENT: so many records were told (`record`), or so many checkpoints were written (`checkpoint`), or are about to take
the place of the one before (`replace`).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydrasurr import cli
from hydrasurr.training import checkpoint
from hydrasurr.training.tensorboard import Board


def main(moment: str, count: str, name: str, *arguments: str) -> None:
    left = int(count)

    def strike() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.Signals[name])

    def followed(function: Callable[..., None]) -> Callable[..., None]:
        def wrapped(*given: Any) -> None:
            function(*given)
            strike()

        return wrapped

    def replace(source: Path, place: Path, genuine: Callable[..., None] = os.replace) -> None:
        if place.name == "latest.pt":
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
