"""What all tests share: real molecules, and how often hypothesis tries."""

from __future__ import annotations

import csv
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests.runs import end_started, run_config

if TYPE_CHECKING:
    from hydrasurr.training.folder import RunFolder

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"

# A shell makes what it starts in the background deaf to Ctrl-C, and its children with it; some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Shared machines stall: slowness is no failure. The same examples every time, so that a run can be repeated;
# `--hypothesis-profile=explore` looks for new ones.
settings.register_profile(
    "same", derandomize=True, deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", settings.get_profile("same"), derandomize=False, max_examples=1000)
settings.load_profile("same")


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    end_started()


def read_smiles(path: Path, step: int) -> list[str]:
    """Every `step`-th SMILES of a CSV file."""
    with path.open(newline="") as file:
        return [row["smiles"] for row in csv.DictReader(file)][::step]


@pytest.fixture(scope="session")
def real_smiles() -> list[str]:
    """SMILES of 500 molecules of QM9."""
    return read_smiles(ROOT / "datasets/qm9_gap_5k/qm9_gap_5k.csv", 10)


@pytest.fixture(scope="session")
def esol_smiles() -> list[str]:
    """SMILES of 226 drug-like molecules and pesticides, with halogens, sulfur, phosphorus and stereo."""
    return read_smiles(ROOT / "datasets/esol/esol.csv", 5)


@pytest.fixture(scope="session")
def pubchem_smiles() -> list[str]:
    """SMILES of about 140 larger molecules of PubChemQC, with charges, salts, stereo and many elements."""
    path = SHARED_DATA / "pubchemqc/pubchemqc_gap_14k.csv"
    if not path.exists():
        pytest.skip(f"the PubChemQC molecules are not shipped with the code; looked for '{path}'")
    return read_smiles(path, 100)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 molecules of the shipped sample with their gap: 320 to train, 40 to validate, 40 to test."""
    from hydrasurr.shipped import find
    from preprocessing.card import SplitRule, read_card
    from preprocessing.pipeline import preprocess

    card = read_card(find("datasets", "qm9_gap_5k"))
    card = card.model_copy(update={"split": SplitRule(fractions=(0.8, 0.1, 0.1))})
    path = tmp_path_factory.mktemp("data") / "tiny.bp"
    preprocess(card, path, workers=1, limit=400, show=False)
    return path


@pytest.fixture
def train(dataset: Path, tmp_path: Path) -> Callable[..., RunFolder]:
    """Train in this process: `train(training={...}, model={...})` returns the finished run's folder."""
    from hydrasurr.training.config import RunConfig
    from hydrasurr.training.folder import RunFolder
    from hydrasurr.training.run import run

    def train(out: str = "run", resume: bool = False, **sections: Any) -> RunFolder:
        folder = RunFolder(tmp_path / out)
        run(RunConfig.model_validate(run_config(dataset, **sections)), folder, resume=resume)
        return folder

    return train
