"""Files that are at any moment whole, the results of stages, and files to which lines of JSON are added."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.strict import read_json


def is_free(folder: Path) -> bool:
    """Whether a folder is missing or empty, but for a first file that somebody was killed while writing."""
    return not folder.is_dir() or all(path.suffix == ".tmp" for path in folder.iterdir())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write a file instead, which takes the place of `path` at the end: that is always the old or the new one.

    It is on the disk before, so that a crash of the machine does not leave an empty one. Makes the folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    yield temporary
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8; `path` is at any moment the old or the new file."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON without NaN or infinity; `path` is at any moment the old or the new file."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def stage(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of a stage, JSON: read from its file if that is there, else made, and kept with the `stage_seconds`
    that took. Raises HydrasurrError if the file is damaged."""
    if not path.exists():
        start = time.perf_counter()
        made = make()
        write_json(path, {**made, "stage_seconds": time.perf_counter() - start})
    try:
        return read_json(path)
    except ConfigError as error:
        raise HydrasurrError(f"{error}; delete it, and it is made again") from error


def append_record(path: Path, record: dict[str, Any]) -> None:
    """Add a line of JSON, on the disk at the end: a checkpoint that is written later counts on it."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_records(path: Path) -> list[dict[str, Any]]:
    """Lines of JSON; one that a crash cut short is left out, and a file that is missing has none."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def keep_records(path: Path, wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Drop the other lines."""
    kept = [record for record in read_records(path) if wanted(record)]
    write_text(path, "".join(json.dumps(record) + "\n" for record in kept))
