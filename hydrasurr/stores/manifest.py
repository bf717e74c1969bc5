"""The list of a BP folder's files, by which a damaged or incomplete copy is told before ADIOS2 opens it.

ADIOS2 2.12 trusts its files: over a shortened `data.0` it waits without end, over a damaged `mmd.0` the process
ends with a segmentation fault. So every file must have the size that it had when the data set was finished, and
the small files that ADIOS2 interprets also the same CRC-32. The data have checksums of their own, a block each.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

from pydantic import TypeAdapter

from hydrasurr.errors import StoreError

MANIFEST = "manifest.json"
_IRRELEVANT = (MANIFEST, "profiling.json")
_Files = TypeAdapter(dict[str, dict[str, int]])


def write_manifest(folder: Path) -> None:
    """List the files of a finished BP folder."""
    files = {file.name: _facts(file) for file in sorted(folder.iterdir()) if file.name not in _IRRELEVANT}
    (folder / MANIFEST).write_text(json.dumps(files, indent=1))


def check_manifest(folder: Path) -> None:
    """Raise StoreError unless `folder` holds all files of a finished data set."""
    try:
        files = _Files.validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        files = {}
    if not files:
        raise StoreError(
            f"'{folder}' is not a complete hydrasurr data set (no readable '{MANIFEST}' in it); "
            "hydrasurr-preprocess makes one"
        )
    for name, expected in files.items():
        file = folder / name
        found = _facts(file) if file.is_file() else {}
        if found != expected:
            sizes = [facts.get("bytes") for facts in (found, expected)]
            problem = "is missing" if not found else "is damaged"
            if found and sizes[0] != sizes[1]:
                problem = f"has {sizes[0]} bytes, {sizes[1]} expected"
            raise StoreError(f"'{file}' {problem}; copy the data set again, or preprocess again")


def _facts(file: Path) -> dict[str, int]:
    facts = {"bytes": file.stat().st_size}
    if not file.name.startswith("data."):
        facts["crc32"] = zlib.crc32(file.read_bytes())
    return facts
