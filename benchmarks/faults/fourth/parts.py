"""What the fourth sitting's faults are made of: schedules that go wrong, half an optimizer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.faults.recipe import Schedule


@dataclass(frozen=True)
class SteppedByEpoch(Schedule):
    """A schedule that was planned in steps and is stepped once an epoch."""

    epoch: int = 1

    def factor(self, step: int, total: int) -> float:
        return super().factor(step // self.epoch, total)


@dataclass(frozen=True)
class Halved(Schedule):
    """The rate is halved each time that an evaluation is no better than the one before."""

    each: float = 0.03  # of the planned steps

    def factor(self, step: int, total: int) -> float:
        return 0.5 ** (step // max(int(self.each * total), 1))


@dataclass(frozen=True)
class Edited(Schedule):
    """A rate that was changed by hand while the run went on."""

    at: float = 0.5  # of the planned steps
    times: float = 1.0

    def factor(self, step: int, total: int) -> float:
        return super().factor(step, total) * (self.times if step >= self.at * total else 1.0)


class Adam(torch.optim.Optimizer):
    """Adam whose two moments are kept in fp16, in which its epsilon is zero."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self.move(weight, weight.grad.half(), group["lr"])

    def move(self, weight: torch.Tensor, slope: torch.Tensor, lr: float) -> None:
        state = self.state[weight]
        if not state:
            state.update(count=0, first=torch.zeros_like(slope), second=torch.zeros_like(slope))
        state["count"] += 1
        state["first"] = (0.9 * state["first"] + 0.1 * slope).half()
        state["second"] = (0.999 * state["second"] + 0.001 * slope * slope).half()
        size = math.sqrt(1 - 0.999 ** state["count"]) / (1 - 0.9 ** state["count"])
        epsilon = torch.tensor(1e-8).half()
        weight.sub_(lr * size * (state["first"] / (state["second"].sqrt() + epsilon)).float())
