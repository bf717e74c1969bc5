"""A network against the labels of a split."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hydrasurr.loading import GraphBatch, Share, evaluation_batches
from hydrasurr.models.network import GraphNetwork, Physical
from hydrasurr.stores.base import Split
from hydrasurr.training.metrics import MetricSums
from hydrasurr.training.task import Task

Visitor = Callable[[GraphBatch, Physical, Tensor | None, Tensor | None], None]


@torch.no_grad()
def evaluate(
    network: GraphNetwork, task: Task, split: Split, share: Share, batch_size: int, visit: Visitor | None = None
) -> MetricSums:
    """Metric sums over the whole split, added up over the ranks of `share`.

    `visit`, if given, is called with each batch of this rank, its predictions and its labels.
    """
    network.eval()
    device = next(network.parameters()).device
    sums = MetricSums(task.targets, task.mean)
    for batch in evaluation_batches(split, task.columns, batch_size, share):
        batch = batch.to(device, non_blocking=True)
        predicted, labels = network.physical(network(batch)), task.labels(batch)
        sums.add(predicted, *labels)
        if visit is not None:
            visit(batch, predicted, *labels)
    return sums.reduce()
