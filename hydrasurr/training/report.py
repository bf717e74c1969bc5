"""`report.html` of a run: one file that needs nothing else, finished or still under way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from hydrasurr.files import write_text
from hydrasurr.graphs.schema import ELEMENTS, FeatureSchema
from hydrasurr.stores.info import SPLITS, StructureFacts
from hydrasurr.tables import coefficient, duration, significant
from hydrasurr.training import figures, page
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.page import Tile
from hydrasurr.training.run_files import RunFiles

FEW = 3
"""Up to so many targets have large parity plots, and a table of their errors."""


def write_report(folder: RunFolder) -> Path:
    """Write `report.html` of a run, finished or not, and return its path.

    Raises HydrasurrError if there is no run in the folder.
    """
    run = RunFiles.read(folder)
    sections = {
        "Results": _results(run),
        "Learning curves": _curves(run),
        "Predictions": _parity(run),
        "Uncertainty": _uncertainty(run),
        "Time": _time(run),
        "Data": _data(run),
        "Configuration": _configuration(run),
    }
    version = str(run.environment.get("hydrasurr", ""))
    text = page.page(f"{run.config.name}: run report", _header(run, sections), sections, version)
    write_text(folder.report, text)
    return folder.report


# -- the top ------------------------------------------------------------------------------------------


def _header(run: RunFiles, sections: Mapping[str, str]) -> str:
    config, model = run.config, run.config.model
    data = run.info.name if run.info else Path(config.data.dataset).stem
    members = f", ensemble of {config.members}" if config.members > 1 else ""
    subtitle = f"{model.title}, {model.shape}{members}, trained on {data}"
    if run.info:
        subtitle += f" ({run.info.graphs['train']:,} graphs)"
    return f"""<p class="kicker">hydrasurr run report</p>
<h1>{escape(config.name)}{_badge(run)}</h1>
<p class="subtitle">{escape(subtitle)}</p>
{page.links(sections)}
{_tiles(_accuracy(run), _facts_at_a_glance(run))}"""


def _badge(run: RunFiles) -> str:
    if run.results:
        return ""
    done, planned = len(run.records), run.config.training.epochs * run.config.members
    return f'<span class="badge">unfinished: {done} of {planned} epochs</span>'


def _accuracy(run: RunFiles) -> list[Tile]:
    """MAE of each target on the test split, or on the best there is."""
    split = next((s for s in ("test", "val", "train") if s in run.results), None)
    if split:
        metrics, where = run.results[split], split
    elif run.best:
        split = "val" if run.best["val"] else "train"
        metrics, where = run.best[split], f"best {split}"
    else:
        return []
    return [
        (f"{where} MAE, {name}", significant(m["mae"]), run.unit(name), f"R² {coefficient(m['r2'])}")
        for name, m in metrics.items()
    ]


def _facts_at_a_glance(run: RunFiles) -> list[Tile]:
    facts, several = [], run.config.members > 1
    if run.parameters is not None:
        each = f"each of {run.config.members} networks" if several else ""
        facts.append(("parameters", f"{run.parameters:,}", "", each))
    if run.records:
        time, unit = duration(sum(_seconds(record) for record in run.records)).split()
        rate = float(np.median([record["graphs_per_second"] for record in run.records]))
        best = f"best: {run.best['epoch'] + 1}" if run.best else ""
        facts += [
            ("training time", time, unit, "evaluation included"),
            ("throughput", significant(rate), "graphs/s", "median of epochs"),
            ("epochs", f"{len(run.records):,}", "", f"of {len(run.members)} networks together" if several else best),
        ]
    return facts


def _seconds(record: dict[str, Any]) -> float:
    return sum(float(seconds.sum()) for seconds in figures.stack([record]).values())


def _tiles(accuracy: list[Tile], facts: list[Tile]) -> str:
    """One row where there are few, else the facts in a row of their own."""
    if len(accuracy) <= 2:
        return page.tiles([*accuracy, *facts], main=len(accuracy))
    return "\n".join(page.tiles(row, main) for row, main in ((accuracy, len(accuracy)), (facts, 0)) if row)


# -- sections -----------------------------------------------------------------------------------------


def _results(run: RunFiles) -> str:
    bodies = []
    for target in run.targets:
        splits = [split for split in SPLITS if target in run.results.get(split, {})]
        rows = []
        for split in splits:
            m = run.results[split][target]
            name = page.named(target, run.unit(target))
            head = f'<th rowspan="{len(splits)}">{name}</th>' if split == splits[0] else ""
            numbers = [significant(m["mae"]), significant(m["rmse"]), coefficient(m["r2"]), f"{m['count']:,}"]
            cells = "".join(f'<td class="num">{number}</td>' for number in numbers)
            rows.append(f"<tr>{head}<td>{page.swatch(split)}{split}</td>{cells}</tr>")
        bodies += [f"<tbody>{''.join(rows)}</tbody>"] if rows else []
    if not bodies:
        return ""
    head = "".join(f'<th class="num">{name}</th>' for name in ("MAE", "RMSE", "R²", "labels"))
    return (
        f'<div class="scroll"><table class="results"><thead><tr><th>target</th><th>split</th>{head}</tr></thead>'
        f"{''.join(bodies)}</table></div>"
    )


def _curves(run: RunFiles) -> str:
    if not run.records:
        return "<p>No epoch has been completed yet.</p>"
    rate = page.figure(figures.learning_rate(run.members), "learning-rate", "learning rate by epoch")
    if len(run.targets) == 1:
        name = run.targets[0]
        curve = figures.mae_curve(run.members, name, run.unit(name), figures.WIDE)
        return f'<div class="grid curve">{page.figure(curve, "mae-0", f"MAE of {name} by epoch")}{rate}</div>'
    loss = page.figure(figures.loss_curve(run.members), "loss", "loss by epoch")
    size, columns = (figures.HALF, "two") if len(run.targets) == 2 else (figures.SMALL, "three")
    by_target = {name: figures.mae_curve(run.members, name, run.unit(name), size, name) for name in run.targets}
    curves = "".join(
        page.figure(curve, f"mae-{k}", f"MAE of {name} by epoch") for k, (name, curve) in enumerate(by_target.items())
    )
    return f'<div class="grid curve">{loss}{rate}</div><h3>By target</h3><div class="grid {columns}">{curves}</div>'


def _parity(run: RunFiles) -> str:
    rows = [row for k, target in enumerate(run.targets) if (row := _parity_row(run, k, target))]
    if not rows:
        return ""
    parts = []
    for split, arrays in run.predictions.items():
        drawn = max((rows.shape[1] for rows in arrays.values()), default=0)
        labels = max(metrics["count"] for metrics in run.results[split].values())
        parts += [f"{drawn:,} of {labels:,} in {split}"] if drawn < labels else []
    notes = [f"Points drawn: {', '.join(parts)}. The metrics are over all."] if parts else []
    if run.config.is_force_field:
        notes.append("Energies are above those of the atoms, in the mean over the training split 0 per atom.")
    return "".join(f'<p class="note">{note}</p>' for note in notes) + "".join(rows)


def _parity_row(run: RunFiles, index: int, target: str) -> str:
    """The splits side by side, then the distribution of errors."""
    unit = run.unit(target)
    data = {split: arrays[target] for split, arrays in run.predictions.items() if target in arrays}
    if not data:
        return ""
    limits = figures.parity_limits(*(np.concatenate([rows[k] for rows in data.values()]) for k in (0, 1)))
    few = len(run.targets) <= FEW
    size = figures.SQUARE if few else figures.SMALL_SQUARE
    panels = "".join(
        page.figure(
            figures.parity(rows[0], rows[1], run.results[split][target], limits, unit, split, size),
            f"parity-{index}-{split}",
            f"predicted against reference {target}, {split}",
        )
        for split, rows in data.items()
    )
    errors = {split: rows[1] - rows[0] for split, rows in data.items()}
    histogram = page.figure(
        figures.error_histogram(errors, unit, figures.HALF if few else size),
        f"errors-{index}",
        f"distribution of errors of {target}",
    )
    heading = f"<h3>{page.named(target, unit)}</h3>"
    if not few:
        return f'{heading}<div class="grid four">{panels}{histogram}</div>'
    return (
        f'{heading}<div class="grid three">{panels}</div>'
        f'<div class="grid two">{histogram}<div class="scroll">{_error_table(errors)}</div></div>'
    )


def _error_table(errors: dict[str, np.ndarray]) -> str:
    quantiles = {"median": 0.5, "90 %": 0.9, "95 %": 0.95, "99 %": 0.99, "largest": 1.0}
    rows = [[name, *(significant(np.quantile(np.abs(e), q)) for e in errors.values())] for name, q in quantiles.items()]
    rows.append(["mean, with sign", *(significant(np.mean(e)) for e in errors.values())])
    return page.table(["error", *(page.swatch(split) + split for split in errors)], rows, numeric=len(errors))


def _uncertainty(run: RunFiles) -> str:
    split = next((split for split in ("test", "val", "train") if run.predictions.get(split)), None)
    panels = []
    for k, (target, rows) in enumerate(run.predictions.get(split or "", {}).items()):
        label, value, std = rows[:, np.isfinite(rows[2])]
        if len(std):
            figure = figures.calibration(value - label, std, run.unit(target), target)
            panels.append(page.figure(figure, f"calibration-{k}", f"calibration of {target}"))
    if not panels:
        return ""
    text = (
        f"Predictions of the {split} split, in bins of equally many by their predicted standard deviation. On the "
        "dashed line the errors are as large as predicted; above it the model is too sure of itself."
    )
    return f'<p class="note">{text}</p><div class="grid three">{"".join(panels)}</div>'


def _time(run: RunFiles) -> str:
    if not run.records:
        return ""
    totals = {phase: float(seconds.sum()) for phase, seconds in figures.stack(run.records).items()}
    whole = sum(totals.values()) or 1.0
    rows = [
        [page.swatch(phase) + phase.replace("_", "-"), duration(seconds), f"{100 * seconds / whole:.1f} %"]
        for phase, seconds in totals.items()
        if seconds or phase != "all_reduce"
    ]
    chart = page.figure(figures.timing(run.members), "timing", "seconds by phase and epoch")
    table = page.table(["phase", "total", "share"], rows, numeric=2)
    note = f'<p class="note">{_communication(run)}</p>' if totals["all_reduce"] else ""
    return f'<div class="grid beside">{chart}<div class="scroll">{table}{note}</div></div>'


def _communication(run: RunFiles) -> str:
    sent: Counter[str] = Counter()
    for record in run.records:
        sent.update(record.get("bytes_sent", {}))
    places = (("global", "over all ranks or nodes"), ("local", "within nodes"))
    parts = [f"{significant(sent[scope] / 1e6)} MB {place}" for scope, place in places if sent[scope]]
    text = "All-reduce is part of the backward pass; backward here is the rest of it."
    exposed = sum(record["seconds"].get("exposed", 0.0) for record in run.records)
    if exposed:
        text += f" For {duration(exposed)} of it training waited, having computed all gradients (exposed)."
    return f"{text} The mean rank sent {' and '.join(parts)} of gradients." if parts else text


def _data(run: RunFiles) -> str:
    info = run.info
    if info is None:
        return ""
    sizes = [
        [page.swatch(s) + s, f"{info.graphs[s]:,}", f"{info.nodes[s]:,}", f"{info.edges[s]:,}"]
        for s in SPLITS
        if info.graphs[s]
    ]
    learnt = [] if info.structures else run.targets
    shown = learnt or [target.name for target in info.targets]
    targets = [
        [page.named(t.name, t.unit), t.level, *map(significant, (s.mean, s.std, s.min, s.max)), f"{s.count:,}"]
        for t, s in zip(info.targets, info.statistics, strict=True)
        if t.name in shown
    ]
    facts = {
        "data set": info.name,
        "path": run.config.data.dataset,
        "split": page.sentence(info.split),
        "rejected rows": f"{info.rejected:,}",
        **(_structures(info.structures) if info.structures else _features(info.feature_schema)),
        **{key: page.sentence(value) for key, value in info.source.items()},
    }
    degrees = ""
    if sum(info.degree_histogram[1:]):
        degrees = page.figure(figures.degree_histogram(info.degree_histogram), "degrees", "degree histogram")
    description = f"<p>{escape(info.description)}</p>" if info.description else ""
    return f"""{description}
<div class="grid beside top"><div class="scroll">
{page.table(["split", "graphs", "nodes", "edges"], sizes, numeric=3)}
<h3>Targets <span class="unit">over the training split</span></h3>
{page.table(["target", "level", "mean", "std", "min", "max", "labels"], targets, numeric=5)}
</div>{degrees}</div>
<h3>Source</h3>{page.facts(facts)}"""


def _features(schema: FeatureSchema) -> dict[str, str]:
    return {
        "hydrogens": "explicit" if schema.explicit_hydrogens else "implicit",
        "node features": ", ".join(feature.name for feature in schema.nodes),
        "edge features": ", ".join(feature.name for feature in schema.edges),
    }


def _structures(structures: StructureFacts) -> dict[str, str]:
    energies = [f"{ELEMENTS[z]} {energy:,.4f}" for z, energy in structures.atomic_energies.items()]
    origin = f" ({structures.atomic_energies_from})" if energies else ""
    return {
        "elements": ", ".join(ELEMENTS[z] for z in structures.elements),
        "stored radius graphs": f"{structures.cutoff:g} Å" if structures.cutoff else "none, found on load",
        "labelled structures": page.sentence({kind: f"{count:,}" for kind, count in structures.labelled.items()}),
        "reference energies (eV)": (", ".join(energies) or "none") + origin,
        "energy above these (meV/atom)": f"mean {significant(1000 * structures.energy_mean)}, "
        f"std {significant(1000 * structures.energy_std)}",
        "forces, rms": f"{significant(1000 * structures.force_rms)} meV/Å",
    }


def _configuration(run: RunFiles) -> str:
    config = escape(run.config.model_dump_json(indent=2))
    environment = {
        key: page.sentence(value, joint=" " if key == "command" else ", ") or "none"
        for key, value in run.environment.items()
    }
    return f"""<details><summary>Resolved configuration</summary><pre>{config}</pre></details>
<details open><summary>Environment</summary>{page.facts(environment)}</details>"""

