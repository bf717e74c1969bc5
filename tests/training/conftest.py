"""What real Gloo ranks left behind, for all tests of communication."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.gradient_ranks import Outcome, run_ranks


@pytest.fixture(scope="session")
def two(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run_ranks(2, dataset, tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="session")
def four(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run_ranks(4, dataset, tmp_path_factory.mktemp("four"))
