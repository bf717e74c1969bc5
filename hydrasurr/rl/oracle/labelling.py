"""Many molecules labelled by processes of this machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hydrasurr.rl.executors.pool import Progress, Result, TaskRun
from hydrasurr.rl.oracle.config import OracleConfig
from hydrasurr.rl.oracle.geometry import LabelError
from hydrasurr.rl.oracle.journal import NO_RESULT, Entry, Journal
from hydrasurr.rl.oracle.label import Label, XTBOracle
from hydrasurr.rl.oracle.tasks import tasks_of
from hydrasurr.rl.scheduling.config import SchedulingConfig
from hydrasurr.rl.scheduling.report import LoadReport
from hydrasurr.rl.scheduling.tasks import Worker

KNOWN = f"{LabelError.__name__}: "
"""What workers put before the reason of an oracle."""


@dataclass(frozen=True)
class Labels:
    """What came of molecules, in the order in which they were asked for.

    Attributes
    ----------
    smiles, entries : one of each
    oracle : whose labels they are
    load : how evenly the workers were loaded; None if all was known before
    """

    smiles: tuple[str, ...]
    entries: tuple[Entry, ...]
    oracle: OracleConfig
    load: LoadReport | None = None

    def __len__(self) -> int:
        return len(self.smiles)

    def __getitem__(self, name: str) -> np.ndarray:
        """float64 `[n]`: the values of one name of UNITS; NaN where there is no label."""
        return np.array([np.nan if e.label is None else e.label.values[name] for e in self.entries], np.float64)

    @property
    def labelled(self) -> list[tuple[str, Label]]:
        """Those that have a label."""
        return [(text, e.label) for text, e in zip(self.smiles, self.entries, strict=True) if e.label is not None]

    @property
    def failures(self) -> dict[str, str]:
        """SMILES -> why it has no label."""
        return {text: e.error for text, e in zip(self.smiles, self.entries, strict=True) if e.label is None}

    @property
    def seconds(self) -> float:
        """That workers were at these molecules, each counted once."""
        return sum(entry.seconds for entry in dict(zip(self.smiles, self.entries, strict=True)).values())


def label(
    smiles: Sequence[str],
    oracle: XTBOracle,
    *,
    workers: int | Sequence[Worker] = 1,
    scheduling: SchedulingConfig | None = None,
    journal: str | Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Labels:
    """Label molecules; those that fail are recorded with the reason, and never keep others from being labelled.

    Parameters
    ----------
    smiles : one that is given twice is calculated once
    workers : processes, each with one thread
    journal : a file that keeps each result as it comes. What it knows is not calculated again, and neither are failures
        of the oracle; those of workers are tried again

    Raises HydrasurrError if workers cannot start, ConfigError for a journal of another oracle.
    """
    entries: dict[str, Entry] = {}
    with Journal(journal, oracle.config) if journal is not None else nullcontext() as kept:
        known = {} if kept is None else {text for text, entry in kept.entries.items() if not entry.failed_by_chance}
        tasks = tasks_of([text for text in dict.fromkeys(smiles) if text not in known])
        load = None
        if tasks:
            with TaskRun(oracle, tasks, scheduling, workers, progress=progress) as run:
                for result in run:
                    entry = _entry(result)
                    if kept is None:
                        entries[result.task.id] = entry
                    else:
                        kept.add(result.task.id, entry)
                load = run.report()
        found = entries if kept is None else kept.entries
        return Labels(tuple(smiles), tuple(found[text] for text in smiles), oracle.config, load)


def reasons(errors: Sequence[str]) -> dict[str, int]:
    """How many molecules failed by each kind of reason, the most frequent first."""
    return dict(Counter(error.partition(":")[0] for error in errors).most_common())


def _entry(result: Result) -> Entry:
    error = result.error or ""
    if error and not error.startswith(KNOWN):  # of a worker that died or was late, or of a bug
        error = f"{NO_RESULT}{error}"
    error = error.removeprefix(KNOWN)
    return Entry(result.value, error, round(result.seconds, 6), result.attempts)
