"""Force fields compiled ahead of time: a package that computes forces faster than PyTorch does step by step.

The export traces energy, forces and virial together into one graph with free numbers of atoms and edges, and compiles
it with AOTInductor, which needs a C++ compiler. What comes out is a folder with native code for this kind of
processor and this version of PyTorch, and a manifest::

    model.pt2        (numbers, positions, i, j, shift_vectors) -> (energy, forces, virial), of one system
    manifest.json    what it was made from, SHA-256, and how far it was found to differ from PyTorch

Edges are given in both directions, j being the neighbour (the source of the message) and i the centre (its
destination); the vector of an edge is `positions[j] + shift_vectors - positions[i]`. Shapes and types: int64 `[N]`,
float64 `[N, 3]`, int64 `[E]` twice, float64 `[E, 3]`, to float64 `[]`, `[N, 3]` and `[3, 3]`; eV and Angstrom.
C++ programs load model.pt2 by `torch::inductor::AOTIModelPackageLoader`, without Python.

Loading a package runs the native code in it: load only what you, or somebody you trust, exported.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from hydrasurr.errors import HydrasurrError
from hydrasurr.graphs.neighbours import NeighbourList, Pairs
from hydrasurr.graphs.systems import Systems
from hydrasurr.loading.atoms_batch import AtomsBatch
from hydrasurr.models.force_field.network import ForceField, require_elements
from hydrasurr.models.force_field.trace import require_compiler, trace
from hydrasurr.strict import Strict, parse, read_json
from hydrasurr.surrogate.potentials.contract import Evaluation, Potential

MODEL, MANIFEST = "model.pt2", "manifest.json"
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}
"""By how much forces and virial may differ from PyTorch's, relative to the largest; the rest is rounding."""
TRACED_ATOMS = (53, 71)
CHECKED_ATOMS = (1, 7, 53, 131)

Forces = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""The signature of a package; see above."""


class Manifest(Strict):
    """What is known of a package."""

    version: Literal[1] = 1
    sha256: str
    """Of model.pt2."""
    torch: str
    """The version of PyTorch that compiled it, and the only one that runs it."""
    processor: str
    """The instructions it uses, as PyTorch calls them."""
    threads: int
    elements: tuple[int, ...]
    cutoff: float
    """Angstrom."""
    weights: str
    """Their type."""
    members: int
    """Force fields whose mean it is."""
    largest_difference: float
    """From PyTorch, over the structures of the self-check: of a force component, eV/Angstrom."""


def export(networks: ForceField | Sequence[ForceField], out: str | Path, threads: int | None = None) -> Manifest:
    """Compile a force field, or the mean of several, into the folder `out`. Takes a minute or more.

    Parameters
    ----------
    networks : on the CPU, for the same elements
    out : a folder of an earlier export there is replaced, once the new one has passed its self-check
    threads : that will compute; None: as many as PyTorch uses now

    Raises HydrasurrError if there is no C++ compiler, or if the package is not equal to PyTorch at several sizes.
    """
    networks = [networks] if isinstance(networks, nn.Module) else list(networks)
    if not networks or not all(isinstance(network, ForceField) for network in networks):
        raise HydrasurrError("only force fields can be compiled, not models of molecules")
    if any(network.elements != networks[0].elements for network in networks):
        raise HydrasurrError("the force fields are for different elements; they have no mean")
    out = Path(out)
    if out.exists() and not (out / MANIFEST).is_file():
        raise HydrasurrError(f"'{out}' exists and is not an export of a force field; choose another folder")
    require_compiler()
    threads = threads or torch.get_num_threads()
    work = out.with_name(out.name + ".tmp")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        forces = energy_forces_virial(networks)
        _compile(forces, networks, work / MODEL, threads)
        manifest = Manifest(
            sha256=_sha256(work / MODEL),
            torch=torch.__version__,
            processor=torch.backends.cpu.get_cpu_capability(),
            threads=threads,
            elements=networks[0].elements,
            cutoff=max(network.config.cutoff for network in networks),
            weights=str(networks[0].dtype).removeprefix("torch."),
            members=len(networks),
            largest_difference=_largest_difference(forces, _load_native(work / MODEL), networks),
        )
        (work / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
        shutil.rmtree(out, ignore_errors=True)
        os.replace(work, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest


class AOTPotential(Potential):
    """A package made by `export`. Several systems are evaluated one after the other.

    Attributes
    ----------
    manifest : what is known of the package
    """

    def __init__(self, forces: Forces, manifest: Manifest):
        self.manifest, self.cutoff = manifest, manifest.cutoff
        self._forces = forces

    @classmethod
    def load(cls, folder: str | Path) -> AOTPotential:
        """Load a package, which runs the native code in it.

        Raises HydrasurrError if it is damaged, or made for another version of PyTorch or another processor.
        """
        folder = Path(folder)
        manifest = parse(Manifest, read_json(folder / MANIFEST), folder / MANIFEST)
        here = {"torch": torch.__version__, "processor": torch.backends.cpu.get_cpu_capability()}
        for name, found in here.items():
            made_for = getattr(manifest, name)
            if made_for != found:
                raise HydrasurrError(f"'{folder}' was exported for {name} {made_for}, here is {found}: export it again")
        if not (folder / MODEL).is_file() or _sha256(folder / MODEL) != manifest.sha256:
            raise HydrasurrError(f"'{folder / MODEL}' is missing or not the file its manifest describes: export again")
        return cls(_load_native(folder / MODEL), manifest)

    def compute(self, systems: Systems, pairs: Pairs) -> Evaluation:
        """Raises StructureError for elements that the force field was not trained on."""
        require_elements(systems.numbers, self.manifest.elements)
        batch = AtomsBatch.from_systems(systems, pairs.within(self.cutoff))
        numbers, positions, i, j, shift_vectors = _arguments(batch)
        energy, forces = np.empty(len(systems)), np.empty_like(systems.positions)
        virial = np.empty((len(systems), 3, 3))
        first_edge = np.searchsorted(i.numpy(), systems.offset)  # edges are sorted by i
        for s, (start, end) in enumerate(pairwise(systems.offset.tolist())):
            edges = slice(first_edge[s], first_edge[s + 1])
            result = self._forces(
                numbers[start:end], positions[start:end], i[edges] - start, j[edges] - start, shift_vectors[edges]
            )
            energy[s], forces[start:end], virial[s] = (part.numpy() for part in result)
        return Evaluation(energy, forces, virial)


def energy_forces_virial(networks: Sequence[ForceField]) -> Forces:
    """The function that is exported: the mean of the force fields, without anything that training needs."""
    for network in networks:
        network.eval().requires_grad_(False)

    def forces(numbers: Tensor, positions: Tensor, i: Tensor, j: Tensor, shift_vectors: Tensor):
        vector = positions.index_select(0, j) + shift_vectors - positions.index_select(0, i)
        with torch.enable_grad():
            vector = vector.detach().requires_grad_()
            atomic = sum(network.atomic_energies(numbers, j, i, vector) for network in networks) / len(networks)
            (slope,) = torch.autograd.grad(atomic.sum(), vector)
        references = sum(network.reference_energies[numbers] for network in networks) / len(networks)
        on_atoms = torch.zeros_like(positions).index_add(0, i, slope).index_add(0, j, -slope)
        dilation = slope.mT @ vector.detach()
        return (atomic.detach() + references).sum(), on_atoms, -0.5 * (dilation + dilation.mT)

    return forces


def _compile(forces: Forces, networks: Sequence[ForceField], path: Path, threads: int) -> None:
    """Trace, export and compile. Raises HydrasurrError if the graph depends on the size of the example."""
    from torch._inductor import aoti_compile_and_package

    examples = [_example(networks, atoms) for atoms in TRACED_ATOMS]
    graph = trace(forces, *examples)
    free = torch.export.Dim.DYNAMIC
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)  # torch warns of a class that it uses itself
        exported = torch.export.export(graph, examples[0], dynamic_shapes=({0: free},) * len(examples[0]))
        aoti_compile_and_package(exported, package_path=str(path.absolute()), inductor_configs={"cpp.threads": threads})


def _example(networks: Sequence[ForceField], atoms: int) -> tuple[Tensor, ...]:
    """Arguments for some crystal with gaps and random elements, two atoms no closer than a third of the cutoff."""
    cutoff, rng = max(network.config.cutoff for network in networks), np.random.default_rng(atoms)
    side = int(np.ceil(atoms ** (1 / 3)))
    points = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)[:atoms]
    positions = 0.4 * cutoff * (points + rng.uniform(-0.08, 0.08, (atoms, 3)))
    numbers = rng.choice(networks[0].elements, atoms)
    system = Systems.single(numbers, positions, [0.4 * cutoff * side] * 3, (True, True, False))
    return _arguments(AtomsBatch.from_systems(system, NeighbourList(cutoff).pairs(system)))


def _arguments(batch: AtomsBatch) -> tuple[Tensor, ...]:
    source, destination = batch.edge_index
    return batch.numbers, batch.positions, destination.contiguous(), source.contiguous(), batch.shift_vector


def _largest_difference(eager: Forces, native: Forces, networks: Sequence[ForceField]) -> float:
    """Of a force component, eV/Angstrom. Raises HydrasurrError if anything differs by more than rounding."""
    largest = 0.0
    for atoms in CHECKED_ATOMS:
        arguments = _example(networks, atoms)
        expected, found = eager(*arguments), native(*arguments)
        for name, one, other in zip(("energy", "forces", "virial"), expected, found, strict=True):
            difference = float((one - other).abs().max())
            if not difference <= TOLERANCE[networks[0].dtype] * max(1.0, float(one.abs().max())):
                raise HydrasurrError(
                    f"the compiled force field differs from PyTorch by {difference:.2e} in the {name} of {atoms} "
                    "atoms; nothing was written (another version of PyTorch or of the C++ compiler may help)"
                )
        largest = max(largest, float((expected[1] - found[1]).abs().max()))
    return largest


def _load_native(path: Path) -> Forces:
    from torch._inductor import aoti_load_package

    package = aoti_load_package(str(path.absolute()))
    return lambda *arguments: tuple(package(*arguments))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
