"""Where a measurement was made."""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib import metadata
from pathlib import Path

PACKAGES = ("hydrasurr", "torch", "torch-geometric", "rdkit", "adios2", "numpy", "ogb", "mpi4py")


def describe() -> dict[str, str | int | dict[str, str]]:
    """Processor, cores, memory, GPU if any, system and package versions."""
    import torch

    machine: dict[str, str | int | dict[str, str]] = {
        "date": date.today().isoformat(),
        "processor": _field(Path("/proc/cpuinfo"), "model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory": _field(Path("/proc/meminfo"), "MemTotal"),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
    }
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        machine["gpu"] = f"{torch.cuda.device_count()} x {properties.name}, {properties.total_memory / 2**30:.0f} GiB"
        machine["cuda"] = str(torch.version.cuda)
    return machine


def _field(path: Path, name: str) -> str:
    """The value of the first `name: value` line of a file; an empty string if there is none."""
    if path.exists():
        for line in path.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    return ""


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
