"""Optimizers and schedules that PyTorch or the recipe lack."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.faults.recipe import Schedule


class Lion(torch.optim.Optimizer):
    """The sign of a moving average is the step (Chen et al., 2023, https://arxiv.org/abs/2302.06675)."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            first, second = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                mean = state.setdefault("mean", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_((mean * first + p.grad * (1 - first)).sign(), alpha=-group["lr"])
                mean.lerp_(p.grad, 1 - second)


class Adam(torch.optim.Adam):
    """An optimizer whose gradients nobody sets to zero: each step adds its own to all before."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Do nothing: the line is missing."""


@dataclass(frozen=True)
class InverseRoot(Schedule):
    """The root of the warmup over the step, as of the first transformer."""

    def factor(self, step: int, total: int) -> float:
        """Return the factor of the peak rate at `step`."""
        warm = max(self.warmup * total, 1)
        return min((step + 1) / warm, math.sqrt(warm / (step + 1)))


@dataclass(frozen=True)
class ByEpoch(Schedule):
    """A schedule in steps that is moved once an epoch."""

    length: int = 50

    def factor(self, step: int, total: int) -> float:
        """Return the factor that belongs to the count of epochs, taken for steps."""
        return super().factor(step // self.length, total)


@dataclass(frozen=True)
class Halved(Schedule):
    """The rate is multiplied by `decay` each `every` steps."""

    every: int = 30

    def factor(self, step: int, total: int) -> float:
        """Return the factor of the peak rate at `step`."""
        return self.decay ** (step // self.every)


@dataclass(frozen=True)
class Floored(Schedule):
    """A cosine that ends at a tenth of its peak."""

    def factor(self, step: int, total: int) -> float:
        """Return the factor of the peak rate at `step`."""
        if step < self.warmup * total:
            return super().factor(step, total)
        return 0.1 + 0.9 * super().factor(step, total)
