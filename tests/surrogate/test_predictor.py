"""The trained model as a colleague, a thread or another code uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import hydrasurr
from hydrasurr.errors import HydrasurrError, SchemaError
from hydrasurr.graphs import molecule_schema
from hydrasurr.graphs.smiles import featurize
from hydrasurr.stores import open_store
from hydrasurr.training.config import RunConfig
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.run import run
from tests.runs import ROOT, environment, run_config

MOLECULES = ["CCO", "c1ccccc1", "CC(=O)N", "C1CC1C#N", "O", "C[C@H](N)C(=O)O", "F/C=C/F"]


@pytest.fixture(scope="module")
def run_dir(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "run")
    run(RunConfig.model_validate(run_config(dataset, training={"epochs": 1})), folder)
    return folder.path


def test_order_and_reasons_are_kept(run_dir: Path) -> None:
    surrogate = hydrasurr.load(run_dir)
    mixed = ["nonsense", "CCO", "", "C(C)(C)(C)(C)C", "c1ccccc1", "CCO"]
    result = surrogate.predict(mixed)
    assert [bool(reason) for reason in result.reasons] == [True, False, True, True, False, False]
    assert result.reasons[2] == "empty SMILES"
    assert "valence" in result.reasons[3]
    assert np.isnan(result["gap"]).tolist() == [True, False, True, True, False, False]
    assert result["gap"][1] == pytest.approx(result["gap"][5], rel=1e-6)  # a product's rounding depends on the row
    assert result.units == {"gap": "eV"}
    assert result.std is None
    with pytest.raises(KeyError, match="this model predicts gap"):
        result["homo"]


def test_the_result_does_not_depend_on_the_company(run_dir: Path) -> None:
    surrogate = hydrasurr.load(run_dir)
    alone = np.array([surrogate.predict(smiles).values[0] for smiles in MOLECULES])
    together = surrogate.predict(MOLECULES).values
    surrogate.batch_size = 2
    in_pairs = surrogate.predict(MOLECULES).values
    np.testing.assert_allclose(alone, together, rtol=1e-5)
    np.testing.assert_allclose(in_pairs, together, rtol=1e-5)


def test_one_molecule_equals_one_of_many(run_dir: Path) -> None:
    """Few molecules take another way through the network than many."""
    surrogate = hydrasurr.load([run_dir, run_dir])
    many = surrogate.predict(MOLECULES * 12)
    for place, smiles in enumerate(MOLECULES):
        alone = surrogate.predict(smiles)
        np.testing.assert_allclose(alone.values[0], many.values[place], rtol=1e-5)
        np.testing.assert_allclose(alone.std[0], many.std[place], atol=1e-9)


def test_empty_requests(run_dir: Path) -> None:
    surrogate = hydrasurr.load(run_dir)
    assert surrogate.predict([]).values.shape == (0, 1)
    assert surrogate.predict(["x"]).values.shape == (1, 1)
    assert surrogate.predict_table(featurize([]).table).values.shape == (0, 1)


def test_a_table_gives_the_same_as_smiles(run_dir: Path) -> None:
    surrogate = hydrasurr.load(run_dir)
    table = featurize(MOLECULES).table
    np.testing.assert_array_equal(surrogate.predict_table(table).values, surrogate.predict(MOLECULES).values)
    with pytest.raises(HydrasurrError, match="no node-level targets"):
        surrogate.predict_nodes(table)


def test_predictions_are_those_of_the_evaluation(run_dir: Path, dataset: Path, tmp_path: Path) -> None:
    """The CSV of `evaluate --out` against predictions and labels taken separately."""
    import csv

    from hydrasurr.surrogate.assess import assess

    results, _ = assess(run_dir, dataset, "test", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    table = open_store(dataset)["test"].read(0, 40)
    assert [row["smiles"] for row in rows] == table.smiles()
    assert [int(row["row"]) for row in rows] == table.columns["row"].tolist()
    np.testing.assert_allclose([float(row["gap"]) for row in rows], table.y[:, 0], rtol=1e-7)
    predicted = hydrasurr.load(run_dir).predict(table.smiles())["gap"]
    np.testing.assert_allclose([float(row["gap_predicted"]) for row in rows], predicted, rtol=1e-4)
    assert results["test"]["gap"]["mae"] == pytest.approx(np.abs(predicted - table.y[:, 0]).mean(), rel=1e-5)


def test_many_threads_get_the_right_answers(run_dir: Path) -> None:
    surrogate = hydrasurr.load(run_dir)
    expected = {smiles: surrogate.predict(smiles).values[0, 0] for smiles in MOLECULES}
    asked = MOLECULES * 30
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda smiles: surrogate.predict(smiles).values[0, 0], asked))
    np.testing.assert_allclose(answers, [expected[smiles] for smiles in asked], rtol=1e-6)


def test_an_exported_file_is_the_model(run_dir: Path, tmp_path: Path) -> None:
    surrogate = hydrasurr.load(run_dir)
    surrogate.save(tmp_path / "mailed.safetensors")
    mailed = hydrasurr.load(tmp_path / "mailed.safetensors")
    np.testing.assert_array_equal(mailed.predict(MOLECULES).values, surrogate.predict(MOLECULES).values)
    assert mailed.schema == surrogate.schema
    assert mailed.notes["dataset"] == "qm9_gap_5k"


def test_several_models_are_an_ensemble(run_dir: Path, tmp_path: Path) -> None:
    twins = hydrasurr.load([run_dir, run_dir])
    result = twins.predict([*MOLECULES, "nonsense"])
    np.testing.assert_allclose(result.values[:-1], hydrasurr.load(run_dir).predict(MOLECULES).values, rtol=1e-12)
    np.testing.assert_allclose(result.std[:-1], 0, atol=1e-12)
    assert np.isnan(result.std[-1, 0])
    twins.save(tmp_path / "twins.safetensors")
    again = hydrasurr.load(tmp_path / "twins.safetensors").predict(MOLECULES)
    np.testing.assert_array_equal(again.values, result.values[:-1])


def test_models_of_different_schemas_are_no_ensemble(run_dir: Path, tmp_path: Path) -> None:
    from hydrasurr.models.package import load_package, save_package

    [network], notes = load_package(run_dir / "surrogate.safetensors")
    network.schema = molecule_schema(explicit_hydrogens=False)
    save_package(tmp_path / "other.safetensors", [network], notes)
    with pytest.raises(SchemaError, match="explicit_hydrogens"):
        hydrasurr.load([run_dir, tmp_path / "other.safetensors"])


def test_what_is_no_model(run_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(HydrasurrError, match="no model file"):
        hydrasurr.load(tmp_path / "none.safetensors")
    with pytest.raises(HydrasurrError, match="no trained model in"):
        hydrasurr.load(tmp_path)
    whole = (run_dir / "surrogate.safetensors").read_bytes()
    for name, content in (("text", b"hello"), ("empty", b""), ("cut", whole[: len(whole) // 2])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(HydrasurrError, match=f"'.*{name}' is not a model file"):
            hydrasurr.load(tmp_path / name)
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(HydrasurrError, match="not one written by hydrasurr"):
        hydrasurr.load(tmp_path / "foreign.safetensors")
    header = {"version": 99}
    save_file({"a": torch.zeros(1)}, tmp_path / "newer.safetensors", metadata={"hydrasurr": json.dumps(header)})
    with pytest.raises(HydrasurrError, match="newer hydrasurr"):
        hydrasurr.load(tmp_path / "newer.safetensors")


def test_headers_that_lie_are_refused(run_dir: Path, tmp_path: Path) -> None:
    """A header whose model does not fit the tensors, or lacks parts, is an error, not a crash."""
    from safetensors import safe_open

    with safe_open(run_dir / "surrogate.safetensors", "pt") as file:
        header = json.loads(file.metadata()["hydrasurr"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    wrong = [
        {**header, "model": {**header["model"], "hidden": 13}},
        {**header, "model": {**header["model"], "surprise": 1}},
        {**header, "members": 2},
        {k: v for k, v in header.items() if k != "targets"},
        {**header, "feature_schema": "nothing"},
    ]
    for number, content in enumerate(wrong):
        path = tmp_path / f"{number}.safetensors"
        save_file(tensors, path, metadata={"hydrasurr": json.dumps(content)})
        with pytest.raises(HydrasurrError):
            hydrasurr.load(path)


def test_importing_is_light_and_a_query_needs_no_process_group(run_dir: Path, tmp_path: Path) -> None:
    """`import hydrasurr` loads neither torch nor RDKit; a query loads neither ADIOS2 nor MPI, from any folder."""
    code = (
        "import sys, hydrasurr\n"
        "assert not {'torch', 'rdkit', 'numpy'} & set(sys.modules), 'heavy import'\n"
        f"result = hydrasurr.load({str(run_dir)!r}).predict('CCO')\n"
        "assert result.values.shape == (1, 1)\n"
        "import torch.distributed as dist\n"
        "assert not dist.is_initialized()\n"
        "assert not {'adios2', 'mpi4py', 'matplotlib', 'preprocessing'} & set(sys.modules), 'needless import'\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), check=True, timeout=120)
    assert (ROOT / "hydrasurr").is_dir()
