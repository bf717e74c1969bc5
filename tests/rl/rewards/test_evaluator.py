"""Whole objectives: what molecules are worth, and what is wrong with an objective."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import QED, Crippen

import hydrasurr
from hydrasurr.errors import ConfigError, HydrasurrError
from hydrasurr.rl.rewards.evaluator import Evaluator
from hydrasurr.rl.rewards.objective import ObjectiveConfig
from hydrasurr.strict import parse

MOLECULES = ["CCO", "c1ccccc1", "CC(=O)Nc1ccc(O)cc1", "C", "OC(=O)c1ccccc1OC(C)=O", "N#CC1CC1"]
QED_TERM = {"property": {"type": "qed"}}
LOGP = {"type": "logp"}


def objective(**sections: Any) -> ObjectiveConfig:
    """By way of JSON, as a user gives it."""
    return parse(ObjectiveConfig, json.loads(json.dumps(sections)), "run.json")


def gap(model: Path, **more: Any) -> dict[str, Any]:
    return {"property": {"type": "surrogate", "model": str(model), "target": "gap"}, **more}


def of_rdkit(function: Any, smiles: list[str]) -> np.ndarray:
    return np.array([function(Chem.MolFromSmiles(text)) for text in smiles])


def test_the_default_is_qed() -> None:
    worth = Evaluator(objective())(MOLECULES)
    np.testing.assert_array_equal(worth.value, of_rdkit(QED.qed, MOLECULES))
    np.testing.assert_array_equal(worth.std, 0)


@pytest.mark.parametrize("combine", ["mean", "geometric_mean"])
def test_scores_are_weighted(combine: str) -> None:
    terms = [{**QED_TERM, "weight": 3}, {"property": LOGP, "goal": {"type": "maximise", "low": -1, "high": 4}}]
    worth = Evaluator(objective(terms=terms, combine=combine))(MOLECULES)
    qed, logp = of_rdkit(QED.qed, MOLECULES), of_rdkit(Crippen.MolLogP, MOLECULES)
    np.testing.assert_array_equal(worth.properties, np.stack([qed, logp], 1))
    score = (logp + 1) / 5
    expected = (3 * qed + score) / 4 if combine == "mean" else (qed**3 * score) ** 0.25
    np.testing.assert_allclose(worth.value, expected)


def test_a_negative_score_is_worth_nothing_in_a_geometric_mean() -> None:
    terms = [QED_TERM, {"property": LOGP, "goal": {"type": "maximise", "low": 100, "high": 101}}]
    assert Evaluator(objective(terms=terms, combine="geometric_mean"))(MOLECULES).value.tolist() == [0.0] * 6


def test_constraints_decide_what_counts() -> None:
    aspirin = MOLECULES[4]
    constraints = [
        {"property": {"type": "similarity", "to": aspirin}, "at_least": 0.3},
        {"property": LOGP, "at_most": 2},
    ]
    worth = Evaluator(objective(constraints=constraints, otherwise=-1))(MOLECULES)
    qed = of_rdkit(QED.qed, MOLECULES)
    similar = worth.properties[:, 1]
    assert similar[4] == 1 and 0 < (similar >= 0.3).sum() < 6
    allowed = (similar >= 0.3) & (of_rdkit(Crippen.MolLogP, MOLECULES) <= 2)
    np.testing.assert_array_equal(worth.value, np.where(allowed, qed, -1))


def test_bounds_themselves_are_allowed() -> None:
    logp = Crippen.MolLogP(Chem.MolFromSmiles("CCO"))
    at_bounds = objective(constraints=[{"property": LOGP, "at_least": logp, "at_most": logp}])
    assert (Evaluator(at_bounds)(MOLECULES).value > 0).tolist() == [True] + [False] * 5


def test_predictions_are_those_of_the_model(ensemble: Path) -> None:
    told = hydrasurr.load(ensemble).predict(MOLECULES)
    goal = {"type": "range", "low": 5, "high": 6, "tolerance": 2, "caution": 1.5}
    evaluator = Evaluator(objective(terms=[gap(ensemble, goal=goal), QED_TERM]))
    assert evaluator.columns == [("gap", "eV"), ("qed", "")]
    worth = evaluator(MOLECULES)
    np.testing.assert_array_equal(worth.properties[:, 0], told["gap"])
    np.testing.assert_array_equal(worth.std, np.stack([told.std[:, 0], np.zeros(6)], 1))
    assert (told.std > 0).all()
    below, above = told["gap"] - 1.5 * told.std[:, 0], told["gap"] + 1.5 * told.std[:, 0]
    outside = np.maximum(0, np.maximum(5 - below, above - 6))
    np.testing.assert_allclose(worth.value, (np.exp(-outside / 2) + of_rdkit(QED.qed, MOLECULES)) / 2)


def test_a_constraint_holds_only_if_it_is_likely_to(ensemble: Path) -> None:
    """For a molecule whose prediction is a little above the bound."""
    told = hydrasurr.load(ensemble).predict(MOLECULES)
    bound = told["gap"][0] - 0.5 * told.std[0, 0]
    for caution, value in ((0, True), (0.4, True), (0.6, False), (1, False)):
        constraint = gap(ensemble, at_least=bound, caution=caution)
        assert (Evaluator(objective(constraints=[constraint]))(MOLECULES).value[0] > 0) == value


def test_one_model_is_loaded_and_asked_once(ensemble: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hydrasurr.surrogate.predictor import Surrogate

    loaded, start = [], Surrogate.__init__
    monkeypatch.setattr(Surrogate, "__init__", lambda self, *given: loaded.append(self) or start(self, *given))
    asked, predict = [], Surrogate.predict
    monkeypatch.setattr(Surrogate, "predict", lambda self, smiles: asked.append(self) or predict(self, smiles))
    narrow = {"type": "range", "low": 5, "high": 5, "tolerance": 1}
    config = objective(terms=[gap(ensemble), gap(ensemble, goal=narrow)], constraints=[gap(ensemble, at_least=0)])
    worth = Evaluator(config)(MOLECULES)
    assert len(loaded) == len(asked) == 1
    np.testing.assert_array_equal(worth.properties[:, 0], worth.properties[:, 2])


def test_together_is_as_one_by_one(ensemble: Path) -> None:
    """Bit by bit where RDKit computes; a network's sums depend on their order in the last bits."""
    evaluator = Evaluator(objective(terms=[gap(ensemble), *({"property": {"type": t}} for t in ("qed", "sa", "logp"))]))
    together = evaluator(MOLECULES)
    for k, text in enumerate(MOLECULES):
        alone = evaluator([text])
        np.testing.assert_array_equal(alone.properties[0, 1:], together.properties[k, 1:])
        np.testing.assert_allclose(alone.properties[0, 0], together.properties[k, 0], rtol=1e-5)
        np.testing.assert_allclose(alone.value[0], together.value[k], rtol=1e-5)


def test_what_is_no_molecule_is_worth_otherwise(ensemble: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bad = ["nonsense", "", "CCO", "C(C)(C)(C)(C)C", "C\ud800", "[CH255]"]
    terms = [{"property": {"type": t}} for t in ("qed", "sa", "logp", "penalised_logp")]
    for combine in ("mean", "geometric_mean"):
        worth = Evaluator(objective(terms=[*terms, gap(ensemble)], combine=combine, otherwise=-7))(bad)
        assert np.isnan(worth.properties[[0, 1, 3, 4, 5]]).all() and np.isfinite(worth.properties[2]).all()
        assert worth.value[[0, 1, 3, 4, 5]].tolist() == [-7] * 5 and worth.value[2] > -7
    assert capfd.readouterr().err == ""


def test_of_no_molecules(ensemble: Path) -> None:
    worth = Evaluator(objective(terms=[gap(ensemble), QED_TERM], constraints=[{"property": LOGP, "at_most": 2}]))([])
    assert worth.value.shape == (0,) and worth.properties.shape == worth.std.shape == (0, 3)


def test_a_config_is_data(ensemble: Path) -> None:
    """It can be sent, compared and written, also after its use."""
    config = objective(
        terms=[gap(ensemble)], constraints=[{"property": {"type": "similarity", "to": "C"}, "at_most": 1}]
    )
    Evaluator(config)(MOLECULES)
    assert pickle.loads(pickle.dumps(config)) == config == ObjectiveConfig.model_validate_json(config.model_dump_json())


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"terms": [{"property": {"type": "qedd"}}]}, r"terms.0.property: no 'type' 'qedd'; did you mean 'qed'\?"),
        ({"terms": [{"property": {}}]}, "terms.0.property: needs a key 'type'"),
        ({"terms": [{}]}, "terms.0.property: this key is required"),
        ({"terms": []}, "terms: give at least one term"),
        ({"terms": [{**QED_TERM, "weight": 0}]}, "terms.0.weight: .* greater than 0"),
        ({"terms": [{**QED_TERM, "goal": {"type": "range", "low": 1}}]}, "terms.0.goal.high: this key is required"),
        ({"terms": [{**QED_TERM, "wieght": 1}]}, r"wieght: unknown key; did you mean 'weight'\?"),
        (
            {"terms": [{"property": {"type": "similarity", "too": "C"}}]},
            r"terms.0.property.to: this key is required(.|\n)*terms.0.property.too: unknown key; did you mean 'to'\?",
        ),
        ({"constraints": [{"property": LOGP}]}, "constraints.0: give at_least, at_most or both"),
        ({"constraints": [{"property": LOGP, "at_least": 2, "at_most": 1}]}, "at_least 2 is above at_most 1"),
        ({"constraints": [{"property": {"type": "similarity", "to": "x"}, "at_least": 1}]}, "reads no molecule there"),
    ],
)
def test_wrong_objectives_are_explained(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"'run.json' is not valid:(.|\n)*{message}"):
        objective(**sections)


def test_wrong_models_are_explained(single: Path, force_field: Path, tmp_path: Path) -> None:
    def load(path: Path, **more: Any) -> None:
        Evaluator(objective(terms=[{"property": {"type": "surrogate", "model": str(path), "target": "gap", **more}}]))

    with pytest.raises(HydrasurrError, match="no model file '.*nowhere'"):
        load(tmp_path / "nowhere")
    with pytest.raises(HydrasurrError, match="no trained model in"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="predicts no 'gab'; did you mean 'gap'"):
        load(single, target="gab")
    with pytest.raises(ConfigError, match="'.*field.safetensors' is a force field; a reward needs"):
        load(force_field)
    with pytest.raises(HydrasurrError, match="cannot use the device 'abacus'"):
        load(single, device="abacus")
