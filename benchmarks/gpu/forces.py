"""Forces and neighbour search on the device over system size: the pair network of argon, and a PaiNN for silicon.

The networks are as initialised; the atoms stand near the sites of their crystals.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from benchmarks.gpu.busy import busy_seconds
from benchmarks.gpu.job import Job
from benchmarks.measure import interleaved
from hydrasurr.graphs.neighbours import NeighbourList
from hydrasurr.graphs.systems import Systems
from hydrasurr.models.force_field.config import ForceFieldConfig
from hydrasurr.models.force_field.network import ForceField
from hydrasurr.models.pair_mlp import PairMLP, PairSpec
from hydrasurr.surrogate.potentials.contract import Potential
from hydrasurr.surrogate.potentials.network import NetworkPotential
from hydrasurr.surrogate.potentials.pair_mlp import PairNetwork

CUTOFF = 8.5
FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
DIAMOND = np.concatenate([FCC, FCC + 0.25])
ARGON_CELLS, SILICON_CELLS = (6, 12, 20, 30, 40), (4, 8, 12)
"""Cells along each edge: 864 to 256,000 atoms, and 512 to 13,824."""
FORMATS = {"fp64": 1e-10, "fp32": 1e-4, "bf16": 0.05}
"""Of the pair network, and how far the force of a pair may be from float64 on the CPU, relative to the largest one."""


def run(job: Job) -> None:
    torch.manual_seed(0)
    network = PairMLP(PairSpec(elements=(18,), cutoff=CUTOFF, r_min=(3.0,))).requires_grad_(False)
    exact = PairNetwork(network, "fp64")
    ours = {name: PairNetwork(network, name, job.device) for name in FORMATS}
    for name, bound in FORMATS.items():
        _compare(job, f"force of pairs in {name}", _radial(ours[name]), _radial(exact), bound)
    argon = crystal(18, FCC, 5.6, 3)
    _compare(
        job, "forces of the pair network in fp64", *(p.evaluate(argon).forces for p in (ours["fp64"], exact)), 1e-10
    )
    for cells in ARGON_CELLS[: job.size(5, 1)]:
        argon = crystal(18, FCC, 5.6, job.size(cells, 3))
        _forces(job, "forces, pair network", ours, argon)
        _search(job, argon)
    config = ForceFieldConfig(representation="painn", width=job.size(64, 8), layers=job.size(3, 1))
    force_field = ForceField(config, elements=[14])
    exact = NetworkPotential(copy.deepcopy(force_field), dtype="float64")
    single = NetworkPotential(force_field, job.device, "float32")
    silicon = crystal(14, DIAMOND, 5.43, 2)
    _compare(job, "forces of PaiNN in fp32", *(p.evaluate(silicon).forces for p in (single, exact)), 1e-4)
    for cells in SILICON_CELLS[: job.size(3, 1)]:
        _forces(job, "forces, PaiNN", {"fp32": single}, crystal(14, DIAMOND, 5.43, job.size(cells, 2)))


def crystal(number: int, basis: np.ndarray, edge: float, cells: int) -> Systems:
    """Cubic cells of atoms moved from their sites by 0.1 Angstrom in each direction, on average."""
    corners = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    sites = edge * (corners + basis).reshape(-1, 3)
    positions = sites + np.random.default_rng(0).normal(scale=0.1, size=sites.shape)
    return Systems.single(np.full(len(sites), number), positions, edge * cells * np.eye(3), True)


def _radial(potential: PairNetwork) -> np.ndarray:
    """The force between two atoms at 10,000 distances."""
    distance = torch.linspace(3.0, CUTOFF, 10_000, dtype=torch.float64, device=potential.device)
    argon = torch.full(distance.shape, 18, device=potential.device)
    return potential.radial(distance, argon, argon)[1].cpu().numpy()


def _compare(job: Job, what: str, found: np.ndarray, wanted: np.ndarray, bound: float) -> None:
    job.check(f"{what} against float64 on the CPU", float(np.abs(found - wanted).max() / np.abs(wanted).max()), bound)


def _forces(job: Job, measured: str, potentials: dict[str, Potential], systems: Systems) -> None:
    """A call with the pairs at hand, copying them to the device and the forces back included."""
    pairs = NeighbourList(next(iter(potentials.values())).cutoff).pairs(systems)
    calls = {name: partial(potential.compute, systems, pairs) for name, potential in potentials.items()}
    busy = {}
    for name, call in calls.items():
        call()
        busy[name] = busy_seconds(job, call)
    _times(job, measured, systems, calls, busy)


def _search(job: Job, systems: Systems) -> None:
    """A search of the pairs from nothing, by what there is."""
    cases: dict[str, Callable[[], object]] = {
        "vesin on the CPU": lambda: NeighbourList(CUTOFF).pairs(systems),
        "vesin on the device": partial(_vesin, *_on_device(job, systems)),
        "nvalchemi-toolkit-ops": partial(_nvalchemi, *_on_device(job, systems)),
    }
    expected = len(NeighbourList(CUTOFF).pairs(systems))
    working = {}
    for name, case in cases.items():
        try:
            found = case()
        except Exception as error:  # not installed, or no kernels for this device
            job.note(f"{name} does not search here: {repr(error).splitlines()[0][:200]}")
            continue
        if not isinstance(found, int) or found == expected:
            working[name] = case
        else:
            job.check(f"{name}: pairs found, of {expected}", abs(found - expected), 0)
    _times(job, "neighbour search", systems, working, {})


def _on_device(job: Job, systems: Systems) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(systems.positions).to(job.device), torch.from_numpy(systems.cell[0]).to(job.device)


def _vesin(positions: torch.Tensor, cell: torch.Tensor) -> int:
    from vesin.torch import NeighborList

    quantities = NeighborList(cutoff=CUTOFF, full_list=False).compute(positions, cell, True, "ijSDd")
    return len(quantities[0])


def _nvalchemi(positions: torch.Tensor, cell: torch.Tensor) -> int:
    from nvalchemiops.torch.neighbors import neighbor_list

    periodic = torch.ones(3, dtype=torch.bool, device=cell.device)
    pairs, *_ = neighbor_list(positions, CUTOFF, cell=cell, pbc=periodic, half_fill=True, return_neighbor_list=True)
    return pairs.shape[1]


def _times(
    job: Job, measured: str, systems: Systems, cases: dict[str, Callable[[], object]], busy: dict[str, float]
) -> None:
    def timed(case: Callable[[], object]) -> int:
        case()
        job.synchronize()
        return 1

    timing = interleaved({name: partial(timed, case) for name, case in cases.items()}, job.size(5, 1))
    for name, times in timing.items():
        row = {"measured": measured, "atoms": systems.num_atoms, "network": name, "ms a step": 1000 / times.rate}
        if name in busy:
            row["GPU busy"] = busy[name] * times.rate
        job.row(**row)
