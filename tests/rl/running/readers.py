"""What other processes of the tests do."""

from __future__ import annotations

from multiprocessing.connection import Connection

from hydrasurr.rl.running.weights import SharedWeights

ENOUGH = 10


def read_for_ever(shared: SharedWeights, pipe: Connection) -> None:
    """Versions read until told that it is enough, and how many were not whole; says when it has read some."""
    pipe.send("going")
    seen, torn, known = [], 0, -1
    while not pipe.poll():
        weights = shared.read(known)
        if weights is not None:
            known = weights.version
            seen.append(known)
            torn += bool((weights.values != known).any())
            if len(seen) == ENOUGH:
                pipe.send("some")
    pipe.send((seen, torn))
