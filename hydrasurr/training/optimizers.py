"""The optimizer and the learning rate of a run."""

from __future__ import annotations

import math

import torch
from torch import nn

from hydrasurr.training.config import OptimizerConfig, ScheduleConfig
from hydrasurr.training.large_batch import LAMB, LARS


def build_optimizer(network: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimizer over all parameters of `network`; only matrices decay."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    match config.type:
        case "AdamW":
            return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=True)
        case "Adam":
            return torch.optim.Adam(groups, lr=config.lr, betas=config.betas, fused=True)
        case "SGD":
            return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, fused=True)
        case "LAMB":
            return LAMB(groups, lr=config.lr, betas=config.betas)
        case "LARS":
            return LARS(groups, lr=config.lr, momentum=config.momentum)


class Schedule:
    """The learning rate as a function of the step, times what the plateau rule has taken off.

    `lr = peak * warmup(step) * shape(step) * reduction`; all but `reduction` follow from the step alone, so
    little has to be saved.
    """

    def __init__(self, config: ScheduleConfig, peak: float, total_steps: int):
        self.config, self.peak, self.total_steps = config, peak, max(total_steps, 1)
        self.reduction, self._best, self._bad = 1.0, math.inf, 0

    def lr(self, step: int) -> float:
        """Learning rate of step number `step`, counted from 0."""
        config = self.config
        warmup_steps = math.floor(config.warmup * self.total_steps)
        if step < warmup_steps:
            part = (step + 1) / (warmup_steps + 1)
            return self.peak * (_cosine(1 / 25, 1.0, part) if config.type == "one_cycle" else part)
        part = min(1.0, (step - warmup_steps) / max(1, self.total_steps - 1 - warmup_steps))
        shape = _cosine(1.0, config.final, part) if config.type in ("cosine", "one_cycle") else 1.0
        return self.peak * shape * self.reduction

    def evaluated(self, loss: float) -> None:
        """Tell the plateau rule a validation loss."""
        if self.config.type != "plateau":
            return
        if loss < self._best:
            self._best, self._bad = loss, 0
            return
        self._bad += 1
        if self._bad > self.config.patience:
            self.reduction = max(self.reduction * self.config.factor, self.config.final)
            self._bad = 0

    def state_dict(self) -> dict[str, float]:
        return {"reduction": self.reduction, "best": self._best, "bad": self._bad}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.reduction, self._best, self._bad = state["reduction"], state["best"], int(state["bad"])


def _cosine(start: float, end: float, part: float) -> float:
    """From `start` at 0 to `end` at 1 along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2
