"""Finished runs that several tests look at."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from hydrasurr.rl.running.folder import DesignFolder
from tests.rl.running.designs import LEARNERS, design


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], DesignFolder]:
    """By the name of a learner; not to be changed."""

    @cache
    def run(learner: str) -> DesignFolder:
        path = tmp_path_factory.mktemp(learner) / "run"
        return design(path, learner=LEARNERS[learner], running={"actors": 1}, frames=200)

    return run
