"""`report.html` and `report.json` of a study of liquid argon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from hydrasurr.md.argon import figures
from hydrasurr.md.argon.settings import ArgonStudy
from hydrasurr.md.argon.study import AGAIN, REFERENCE
from hydrasurr.md.argon.summary import PUBLISHED, PUBLISHED_SAVING, read_measured, summary
from hydrasurr.md.study.figures import COLOR, NAMES, learning_curve
from hydrasurr.md.study.stages import Result, StudyFolder
from hydrasurr.tables import coefficient, duration, significant
from hydrasurr.training import page
from hydrasurr.training.figures import SQUARE, parity, parity_limits

MEANS = {
    "potential_energy": "mean potential energy (meV/atom)",
    "pressure": "pressure (bar)",
    "diffusion": "diffusion coefficient (10⁻⁵ cm²/s)",
    "drift": "drift of the total energy (meV/atom/ps)",
}
CHANCE = 1.5
"""A mean deviation of g(r) up to so many times that of Lennard-Jones from another start is taken for chance."""
SIGNIFICANT = 4
"""A difference is told in words from so many standard errors on."""
MEASURED_K, MEASURED_DENSITY = 85, 1.41
"""Temperature and density (g/cm^3) of the measured g(r): Yarnell et al. (1973), 0.02125 atoms/Angstrom^3."""
SOURCE = "X. Shen et al., PNNL-38353 (2025)"


def write_report(
    settings: ArgonStudy, folder: StudyFolder, results: Mapping[str, Result], measured: str | Path | None = None
) -> dict[str, Any]:
    """Write both files, and return what report.json holds.

    `measured` is a file of two columns, r (Angstrom) and g, of argon at 85 K. Raises HydrasurrError if it is none.
    """
    curve = None if measured is None else read_measured(measured)
    numbers = summary(results, settings.formats)
    environment = folder.read_environment()
    report = _Report(settings, results, numbers, environment, curve)
    return folder.write_report(report.html, {"settings": settings.model_dump(mode="json"), **numbers})


@dataclass(frozen=True)
class _Report:
    settings: ArgonStudy
    results: Mapping[str, Result]
    numbers: dict[str, Any]
    environment: dict[str, Any]
    measured: tuple[np.ndarray, np.ndarray] | None

    @property
    def html(self) -> str:
        sections = {
            "Forces": self._forces(),
            "Structure": self._structure(),
            "Energy and motion": self._motion(),
            "Network and table": self._rollout(),
            "Time": self._time(),
            "Method": self._method(),
        }
        version = str(self.environment.get("hydrasurr", ""))
        return page.page("Liquid argon: study report", self._header(sections), sections, version)

    @cached_property
    def curves(self) -> dict[str, Mapping[str, np.ndarray]]:
        """Arrays of all runs that did not fail."""
        names = (REFERENCE, AGAIN, *self.settings.formats)
        runs = {name: self.results[f"md-{name}"] for name in names}
        return {name: run.arrays for name, run in runs.items() if "failed" not in run.facts}

    def _header(self, sections: Mapping[str, str]) -> str:
        tiles = [
            (f"R² of |F|, {NAMES[name]}", coefficient(facts["r2"]), "", _published(name, "r2"))
            for name, facts in self.numbers["forces"].items()
        ]
        shape = ", ".join(map(str, (1, *self.settings.fit.hidden, 1)))
        subtitle = (
            f"{self.settings.atoms:,} atoms at {self.settings.temperature_K:g} K and {self.settings.density_g_cm3:g} "
            f"g/cm³. Lennard-Jones, and a tanh network [{shape}] of its pair force, in {len(tiles)} number formats"
        )
        return f"""<p class="kicker">hydrasurr study report</p>
<h1>Liquid argon by a pair network</h1>
<p class="subtitle">{escape(subtitle)}</p>
{page.links(sections)}
{page.tiles(tiles, main=len(tiles))}"""

    # -- sections ------------------------------------------------------------------------------------

    def _forces(self) -> str:
        history = self.results["fit"].arrays["history"]
        curve = page.figure(learning_curve(history), "learning", "training and test error by batch")
        sizes = {name: size["weights"] for name, size in self.numbers["bytes"].items()}
        curve += page.figure(figures.sizes_in_bytes(sizes), "bytes", "bytes by format")
        rows = []
        for name, facts in self.numbers["forces"].items():
            cells = [coefficient(facts["r2"]), _published(name, "r2", ""), *map(_milli, (facts["rmse"],))]
            cells += [_published_rmse(name), _milli(facts["component_rmse"]), f"{100 * facts['relative_rmse']:.2f} %"]
            cells += [_signed(facts["energy_shift"]), _signed(facts["pressure_shift"])]
            rows.append([_name(name), f"{self.numbers['bytes'][name]['weights']:,}", *cells])
        header = ["format", "bytes", "R² of |F|", "published", "RMSE of |F|", "published", "of components"]
        header += ["relative", "energy shift", "pressure shift"]
        units = ["", "", "", "", "meV/Å", "meV/Å", "meV/Å", "", "meV/atom", "bar"]
        table = _table(header, units, rows)
        atoms = next(iter(self.numbers["forces"].values()))["atoms"]
        frames = len(self.results["fit"].arrays["test_frames"])
        seen = f"{frames} frame" + "s" * (frames > 1)
        return f"""<p>On {atoms:,} atoms of {seen} that the fit did not see. R² is taken about the diagonal. The shifts
are mean differences of energy and pressure from Lennard-Jones on the same positions, and so are free of the chance
that separates two trajectories. Bytes are those of the weights with their scales. Published figures: {SOURCE},
section 4, of a network and frames of its own.</p>
<div class="scroll">{table}</div>
<h3>Learning and size</h3><div class="grid curve">{curve}</div>
<h3>Force magnitudes</h3><div class="grid three">{self._correlations()}</div>"""

    def _correlations(self) -> str:
        arrays = {name: self.results[f"forces-{name}"].arrays for name in self.settings.formats}
        both = ("reference", "predicted")
        limits = parity_limits(*(np.concatenate([columns[key] for columns in arrays.values()]) for key in both))
        panels = []
        for name, columns in arrays.items():
            facts = self.numbers["forces"][name]
            metrics = {key: facts[key] for key in ("mae", "rmse", "r2")}
            pair = columns["reference"], columns["predicted"]
            drawn = parity(*pair, metrics, limits, "eV/Å", NAMES[name], SQUARE)
            panels.append(page.figure(drawn, f"forces-{name}", f"force magnitudes of {NAMES[name]}"))
        return "".join(panels)

    def _structure(self) -> str:
        curves = self.curves
        both = page.figure(figures.radial(curves, self.measured), "rdf", "radial distribution functions")
        both += page.figure(figures.radial_deviation(curves), "rdf-deviation", "their deviation from Lennard-Jones")
        rows = []
        for name in curves:
            facts = self.numbers["dynamics"][name]
            peak = facts["first_peak"]
            cells = [significant(facts.get(key)) for key in ("g_max_deviation", "g_mean_deviation")]
            rows.append([_name(name), f"{peak['r']:.3f}", f"{peak['g']:.3f}", *cells, f"{facts['closest']:.2f}"])
        header = ["run", "first peak", "its height", "largest deviation", "mean deviation", "closest pair"]
        units = ["", "Å", "", "from LJ", "from LJ", "Å"]
        table = _table(header, units, rows)
        note = ""
        if self.measured:
            r, g = self.measured
            k = int(g.argmax())
            milder = self.settings.temperature_K > MEASURED_K and self.settings.density_g_cm3 < MEASURED_DENSITY
            apart = "colder and denser than these runs, so its peaks are higher; " if milder else ""
            note = (
                f'<p class="note">The measured curve is of neutrons at {MEASURED_K} K and {MEASURED_DENSITY:g} g/cm³ '
                f"(Yarnell et al., Phys. Rev. A 7, 2130, 1973): {apart}the first peak is {g[k]:.2f} at {r[k]:.2f} Å."
                "</p>"
            )
        r_min = self.numbers["fit"]["r_min"]
        return f"""<p>What {NAMES[AGAIN]} deviates by is chance: the same potential from other velocities. A liquid's
g(r) at a given density is decided by how near atoms can come to each other. Errors of the force that vary little with
distance pull on an atom from all sides and cancel, so g(r) can look right where the energy and the pressure are
already wrong: see the next section.{self._hidden()} The network was trained down to {r_min:.2f} Å; below, its force
goes on along a straight line.</p>
<div class="grid curve">{both}</div>{note}<div class="scroll">{table}</div>{self._failures("md")}"""

    def _hidden(self) -> str:
        """A sentence on the formats whose g(r) is right within chance, and whose pressure is not."""
        dynamics, wrong = self.numbers["dynamics"], []
        for name in self.settings.formats:
            if name in self.curves:
                shift = dynamics[name]["differences"]["pressure"]
                looks_right = dynamics[name]["g_mean_deviation"] < CHANCE * dynamics[AGAIN]["g_mean_deviation"]
                if looks_right and shift["error"] and abs(shift["mean"]) > SIGNIFICANT * shift["error"]:
                    plus = "+" if shift["mean"] > 0 else ""
                    wrong.append(f"{NAMES[name]} ({plus}{_with_error(shift)} bar)")
        return f" So it is here for {' and '.join(wrong)}." if wrong else ""

    def _motion(self) -> str:
        curves, dynamics = self.curves, self.numbers["dynamics"]
        over_time = page.figure(figures.energy_over_time(curves), "energy", "potential energy over time")
        over_time += page.figure(figures.displacement(curves), "msd", "mean square displacement over time")
        panels = "".join(
            page.figure(
                figures.means({name: dynamics[name][key] for name in curves}, title, reference=key != "drift"),
                f"mean-{key}",
                f"{title} of each run",
            )
            for key, title in MEANS.items()
        )
        rows = []
        for name in curves:
            facts = dynamics[name]
            rows.append([_name(name), *(_with_error(facts[key]) for key in ("temperature", *MEANS))])
        header = ["run", "temperature", "potential energy", "pressure", "diffusion", "drift"]
        units = ["", "K", "meV/atom", "bar", "10⁻⁵ cm²/s", "meV/atom/ps"]
        table = _table(header, units, rows)
        plan, around = self.settings.dynamics, self.settings.neighbours
        nve_ps = float(curves[REFERENCE]["nve_time"][-1])
        return f"""<p>{plan.length_ps:g} ps at constant temperature for each run, all but {NAMES[AGAIN]} from the same
positions and velocities, and {nve_ps:g} ps at constant energy for the drift. The band is Lennard-Jones with its
standard error. Energy and pressure are those of the truncated potential, without corrections for what lies beyond
the cutoff. The energy of a network is the integral of its force, so a small error over the whole range adds up in it,
and in the pressure over some {around:.0f} neighbours of each atom. A pair force conserves energy in whatever format:
drift tells of the time step and of jumps of the force, not of its accuracy.</p>
<div class="grid curve">{over_time}</div><div class="grid two">{panels}</div><div class="scroll">{table}</div>"""

    def _rollout(self) -> str:
        rows = []
        for name, facts in self.numbers["rollout"].items():
            if "failed" not in facts:
                keys = ("force", "position", "potential_energy", "network_fluctuation", "table_fluctuation")
                rows.append([_name(name), *(significant(facts[key]) for key in keys)])
        header = ["format", "force at the begin", "position at the end", "potential energy"]
        header += ["fluctuation, network", "fluctuation, table"]
        units = ["", "eV/Å", "Å", "meV/atom", "meV/atom", "meV/atom"]
        table = _table(header, units, rows)
        plan, ran = self.settings, [facts for facts in self.numbers["rollout"].values() if "failed" not in facts]
        length = ran[0]["length_ps"] if ran else plan.dynamics.rollout_ps
        steps = " BF16 knows few distances and so its force has steps, which a table rounds off."
        return f"""<p>The runs above take each format as a table of 4,000 distances, as LAMMPS does. Here the network
itself, by velocity Verlet with {plan.timestep_fs:g} fs, runs for {length:g} ps beside its table from the same moment:
root mean square differences of forces and positions, the largest difference of energies, and the standard deviation of
the total energy in each.{steps if "bf16" in plan.formats else ""}</p>
<div class="scroll">{table}</div>{self._failures("rollout")}"""

    def _time(self) -> str:
        sizes = self.numbers["scaling"]
        panels = page.figure(figures.force_times(sizes), "force-times", "time of force evaluation by atoms")
        panels += page.figure(figures.search_times(sizes), "search-times", "time of neighbour search by atoms")
        formats = list(sizes[0]["forces"])
        rows = []
        for size in sizes:
            forces = size["forces"]
            cells = [significant(forces[name]) for name in formats]
            if "fp32" in forces and "bf16" in forces:
                cells.append(f"{100 * (1 - forces['bf16'] / forces['fp32']):.0f} %")
            cells += [significant(size["search"]), significant(size["search_with_skin"])]
            part = size["search_with_skin"] / (size["search_with_skin"] + forces[formats[0]])
            rows.append([f"{size['atoms']:,}", f"{size['pairs']:,}", *cells, f"{100 * part:.1f} %"])
        saved = ["BF16 saves"] if {"fp32", "bf16"} <= set(formats) else []
        header = ["atoms", "pairs", *(NAMES[name] for name in formats), *saved, "search", "search with a skin"]
        header.append(f"its share beside {NAMES[formats[0]]}")
        table = _table(header, ["", "", *("ms" for _ in formats), *("" for _ in saved), "ms", "ms", ""], rows)
        threads = "one thread" if self.settings.threads == 1 else f"{self.settings.threads} threads"
        return f"""<p>Milliseconds a step of the network itself on {threads} of this machine's processor, medians of
{self.settings.scaling.repeats}, formats in turns. {SOURCE}, on an H100: BF16 saves {PUBLISHED_SAVING} of the force
evaluation, INT4 nothing, and searching neighbours dominates. Here BF16 looks up the outputs of all inputs it can
have; four-bit weights are unpacked and multiplied as FP32. Searches know nothing of number formats; with a skin they
are a mean over {self.settings.scaling.search_steps} steps of motion.</p>
<div class="grid two">{panels}</div><div class="scroll">{table}</div>"""

    def _method(self) -> str:
        plan, known = self.settings, self.numbers["reference"]
        engine = "LAMMPS" if known["engine"] == "lammps" else "hydrasurr's own integrator"
        facts = {
            "potential": f"Lennard-Jones, epsilon/kB {plan.epsilon_K:g} K, sigma {plan.sigma:g} Å (defaults: Rahman, "
            f"Phys. Rev. 136, A405, 1964), truncated and shifted at {plan.fit.cutoff:g} Å",
            "reference": f"{known['frames']} frames {plan.reference.interval_ps:g} ps apart by {engine}, after "
            f"{plan.reference.equilibration_ps:g} ps; time step {plan.timestep_fs:g} fs",
            "fit": f"{plan.fit.steps:,} batches of {plan.fit.particles} atoms of one frame, Adam",
            "time in all": duration(sum(self.numbers["seconds"].values())),
        }
        longest = sorted(self.numbers["seconds"].items(), key=lambda item: -item[1])
        stages = page.table(["stage", "time"], [[escape(n), duration(s)] for n, s in longest], numeric=1)
        environment = {key: page.sentence(value) or "none" for key, value in self.environment.items()}
        return f"""{page.facts(facts)}
<details><summary>Time of each stage</summary>{stages}</details>
<details><summary>Settings</summary><pre>{escape(plan.model_dump_json(indent=2))}</pre></details>
<details><summary>Environment</summary>{page.facts(environment)}</details>"""

    def _failures(self, kind: str) -> str:
        failed = [(name, self.results[f"{kind}-{name}"].facts.get("failed")) for name in self.settings.formats]
        lines = [f"<li>{NAMES[name]}: {escape(reason)}</li>" for name, reason in failed if reason]
        return f'<p class="note">Runs that failed:</p><ul>{"".join(lines)}</ul>' if lines else ""


def _table(header: Sequence[str], units: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Units stand below the names, so that many columns fit; all columns but the first are numbers."""
    pairs = zip(header, units, strict=True)
    heads = [f'{escape(name)}<br><span class="unit">{escape(unit)}</span>' for name, unit in pairs]
    return page.table(heads, rows, numeric=len(header) - 1)


def _name(name: str) -> str:
    return page.swatch(COLOR[name]) + NAMES[name]


def _published(name: str, key: str, before: str = "published: ") -> str:
    return before + PUBLISHED[name][key] if name in PUBLISHED else "" if before else "-"


def _published_rmse(name: str) -> str:
    """In meV/Angstrom."""
    text = PUBLISHED.get(name, {}).get("rmse")
    if text is None:
        return "-"
    sign, _, value = text.rpartition(" ")
    return f"{escape(sign)} {1000 * float(value):g}".strip()


def _milli(value: float) -> str:
    return significant(1000 * value)


def _signed(value: float) -> str:
    return ("+" if value > 0 else "\u2212" if value < 0 else "") + significant(abs(value))


def _with_error(mean: Mapping[str, Any]) -> str:
    """The error with two digits, the mean with as many decimals."""
    value, error = mean["mean"], mean["error"]
    if not error:
        return significant(value)
    if error < 1e-3:
        power = int(np.floor(np.log10(max(abs(value), error))))
        return f"({value / 10.0**power:.2f} ± {error / 10.0**power:.2f}) × 10<sup>{power}</sup>".replace("-", "\u2212")
    decimals = max(1 - int(np.floor(np.log10(error))), 0)
    return f"{value:,.{decimals}f} ± {error:,.{decimals}f}".replace("-", "\u2212")
