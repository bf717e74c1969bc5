"""`hydrasurr md nacl`, the real command in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.md.nacl.study import TINY


def nacl(out: Path) -> subprocess.CompletedProcess[str]:
    settings = [part for setting in TINY for part in ("--set", setting)]
    command = [sys.executable, "-m", "hydrasurr", "md", "nacl", "--quick", "--out", str(out), *settings]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_a_whole_study_and_what_it_kept(tmp_path: Path) -> None:
    out = tmp_path / "study"
    done = nacl(out)
    assert done.returncode == 0, done.stderr
    assert "report.html" in done.stderr and "speed at 512 ions over the reference" in done.stdout
    numbers = json.loads((out / "report.json").read_text())
    assert abs(numbers["madelung"]["errors"]["ewald"]) < 1e-8
    assert numbers["reference"]["programs"]["force"] < 3e-4
    # Table and network differ where ions are closer than the network was trained for, after this little training.
    assert all(facts["programs"] < 5e-3 for facts in numbers["forces"].values())
    assert numbers["bytes"]["int4"]["weights"] < 0.15 * numbers["bytes"]["fp64"]["weights"]
    assert set(numbers["far"]) == {"p3m", "none", "dsf-8.5", "far-8.5", "graph"}
    places = numbers["far"]["p3m"]["places"]
    assert list(places) == ["crystal", "hot", "strained", "vacancies", "slab"]
    assert all(facts["of_far"] < 0.01 for facts in places.values())
    assert all(numbers["far"]["none"]["places"][name]["of_far"] > 0.99 for name in places)
    assert [size["ions"] for size in numbers["scaling"]] == [216, 512]
    for size in numbers["scaling"]:
        assert size["lammps"]["reference"]["k-space"] > 0 and size["lammps"]["table 8.5"]["k-space"] == 0
    page = (out / "report.html").read_text()
    assert page.count("<svg") >= 15 and "http://" not in page.replace("http://www.w3.org", "")

    (out / "stages/far-none.npz").unlink()
    kept = (out / "stages/reference.npz").stat().st_mtime
    again = nacl(out)
    assert again.returncode == 0, again.stderr
    assert (out / "stages/reference.npz").stat().st_mtime == kept and (out / "stages/far-none.npz").exists()
