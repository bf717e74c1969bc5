"""A network against the labels of a split."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from hydrasurr.loading import Share, evaluation_batches
from hydrasurr.stores.base import Split
from hydrasurr.training.metrics import MetricSums
from hydrasurr.training.tasks import Comparison, Task
from hydrasurr.training.tasks.base import Batch

Visitor = Callable[[Batch, list[Comparison]], None]


@torch.no_grad()
def evaluate(
    network: nn.Module, task: Task, split: Split, share: Share, batch_size: int, visit: Visitor | None = None
) -> MetricSums:
    """Metric sums over the whole split, added up over the ranks of `share`.

    `visit`, if given, is called with each batch of this rank and its predictions beside the labels, in physical units.
    """
    network.eval()
    device = next(network.parameters()).device
    sums = task.sums()
    batches = evaluation_batches(
        split, task.columns, batch_size, share, prepare=task.prepare, collate=task.collate
    )
    for batch in batches:
        batch = batch.to(device, non_blocking=True)
        compared = task.physical(network, task.predict(network, batch), batch)
        sums.add(compared)
        if visit is not None:
            visit(batch, compared)
    return sums.reduce()
