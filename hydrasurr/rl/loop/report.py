"""`report.html` and `report.json` of a loop."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from hydrasurr import __version__
from hydrasurr.files import write_json, write_text
from hydrasurr.rl.loop import figures
from hydrasurr.rl.loop.comparison import Comparison, Molecule, compare, molecules_from
from hydrasurr.rl.loop.config import LoopConfig
from hydrasurr.rl.loop.folder import LoopFolder
from hydrasurr.rl.pictures import gallery
from hydrasurr.stores import SPLITS, open_store
from hydrasurr.tables import duration, significant
from hydrasurr.training import page

PICTURES = 24
"""Best molecules that are drawn."""
FIRST, ROWS = 8, 100
"""Molecules that are listed at first, and in all."""


def write_report(config: LoopConfig, folder: LoopFolder, results: Mapping[str, Any]) -> Path:
    """Write both files from what Loop.run gave, and return the path of the page."""
    environment = json.loads(folder.environment.read_text())
    start = _first_labels(folder, config.target)
    write_json(folder.numbers, {"config": config.model_dump(mode="json"), "environment": environment, **results})
    write_text(folder.report, _Report(config, results, environment, start).html)
    return folder.report


def _first_labels(folder: LoopFolder, target: str) -> np.ndarray:
    """float64 `[n]`: the target of the first data set."""
    store = open_store(folder.data(0))
    column = [t.name for t in store.info.graph_targets].index(target)
    return np.concatenate([store[split].read(0, len(store[split]), ["y"]).y[:, column] for split in SPLITS])


@dataclass(frozen=True)
class _Report:
    config: LoopConfig
    results: Mapping[str, Any]
    environment: Mapping[str, Any]
    start: np.ndarray

    @cached_property
    def rounds(self) -> list[list[Molecule]]:
        """Molecules labelled in each round."""
        return [molecules_from(record.get("molecules", [])) for record in self.results["rounds"]]

    @cached_property
    def verified(self) -> list[Molecule]:
        return molecules_from(self.results["final"]["molecules"])

    @cached_property
    def found(self) -> list[Molecule]:
        return molecules_from(self.results["final"]["found"])

    @cached_property
    def best(self) -> list[Molecule]:
        """With what was known of those that had been labelled before."""
        return molecules_from(self.results["final"]["best"])

    @cached_property
    def compared(self) -> list[Comparison]:
        """Of the promising of each round that has labels."""
        nothing = Comparison(0, 0, *[None] * 6)._asdict()
        parts = [record["compared"] for record in self.results["rounds"] if "compared" in record]
        return [Comparison(**part.get("promising", nothing)) for part in parts]

    @cached_property
    def final(self) -> Comparison:
        return Comparison(**self.results["final"]["compared"])

    @property
    def html(self) -> str:
        sections = {
            "Found molecules": self._found(),
            "Verified": self._verified(),
            "Surrogate against oracle": self._trust(),
            "Rounds": self._rounds(),
            "Failures": self._failures(),
            "Time": self._time(),
            "Method": self._method(),
        }
        title = f"{self.config.name}: report of a design loop"
        return page.page(title, self._header(sections), sections, __version__)

    def _header(self, sections: Mapping[str, str]) -> str:
        config, unit = self.config, self.config.unit
        wanted = f"{config.wanted.low:g} to {config.wanted.high:g} {unit}"
        kind = "closed loop" if config.arm == "closed" else "surrogate alone, for comparison"
        subtitle = f"Molecules with a {config.target} of {wanted} by {config.oracle.method}; {kind}, seed {config.seed}"
        return f"""<p class="kicker">hydrasurr design loop</p>
<h1>{escape(config.name)}</h1>
<p class="subtitle">{escape(subtitle)}</p>
{page.links(sections)}
{page.tiles(self._results_in_short(), main=4)}
{page.tiles(self._proposals_in_short())}"""

    def _results_in_short(self) -> list[page.Tile]:
        final, unit = self.final, self.config.unit
        labels = [record["labels"] for record in self.results["rounds"] if "labels" in record]
        spent = sum(part["asked"] for part in labels)
        return [
            ("hits by the oracle", _percent(final.hits), "", f"of the {final.count} best, never labelled before"),
            ("hits by the surrogate", _percent(final.predicted_hits), "", "what it says of the same"),
            ("hits of all best", _percent(compare(self.best, self.config.wanted).hits), "", self._where_from()),
            ("found in all", f"{len(self.found):,}", "", "molecules in the range by the oracle"),
            ("MAE on the best", significant(final.mae), unit, f"bias {_signed(final.bias)}"),
            ("labels", f"{len(self.start):,} + {spent:,}", "", "at first, and chosen in rounds"),
        ]

    def _where_from(self) -> str:
        earlier = len({one.smiles for one in self.best} - {one.smiles for one in self.verified})
        return f"of the {len(self.best)} best, {earlier} of them labelled before"

    def _proposals_in_short(self) -> list[page.Tile]:
        parts = [record["proposals"] for record in self.results["rounds"]]

        def mean(key: str) -> str:
            return _percent(float(np.mean([part[key] for part in parts])))

        labels = [self.results["final"]["labels"], *(r["labels"] for r in self.results["rounds"] if "labels" in r)]
        asked, given = (sum(part[key] for part in labels) for key in ("asked", "labelled"))
        return [
            ("proposed", f"{sum(part['count'] for part in parts):,}", "", f"molecules in {len(parts)} rounds"),
            ("validity", mean("validity"), "", "that RDKit reads"),
            ("uniqueness", mean("uniqueness"), "", "different among these"),
            ("novelty", mean("novelty"), "", "of these, not in the data set"),
            ("labelled", _percent(given / asked if asked else None), "", "of those the oracle was asked for"),
        ]

    def _test_errors(self, surrogate: Mapping[str, Any]) -> tuple[float | None, float | None]:
        """MAE of a surrogate on the test split of its data set, and on that of the first one."""
        metrics = surrogate["metrics"]
        return metrics["test"][self.config.target]["mae"] if "test" in metrics else None, surrogate["first_test"]

    # -- sections --------------------------------------------------------------------------------------

    def _found(self) -> str:
        if not self.found:
            return "<p>None: no molecule of the agent is in the wanted range by the oracle.</p>"
        pictures = gallery((one.smiles, [self._caption(one)]) for one in self.found[:PICTURES])
        rest = len(self.found) - PICTURES
        more = f" The next {min(rest, ROWS - PICTURES)} are in the list below." if rest > 0 else ""
        return f"""<p>Molecules that the agent proposed and that are in the wanted range by the oracle, whether labelled
in a round or verified at the end; best first by the objective, with the oracle's {escape(self.config.target)} in place
of the prediction.{more}</p>
{pictures}
<details><summary>List of {min(len(self.found), ROWS)}</summary>{self._table(self.found[:ROWS])}</details>"""

    def _table(self, molecules: Sequence[Molecule]) -> str:
        unit = self.config.unit
        header = ["molecule", "worth", page.named("surrogate", unit), page.named("oracle", unit)]
        return (
            f'<div class="scroll beside">{page.table(header, [self._row(one) for one in molecules], numeric=3)}</div>'
        )

    def _caption(self, one: Molecule) -> str:
        true = f"<b>{one.true:.2f} {escape(self.config.unit)}</b>"
        return f'{true} <span class="unit">surrogate {one.predicted:.2f} ± {one.std:.2f}</span>'

    def _row(self, one: Molecule) -> list[str]:
        """A hit is bold; where there is no label stands the kind of reason."""
        if one.true is None:
            true = f'<span class="unit">{escape(one.error.partition(":")[0])}</span>'
        else:
            true = f"<b>{one.true:.3f}</b>" if self.config.wanted.holds(np.array(one.true)) else f"{one.true:.3f}"
        return [escape(one.smiles), significant(one.worth), f"{one.predicted:.3f} ± {one.std:.3f}", true]

    def _verified(self) -> str:
        final, considered = self.final, f"{self.results['final']['considered']:,}"
        drawn = figures.distribution(self._groups, self.config.wanted, self.config.unit)
        figure = page.figure(drawn, "distribution", "distribution of the oracle's values")
        first, rest = self.verified[:FIRST], self.verified[FIRST:ROWS]
        more = f"<details><summary>The next {len(rest)}</summary>{self._table(rest)}</details>" if rest else ""
        return f"""<p>The {final.count} best of {considered} proposals of all rounds by the last surrogate, which has
learnt from none of them, labelled at the end. {_percent(final.hits)} are in the wanted range by the oracle (bold),
{_percent(final.predicted_hits)} by the surrogate; molecules without a label count as misses.</p>
<div class="grid two">{figure}{self._table(first)}</div>{more}"""

    @property
    def _groups(self) -> dict[str, np.ndarray]:
        labelled = [m for group in self.rounds for m in group]
        groups = {
            "first data set": self.start,
            "labelled in rounds": _truths(labelled),
            "verified": _truths(self.verified),
        }
        return {name: values for name, values in groups.items() if len(values)}

    def _trust(self) -> str:
        if self.config.arm != "closed":
            return ""
        unit = self.config.unit
        surrogates = [part["surrogate"] for part in (*self.results["rounds"], self.results["final"])]
        held_out = [part["first_test"] for part in surrogates]
        parity = figures.parity(self.rounds, self.verified, self.config.wanted, unit)
        charts = page.figure(figures.hits(self.compared, self.final), "hits", "hits by surrogate and oracle, by round")
        charts += page.figure(figures.errors(self.compared, held_out, unit), "errors", "errors by round")
        rows = []
        for number, record in enumerate(self.results["rounds"]):
            parts = {why: part for why, part in record["compared"].items() if why != "all"}
            for k, (why, part) in enumerate(parts.items()):
                rows.append(["" if k else str(number), why, *_cells(Comparison(**part))])
        rows.append(["end", "verified", *_cells(self.final)])
        header = ["round", "chosen as", "asked", "labelled", page.named("MAE", unit), page.named("bias", unit)]
        header += ["rank correlation", "within 2 std", "hits by surrogate", "by oracle"]
        table = page.table(header, rows, numeric=8)
        return f"""<p>Molecules were chosen before the oracle was asked, by the surrogate of the round. An agent that
learns a model's mistakes shows here: it finds molecules that the surrogate puts in the range and the oracle does not,
and the errors on the promising ones are larger than on the test split. Circles are promising, triangles uncertain,
squares diverse molecules; the wanted range is shaded, and what is far off stands at the edge. The bias is positive
where the surrogate says too much.</p>
<div class="grid two">{page.figure(parity, "parity", "surrogate against oracle")}<div>{charts}</div></div>
<h3>By round</h3><div class="scroll beside">{table}</div>"""

    def _rounds(self) -> str:
        rows = []
        for number, record in enumerate(self.results["rounds"]):
            made = record["proposals"]
            cells = [f"{made['count']:,}", *(_percent(made[key]) for key in ("validity", "uniqueness", "novelty"))]
            cells += [significant(made["best"]), f"{made['diversity']:.2f}"]
            labels = record.get("labels")
            cells += [f"{labels['labelled']:,}", f"{labels['added']:,}"] if labels else ["-", "-"]
            cells += [significant(value) for value in self._test_errors(record["surrogate"])]
            rows.append([str(number), *cells])
        header = ["round", "proposed", "valid", "unique", "novel", "best worth", "diversity", "labelled", "added"]
        header += [page.named("test MAE", self.config.unit), page.named("first test MAE", self.config.unit)]
        return f"""<p>What the agent proposed: different molecules for which it asked the surrogate of the round. The
best are the 100 of highest worth, of which the mean worth and the mean Tanimoto distance (diversity) are told. The
test MAE is that of the surrogate of the round on the test split of its data set, which grows with it; the test split of
the first data set stays the same.</p>
<div class="scroll beside">{page.table(header, rows, numeric=len(header) - 1)}</div>"""

    def _failures(self) -> str:
        parts = {"first": self.results["initial"], "end": self.results["final"]["labels"]}
        parts |= {str(k): r["labels"] for k, r in enumerate(self.results["rounds"]) if "labels" in r}
        total: Counter[str] = Counter()
        example: dict[str, tuple[str, str]] = {}
        for part in parts.values():
            total.update(part.get("reasons", {}))
            for smiles, error in part.get("failures", {}).items():
                example.setdefault(error.partition(":")[0], (smiles, error))
        if not total:
            return "<p>The oracle has labelled all that it was asked for.</p>"
        rows = []
        for kind, count in total.most_common():
            smiles, error = example[kind]
            rows.append([escape(kind), escape(error.partition(":")[2].strip()), escape(smiles), f"{count:,}"])
        return f'<div class="scroll">{page.table(["reason", "for example", "of", "molecules"], rows, numeric=1)}</div>'

    def _time(self) -> str:
        rows = [["first labels", *self._label_times(self.results["initial"])]]
        for number, record in enumerate(self.results["rounds"]):
            if self.config.arm == "closed" or not number:
                rows.append([f"surrogate {number}", duration(record["surrogate"]["stage_seconds"]), "", "", ""])
            rows.append([f"agent, round {number}", duration(record["proposals"]["stage_seconds"]), "", "", ""])
            if "labels" in record:
                rows.append([f"labels, round {number}", *self._label_times(record["labels"])])
        if self.config.arm == "closed":
            rows.append(["last surrogate", duration(self.results["final"]["surrogate"]["stage_seconds"]), "", "", ""])
        rows.append(["verification", *self._label_times(self.results["final"]["labels"])])
        header = ["stage", "time", "of a worker, for each label", "γ", "efficiency"]
        return f"""<p>γ is the largest load of a worker over the mean one, efficiency the part of the workers' time that
was work; workers: {self.config.workers}, {escape(self.config.scheduling.scheduler)} scheduling.</p>
<div class="scroll">{page.table(header, rows, numeric=4)}</div>"""

    def _label_times(self, part: Mapping[str, Any]) -> list[str]:
        load = part.get("load")
        if not load:
            return [duration(part["stage_seconds"]), "", "", ""]
        each = part["worker_seconds"] / max(part["asked"], 1)
        return [duration(part["stage_seconds"]), duration(each), f"{load['gamma']:.2f}", f"{load['efficiency']:.2f}"]

    def _method(self) -> str:
        oracle, last = self.config.oracle, self._test_errors(self.results["final"]["surrogate"])
        facts = {
            "oracle": f"{oracle.method}, lowest of {oracle.conformers} force-field conformers, optimised to "
            f"{oracle.fmax:g} eV/Å",
            "surrogate": f"{self.config.model.title}, {self.config.model.shape}, {self.config.members} members",
            "its test MAE at the end": f"{significant(last[0])} {self.config.unit}, on the first test split "
            f"{significant(last[1])} {self.config.unit}",
        }
        environment = {key: page.sentence(value) or "none" for key, value in self.environment.items()}
        return f"""{page.facts(facts)}
<details><summary>Configuration</summary><pre>{escape(self.config.model_dump_json(indent=2))}</pre></details>
<details><summary>Environment</summary>{page.facts(environment)}</details>"""


def _truths(molecules: Sequence[Molecule]) -> np.ndarray:
    return np.array([m.true for m in molecules if m.true is not None], float)


def _cells(part: Comparison) -> list[str]:
    cells = [f"{part.count:,}", f"{part.labelled:,}", significant(part.mae), _signed(part.bias)]
    cells.append("-" if part.rank is None else f"{part.rank:.2f}".replace("-", "\u2212"))
    return [*cells, _percent(part.covered), _percent(part.predicted_hits), _percent(part.hits)]


def _percent(part: float | None) -> str:
    return "-" if part is None else f"{100 * part:.0f} %"


def _signed(value: float | None) -> str:
    if value is None:
        return "-"
    return ("+" if value > 0 else "\u2212" if value < 0 else "") + significant(abs(value))
