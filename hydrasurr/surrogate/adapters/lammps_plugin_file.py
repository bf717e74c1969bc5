"""The file that carries a pair network to the LAMMPS plugin; `lammps_plugin/weight_file.cpp` reads it.

Text: the first line has the format's version and the CRC-32 of all that follows, which is words and numbers separated
by white space. Angstrom and eV, whatever units LAMMPS uses.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from hydrasurr.errors import HydrasurrError
from hydrasurr.files import replacing
from hydrasurr.graphs.schema import ELEMENTS
from hydrasurr.models.pair_mlp import PairMLP
from hydrasurr.surrogate.potentials.contract import Potential
from hydrasurr.surrogate.potentials.guard import RangeGuard
from hydrasurr.surrogate.potentials.pair_mlp import PairNetwork

MAGIC, VERSION = "hydrasurr-pair-mlp", 1


def write_plugin_file(source: PairMLP | Potential, path: str | Path, points: int = 4000) -> str:
    """Write a pair network for `pair_style hydrasurr/mlp`, and return the lines of LAMMPS input that use it.

    LAMMPS computes the network in single precision, or with `precision double` in double, with its weights as they
    are (if quantized: the numbers that they stand for). Energy, and the straight line of the force below the training
    range, are those of a PairNetwork in float64, repulsive there if `source` is; the energy is interpolated between
    `points` distances by cubic Hermite polynomials.

    `source` is a pair network, its potential, or a guard around that; the plugin has a guard of its own, at the
    network's r_min. Raises HydrasurrError for any other potential, for fewer than two `points`, and if the file cannot
    be written.
    """
    if points < 2:
        raise HydrasurrError(f"the table of the energy needs two or more points, got {points}")
    potential = _in_float64(source)
    network = potential.network
    kinds = range(len(network.spec.pairs))
    body = f"pairs {len(kinds)}\n" + "".join(_pair(potential, kind, points) for kind in kinds) + "end\n"
    _replace(Path(path), f"{MAGIC} {VERSION} crc32 {zlib.crc32(body.encode()):08x}\n{body}")
    symbols = " ".join(ELEMENTS[number] for number in network.spec.elements)
    return f'pair_style hydrasurr/mlp\npair_coeff * * "{path}" {symbols}\n'


def elements_of(potential: Potential) -> list[str]:
    """Symbols of the elements of a pair network's potential; none for other potentials."""
    inner = potential.potential if isinstance(potential, RangeGuard) else potential
    return [ELEMENTS[number] for number in inner.network.spec.elements] if isinstance(inner, PairNetwork) else []


def _in_float64(source: PairMLP | Potential) -> PairNetwork:
    """The potential in float64, which is what it is to be computed in wherever that can be chosen."""
    repulsive = True
    if isinstance(source, RangeGuard):
        source = source.potential
    if isinstance(source, PairNetwork):
        source, repulsive = source.network, source.repulsive
    if not isinstance(source, PairMLP):
        raise HydrasurrError(
            f"the LAMMPS plugin computes pair networks, not a {type(source).__name__}: write a table of other pair "
            "potentials (hydrasurr lammps table), and give each term of a sum its own style (pair_style hybrid/overlay)"
        )
    network = copy.deepcopy(source).double().cpu()
    network.format = "fp64"
    return PairNetwork(network, repulsive=repulsive)


def _pair(potential: PairNetwork, kind: int, points: int) -> str:
    """The section of one pair of elements."""
    network, spec = potential.network, potential.network.spec
    first, second = (torch.tensor([number]) for number in spec.pairs[kind])
    r_min = spec.r_min[kind]

    def radial(distance: np.ndarray) -> list[np.ndarray]:
        r = torch.from_numpy(distance)
        return [values.numpy() for values in potential.radial(r, first.expand(len(r)), second.expand(len(r)))]

    energy, force = radial(np.linspace(r_min, spec.cutoff, points))
    slope = (radial(np.array([r_min / 2]))[1][0] - force[0]) / (r_min / 2)
    layers = network.layers(kind)
    widths = [1, *(len(bias) for _, bias in layers)]
    lines = [
        _line("pair", [ELEMENTS[number] for number in spec.pairs[kind]]),
        _line("cutoff", [spec.cutoff]),
        _line("below", [r_min, force[0], slope]),
        _line("input", [r_min, 1 / (spec.cutoff - r_min)]),
        _line("output", [spec.force_scale]),
        _line("switch", [spec.switch]),
        _line("widths", [len(widths), *widths]),
    ]
    for weight, bias in layers:
        lines += [_line("weight", weight.flatten().tolist()), _line("bias", bias.tolist())]
    lines += [_line("table", [points]), _line("energy", energy), _line("force", force)]
    return "".join(lines)


def _line(keyword: str, values: Iterable[object]) -> str:
    # str of a Python or NumPy float64 is the shortest text that reads back as the same number
    return " ".join([keyword, *map(str, values)]) + "\n"


def _replace(path: Path, text: str) -> None:
    """Write a file that is at any moment either the old or the new one."""
    try:
        with replacing(path) as scratch:
            scratch.write_text(text, encoding="ascii")
    except OSError as error:
        raise HydrasurrError(f"cannot write '{path}': {error.strerror}") from error
