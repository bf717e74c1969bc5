"""Training that goes on from an earlier model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hydrasurr.errors import ConfigError
from hydrasurr.graphs.structures import to_systems
from hydrasurr.models.package import load_package, save_package
from hydrasurr.shipped import find
from hydrasurr.surrogate import load
from hydrasurr.training.config import RunConfig
from hydrasurr.training.folder import RunFolder
from hydrasurr.training.run import run
from preprocessing.card import SplitRule, read_card
from preprocessing.pipeline import preprocess
from tests.clusters import clusters, write
from tests.models.force_field.conftest import make
from tests.runs import run_config

Train = Callable[..., RunFolder]
STILL = {"optimizer": {"lr": 1e-12, "weight_decay": 0}, "schedule": {"type": "constant"}, "epochs": 1}


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The molecules of `dataset` and as many more."""
    card = read_card(find("datasets", "qm9_gap_5k"))
    card = card.model_copy(update={"split": SplitRule(fractions=(0.8, 0.1, 0.1))})
    path = tmp_path_factory.mktemp("data") / "larger.bp"
    preprocess(card, path, workers=1, limit=800, show=False)
    return path


def go_on(folder: Path, out: Path, dataset: Path, resume: bool = False, **sections: object) -> RunFolder:
    training = {"start_from": str(folder), **sections.pop("training", {})}
    config = run_config(dataset, training=training, **sections)
    run(RunConfig.model_validate(config), RunFolder(out), resume=resume)
    return RunFolder(out)


def predictions(folder: RunFolder, smiles: list[str]) -> np.ndarray:
    """Of each member, `[members, molecules]`."""
    networks = load_package(folder.surrogate).networks
    files = [folder.path / f"member-{k}.safetensors" for k in range(len(networks))]
    for file, network in zip(files, networks):
        save_package(file, [network], {})
    return np.stack([load(file).predict(smiles).values[:, 0] for file in files])


def test_before_the_first_step_each_member_is_the_earlier_one(
    train: Train, tmp_path: Path, larger: Path, real_smiles: list[str]
) -> None:
    """On other data, whose targets and degrees have other statistics; without batch statistics, which would move."""
    model = {"norm": "layer", "uncertainty": "gaussian"}
    earlier = train("earlier", model=model, members=2)
    later = go_on(earlier.path, tmp_path / "later", larger, model=model, members=2, training=STILL)
    before, after = (predictions(folder, real_smiles[:50]) for folder in (earlier, later))
    np.testing.assert_allclose(after, before, atol=1e-5)
    assert np.abs(before[0] - before[1]).max() > 0.01
    old, new = (load_package(folder.surrogate).networks[1] for folder in (earlier, later))
    assert torch.equal(old.mean, new.mean) and torch.equal(old.std, new.std)
    assert torch.equal(old.degree_histogram, new.degree_histogram)
    statistics = json.loads(later.dataset.read_text())["statistics"][0]
    assert statistics["mean"] != pytest.approx(float(old.mean[0]), abs=1e-4)


def test_an_exported_file_will_do_and_fp32_goes_on_in_fp64(train: Train, tmp_path: Path, dataset: Path) -> None:
    earlier = train("earlier", model={"norm": "layer"})
    load(earlier.path).save(tmp_path / "file.safetensors")
    training = {**STILL, "precision": "fp64"}
    later = go_on(tmp_path / "file.safetensors", tmp_path / "l", dataset, model={"norm": "layer"}, training=training)
    np.testing.assert_allclose(predictions(later, ["CCO"]), predictions(earlier, ["CCO"]), atol=1e-5)
    assert load_package(later.surrogate).networks[0].dtype == torch.float64


def test_going_on_beats_beginning_anew_and_the_earlier_model(train: Train, tmp_path: Path, larger: Path) -> None:
    """On the test split of the larger data, with the same epochs."""
    training = {"epochs": 3, "optimizer": {"lr": 0.003}}
    earlier = train("earlier", training={"epochs": 6, "optimizer": {"lr": 0.01}})
    later = go_on(earlier.path, tmp_path / "later", larger, training=training)
    anew = RunFolder(tmp_path / "anew")
    run(RunConfig.model_validate(run_config(larger, training=training)), anew)
    still = go_on(earlier.path, tmp_path / "still", larger, training=STILL)
    mae = {f.path.name: json.loads(f.results.read_text())["test"]["gap"]["mae"] for f in (later, anew, still)}
    assert mae["later"] < 0.9 * mae["anew"], mae
    assert mae["later"] < 0.95 * mae["still"], mae


def test_a_stopped_run_resumes_from_its_own_weights(train: Train, tmp_path: Path, dataset: Path) -> None:
    earlier = train("earlier")
    whole = go_on(earlier.path, tmp_path / "whole", dataset, training={"epochs": 3})
    stopped = tmp_path / "stopped"
    config = run_config(dataset, training={"epochs": 3, "start_from": str(earlier.path)})
    assert run(RunConfig.model_validate(config), RunFolder(stopped), time_limit=0.0) == {}
    resumed = go_on(earlier.path, stopped, dataset, resume=True, training={"epochs": 3})
    np.testing.assert_array_equal(predictions(resumed, ["CCO", "CN"]), predictions(whole, ["CCO", "CN"]))


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"model": {"hidden": 13}}, "model.hidden is 12 there and 13 here"),
        ({"model": {"conv": "GIN", "layers": 3}}, "model.layers is 2 there and 3 here"),
        ({"model": {"uncertainty": "gaussian"}}, "model.uncertainty is none there and gaussian here"),
        ({"members": 2}, "it has 1 members, the run 2: each starts from its counterpart"),
    ],
)
def test_other_architectures_are_told(
    train: Train, tmp_path: Path, dataset: Path, sections: dict, message: str
) -> None:
    earlier = train("earlier", training={"epochs": 1})
    with pytest.raises(ConfigError, match=message):
        go_on(earlier.path, tmp_path / "later", dataset, **sections)
    assert not (tmp_path / "later").exists()


def test_other_data_and_other_kinds_are_told(train: Train, tmp_path: Path, dataset: Path) -> None:
    earlier = train("earlier", training={"epochs": 1})
    card = read_card(find("datasets", "qm9_gap_5k"))
    target = card.targets[0].model_copy(update={"name": "energy", "unit": "Ha"})
    card = card.model_copy(update={"explicit_hydrogens": False, "targets": (target,)})
    preprocess(card, tmp_path / "other.bp", workers=1, limit=40, show=False)
    with pytest.raises(ConfigError) as error:
        go_on(earlier.path, tmp_path / "later", tmp_path / "other.bp")
    assert "the data have another feature schema" in str(error.value)
    assert r"its targets are gap (eV), those of the run energy (Ha)" in str(error.value)
    save_package(tmp_path / "field.safetensors", [make("schnet")], {})
    with pytest.raises(ConfigError, match="only one of them is a force field"):
        go_on(tmp_path / "field.safetensors", tmp_path / "later", dataset)
    with pytest.raises(ConfigError, match=r"training.start_from: no model file '.*nothing'"):
        go_on(tmp_path / "nothing", tmp_path / "later", dataset)
    exact = train("exact", training={"epochs": 1, "precision": "fp64"})
    with pytest.raises(ConfigError, match="its weights are fp64, training.precision is fp32"):
        go_on(exact.path, tmp_path / "later", dataset)


def test_a_force_field_goes_on(tmp_path: Path) -> None:
    """Its energies and forces before the first step are those of the earlier one, on data with other statistics."""
    model = {"type": "force_field", "representation": "schnet", "cutoff": 4.5, "width": 8, "layers": 1}
    paths = [write(tmp_path / f"{k}.bp", {"train": clusters(12, k), "val": clusters(4, 9)}) for k in (0, 1)]

    def trained(out: str, dataset: Path, **training: object) -> RunFolder:
        raw = run_config(dataset, training={"batch_size": 4, **training}) | {"model": model}
        run(RunConfig.model_validate(raw), RunFolder(tmp_path / out))
        return RunFolder(tmp_path / out)

    earlier = trained("earlier", paths[0], optimizer={"lr": 0.01})
    later = trained("later", paths[1], start_from=str(earlier.path), **STILL)
    systems = to_systems(clusters(3, 5))
    old, new = (load(folder.path).evaluate(systems) for folder in (earlier, later))
    np.testing.assert_allclose(new.energy, old.energy, atol=1e-5)
    np.testing.assert_allclose(new.forces, old.forces, atol=1e-5)
    model["width"] = 10
    with pytest.raises(ConfigError, match="model.width is 8 there and 10 here"):
        trained("other", paths[1], start_from=str(earlier.path))
