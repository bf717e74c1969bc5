"""Models that rewards are made of: a trained one, an ensemble, a force field."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydrasurr.models.package import save_package
from hydrasurr.training.config import RunConfig
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.run import run
from tests.models.force_field.conftest import make
from tests.runs import run_config


def _train(dataset: Path, path: Path, **sections: object) -> Path:
    config = run_config(dataset, training={"epochs": 1}, model={"hidden": 8, "layers": 1}, **sections)
    run(RunConfig.model_validate(config), RunFolder(path))
    return path


@pytest.fixture(scope="package")
def single(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of one network, which predicts a gap without uncertainty."""
    return _train(dataset, tmp_path_factory.mktemp("single") / "run")


@pytest.fixture(scope="package")
def ensemble(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of two networks, whose disagreement is an uncertainty."""
    return _train(dataset, tmp_path_factory.mktemp("ensemble") / "run", members=2)


@pytest.fixture(scope="package")
def force_field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("force_field") / "field.safetensors"
    save_package(path, [make("schnet")], {})
    return path
