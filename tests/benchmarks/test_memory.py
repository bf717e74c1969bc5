"""Peak memory of real processes."""

from __future__ import annotations

import sys

import pytest

from benchmarks.memory import peak_memory

MB = 1_000_000
USE = "import time; held = b'x' * {size}; time.sleep(1); del held; time.sleep(1)"
WITH_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {USE.format(size=60 * MB)!r}]);"


def test_the_largest_that_each_process_had() -> None:
    """What was given back counts, and children count apart from their parent, which is larger when it starts one."""
    (idle,) = peak_memory([sys.executable, "-c", USE.format(size=1)])
    (alone,) = peak_memory([sys.executable, "-c", USE.format(size=200 * MB)])
    parent, child = peak_memory([sys.executable, "-c", f"held = b'x' * {200 * MB};" + WITH_CHILD])
    assert 190 * MB < alone - idle < 210 * MB
    assert 190 * MB < parent - idle < 220 * MB
    assert 50 * MB < child - idle < 70 * MB


def test_a_command_that_fails() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)-c import nowhere failed: .*No module named 'nowhere'"):
        peak_memory([sys.executable, "-c", "import nowhere"])
