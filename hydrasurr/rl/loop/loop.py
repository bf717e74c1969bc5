"""The stages of a closed loop, one after another."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hydrasurr.errors import HydrasurrError
from hydrasurr.files import stage
from hydrasurr.launcher import refuse_launcher
from hydrasurr.rl.environment.starts import load_starts
from hydrasurr.rl.loop import dataset
from hydrasurr.rl.loop.agent import design_round
from hydrasurr.rl.loop.comparison import molecules_from
from hydrasurr.rl.loop.config import LoopConfig
from hydrasurr.rl.loop.final import best_known, candidates, labelled
from hydrasurr.rl.loop.folder import LoopFolder, read_history, write_history
from hydrasurr.rl.loop.initial import draw
from hydrasurr.rl.loop.rounds import chosen_molecules, comparisons, flat, label_facts, proposals, with_truth
from hydrasurr.rl.loop.selection import select
from hydrasurr.rl.loop.surrogate import held_out_error, run_config, train
from hydrasurr.rl.loop.watch import Watcher
from hydrasurr.rl.oracle.journal import Journal
from hydrasurr.rl.oracle.label import XTBOracle
from hydrasurr.rl.oracle.labelling import Labels, label
from hydrasurr.rl.rewards.history import History
from hydrasurr.stores import open_store
from hydrasurr.strict import read_json


class Agent(Protocol):
    """What looks for good molecules."""

    def __call__(self, round: int, model: Path, folder: Path, seed: int) -> History:
        """All molecules that it evaluated in a round, by the objective with this model of the surrogate in it.

        `LoopConfig.objective_with(model)` is that objective. `folder` is the agent's own in this round; one that was
        stopped may find what it has left there. The folders of earlier rounds are `../../N/agent`.
        """
        ...


class Loop:
    """All stages of a loop in a folder; each is made once, so the same object can be made again after a stop.

    Parameters
    ----------
    agent : what looks for molecules; None: a design run in each round, as the configuration says
    oracle : what labels molecules; None: as the configuration says

    Raises HydrasurrError for a folder that holds something else, or if a part of the loop cannot work, ConfigError for
    a loop with another configuration, or under a launcher.
    """

    def __init__(
        self,
        config: LoopConfig,
        path: str | Path,
        agent: Agent | None = None,
        *,
        force: bool = False,
        visible: bool = True,
        oracle: XTBOracle | None = None,
    ):
        refuse_launcher("loop")
        if oracle is None:
            import hydrasurr.rl.oracle.xtb  # noqa: F401  tells if it is not installed, before there is work to lose
        if agent is None:
            environment = config.agent.environment
            load_starts(environment.start, environment.rules.max_atoms, config.seed)
        self.config, self.folder, self.agent = config, LoopFolder(path), agent or self._design
        self.oracle = oracle or XTBOracle(config.oracle)
        self.folder.prepare(config, force=force)
        self.watch = Watcher(visible)

    def run(self) -> dict[str, Any]:
        """Do what is left to do, and write the report.

        Returns what came of it, as in report.json: `initial`, a record for each of the `rounds`, and `final`.
        """
        closed = self.config.arm == "closed"
        initial = self._initial()
        rounds, trained = [], self._train(0)
        for number in range(self.config.rounds):
            record = self._proposals(number, 0 if not closed else number)
            record["surrogate"] = trained
            if closed:
                record |= self._labels(number)
                trained = self._train(number + 1)
            rounds.append(record)
        results = {"initial": initial, "rounds": rounds, "final": self._final() | {"surrogate": trained}}
        from hydrasurr.rl.loop.report import write_report  # late: it needs matplotlib

        write_report(self.config, self.folder, results)
        return results

    # -- stages ---------------------------------------------------------------------------------------

    def _initial(self) -> dict[str, Any]:
        """The first data set."""
        plan, path, out = self.config.initial, self.folder.path / "initial.json", self.folder.data(0)
        if plan.dataset is not None:
            return stage(path, lambda: self._take(plan.dataset, out))

        def choose() -> dict[str, Any]:
            seed = self.config.seed
            return {"smiles": draw(plan.file, plan.smiles, plan.count, plan.max_heavy_atoms, seed)}

        drawn = stage(self.folder.drawn, choose)["smiles"]
        return self._labelled(path, "first labels", drawn, None, out)

    def _take(self, source: Path, out: Path) -> dict[str, Any]:
        """A data set that there is already, copied."""
        store = open_store(source)
        dataset.require_oracle(store.info, self.config.oracle, source)
        names = [target.name for target in store.info.targets]
        if names != list(self.config.dataset.targets):
            raise HydrasurrError(
                f"'{source}' has the targets {', '.join(names)}, dataset.targets are "
                f"{', '.join(self.config.dataset.targets)}"
            )
        store.close()
        nothing = Labels((), (), self.config.oracle)
        return {"graphs": dataset.append(source, nothing, out).info.graphs}

    def _train(self, number: int) -> dict[str, Any]:
        """The surrogate of a round: its metrics, and its error on the test split that all rounds have in common."""
        earlier = self.folder.model(number - 1) if number else None
        config = run_config(self.config, self.folder.data(number), number, earlier)
        folder = self.folder.model(number)

        def make() -> dict[str, Any]:
            metrics = train(config, folder)
            return {"metrics": metrics, "first_test": held_out_error(folder, self.folder.data(0), self.config.target)}

        with self.watch.stage(f"surrogate {number}"):
            return stage(folder / "stage.json", make)

    def _proposals(self, number: int, model: int) -> dict[str, Any]:
        """What the agent finds with a model."""
        folder, seed = self.folder.round(number), _seed(self.config.seed, number)

        def look() -> dict[str, Any]:
            history = self.agent(number, self.folder.model(model), folder / "agent", seed)
            write_history(folder / "history.npz", history)
            known = {flat(text) for text in dataset.known_molecules(open_store(self.folder.data(model)))}
            return proposals(history, known)._asdict()

        with self.watch.stage(f"agent, round {number}"):
            facts = stage(folder / "proposals.json", look)
        self.watch.say(f"round {number}: {facts['count']:,} molecules, {facts['novelty']:.0%} new")
        return {"round": number, "proposals": facts}

    def _labels(self, number: int) -> dict[str, Any]:
        """Choose, label, and make the next data set."""
        config, folder = self.config, self.folder.round(number)

        def choose() -> dict[str, Any]:
            history = read_history(folder / "history.npz")
            objective = config.objective_with(self.folder.model(number))
            seed = _seed(config.seed, number)
            picks = select(history, objective, config.column, self._known(number), config.selection, seed)
            return {"molecules": [one._asdict() for one in chosen_molecules(history, picks, config.column)]}

        chosen = molecules_from(stage(folder / "selection.json", choose)["molecules"])
        smiles = [one.smiles for one in chosen]
        facts = self._labelled(
            folder / "labels.json",
            f"labels, round {number}",
            smiles,
            self.folder.data(number),
            self.folder.data(number + 1),
        )
        molecules = with_truth(chosen, self._from_journal(smiles), config.target)
        compared = comparisons(molecules, config.wanted)
        self._tell(f"round {number}", compared)
        return {"labels": facts, "compared": compared, "molecules": [one._asdict() for one in molecules]}

    def _final(self) -> dict[str, Any]:
        """The best molecules by the last surrogate, verified."""
        config, folder = self.config, self.folder.final
        last = config.rounds if config.arm == "closed" else 0
        objective = config.objective_with(self.folder.model(last))
        histories = [read_history(self.folder.round(number) / "history.npz") for number in range(config.rounds)]

        def choose() -> dict[str, Any]:
            picks, all_found = candidates(histories, objective, self._known(last), config.top_k)
            molecules = chosen_molecules(all_found, picks, config.column)
            return {"considered": len(all_found), "molecules": [one._asdict() for one in molecules]}

        with self.watch.stage("choice of the best"):
            chosen = stage(folder / "selection.json", choose)
        top = molecules_from(chosen["molecules"])
        facts = self._labelled(folder / "labels.json", "verification", [one.smiles for one in top], None, None)
        molecules = with_truth(top, self._from_journal([one.smiles for one in top]), config.target)
        compared = comparisons(molecules, config.wanted)
        self._tell("verified", compared)

        drawn = set() if config.initial.dataset is not None else set(read_json(self.folder.drawn)["smiles"])

        def confirm() -> dict[str, Any]:
            with Journal(self.folder.journal, config.oracle) as journal:
                entries = {text: entry for text, entry in journal.entries.items() if text not in drawn}
                judged = labelled(histories, entries, objective, config)
            parts = {
                "found": [one for one in judged if config.wanted.holds(np.array(one.true))],
                "best": best_known(judged, molecules, config.top_k),
            }
            return {name: [one._asdict() for one in part] for name, part in parts.items()}

        return {
            "considered": chosen["considered"],
            "labels": facts,
            "compared": compared["all"],
            "molecules": [one._asdict() for one in molecules],
            **stage(folder / "found.json", confirm),
        }

    # -- helpers --------------------------------------------------------------------------------------

    def _design(self, round: int, model: Path, folder: Path, seed: int) -> History:
        """The agent of the configuration; it goes on with what it has learnt in the round before."""
        earlier = self.folder.round(round - 1) / folder.name if round else None
        return design_round(self.config.agent, self.config.objective_with(model), folder, earlier, seed)

    def _labelled(
        self, path: Path, title: str, smiles: list[str], source: Path | None, out: Path | None
    ) -> dict[str, Any]:
        """Label molecules; write them to a data set `out`, after those of `source`."""

        def make() -> dict[str, Any]:
            with self.watch.labels(title):
                labels = label(
                    smiles,
                    self.oracle,
                    workers=self.config.workers,
                    scheduling=self.config.scheduling,
                    journal=self.folder.journal,
                    progress=self.watch.labelled,
                )
            facts = label_facts(labels)
            if out is not None:
                name = f"{self.config.name}-{out.stem}"
                added = (
                    dataset.create(out, name, labels, self.config.dataset)
                    if source is None
                    else dataset.append(source, labels, out)
                )
                facts |= {"added": added.added, "graphs": added.info.graphs, "rejected": added.rejected}
            return facts

        with self.watch.stage(title):
            return stage(path, make)

    def _from_journal(self, smiles: list[str]) -> Labels:
        """Labels that have been made."""
        return label(smiles, self.oracle, journal=self.folder.journal)

    def _known(self, number: int) -> set[str]:
        """Molecules that need no label in a round: of its data set, and all that the oracle has been asked for; these
        also without their stereochemistry, as agents build them."""
        with Journal(self.folder.journal, self.config.oracle) as journal:
            known = dataset.known_molecules(open_store(self.folder.data(number))) | set(journal.entries)
        return known | {text for text in map(dataset.flat, known) if text is not None}

    def _tell(self, what: str, compared: dict[str, Any]) -> None:
        part = compared.get("promising", compared["all"])
        if part["hits"] is not None:
            error = "-" if part["mae"] is None else f"{part['mae']:.3g} {self.config.unit}"
            self.watch.say(
                f"{what}: of the {part['count']} best {part['predicted_hits']:.0%} are in the range by the surrogate, "
                f"{part['hits']:.0%} by the oracle; MAE {error}"
            )


def _seed(seed: int, round: int) -> int:
    """Of a round, 31 bits."""
    return int(np.random.SeedSequence((seed, round)).generate_state(1)[0] >> 1)
