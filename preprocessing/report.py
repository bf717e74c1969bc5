"""Data sets as tables on the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console, Group
from rich.table import Table

from hydrasurr.graphs.schema import ELEMENTS
from hydrasurr.stores import SPLITS, DatasetInfo, StructureFacts, store_kind
from preprocessing.card import StructureCard
from preprocessing.output import Outcome

_BAR = 24


def size_on_disk(path: Path) -> int:
    """Bytes of all files of a data set."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def print_outcome(outcome: Outcome) -> None:
    """What a run wrote, and where."""
    Console().print(_splits(outcome.info))
    if outcome.rejects:
        unit = "frames" if outcome.info.structures is not None else "rows"
        print(f"{outcome.info.rejected:,} {unit} rejected: {outcome.rejects}")
    if unseen := _unseen(outcome.info):
        print(f"no structure to train on has {', '.join(unseen)}: what is said of others that have it means nothing")
    print(f"data set: {outcome.path} ({_bytes(size_on_disk(outcome.path))})")


def labels_and_units(card: StructureCard) -> str:
    """Where a card finds each label, and in which units."""
    units = {"energy": "eV", "forces": "eV/A", "stress": "eV/A^3 (positive under tension)"}
    if card.stress and card.stress.quantity == "virial":
        units["stress"] = "eV (virial: -volume x stress)"
    labels = {name: label for name in units if (label := getattr(card, name))}
    factors = {name: f" x {label.scale:.6g}" if label.scale != 1 else "" for name, label in labels.items()}
    found = ", ".join(f"{name} '{label.key}'{factors[name]} in {units[name]}" for name, label in labels.items())
    return f'{found}; for other units or signs give a "scale" in the card'


def _unseen(info: DatasetInfo) -> list[str]:
    """Elements that only val or test have, as far as fitted energies tell."""
    facts = info.structures
    if facts is None or facts.atomic_energies_from != "fitted":
        return []
    return [ELEMENTS[number] for number in facts.elements if number not in facts.atomic_energies]


def print_dataset(path: Path, info: DatasetInfo) -> None:
    """Everything the header of a data set says."""
    parts = [_facts(path, info), _splits(info)]
    if info.targets:
        parts.append(_targets(info))
    if info.structures is not None:
        parts.append(_structures(info.structures))
    else:
        parts.append(_features(info))
    if any(info.degree_histogram):
        parts.append(_degrees(info))
    Console().print(Group(*parts))


def _facts(path: Path, info: DatasetInfo) -> Table:
    table = Table(title=info.name, show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    size, graphs = size_on_disk(path), sum(info.graphs.values())
    source = info.source
    files = "\n".join(f"{file['name']}  SHA-256 {file['sha256']}" for file in source.get("files", []))
    unit = "frames" if info.structures is not None else "rows"
    limit = f", the first {source['limit']:,} {unit}" if "limit" in source else ""
    facts = {
        "description": info.description,
        "store": f"{store_kind(path)}, format version {info.format_version}",
        "size on disk": f"{_bytes(size)}, {size / graphs:,.0f} bytes a graph",
        "hydrogens": "nodes" if info.feature_schema.explicit_hydrogens else "a feature of their atom",
        "edges": _edges(info),
        "split": ", ".join(f"{key} {value}" for key, value in info.split.items()),
        f"rejected {unit}": f"{info.rejected:,}",
        "made from": f"{files}{limit}",
        "licence": str(source.get("licence", "")),
        "source": str(source.get("source", "")),
    }
    for name, text in facts.items():
        if text:
            table.add_row(name, text)
    return table


def _edges(info: DatasetInfo) -> str:
    if info.structures is None:
        return "bonds"
    cutoff = info.structures.cutoff
    return "found when the data are loaded" if cutoff is None else f"pairs of atoms within {cutoff:g} A"


def _structures(facts: StructureFacts) -> Table:
    table = Table(title="Structures (training split)", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("elements", " ".join(ELEMENTS[number] for number in facts.elements))
    table.add_row("labelled", ", ".join(f"{count:,} {name}" for name, count in facts.labelled.items() if count))
    if facts.atomic_energies:
        energies = ", ".join(f"{ELEMENTS[number]} {energy:.6g}" for number, energy in facts.atomic_energies.items())
        table.add_row("atomic energies", f"{energies} eV ({facts.atomic_energies_from})")
        table.add_row("what they leave", f"{facts.energy_mean:.4g} +- {facts.energy_std:.4g} eV/atom")
    if facts.labelled["forces"]:
        table.add_row("forces", f"{facts.force_rms:.4g} eV/A (RMS of the components)")
    if facts.labelled["stress"]:
        table.add_row("stress", f"{facts.stress_rms:.4g} eV/A^3 (RMS of the components)")
    if facts.r_min:
        table.add_row("smallest distances", ", ".join(f"{pair} {r:.3g}" for pair, r in facts.r_min.items()) + " A")
    return table


def _splits(info: DatasetInfo) -> Table:
    table = Table(title="Splits", title_justify="left")
    table.add_column("split", style="bold")
    for name in ("graphs", "nodes", "edges", "nodes a graph"):
        table.add_column(name, justify="right")
    for split in SPLITS:
        graphs, nodes, edges = info.graphs[split], info.nodes[split], info.edges[split]
        mean = f"{nodes / graphs:.1f}" if graphs else "-"
        table.add_row(split, f"{graphs:,}", f"{nodes:,}", f"{edges:,}", mean)
    return table


def _targets(info: DatasetInfo) -> Table:
    table = Table(title="Targets (over the training split)", title_justify="left")
    table.add_column("target", style="bold")
    table.add_column("unit")
    table.add_column("of each")
    for name in ("values", "mean", "std", "min", "max"):
        table.add_column(name, justify="right")
    for target, facts in zip(info.targets, info.statistics, strict=True):
        numbers = (f"{value:,.6g}" for value in (facts.mean, facts.std, facts.min, facts.max))
        table.add_row(target.name, target.unit or "1", target.level, f"{facts.count:,}", *numbers)
    return table


def _features(info: DatasetInfo) -> Table:
    table = Table(title=f"Features (schema version {info.feature_schema.version})", title_justify="left")
    table.add_column("of", style="bold")
    table.add_column("feature")
    table.add_column("values", justify="right")
    for level, features in (("node", info.feature_schema.nodes), ("edge", info.feature_schema.edges)):
        for feature in features:
            table.add_row(level, feature.name, str(len(feature.values)))
    return table


def _degrees(info: DatasetInfo) -> Table:
    table = Table(title="Degrees of the nodes (training split)", title_justify="left")
    table.add_column("degree", justify="right", style="bold")
    table.add_column("nodes", justify="right")
    table.add_column("")
    most = max(info.degree_histogram, default=0)
    for degree, nodes in enumerate(info.degree_histogram):
        if nodes:
            table.add_row(str(degree), f"{nodes:,}", "█" * max(1, round(_BAR * nodes / most)))
    return table


def _bytes(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
