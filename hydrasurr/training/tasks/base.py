"""The protocol of all tasks: what the training loop asks of that which is learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from hydrasurr.graphs.schema import Target
from hydrasurr.graphs.table import GraphTable
from hydrasurr.loading import AtomsBatch, GraphBatch
from hydrasurr.stores.info import DatasetInfo
from hydrasurr.training.losses import Loss
from hydrasurr.training.metrics import Metrics, MetricSums

Batch = GraphBatch | AtomsBatch


@dataclass(frozen=True)
class Comparison:
    """Predictions of `k` consecutive targets beside their labels.

    Attributes
    ----------
    values, labels : `[n, k]`; a label is NaN where it is missing
    uncertainty : `[n, k]`, of each value its standard deviation (log variance where values are standardised), or None
    """

    values: Tensor
    labels: Tensor
    uncertainty: Tensor | None = None


class Task(Protocol):
    """A kind of labels with the networks that predict them.

    A network's output, the `prediction`, is the business of its task alone.

    Attributes
    ----------
    targets : the columns of `physical`, of which metrics are told
    columns : the columns of a data set that are needed
    """

    targets: tuple[Target, ...]
    columns: list[str]

    def prepare(self, table: GraphTable) -> GraphTable:
        """Graphs as they were read, completed each by itself."""
        ...

    def collate(self, table: GraphTable) -> Batch:
        """A few prepared graphs as a batch on the CPU."""
        ...

    def build(self, model: Any, info: DatasetInfo) -> nn.Module:
        """An untrained network, with weights from torch's generator; `model` is the `model` section of the run."""
        ...

    def combine(self, networks: Sequence[nn.Module]) -> nn.Module:
        """Networks as one, an ensemble; one network is an ensemble of one."""
        ...

    def predict(self, network: nn.Module, batch: Batch) -> Any:
        """Call a network, or what stands for it (an ensemble, one wrapped for several ranks)."""
        ...

    def standardised(self, network: nn.Module, prediction: Any, batch: Batch) -> list[Comparison]:
        """What the loss sees."""
        ...

    def physical(self, network: nn.Module, prediction: Any, batch: Batch) -> list[Comparison]:
        """What people see: float64 in the units of `targets`."""
        ...

    def loss(self, kind: str) -> Loss:
        """The loss of `standardised` comparisons; `kind` is `training.loss` of the run."""
        ...

    def sums(self) -> MetricSums:
        """Empty sums for `physical` comparisons."""
        ...

    def score(self, metrics: Metrics, kind: str) -> float:
        """One number to choose the best epoch by, in units of the loss; lower is better, infinite without labels."""
        ...
