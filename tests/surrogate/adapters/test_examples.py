"""Every example runs as its user runs it: as a script, in an empty folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hydrasurr.surrogate.adapters import examples
from tests.runs import environment

FOLDER = Path(examples.__file__).parent
EXAMPLES = sorted(path.name for path in FOLDER.glob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_runs(name: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(FOLDER / name)],
        cwd=tmp_path,
        env=environment() | {"XDG_CACHE_HOME": str(tmp_path)},  # the plugin example compiles into the cache
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr and run.stdout.strip()


def test_there_is_one_for_each_adapter() -> None:
    """Each module that other codes are reached through is imported by some example."""
    text = "\n".join((FOLDER / name).read_text() for name in EXAMPLES)
    for module in ("ase", "lammps_external", "lammps_plugin", "lammps_table", "openmm", "aot"):
        assert f"from hydrasurr.surrogate.adapters.{module} import" in text
