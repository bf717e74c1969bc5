"""The pair network of a study in all its number formats."""

from __future__ import annotations

from collections.abc import Sequence

from hydrasurr.md.study.stages import Result, StudyFolder
from hydrasurr.models.pair_mlp import load_pair, save_pair
from hydrasurr.models.pair_quantize import convert, packed_bytes


def export_formats(folder: StudyFolder, formats: Sequence[str]) -> Result:
    """Write the fitted network in each number format; the sizes in bytes of its weights and files."""
    network, facts = load_pair(folder.network("fp64")), {}
    for name in formats:
        rounded, path = convert(network, name), folder.network(name)
        if name != network.format:
            save_pair(path, rounded)
        facts[name] = {"weights": packed_bytes(rounded), "file": path.stat().st_size}
    return Result({"bytes": facts})
