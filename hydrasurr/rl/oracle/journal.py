"""Results of a labelling as they come, a JSON line each, so that one that was stopped goes on where it was."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.rl.oracle.config import OracleConfig
from hydrasurr.rl.oracle.label import Label

NO_RESULT = "no result: "
"""Begins the error of a molecule about which the oracle has said nothing: its worker died, was late or is broken."""


class Entry(NamedTuple):
    """What came of a molecule: a label, or the reason why there is none; and the seconds a worker was at it."""

    label: Label | None
    error: str
    seconds: float
    attempts: int

    @property
    def failed_by_chance(self) -> bool:
        """It may have a label when it is tried again."""
        return self.error.startswith(NO_RESULT)


class Journal:
    """The file of results of one oracle. The first line says which; a last line that was cut short does not count.

    Raises ConfigError if the file is of an oracle with another configuration, HydrasurrError if it is no journal.

    Attributes
    ----------
    entries : SMILES -> what is known, in the order of the results
    """

    def __init__(self, path: str | Path, config: OracleConfig):
        self.path, self.entries = Path(path), dict[str, Entry]()
        header = {"journal": "labels", "oracle": config.model_dump(mode="json")}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = self._read(header)
        self._file = self.path.open("a", encoding="utf-8")
        os.truncate(self.path, whole)
        if not whole:
            self._write(header)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def add(self, smiles: str, entry: Entry) -> None:
        """Keep a result; it is in the file when this returns."""
        label = None if entry.label is None else entry.label.to_json()
        self._write({"smiles": smiles} | entry._asdict() | {"label": label})
        self.entries[smiles] = entry

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._file.flush()

    def _read(self, header: dict[str, Any]) -> int:
        """Take in the lines there are; the bytes that they have without one that was cut short."""
        content = self.path.read_bytes() if self.path.exists() else b""
        whole = content.rfind(b"\n") + 1
        if not content.startswith(b'{"journal"'[: len(content)]):
            raise HydrasurrError(f"'{self.path}' is no journal of labels: choose another file")
        for number, text in enumerate(content[:whole].splitlines()):
            try:
                line = json.loads(text)
                if number:
                    self._take(line)
                else:
                    self._check(line, header)
            except (ValueError, KeyError, TypeError) as error:
                raise HydrasurrError(f"'{self.path}', line {number + 1}: not a line of a journal of labels") from error
        return whole

    def _take(self, line: dict[str, Any]) -> None:
        smiles, label = line.pop("smiles"), line.pop("label")
        self.entries[smiles] = Entry(label=None if label is None else Label.from_json(label), **line)

    def _check(self, found: dict[str, Any], header: dict[str, Any]) -> None:
        theirs, ours = OracleConfig.model_validate(found["oracle"]).model_dump(mode="json"), header["oracle"]
        changed = [f"{key}: {theirs[key]} became {ours[key]}" for key in ours if theirs[key] != ours[key]]
        if changed:
            raise ConfigError(
                f"'{self.path}' holds labels of an oracle with another configuration ({'; '.join(changed)}); "
                "labels of both do not mix: choose another file, or delete this one"
            )
