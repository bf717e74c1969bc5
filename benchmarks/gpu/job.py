"""What a part of the GPU benchmark is given, and where it writes what it finds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.file import read
from hydrasurr.graphs import GraphTable


@dataclass(frozen=True)
class Job:
    """Attributes
    ----------
    file : molecules, as `benchmarks.gpu.file` writes them
    device : "cuda", or "cpu" for a dry run
    minimal : only show that it works
    journal : file of findings, a JSON object a line; it holds all found so far should the part be stopped
    """

    file: Path
    device: torch.device
    minimal: bool
    journal: Path

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def size(self, full: int, minimal: int) -> int:
        return minimal if self.minimal else full

    @cached_property
    def table(self) -> GraphTable:
        return read(self.file)

    def synchronize(self) -> None:
        """Wait until the device has done all it was given."""
        if self.on_gpu:
            torch.cuda.synchronize()

    # -- findings -------------------------------------------------------------------------------------

    def row(self, **values: Any) -> None:
        """A line of the table of results."""
        self._write("row", values)

    def note(self, text: str) -> None:
        self._write("note", text)

    def check(self, what: str, error: float, bound: float) -> None:
        """Something that must hold: `error <= bound`; not so if it is NaN."""
        self._write("check", {"what": what, "error": error, "bound": bound, "ok": error <= bound})

    def _write(self, kind: str, value: Any) -> None:
        with self.journal.open("a") as file:
            file.write(json.dumps({kind: value}) + "\n")
