"""LAMB and LARS: optimizers whose step in each layer is scaled to the norm of its weights.

LAMB: You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes", arXiv:1904.00962.
LARS: You, Gitman, Ginsburg, "Large Batch Training of Convolutional Networks", arXiv:1708.03888.
Vectors (biases, norms) have the ratio 1, as usual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer


def _trust_ratio(weight: Tensor, step: Tensor) -> Tensor | float:
    """|w| / |step|, and 1 where either is zero or the parameter is a vector."""
    if weight.ndim < 2:
        return 1.0
    weight_norm, step_norm = weight.norm(), step.norm()
    both = (weight_norm > 0) & (step_norm > 0)
    return torch.where(both, weight_norm / step_norm, torch.ones_like(weight_norm))


class LAMB(Optimizer):
    """Adam's direction r with decoupled weight decay d: `w <- w - lr phi(|w| / |r + d w|) (r + d w)`."""

    def __init__(
        self,
        params: Iterable,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> None:
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["step"] = 0
                    state["exp_avg"] = torch.zeros_like(weight)
                    state["exp_avg_sq"] = torch.zeros_like(weight)
                state["step"] += 1
                first = state["exp_avg"].lerp_(weight.grad, 1 - beta1) / (1 - beta1 ** state["step"])
                second = state["exp_avg_sq"].mul_(beta2).addcmul_(weight.grad, weight.grad, value=1 - beta2)
                second = second / (1 - beta2 ** state["step"])
                update = first / (second.sqrt() + group["eps"]) + group["weight_decay"] * weight
                weight.sub_(group["lr"] * _trust_ratio(weight, update) * update)


class LARS(Optimizer):
    """Momentum SGD on the rate `lr |w| / |g + d w|` of each layer."""

    def __init__(self, params: Iterable, lr: float, momentum: float = 0.9, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                update = weight.grad + group["weight_decay"] * weight
                state = self.state[weight]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(weight)
                velocity = state["momentum_buffer"].mul_(group["momentum"])
                velocity += group["lr"] * _trust_ratio(weight, update) * update
                weight.sub_(velocity)
