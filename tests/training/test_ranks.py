"""Rank discovery under every launcher."""

from __future__ import annotations

import pytest

from hydrasurr.errors import HydrasurrError
from hydrasurr.launcher import MPI, Ranks, discover
from hydrasurr.training.ranks import choose_device, first_slurm_node


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Ranks()),
        ({"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}, Ranks(3, 8, 1, "torchrun")),
        (
            {
                "OMPI_COMM_WORLD_RANK": "1",
                "OMPI_COMM_WORLD_SIZE": "2",
                "OMPI_COMM_WORLD_LOCAL_RANK": "1",
            },
            Ranks(1, 2, 1, "Open MPI"),
        ),
        ({"PMI_RANK": "2", "PMI_SIZE": "4", "MPI_LOCALRANKID": "0"}, Ranks(2, 4, 0, "MPICH")),
        ({"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "6", "SLURM_LOCALID": "2"}, Ranks(5, 6, 2, "Slurm")),
        # A batch script that starts python without srun is one process, whatever the job has reserved.
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0"}, Ranks()),
        # torchrun inside a Slurm step: the inner launcher counts.
        (
            {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2", "RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1"},
            Ranks(1, 4, 1, "torchrun"),
        ),
        ({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}, Ranks(launcher="torchrun")),
    ],
)
def test_discovery(environment: dict[str, str], expected: Ranks) -> None:
    assert discover(environment) == expected


def test_only_mpi_counts_where_only_mpi_is_asked_for() -> None:
    environment = {"RANK": "1", "WORLD_SIZE": "4", "PMI_RANK": "2", "PMI_SIZE": "3"}
    assert discover(environment).launcher == "torchrun"
    assert discover(environment, MPI) == Ranks(2, 3, 0, "MPICH")


def test_a_launcher_that_sets_nonsense_is_named() -> None:
    with pytest.raises(HydrasurrError, match=r"torchrun set RANK, WORLD_SIZE or LOCAL_RANK"):
        discover({"RANK": "zero", "WORLD_SIZE": "2"})


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu001", "gpu001"),
        ("gpu[007-009,11],login1", "gpu007"),
        ("login1,gpu[1-2]", "login1"),
        ("n[3,5]-ib", "n3-ib"),
    ],
)
def test_first_slurm_node(nodes: str, first: str) -> None:
    assert first_slurm_node(nodes) == first


def test_cuda_that_is_not_there_is_an_error_and_auto_is_not() -> None:
    import torch

    if torch.cuda.is_available():
        assert choose_device("cuda", Ranks()).type == "cuda"
        return
    assert choose_device("auto", Ranks()).type == "cpu"
    with pytest.raises(HydrasurrError, match="no CUDA device"):
        choose_device("cuda", Ranks())
