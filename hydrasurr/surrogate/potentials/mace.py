"""Models of mace-torch as potentials (https://github.com/ACEsuit/mace); the extra `mace` installs it.

A `.model` file of MACE is a pickled module: loading it can run any code that its author put in. There is no safe way
to read one, so `MACE.load` asks for a word of trust.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hydrasurr.errors import HydrasurrError, did_you_mean, missing_extra
from hydrasurr.graphs.neighbours import Pairs
from hydrasurr.graphs.systems import Systems
from hydrasurr.models.force_field.network import require_elements
from hydrasurr.surrogate.potentials.contract import Evaluation, Potential

DTYPES = {"float32": torch.float32, "float64": torch.float64}
UNSAFE_LOADING = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


class MACE(Potential):
    """A MACE model that predicts energies; systems are evaluated together.

    Parameters
    ----------
    model : `mace.modules.MACE`, `ScaleShiftMACE` or alike; it is moved to the device and type asked for
    device : where to compute
    dtype : "float64" or "float32", of everything but the results
    head : of a model with several, the name of the one to use; None: its only one, or that called Default
    """

    def __init__(
        self, model: nn.Module, device: str | torch.device = "cpu", dtype: str = "float64", head: str | None = None
    ):
        if dtype not in DTYPES:
            raise HydrasurrError(f"no type '{dtype}' to compute in; known: {', '.join(DTYPES)}")
        self.model = model.to(device=device, dtype=DTYPES[dtype]).eval().requires_grad_(False)
        self.device, self.dtype = torch.device(device), DTYPES[dtype]
        self.cutoff = float(model.r_max)
        self.elements = tuple(int(number) for number in model.atomic_numbers)
        self._column = np.full(max(self.elements) + 1, -1)
        self._column[list(self.elements)] = np.arange(len(self.elements))
        self._head = _head(getattr(model, "heads", None) or ["Default"], head)

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str | torch.device = "cpu",
        dtype: str = "float64",
        head: str | None = None,
        trust_pickle: bool = False,
    ) -> MACE:
        """Load a `.model` file. It is a pickle: with `trust_pickle` you say that you know where it comes from.

        Raises HydrasurrError without that word, if mace-torch is not installed, or if the file holds something else.
        """
        if not trust_pickle:
            raise HydrasurrError(
                f"'{path}' is a pickle, which can run any code when it is loaded: only if you trust where it comes "
                "from, say so by trust_pickle=True (in JSON: \"trust_pickle\": true)"
            )
        if not Path(path).is_file():
            raise HydrasurrError(f"no model file '{path}'")
        with _mace_imported():
            try:
                model = torch.load(path, map_location=device, weights_only=False)
            except Exception as error:  # unpickling raises anything
                raise HydrasurrError(f"cannot load '{path}' as a model of mace-torch: {error}") from error
        if not isinstance(model, nn.Module) or not hasattr(model, "r_max") or not hasattr(model, "atomic_numbers"):
            raise HydrasurrError(f"'{path}' holds a {type(model).__name__}, not a model of mace-torch")
        return cls(model, device, dtype, head)

    def compute(self, systems: Systems, pairs: Pairs) -> Evaluation:
        """Raises StructureError for elements that the model was not trained on."""
        require_elements(systems.numbers, self.elements)
        data = {name: value.to(self.device) for name, value in self._inputs(systems, pairs).items()}
        with torch.enable_grad():
            result = self.model(data, compute_virials=True, compute_stress=False)
        energy, forces, virial = (
            result[name].detach().double().cpu().numpy() for name in ("energy", "forces", "virials")
        )
        return Evaluation(energy, forces, np.broadcast_to(virial, (len(systems), 3, 3)).copy())

    def _inputs(self, systems: Systems, pairs: Pairs) -> dict[str, torch.Tensor]:
        """What a MACE model is called with; its vectors go from sender to receiver, as those of pairs from i to j."""
        full = pairs.within(self.cutoff).both_directions()
        owner = systems.system_index
        shifts = np.einsum("es,esd->ed", full.shift, systems.cell[owner[full.i]])
        one_hot = np.eye(len(self.elements))[self._column[systems.numbers]]
        real = {"positions": systems.positions, "node_attrs": one_hot, "shifts": shifts, "unit_shifts": full.shift}
        whole = {"edge_index": np.stack([full.i, full.j]), "batch": owner, "ptr": systems.offset}
        return {
            **{name: torch.as_tensor(array).to(self.dtype) for name, array in real.items()},
            **{name: torch.as_tensor(array) for name, array in whole.items()},
            "cell": torch.as_tensor(systems.cell).reshape(-1, 3).to(self.dtype),
            "head": torch.full((len(systems),), self._head),
        }


def _head(heads: list[str], name: str | None) -> int:
    """The position of a head. Raises HydrasurrError if there is none of this name, or if one must be chosen."""
    if name is None and len(heads) > 1:
        name = next((head for head in heads if head.lower() == "default"), None)
        if name is None:
            raise HydrasurrError(f"this model has several heads; choose one of {', '.join(heads)}")
    if name is not None and name not in heads:
        raise HydrasurrError(f"the model has no head '{name}'{did_you_mean(name, heads)}")
    return 0 if name is None else heads.index(name)


@contextmanager
def _mace_imported() -> Iterator[Any]:
    """mace-torch switches safe loading off for the whole process when it is imported; here that ends with the block."""
    before = os.environ.get(UNSAFE_LOADING)
    try:
        import mace

        yield mace
    except ModuleNotFoundError as error:
        if error.name != "mace":
            raise
        raise missing_extra("mace-torch", "mace") from error
    finally:
        if before is None:
            os.environ.pop(UNSAFE_LOADING, None)
        else:
            os.environ[UNSAFE_LOADING] = before
