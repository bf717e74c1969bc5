"""The reward service with many molecules at a time and with one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.measure import Timing, interleaved
from benchmarks.molecules import Setting
from benchmarks.result import Bar, Result
from benchmarks.rl.drugs import drugs
from benchmarks.rl.rows import add_rates
from hydrasurr.graphs import Target, molecule_schema
from hydrasurr.models import small_batch
from hydrasurr.models.config import ModelConfig
from hydrasurr.models.network import GraphNetwork
from hydrasurr.models.package import save_package
from hydrasurr.rl.environment.molecules import Molecules
from hydrasurr.rl.environment.smiles import from_smiles, to_smiles
from hydrasurr.rl.rewards.objective import ObjectiveConfig
from hydrasurr.rl.rewards.properties import Predicted
from hydrasurr.rl.rewards.service import RewardService

BATCH = 64
SIZES = range(15, 39)
"""Heavy atoms."""
MODEL = ModelConfig(hidden=55, layers=4, pooling=("mean", "add"))
"""Of the run configuration qm9_gap_5k."""
DEGREES = (0, 48, 8, 16, 28)
"""Atoms by their bonds, out of a hundred, hydrogens among them."""
QED = {"property": {"type": "qed"}}
MANY, ONE, PLAIN = f"{BATCH} at a time", "one by one", "one by one, network as for many"


def batches(result: Result, setting: Setting) -> None:
    """Each molecule is asked for once, so nothing is known already."""
    molecules = from_smiles(drugs(setting.size(4 * BATCH, 4), SIZES), SIZES[-1])
    objectives = {"gap": [_gap(setting, 1)], "QED": [QED]}
    if not setting.minimal:
        objectives |= {"gap of three networks": [_gap(setting, 3)], "gap and QED": [_gap(setting, 1), QED]}
    told = []
    for name, terms in objectives.items():
        config = ObjectiveConfig.model_validate({"terms": terms})
        asked, whole = (_measure(setting, config, given) for given in (to_smiles(molecules), molecules))
        add_rates(result, f"reward service, {name}, SMILES", asked, "molecules")
        add_rates(result, f"reward service, {name}, molecules", whole, "molecules")
        by_smiles, by_arrays = (timing[MANY].over(timing[ONE], "cpu") for timing in (asked, whole))
        told.append(f"{name} {by_smiles:.2f}x ({by_arrays:.2f}x)")
        if name == "gap":
            ratios = {by: asked[MANY].over(asked[by], "cpu") for by in (ONE, PLAIN)}
            result.bars += [Bar(f"reward service, {name}: {MANY} / {by}", ratio, 4) for by, ratio in ratios.items()]
    result.notes += [
        f"reward service, {MANY} / {ONE}, asked by canonical SMILES (in brackets by arrays: SMILES are written first): "
        f"{', '.join(told)}",
        f"reward service: the surrogate has {MODEL.layers} PNA layers of width {MODEL.hidden}. One molecule at a time "
        f"it predicts with NumPy, its way of small batches; '{PLAIN}' is without that. What RDKit does, and that is "
        "all of QED, is done molecule by molecule anyway",
    ]


def _gap(setting: Setting, members: int) -> dict[str, Any]:
    """A term with networks as initialised: weights do not matter to speed."""
    path = setting.cache / f"gap_{members}.safetensors"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        save_package(path, [_network(seed) for seed in range(members)], {})
    return {"property": {"type": "surrogate", "model": str(path), "target": "gap"}}


def _network(seed: int) -> GraphNetwork:
    torch.manual_seed(seed)
    return GraphNetwork(MODEL, molecule_schema(), [Target("gap", "eV")], [4.0], [1.0], DEGREES).eval()


def _measure(setting: Setting, config: ObjectiveConfig, asked: list[str] | Molecules) -> dict[str, Timing]:
    """The same questions to services that know nothing yet."""
    services: dict[str, RewardService] = {}

    def renew(by: str) -> None:
        services[by] = service = RewardService(config)
        service.ask(["C"])  # what is set up at the first question

    def case(by: str) -> int:
        size = BATCH if by == MANY else 1
        with patch.object(small_batch, "MAX_NODES", 0 if by == PLAIN else small_batch.MAX_NODES):
            for start in range(0, len(asked), size):
                part = asked[start : start + size]
                services[by](part) if isinstance(part, Molecules) else services[by].ask(part)
        return len(asked)

    predicted = any(isinstance(term.property, Predicted) for term in config.terms)
    ways = (ONE, PLAIN, MANY) if predicted else (ONE, MANY)
    cases: dict[str, Callable[[], int]] = {by: partial(case, by) for by in ways}
    return interleaved(cases, setting.repeats, before={by: partial(renew, by) for by in ways})
