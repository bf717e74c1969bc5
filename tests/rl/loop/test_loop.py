"""Whole loops: all stages, both arms, with a quick oracle and with the real one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import Crippen

from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.models.package import load_package
from hydrasurr.rl.loop.config import LoopConfig
from hydrasurr.rl.loop.dataset import known_molecules
from hydrasurr.rl.loop.folder import read_history, write_history
from hydrasurr.rl.loop.initial import draw
from hydrasurr.rl.loop.loop import Loop
from hydrasurr.rl.policy.file import read_policy
from hydrasurr.stores import open_store
from hydrasurr.strict import parse, read_json
from hydrasurr.surrogate import load
from tests.rl.loop.agents import Walker
from tests.rl.loop.histories import history
from tests.rl.loop.loops import configure, run, untimed
from tests.rl.oracle.oracles import CheapOracle, KnowsOnly


def test_the_data_set_grows_and_the_surrogate_goes_on(closed: tuple[Path, dict[str, Any], Walker]) -> None:
    path, results, agent = closed
    assert agent.calls == [(0, "0"), (1, "1")]
    stores = [open_store(path / "data" / f"{k}.bp") for k in range(3)]
    known = [known_molecules(store) for store in stores]
    assert len(known[0]) == results["initial"]["labelled"] == 60
    for number, record in enumerate(results["rounds"]):
        picked = {m["smiles"] for m in record["molecules"]}
        assert len(picked) == 12 and not picked & known[number]
        assert known[number + 1] == known[number] | picked
        assert record["labels"]["added"] == record["labels"]["labelled"] == 12
    for store in stores:
        for split in ("train", "val", "test"):
            table = store[split].read(0, len(store[split]))
            assert table.y[:, 0].tolist() == [len(text) for text in table.smiles()]
    models = [path / "models" / str(k) for k in range(3)]
    starts = [json.loads((model / "config.json").read_text())["training"]["start_from"] for model in models]
    assert starts == [None, str(models[0]), str(models[1])]
    first, last = (load_package(models[k] / "surrogate.safetensors").networks[1] for k in (0, 2))
    assert first.mean == last.mean and not torch.equal(first.node_encoder.weight, last.node_encoder.weight)


def test_the_numbers_of_rounds_are_those_of_surrogate_and_oracle(
    closed: tuple[Path, dict[str, Any], Walker],
) -> None:
    path, results, _ = closed
    for number, record in enumerate(results["rounds"]):
        surrogate = load(path / "models" / str(number))
        promising = [m for m in record["molecules"] if m["why"] == "promising"]
        predictions = surrogate.predict([m["smiles"] for m in promising])
        assert [m["predicted"] for m in promising] == pytest.approx(predictions["gap"], rel=1e-4)
        assert [m["std"] for m in promising] == pytest.approx(predictions.std[:, 0], rel=1e-3)
        assert [m["true"] for m in promising] == [len(m["smiles"]) for m in promising]
        errors = [m["predicted"] - m["true"] for m in promising]
        compared = record["compared"]["promising"]
        assert compared["mae"] == pytest.approx(np.abs(errors).mean())
        assert compared["bias"] == pytest.approx(np.mean(errors))
        assert compared["hits"] == np.mean([5.5 <= m["true"] <= 7.5 for m in promising])
        worths = [m["worth"] for m in promising]
        assert worths == sorted(worths, reverse=True)
        past = read_history(path / "rounds" / str(number) / "history.npz")
        new = [
            k
            for k, text in enumerate(past.smiles)
            if text not in known_molecules(open_store(path / f"data/{number}.bp"))
        ]
        assert worths == pytest.approx(np.sort(past.worth.value[new])[::-1][: len(worths)].tolist())
        store = open_store(path / "data/0.bp")["test"]
        table = store.read(0, len(store))
        expected = np.abs(surrogate.predict(table.smiles())["gap"] - table.y[:, 0]).mean()
        assert record["surrogate"]["first_test"] == pytest.approx(expected, rel=1e-4)
        assert record["proposals"]["count"] == len(past) and record["proposals"]["validity"] == 1


def test_the_best_are_verified_and_what_was_found_is_told(closed: tuple[Path, dict[str, Any], Walker]) -> None:
    path, results, _ = closed
    final = results["final"]
    top = final["molecules"]
    assert len(top) == 10 and not {m["smiles"] for m in top} & known_molecules(open_store(path / "data/2.bp"))
    last = load(path / "models/2").predict([m["smiles"] for m in top])
    assert [m["predicted"] for m in top] == pytest.approx(last["gap"], rel=1e-4)
    assert final["compared"]["hits"] == np.mean([5.5 <= len(m["smiles"]) <= 7.5 for m in top])
    labelled = {m["smiles"] for record in results["rounds"] for m in record["molecules"]} | {m["smiles"] for m in top}
    assert {m["smiles"] for m in final["found"]} == {text for text in labelled if len(text) in (6, 7)}
    assert not {m["smiles"] for m in final["best"]} & set(read_json(path / "drawn.json")["smiles"])
    best, new = final["best"], {m["smiles"] for m in top}
    worths = [m["worth"] for m in best]
    assert len(best) == 10 and worths == sorted(worths, reverse=True)
    assert {m["why"] for m in best if m["smiles"] not in new} == {"labelled"}
    left = {m["smiles"] for m in final["found"]} - new - {m["smiles"] for m in best}
    assert not left or len(best) == sum(m["smiles"] not in new for m in best)  # hits go before what is not known
    lines = (path / "labels.jsonl").read_text().splitlines()[1:]
    asked = [json.loads(line)["smiles"] for line in lines]
    assert len(asked) == len(set(asked)) == 60 + 24 + 10


def test_a_report_tells_it_all(closed: tuple[Path, dict[str, Any], Walker]) -> None:
    path, results, _ = closed
    html = (path / "report.html").read_text()
    for heading in ("Found molecules", "Verified", "Surrogate against oracle", "Rounds", "Failures", "Time", "Method"):
        assert f"<h2>{heading}</h2>" in html
    found = results["final"]["found"]
    assert html.count('aria-label="' + found[0]["smiles"] + '"') == 1
    assert f"{100 * results['final']['compared']['hits']:.0f} %" in html
    hits = np.mean([5.5 <= m["true"] <= 7.5 for m in results["final"]["best"]])
    assert f"{100 * hits:.0f} %" in html and "of the 10 best," in html
    assert "http" not in html.replace("http://www.w3.org", "")
    numbers = json.loads((path / "report.json").read_text())
    assert numbers["final"] == results["final"] and numbers["config"]["name"] == "tiny"


def test_the_surrogate_alone_gets_no_labels(smiles_file: Path, tmp_path: Path, closed: tuple) -> None:
    results, agent = run(configure(smiles_file, arm="surrogate_alone"), tmp_path / "loop")
    assert agent.calls == [(0, "0"), (1, "0")]
    assert sorted(file.name for file in (tmp_path / "loop/data").iterdir()) == ["0.bp"]
    assert all("molecules" not in record for record in results["rounds"])
    assert results["rounds"][0]["proposals"]["count"] == closed[1]["rounds"][0]["proposals"]["count"]
    assert untimed(results["initial"]) == untimed(closed[1]["initial"])
    assert len(results["final"]["molecules"]) == 10
    assert "Surrogate against oracle" not in (tmp_path / "loop/report.html").read_text()


def test_a_loop_that_finds_nothing_ends_with_a_report(smiles_file: Path, tmp_path: Path) -> None:
    config = configure(smiles_file)
    oracle = KnowsOnly(LoopConfig.model_validate(config).oracle, draw(smiles_file, "smiles", 60, None, 0))
    results, _ = run(config, tmp_path / "loop", oracle=oracle)
    assert results["final"]["found"] == [] and results["final"]["compared"]["hits"] == 0
    assert "None: no molecule of the agent" in (tmp_path / "loop/report.html").read_text()


def test_what_cannot_work_is_told_at_once(smiles_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is labelled."""
    with pytest.raises(ValueError, match="agent: "):
        LoopConfig.model_validate(configure(smiles_file, agent={"running": {"ahead": 1}}))
    with pytest.raises(ConfigError, match="objective.terms"):
        parse(LoopConfig, configure(smiles_file, objective={"terms": 5}), "loop.json")
    nowhere = configure(smiles_file, agent={"environment": {"start": {"file": "nowhere.smi"}}})
    with pytest.raises(HydrasurrError, match="no file 'nowhere.smi'"):
        Loop(LoopConfig.model_validate(nowhere), tmp_path / "loop")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(ConfigError, match="has started 2 ranks, but a loop starts its own processes"):
        Loop(LoopConfig.model_validate(configure(smiles_file)), tmp_path / "loop")
    assert not (tmp_path / "loop").exists()


def test_a_data_set_that_is_there_already(smiles_file: Path, tmp_path: Path, closed: tuple) -> None:
    source = closed[0] / "data/1.bp"
    config = configure(smiles_file, rounds=1, initial={"dataset": str(source)}, seed=3)
    results, _ = run(config, tmp_path / "loop")
    assert results["initial"]["graphs"] == open_store(source).info.graphs
    old, new = (known_molecules(open_store(path)) for path in (source, tmp_path / "loop/data/0.bp"))
    assert old == new
    with pytest.raises(ConfigError, match="another configuration: fmax: 0.2 became 0.1"):
        run(config | {"oracle": {"conformers": 1, "fmax": 0.1}}, tmp_path / "other")
    with pytest.raises(HydrasurrError, match="has the targets gap, dataset.targets are gap, homo"):
        run(config | {"dataset": {"targets": ["gap", "homo"]}}, tmp_path / "third")


def test_the_real_oracle(smiles_file: Path, tmp_path: Path) -> None:
    """From SMILES to verified molecules by GFN2-xTB; constraints hold."""
    objective = {
        "terms": [{"property": {"type": "surrogate", "target": "gap"}, "goal": {"type": "maximise", "high": 10}}],
        "constraints": [{"property": {"type": "logp"}, "at_most": 0.5}],
    }
    changes = {"rounds": 1, "top_k": 3, "initial": {"file": str(smiles_file), "count": 16}, "objective": objective}
    config = configure(smiles_file, **changes, selection={"count": 4}, wanted={"low": 4, "high": 20})
    results, _ = run(config, tmp_path / "loop", oracle=None)
    final = results["final"]
    assert results["initial"]["labelled"] > 12 and len(final["molecules"]) == 3
    for one in [*results["rounds"][0]["molecules"], *final["molecules"]]:
        assert Crippen.MolLogP(Chem.MolFromSmiles(one["smiles"])) <= 0.5
        assert one["true"] is not None or one["error"]
    assert final["found"] and all(4 <= m["true"] <= 20 for m in final["found"])
    best = [m["true"] for m in final["found"]]
    assert best == sorted(best, reverse=True)


def test_the_agent_of_the_configuration(smiles_file: Path, tmp_path: Path) -> None:
    """It learns, and goes on with its policy in the next round."""
    agent = {
        "frames": 200,
        "environment": {"max_steps": 5, "rules": {"max_atoms": 6}},
        "model": {"hidden": 8, "layers": 1},
        "learner": {"type": "ppo", "steps": 5},
        "running": {"actors": 1, "molecules": 8},
    }
    config = LoopConfig.model_validate(configure(smiles_file, agent=agent))
    results = Loop(config, tmp_path / "loop", oracle=CheapOracle(config.oracle), visible=False).run()
    assert [record["proposals"]["count"] > 12 for record in results["rounds"]] == [True, True]
    assert all(record["labels"]["labelled"] == 12 for record in results["rounds"])
    policies = [read_policy(tmp_path / f"loop/rounds/{k}/agent/policy.safetensors")[0] for k in (0, 1)]
    first, second = (torch.cat([values.flatten() for values in policy.values()]) for policy in policies)
    assert 0 < float((first - second).norm()) < 0.3 * float(first.norm())  # of independent ones it would be 1.4


def test_folders_of_others(smiles_file: Path, tmp_path: Path, closed: tuple) -> None:
    path, results, _ = closed
    again, agent = run(configure(smiles_file, workers=2), path)
    assert agent.calls == [] and again == results
    with pytest.raises(ConfigError, match="rounds: 2 became 3"):
        run(configure(smiles_file, rounds=3), path)
    (tmp_path / "file").touch()
    with pytest.raises(HydrasurrError, match="holds other files"):
        run(configure(smiles_file), tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(HydrasurrError, match="holds something else than a loop"):
        run(configure(smiles_file), tmp_path)


def test_force_begins_anew(smiles_file: Path, tmp_path: Path) -> None:
    config = configure(smiles_file, rounds=1, initial={"file": str(smiles_file), "count": 20}, top_k=2)
    path = tmp_path / "loop"
    run(config, path)
    (path / "notes.txt").touch()
    _, agent = run(config | {"seed": 1}, path, force=True)
    assert agent.calls == [(0, "0")]
    assert (path / "notes.txt").exists()


def test_molecules_to_begin_with(tmp_path: Path, smiles_file: Path) -> None:
    every = draw(smiles_file, "smiles", 1000, None, seed=0)
    assert len(every) == 150 and every != sorted(every)
    assert all(Chem.CanonSmiles(text) == text for text in every)
    assert draw(smiles_file, "smiles", 10, None, seed=0) == every[:10]
    assert draw(smiles_file, "smiles", 10, None, seed=1) != every[:10]
    small = draw(smiles_file, "smiles", 1000, 5, seed=0)
    assert set(small) == {text for text in every if Chem.MolFromSmiles(text).GetNumHeavyAtoms() <= 5}
    table = tmp_path / "table.csv"
    table.write_text("id,structure\n1,CCO\n2\n3,CCN\n4,nonsense\n5,OCC\n")
    assert sorted(draw(table, "structure", 9, None, 0)) == ["CCN", "CCO"]
    assert len(draw(Path("qm9_gap_5k"), "smiles", 20, None, 0)) == 20
    with pytest.raises(ConfigError, match="has no column 'smiles'"):
        draw(table, "smiles", 9, None, 0)
    with pytest.raises(ConfigError, match="no file 'qm8', and none of the datasets"):
        draw(Path("qm8"), "smiles", 9, None, 0)
    (tmp_path / "few.smi").write_text("C\nC\nnonsense\n")
    with pytest.raises(HydrasurrError, match="has less than two molecules of at most 9 heavy atoms to begin with"):
        draw(tmp_path / "few.smi", "smiles", 9, 9, 0)


def test_histories_come_back(tmp_path: Path) -> None:
    for past in (history(["C", "CC"], [1.0, math.nan], [0.1, 0.2]), history([], [], [])):
        write_history(tmp_path / "h.npz", past)
        again = read_history(tmp_path / "h.npz")
        assert again.smiles == past.smiles
        for name in ("value", "properties", "std"):
            np.testing.assert_array_equal(getattr(again.worth, name), getattr(past.worth, name))
