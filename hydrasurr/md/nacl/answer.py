"""What a study of rock salt says of the open question: can a network take the place of reciprocal space?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from hydrasurr.md.nacl import figures
from hydrasurr.md.nacl.figures import name_of
from hydrasurr.md.nacl.settings import NaClStudy
from hydrasurr.md.nacl.study import GRAPH, NONE, P3M
from hydrasurr.md.nacl.summary import GUESS, cutoff_of
from hydrasurr.tables import significant
from hydrasurr.training import page

SOURCE = "X. Shen et al., PNNL-38353 (2025)"
NEAR = 0.9
"""An error is as good as another from so much of it on."""


def answer(study: NaClStudy, numbers: Mapping[str, Any]) -> str:
    """HTML, for the numbers of a summary; empty where nothing was learned or compared with."""
    return _Answer(study, numbers).html


@dataclass(frozen=True)
class _Answer:
    study: NaClStudy
    numbers: Mapping[str, Any]

    @property
    def html(self) -> str:
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
            f"are wrong by {_milli(other)} meV/Å at {_cutoff(dsf)}. {_verdict(error, other)} "
            f"{self._more_training(min(error, other))} least squares give the best that any function of pairs can do, "
            f"{self._bounds()}. What that misses is the field of the dipoles beyond the cutoff, which pairs within it "
            "do not know."
        ]
        if GRAPH in far:
            lines.append(self._graph_answer(found))
        lines.append(
            f"<b>Where it fails.</b> Errors of forces in meV/Å: {escape(learned)} {self._by_place(learned)}; damped "
            f"shifted forces at {_cutoff(dsf)} {self._by_place(dsf)}; without any far part {self._by_place(NONE)}. "
            f"{self._open_ends(learned)} {self._open_ends(dsf)}"
        )
        if "speedup" in found:
            lines.append(self._speed(found, learned))
        slower = ": what makes a stand-in fast is the table, which any function of the distance can be put into"
        lines.append(
            f"In torch, at {found['ions']:,} ions, a pair network with a cutoff of {self.study.cutoff:g} Å, taken "
            f"pair by pair in FP32, takes {found['network']:.1f} times as long as the far part on its mesh"
            f"{slower if found['network'] > 1 else ''}."
        )
        return "".join(f"<p>{line}</p>" for line in lines) + self._gain()

    def _more_training(self, reached: float) -> str:
        """Whether the bound leaves something to gain."""
        best = min(bound["fitted"] for bound in self.numbers["bound"].values())
        return "More training could not change that:" if best > NEAR * reached else "More could be gained:"

    def _bounds(self) -> str:
        bounds = self.numbers["bound"].items()
        return " and ".join(f"{_milli(bound['fitted'])} meV/Å within {cutoff} Å" for cutoff, bound in bounds)

    def _graph_answer(self, found: Mapping[str, Any]) -> str:
        plan, far = self.study.graph, self.numbers["far"]
        error, shortest = found["error"][GRAPH], min(self.numbers["bound"], key=float)
        below = error < self.numbers["bound"][shortest]["fitted"]
        return (
            f"A graph network ({plan.representation}, {plan.layers} layers of {plan.cutoff:g} Å) hands on what ions "
            f"know of each other. After {plan.steps:,} steps it is wrong by {_milli(error)} meV/Å, "
            f"{'below' if below else 'above'} that bound of pairs within {shortest} Å; it takes "
            f"{far[GRAPH]['evaluation_ms'] / far[P3M]['evaluation_ms']:.1f} times as long as P3M on these "
            f"{self.study.ions:,} ions, in torch. Errors elsewhere: {self._by_place(GRAPH)}."
        )

    def _by_place(self, name: str) -> str:
        places = self.numbers["far"][name]["places"]
        return ", ".join(f"{_milli(facts['force'])} ({place})" for place, facts in places.items())

    def _open_ends(self, name: str) -> str:
        """What forces do not fix."""
        places = self.numbers["far"][name]["places"]
        worst = max(places, key=lambda place: abs(places[place]["energy"]))
        return (
            f"Energies by {escape(name)} are off by up to {significant(places[worst]['energy'])} meV/ion ({worst}), "
            f"the pressure of the crystal by {significant(places['crystal']['pressure'] / 1e4)} GPa."
        )

    def _speed(self, found: Mapping[str, Any], learned: str) -> str:
        speed, alone = found["speedup"], found["kspace_only"]
        tables = {name: value for name, value in speed.items() if name.startswith("table")}
        near = f"near table {self.study.accuracy:g}"
        best = max(tables, key=tables.__getitem__)
        gained = ", ".join(f"{value:.1f} times at {name.removeprefix('table ')} Å" for name, value in tables.items())
        own = ", ".join(f"{alone[name]:.1f} at {name.removeprefix('table ')} Å" for name in tables)
        return (
            f"<b>Is it worth it?</b> At {found['ions']:,} ions in LAMMPS on one core, the speed of one table of "
            "everything without reciprocal space is, in that of <code>born/coul/long</code> and PPPM, "
            f"{gained}. But {speed[near]:.1f} of that is the table's: with the near part of Coulomb in it and PPPM as "
            f"before, nothing is lost. What leaving reciprocal space out adds is a factor of {own}; if it cost nothing "
            f"at all, {found['most']:.1f}. {self._looser(found, learned)} The order of magnitude that {SOURCE}, "
            f"predicts (summary, Fig. 14) is {'reached' if tables[best] >= GUESS else 'not reached'} here: the most is "
            f"{tables[best]:.1f}. There it is about GPUs, where reciprocal space takes more of a step."
        )

    def _looser(self, found: Mapping[str, Any], learned: str) -> str:
        """The fastest PPPM that is still better than anything learned."""
        better = [name for name, error in found["pppm_error"].items() if error < found["error"][learned]]
        if not better:
            return ""
        best = max(better, key=lambda name: found["speedup"][f"near table {name}"])
        speed, table = found["speedup"], f"table {cutoff_of(self.study, learned):g}"
        return (
            f"The same table over PPPM of an accuracy of {best} is {speed[f'near table {best}']:.1f} times as fast as "
            f"the reference and wrong by {_milli(found['pppm_error'][best])} meV/Å; {escape(learned)} is "
            f"{speed[table]:.1f} times as fast and wrong by {_milli(found['error'][learned])} meV/Å."
        )

    def _gain(self) -> str:
        found = self.numbers["answer"]
        if "speedup" not in found:
            return ""
        exact = 1000 * found["pppm_error"][f"{self.study.accuracy:g}"]
        points, kinds = {"reference": (1.0, exact)}, {"reference": "ink"}
        for accuracy, error in found["pppm_error"].items():
            name = f"table, PPPM {accuracy}"
            points[name], kinds[name] = (found["speedup"][f"near table {accuracy}"], 1000 * error), "ink"
        for name in self.study.stand_ins:
            speed = found["speedup"][f"table {cutoff_of(self.study, name):g}"]
            points[name_of(name)] = speed, 1000 * found["error"][name]
            kinds[name_of(name)] = "val" if name.startswith("dsf") else "train"
        return page.figure(figures.gain(points, kinds), "gain", "errors of forces over speed")


def _verdict(learned: float, formula: float) -> str:
    if learned > 1.05 * formula:
        return "So learning is worse than the formula."
    if learned > NEAR * formula:
        return "So learning gives no more than the formula."
    return f"So learning gives {100 * (1 - learned / formula):.0f} % less error than the formula."


def _cutoff(name: str) -> str:
    return f"{name.removeprefix('dsf-')} Å"


def _milli(value: float) -> str:
    return significant(1000 * value)


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"
