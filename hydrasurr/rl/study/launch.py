"""Design runs as processes of this machine, which can be watched and killed."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from hydrasurr.errors import HydrasurrError
from hydrasurr.files import read_records, write_json
from hydrasurr.rl.running.folder import DesignFolder
from hydrasurr.rl.study.folder import Facts, StudyFolder
from hydrasurr.rl.study.settings import StudyConfig
from hydrasurr.rl.study.variants import Run
from hydrasurr.scaling.world import end_processes, local_store, rank_processes

POLL = 0.05
"""Seconds between two looks at a run."""
TAIL = 15
"""Lines of a log that are shown."""
TOO_LATE: Facts = {"absent": "the run ended before its learner could be killed"}


class Launch:
    """The processes of one run: its learners, which start their actors. A context manager that ends them."""

    def __init__(self, run: Run, study: StudyConfig, folder: StudyFolder):
        self.run, self.design = run, DesignFolder(folder.run(run.name))
        self._log, self._settings = folder.log(run.name), folder.runs / f"{run.name}.json"
        self._lock = folder.runs / f"{run.name}.lock"
        write_json(self._settings, run.config(study).model_dump(mode="json"))
        self._deadline = time.monotonic() + 60 * study.patience_minutes
        self._processes: list[subprocess.Popen] = []
        self._began, self._used = time.monotonic(), _processor_seconds()

    def __enter__(self) -> Launch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def start(self, *, resume: bool = False) -> None:
        """Begin anew, or go on from the latest checkpoint.

        Raises HydrasurrError if processes of the same run, of a study that was stopped, do not end.
        """
        self._store = local_store()  # a new one, in which nothing is of ranks that were killed
        command = ["-m", "hydrasurr.rl.study.one_run", str(self._settings), str(self.design.path)]
        with self._alone() as lock, self._log.open("a" if resume else "w") as log:
            if not resume:
                shutil.rmtree(self.design.path, ignore_errors=True)  # what is there is of a study that was stopped
            self._processes.extend(
                rank_processes(
                    self._store,
                    self.run.shape.learners,
                    command + ["--resume"] * resume,
                    stdin=subprocess.PIPE,  # its end tells the run that this process has ended
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=[lock],
                )
            )

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """A locked file, which stays so as long as a process that it was passed to lives."""
        with self._lock.open("w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > self._deadline:
                        raise HydrasurrError(
                            f"'{self.design.path}' is in use by processes of another study; end them, or give another "
                            "folder by --out"
                        ) from None
                    time.sleep(POLL)
            yield file.fileno()

    def wait(self, until: Callable[[], bool] | None = None) -> bool:
        """Until the run has ended: True; or until `until` is true: False. Raises HydrasurrError if it fails."""
        while None in (states := [process.poll() for process in self._processes]):
            if any(states) or time.monotonic() > self._deadline:
                break
            if until is not None and until():
                return False
            time.sleep(POLL)
        else:
            if not any(states) and self.design.results.exists():
                self._end()
                return True
        late = time.monotonic() > self._deadline
        self._end()
        said = self._log.read_text(errors="replace").splitlines()[-TAIL:]
        problem = "took longer than patience_minutes" if late else "failed"
        raise HydrasurrError("\n".join([f"the run '{self.run.name}' {problem}; the end of '{self._log}':", *said]))

    def kill_learner(self) -> float:
        """SIGKILL for the first learner; the others, which cannot go on without it, are ended. The time of it."""
        killed = time.time()
        os.kill(self._processes[0].pid, signal.SIGKILL)
        self._end()
        return killed

    def frames(self) -> int:
        """So far, as far as recorded."""
        records = read_records(self.design.metrics)
        return records[-1]["total_frames"] if records else 0

    def costs(self) -> Facts:
        """Seconds by the clock, and of the processors for all processes that have ended; with their start."""
        return {"wall_seconds": time.monotonic() - self._began, "cpu_seconds": _processor_seconds() - self._used}

    def _end(self) -> None:
        end_processes(self._processes)
        for process in self._processes:
            process.stdin.close()
        self._processes = []


def _processor_seconds() -> float:
    """Of all processes that this one has started and that have ended, and of those which they had started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def complete(run: Run, study: StudyConfig, folder: StudyFolder) -> Facts:
    """Make a run from its beginning to its end; what it cost."""
    with Launch(run, study, folder) as launch:
        launch.start()
        launch.wait()
        return launch.costs()


def interrupted(run: Run, study: StudyConfig, folder: StudyFolder) -> Facts:
    """Make a run whose learner is killed in its midst, and that is resumed at once; what it cost, and what was lost.

    Only why it is `absent` if the run ended before it could be killed.
    """
    due = study.faults.restart_at * study.design.frames
    with Launch(run, study, folder) as launch:
        launch.start()
        if launch.wait(lambda: launch.design.latest.exists() and launch.frames() >= due):
            return TOO_LATE
        killed, recorded = launch.kill_learner(), launch.frames()
        saved = _saved_frames(launch.design, run.shape.learners)
        if saved >= study.design.frames:
            return TOO_LATE
        launch.start(resume=True)
        launch.wait()
        return {**launch.costs(), "killed": killed, "frames_recorded": recorded, "frames_saved": saved}


def _saved_frames(design: DesignFolder, learners: int) -> int:
    """Of the latest checkpoint."""
    return int(design.load_part(0, learners)["frames"])
