"""Evaluates molecules: all properties that an objective asks for, each once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from rdkit import Chem, rdBase

from hydrasurr.errors import ConfigError, did_you_mean
from hydrasurr.rl.rewards.history import Worth
from hydrasurr.rl.rewards.objective import ObjectiveConfig
from hydrasurr.rl.rewards.properties import Computed, Predicted, Property

if TYPE_CHECKING:
    from hydrasurr.surrogate.predictor import Surrogate


class Column(NamedTuple):
    """A property in a table."""

    name: str
    unit: str


class Evaluator:
    """An objective with its models, each loaded once.

    Raises HydrasurrError if a model cannot be loaded, ConfigError if one is of the wrong kind or lacks a target.

    Attributes
    ----------
    columns : names and units of the columns of `Worth.properties`
    """

    def __init__(self, config: ObjectiveConfig):
        self.config = config
        self._asked: list[Property] = [part.property for part in (*config.terms, *config.constraints)]
        self._different = list(dict.fromkeys(self._asked))
        self._models: dict[tuple[Path, str], Surrogate] = {}
        for one in self._different:
            if isinstance(one, Predicted):
                source = (one.model, one.device)
                if source not in self._models:
                    self._models[source] = _load(*source)
                _require_target(self._models[source], one)
        self.columns = [Column(one.name, self._unit(one)) for one in self._asked]

    def __call__(self, smiles: list[str]) -> Worth:
        """What molecules are worth, by their SMILES. Text that is no molecule has no properties: no error."""
        found = self._properties(smiles)
        values, stds = (
            np.stack([found[one][k] for one in self._asked], 1).astype(np.float64, copy=False) for k in (0, 1)
        )
        return Worth(self.config.worth(values, stds), values, stds)

    def _properties(self, smiles: list[str]) -> dict[Property, tuple[np.ndarray, np.ndarray]]:
        """Values and standard deviations, `[n]` each; NaN where there is none."""
        certain = np.zeros(len(smiles))
        computed = [one for one in self._different if isinstance(one, Computed)]
        mols = _parse(smiles) if computed else []
        found = {one: (np.array([np.nan if mol is None else one.of(mol) for mol in mols]), certain) for one in computed}
        predictions = {source: model.predict(smiles) for source, model in self._models.items()}
        for one in self._different:
            if isinstance(one, Predicted):
                told = predictions[one.model, one.device]
                column = [target.name for target in told.targets].index(one.target)
                found[one] = told.values[:, column], certain if told.std is None else told.std[:, column]
        return found

    def _unit(self, one: Property) -> str:
        if not isinstance(one, Predicted):
            return ""
        return next(t.unit for t in self._models[one.model, one.device].targets if t.name == one.target)


def _parse(smiles: list[str]) -> list[Chem.Mol | None]:
    """Molecules; None for text that is none."""
    with rdBase.BlockLogs():
        return [_molecule(text) for text in smiles]


def _molecule(text: str) -> Chem.Mol | None:
    try:
        mol = Chem.MolFromSmiles(text)
    except (UnicodeError, RuntimeError):  # text that is not UTF-8; an invariant violated within RDKit
        return None
    return mol if mol is not None and mol.GetNumAtoms() else None


def _load(path: Path, device: str) -> Surrogate:
    from hydrasurr.surrogate.predictor import Surrogate, load

    loaded = load(path, device)
    if not isinstance(loaded, Surrogate):
        raise ConfigError(f"'{path}' is a force field; a reward needs a model of properties of molecules")
    return loaded


def _require_target(model: Surrogate, asked: Predicted) -> None:
    names = [target.name for target in model.targets]
    if asked.target not in names:
        raise ConfigError(f"'{asked.model}' predicts no '{asked.target}'{did_you_mean(asked.target, names)}")
