"""The command `hydrasurr` of a rank, failing if its process group leaves threads: `python -m tests.ranked ARGUMENT...`.

Such threads may let go of tensors while the interpreter ends, which aborts it (pytorch/pytorch pull request 179291).
"""

from __future__ import annotations

import atexit
import os
from pathlib import Path

from hydrasurr import cli

LEFT = 3  # a status that `hydrasurr` has not


def fail_with_threads() -> None:
    names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    left = [name for name in names if "gloo" in name]
    if left:
        os.write(2, f"threads left: {', '.join(left)}\n".encode())
        os._exit(LEFT)


if __name__ == "__main__":
    atexit.register(fail_with_threads)
    cli.main()
