"""Forces for molecular dynamics: pair networks in torch and in LAMMPS, neighbour search, compiled force fields."""

from __future__ import annotations

from benchmarks.md import argon, bridges, compiled, pair_network
from benchmarks.molecules import Setting
from benchmarks.result import Result


def run(setting: Setting) -> Result:
    """Liquid argon at 100 K with a cutoff of 8.5 Angstrom, unless a row says otherwise; one thread."""
    result = Result(
        "md",
        "Forces of liquid argon at 100 K, cutoff 8.5 Angstrom, skin 1 Angstrom, one thread: the pair network "
        "[1, 64, 64, 64, 1] in torch, as a LAMMPS table and as a LAMMPS plugin; a trained force field eager and "
        "compiled",
        minimal=setting.minimal,
    )
    liquid = argon.liquid(setting, setting.size(32_000, 500))
    network = argon.network(setting)
    pair_network.formats(result, setting, liquid, network)
    pair_network.search_share(result, setting, network)
    bridges.table(result, setting, liquid, network)
    bridges.plugin(result, setting, liquid, network)
    bridges.lennard_jones(result, setting, liquid)
    bridges.external(result, setting, liquid)
    compiled.ahead_of_time(result, setting)
    return result
