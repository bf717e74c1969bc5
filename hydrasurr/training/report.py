"""`report.html` of a run: one file that needs nothing else, finished or still under way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from hydrasurr.stores.info import SPLITS
from hydrasurr.tables import coefficient, duration, significant
from hydrasurr.training import figures
from hydrasurr.training.figure_style import COLORS, to_svg
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.run_files import RunFiles

Tile = tuple[str, str, str, str]
"""What it is, its value, the unit, and a remark."""

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
    sections = {title: body for title, body in sections.items() if body}
    template = Template((files(__package__) / "report_template.html").read_text(encoding="utf-8"))
    page = template.substitute(
        title=escape(f"{run.config.name}: run report"),
        light=" ".join(f"--{name}: {color};" for name, color in COLORS.items()),
        header=_header(run, list(sections)),
        body="\n".join(
            f'<section id="{_anchor(title)}"><h2>{title}</h2>\n{body}\n</section>' for title, body in sections.items()
        ),
        footer=f"Written by hydrasurr {escape(str(run.environment.get('hydrasurr', '')))}",
    )
    folder.report.write_text(page, encoding="utf-8")
    return folder.report


# -- the top ------------------------------------------------------------------------------------------


def _header(run: RunFiles, sections: Sequence[str]) -> str:
    config, model = run.config, run.config.model
    data = run.info.name if run.info else Path(config.data.dataset).stem
    members = f", ensemble of {config.members}" if config.members > 1 else ""
    subtitle = f"{model.conv.type}, {model.layers} layers × {model.hidden}{members}, trained on {data}"
    if run.info:
        subtitle += f" ({run.info.graphs['train']:,} graphs)"
    links = "".join(f'<a href="#{_anchor(title)}">{title}</a>' for title in sections)
    return f"""<p class="kicker">hydrasurr run report</p>
<h1>{escape(config.name)}{_badge(run)}</h1>
<p class="subtitle">{escape(subtitle)}</p>
<nav>{links}</nav>
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
    marked, plain = ([_tile(tile, style) for tile in tiles] for tiles, style in ((accuracy, " main"), (facts, "")))
    rows = [marked + plain] if len(marked) <= 2 else [marked, plain]
    return "\n".join(f'<dl class="tiles">{"".join(row)}</dl>' for row in rows if row)


def _tile(tile: Tile, style: str) -> str:
    name, value, unit, more = map(escape, tile)
    return (
        f'<div class="tile{style}"><dt>{name}</dt><dd class="value">{value} <span class="unit">{unit}</span></dd>'
        f'<dd class="more">{more}</dd></div>'
    )


# -- sections -----------------------------------------------------------------------------------------


def _results(run: RunFiles) -> str:
    bodies = []
    for target in run.targets:
        splits = [split for split in SPLITS if target in run.results.get(split, {})]
        rows = []
        for split in splits:
            m = run.results[split][target]
            head = f'<th rowspan="{len(splits)}">{_name(target, run.unit(target))}</th>' if split == splits[0] else ""
            numbers = [significant(m["mae"]), significant(m["rmse"]), coefficient(m["r2"]), f"{m['count']:,}"]
            cells = "".join(f'<td class="num">{number}</td>' for number in numbers)
            rows.append(f"<tr>{head}<td>{_swatch(split)}{split}</td>{cells}</tr>")
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
    rate = _figure(figures.learning_rate(run.members), "learning-rate", "learning rate by epoch")
    if len(run.targets) == 1:
        name = run.targets[0]
        curve = figures.mae_curve(run.members, name, run.unit(name), figures.WIDE)
        return f'<div class="grid curve">{_figure(curve, "mae-0", f"MAE of {name} by epoch")}{rate}</div>'
    loss = _figure(figures.loss_curve(run.members), "loss", "loss by epoch")
    size, columns = (figures.HALF, "two") if len(run.targets) == 2 else (figures.SMALL, "three")
    curves = "".join(
        _figure(figures.mae_curve(run.members, name, run.unit(name), size, name), f"mae-{k}", f"MAE of {name} by epoch")
        for k, name in enumerate(run.targets)
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
    note = f'<p class="note">Points drawn: {", ".join(parts)}. The metrics are over all.</p>' if parts else ""
    return note + "".join(rows)


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
        _figure(
            figures.parity(rows[0], rows[1], run.results[split][target], limits, unit, split, size),
            f"parity-{index}-{split}",
            f"predicted against reference {target}, {split}",
        )
        for split, rows in data.items()
    )
    errors = {split: rows[1] - rows[0] for split, rows in data.items()}
    histogram = _figure(
        figures.error_histogram(errors, unit, figures.HALF if few else size),
        f"errors-{index}",
        f"distribution of errors of {target}",
    )
    heading = f"<h3>{_name(target, unit)}</h3>"
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
    return _table(["error", *(_swatch(split) + split for split in errors)], rows, numeric=len(errors))


def _uncertainty(run: RunFiles) -> str:
    split = next((split for split in ("test", "val", "train") if run.predictions.get(split)), None)
    panels = []
    for k, (target, rows) in enumerate(run.predictions.get(split or "", {}).items()):
        label, value, std = rows[:, np.isfinite(rows[2])]
        if len(std):
            figure = figures.calibration(value - label, std, run.unit(target), target)
            panels.append(_figure(figure, f"calibration-{k}", f"calibration of {target}"))
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
        [_swatch(phase) + phase.replace("_", "-"), duration(seconds), f"{100 * seconds / whole:.1f} %"]
        for phase, seconds in totals.items()
        if seconds or phase != "all_reduce"
    ]
    chart = _figure(figures.timing(run.members), "timing", "seconds by phase and epoch")
    table = _table(["phase", "total", "share"], rows, numeric=2)
    note = f'<p class="note">{_communication(run)}</p>' if totals["all_reduce"] else ""
    return f'<div class="grid beside">{chart}<div class="scroll">{table}{note}</div></div>'


def _communication(run: RunFiles) -> str:
    sent: Counter[str] = Counter()
    for record in run.records:
        sent.update(record.get("bytes_sent", {}))
    places = (("global", "over all ranks or nodes"), ("local", "within nodes"))
    parts = [f"{significant(sent[scope] / 1e6)} MB {place}" for scope, place in places if sent[scope]]
    text = "All-reduce is part of the backward pass; backward here is the rest of it."
    return f"{text} The mean rank sent {' and '.join(parts)} of gradients." if parts else text


def _data(run: RunFiles) -> str:
    info = run.info
    if info is None:
        return ""
    sizes = [
        [_swatch(s) + s, f"{info.graphs[s]:,}", f"{info.nodes[s]:,}", f"{info.edges[s]:,}"]
        for s in SPLITS
        if info.graphs[s]
    ]
    learnt = run.targets or [target.name for target in info.targets]
    targets = [
        [_name(t.name, t.unit), t.level, *map(significant, (s.mean, s.std, s.min, s.max)), f"{s.count:,}"]
        for t, s in zip(info.targets, info.statistics, strict=True)
        if t.name in learnt
    ]
    schema = info.feature_schema
    facts = {
        "data set": info.name,
        "path": run.config.data.dataset,
        "split": _sentence(info.split),
        "rejected rows": f"{info.rejected:,}",
        "hydrogens": "explicit" if schema.explicit_hydrogens else "implicit",
        "node features": ", ".join(feature.name for feature in schema.nodes),
        "edge features": ", ".join(feature.name for feature in schema.edges),
        **{key: _sentence(value) for key, value in info.source.items()},
    }
    degrees = _figure(figures.degree_histogram(info.degree_histogram), "degrees", "degree histogram")
    description = f"<p>{escape(info.description)}</p>" if info.description else ""
    return f"""{description}
<div class="grid beside top"><div class="scroll">
{_table(["split", "graphs", "nodes", "edges"], sizes, numeric=3)}
<h3>Targets <span class="unit">over the training split</span></h3>
{_table(["target", "level", "mean", "std", "min", "max", "labels"], targets, numeric=5)}
</div>{degrees}</div>
<h3>Source</h3>{_facts(facts)}"""


def _configuration(run: RunFiles) -> str:
    config = escape(run.config.model_dump_json(indent=2))
    environment = {
        key: _sentence(value, joint=" " if key == "command" else ", ") or "none"
        for key, value in run.environment.items()
    }
    return f"""<details><summary>Resolved configuration</summary><pre>{config}</pre></details>
<details open><summary>Environment</summary>{_facts(environment)}</details>"""


# -- pieces of HTML -----------------------------------------------------------------------------------


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _figure(figure: Any, name: str, label: str) -> str:
    return f"<figure>{to_svg(figure, name, label)}</figure>"


def _swatch(color: str) -> str:
    return f'<span class="swatch" style="background: var(--{color})"></span>'


def _name(target: str, unit: str) -> str:
    return escape(target) + (f' <span class="unit">{escape(unit)}</span>' if unit else "")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], numeric: int) -> str:
    """A table of HTML cells whose last `numeric` columns are numbers."""
    first = len(header) - numeric

    def line(tag: str, cells: Sequence[str]) -> str:
        marked = (f'<{tag} class="num">' if k >= first else f"<{tag}>" for k in range(len(cells)))
        return "<tr>" + "".join(f"{mark}{cell}</{tag}>" for mark, cell in zip(marked, cells, strict=True)) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<table><thead>{line('th', header)}</thead><tbody>{body}</tbody></table>"


def _facts(facts: dict[str, str]) -> str:
    rows = "".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in facts.items())
    return f'<table class="facts">{rows}</table>'


def _sentence(value: Any, joint: str = ", ") -> str:
    """Nested lists and objects as one line of text."""
    if isinstance(value, dict):
        return joint.join(f"{key} {_sentence(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, list | tuple):
        return joint.join(map(_sentence, value))
    return "" if value is None else str(value)
