"""All ranks at hand, of which smaller jobs are made one after another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from hydrasurr.errors import HydrasurrError
from hydrasurr.launcher import Ranks
from hydrasurr.training.ranks import meet, own_store, process_group

Result = TypeVar("Result")

PATIENCE = timedelta(hours=6)
"""How long ranks that are not needed wait for the others."""

FAILED = b"failed"


class World:
    """The processes that a launcher has started, and jobs of the first few of them.

    A job has a process group of its own that is everything torch.distributed knows of, so whatever runs on `n` ranks
    runs unchanged on the first `n` of many; the others sleep until it has ended.
    """

    def __init__(self, ranks: Ranks, device: torch.device, store: dist.Store | None):
        self.ranks, self.device = ranks, device
        self._store, self._jobs = store, 0

    def among(self, size: int, work: Callable[[Ranks], Result]) -> Result | None:
        """`work` on each of the first `size` ranks, with its place among them; None on the others.

        Called by all ranks together. Ranks that have nothing to do exit if rank 0 fails.
        """
        self._jobs += 1
        key = f"job {self._jobs}"
        if self.ranks.rank >= size:
            assert self._store is not None
            self._store.wait([key], PATIENCE)
            if self._store.get(key) == FAILED:
                sys.exit(1)
            return None
        outcome = FAILED
        try:
            ranks = replace(self.ranks, world_size=size) if size > 1 else Ranks(launcher=self.ranks.launcher)
            meeting = dist.PrefixStore(key, self._store) if self._store is not None else None
            with process_group(ranks, self.device, store=meeting):
                result = work(ranks)
            outcome = b"done"
            return result
        finally:
            if self.ranks.is_root and self._store is not None:
                self._store.set(key, outcome)

    def close(self) -> None:
        """Rank 0 keeps the store, so it leaves last."""
        if self._store is None:
            return
        self._store.add("left", 1)
        while self.ranks.is_root and self._store.add("left", 0) < self.ranks.world_size:
            time.sleep(0.01)


@contextmanager
def open_world(ranks: Ranks, device: torch.device) -> Iterator[World]:
    """The world of a job; called by all its ranks together."""
    store = dist.PrefixStore("scaling", meet(ranks, PATIENCE)) if ranks.world_size > 1 else None
    world = World(ranks, device, store)
    yield world
    world.close()


def ranks_at_hand(device: torch.device, threads: int) -> int:
    """How many ranks this machine can run at full speed: one a GPU, or one for each `threads` cores."""
    if device.type == "cuda":
        return torch.cuda.device_count()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(cores // threads, 1)


def start_ranks(size: int, arguments: Sequence[str]) -> None:
    """Run `python -m hydrasurr ARGUMENTS` on `size` ranks of this machine, and wait.

    If one fails, or this process is interrupted, all are ended. Raises SystemExit with the status of the one that
    failed.
    """

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    ranks: list[subprocess.Popen] = []
    try:
        store = local_store()
        ranks.extend(rank_processes(store, size, ["-m", "hydrasurr", *arguments]))
        while None in (states := [process.poll() for process in ranks]) and not any(states):
            time.sleep(0.05)
        if failed := next((state for state in states if state), 0):
            raise SystemExit(failed if failed > 0 else 128 - failed)
    finally:
        signal.signal(signal.SIGTERM, before)
        end_processes(ranks)


def local_store() -> dist.TCPStore:
    """Where ranks of this machine can meet."""
    return own_store("127.0.0.1", PATIENCE)


def rank_processes(
    store: dist.TCPStore, size: int, arguments: Sequence[str], **options: Any
) -> Iterator[subprocess.Popen]:
    """Start `python ARGUMENTS` as `size` ranks of this machine, one after another, which find each other as under
    torchrun.

    Parameters
    ----------
    store : where they meet; to be kept until they have ended
    options : of Popen
    """
    shared = {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size)}
    shared |= {"MASTER_ADDR": store.host, "MASTER_PORT": str(store.port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    for rank in range(size):
        environment = {**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        # In a process group of their own: a Ctrl-C is for this process, which then ends them.
        yield subprocess.Popen([sys.executable, *arguments], env=environment, process_group=0, **options)


def end_processes(processes: Sequence[subprocess.Popen], patience: float = 10.0) -> None:
    """Ask them to end, and make them after `patience` seconds."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + patience
    for process in processes:
        try:
            process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def parse_ranks(text: str | None, most: int) -> list[int]:
    """The rank counts to measure: those given, as "1,2,4", else the powers of two up to `most`, and `most`.

    One rank is always measured, since all else is compared with it. Raises HydrasurrError.
    """
    if text is None:
        return rank_counts(most)
    try:
        counts = {int(part) for part in text.split(",")}
    except ValueError:
        raise HydrasurrError(f"--ranks {text}: expected rank counts such as 1,2,4") from None
    if min(counts) < 1:
        raise HydrasurrError(f"--ranks {text}: a rank count is at least 1")
    return sorted(counts | {1})


def rank_counts(most: int) -> list[int]:
    """Powers of two up to `most`, and `most`."""
    return sorted({2**power for power in range(most.bit_length()) if 2**power <= most} | {most})
