"""`python -m hydrasurr.rl.study.one_run CONFIG.json OUT [--resume]`: a design run that a study has started.

It writes no report, and is asked to stop when the study has ended, which it knows by the end of its standard input.
"""

from __future__ import annotations

import os
import signal
import sys
import threading


def main(arguments: list[str]) -> None:
    threading.Thread(target=_end_with_the_study, daemon=True).start()  # first: what follows takes seconds

    from hydrasurr.rl.running.config import load_design_config
    from hydrasurr.rl.running.folder import DesignFolder
    from hydrasurr.rl.running.run import run

    config, out, *options = arguments
    run(load_design_config(config), DesignFolder(out), resume="--resume" in options)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # all is written; threads of torch have been seen to abort the end of the interpreter


def _end_with_the_study() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1:])
