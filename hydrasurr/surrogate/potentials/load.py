"""Any potential from its configuration or file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.strict import Strict, read_json
from hydrasurr.surrogate.potentials import config as sections
from hydrasurr.surrogate.potentials.born import TOSI_FUMI_NACL, Born, BornTerms
from hydrasurr.surrogate.potentials.config import PotentialConfig, parse_potential
from hydrasurr.surrogate.potentials.contract import Potential, Sum
from hydrasurr.surrogate.potentials.coulomb import Coulomb, Splitting
from hydrasurr.surrogate.potentials.elements import atomic_number
from hydrasurr.surrogate.potentials.guard import guarded
from hydrasurr.surrogate.potentials.lennard_jones import LennardJones
from hydrasurr.surrogate.potentials.table import Table


def load_potential(what: str | Path | dict[str, Any] | PotentialConfig, folder: str | Path = ".") -> Potential:
    """The potential that `what` describes or holds.

    Parameters
    ----------
    what : a section such as `{"type": "lennard_jones", ...}`, as a dict, as a JSON file, or already checked; or the
        file of a pair network; or a run folder or exported file of a trained graph neural network
    folder : files that are named in a section lie relative to this folder, or to that of their JSON file

    Raises HydrasurrError (ConfigError for sections that are not valid).
    """
    if isinstance(what, Strict):
        return _build(what, Path(folder))
    if isinstance(what, dict):
        return _build(parse_potential(what, "potential"), Path(folder))
    path = Path(folder, what)
    if path.suffix == ".json":
        return _build(parse_potential(read_json(path), path), path.parent)
    return _pair_network(path) if _is_pair_network(path) else _network(path)


def _build(config: PotentialConfig, folder: Path) -> Potential:
    match config:
        case sections.LennardJonesConfig():
            return LennardJones(config.epsilon, config.sigma, config.cutoff, config.shift)
        case sections.BornConfig():
            return _born(config)
        case sections.CoulombConfig():
            return _coulomb(config)
        case sections.TableConfig():
            return Table.from_lammps(folder / config.file, config.pairs)
        case sections.PairMLPConfig():
            return _pair_network(folder / config.file, config.precision, config.device)
        case sections.NetworkConfig():
            return _network(folder / config.file, config.precision, config.device)
        case sections.MACEConfig():
            from hydrasurr.surrogate.potentials.mace import MACE

            return MACE.load(
                folder / config.file, config.device, config.precision, config.head, trust_pickle=config.trust_pickle
            )
        case sections.AOTConfig():
            from hydrasurr.surrogate.adapters.aot import AOTPotential

            return AOTPotential.load(folder / config.folder)
        case sections.SumConfig():
            return Sum([_build(term, folder) for term in config.terms])
        case sections.GuardedConfig():
            return _guarded(config, folder)
    raise TypeError(f"a {type(config).__name__} is no section of a potential")


def _born(config: sections.BornConfig) -> Born:
    if config.pairs is None:
        return Born(TOSI_FUMI_NACL, config.cutoff, config.shift)
    pairs = {name: BornTerms(**terms.model_dump()) for name, terms in config.pairs.items()}
    return Born(pairs, config.cutoff, config.shift)


def _coulomb(config: sections.CoulombConfig) -> Coulomb:
    charges = {atomic_number(symbol): charge for symbol, charge in config.charges.items()}
    splitting = None
    if config.smearing is not None and config.resolution is not None:
        splitting = Splitting(config.method, config.smearing, config.resolution)
    return Coulomb(charges, config.cutoff, config.method, config.accuracy, splitting)


def _guarded(config: sections.GuardedConfig, folder: Path) -> Potential:
    inner = _build(config.potential, folder)
    r_min = config.r_min or getattr(inner, "r_min", None)
    if not r_min:
        raise ConfigError(
            f"a guard around '{config.potential.type}' needs r_min, the smallest distance that it was trained on"
        )
    return guarded(inner, r_min, config.stop, config.stiffness)


def _pair_network(path: Path, precision: str | None = None, device: str = "cpu") -> Potential:
    from hydrasurr.surrogate.potentials.pair_mlp import PairNetwork

    return PairNetwork.load(path, precision, device=device)


def _network(path: Path, precision: str | None = None, device: str = "cpu") -> Potential:
    from hydrasurr.surrogate.potentials.network import NetworkPotential

    return NetworkPotential.load(path, device, precision)


def _is_pair_network(path: Path) -> bool:
    """Whether it is a safetensors file whose header says so. Raises HydrasurrError if there is nothing at `path`."""
    from hydrasurr.models.pair_mlp import HEADER

    if path.is_dir():
        return False
    try:
        with safe_open(path, "pt") as file:
            return HEADER in (file.metadata() or {})
    except FileNotFoundError:
        raise HydrasurrError(f"no potential at '{path}': no such file or run folder") from None
    except (SafetensorError, OSError) as error:
        raise HydrasurrError(f"'{path}' is neither a JSON file nor a trained model: {error}") from error
