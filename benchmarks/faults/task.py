"""What a task is: data, a model, and the settings under which it trains well.

A task is the unit of the hold-out: all runs of a task are in one split.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - everybody's name for it

IGNORED = -100  # a target that the loss leaves out


@dataclass(frozen=True)
class Splits:
    """Training and evaluation data."""

    inputs: Tensor
    targets: Tensor
    eval_inputs: Tensor
    eval_targets: Tensor


@dataclass(frozen=True)
class Task:
    """What is learned, by what, and how it is logged."""

    name: str
    kind: str  # classification, language, regression, other
    classes: int  # the C of log(C); 1 for a regression
    data: Callable[[torch.Generator], Splits]
    model: Callable[[], nn.Module]
    lr: float
    formats: tuple[str, ...]
    steps: int = 600
    batch: int = 32
    hf: bool = False
    causal: bool = True  # a language model that guesses the next token
    loop: Callable[..., None] | None = None  # replaces the loop over data, model and loss
    error: Callable[[Tensor, Tensor], Tensor] = F.mse_loss  # of a regression
    habits: Mapping[str, Any] = field(
        default_factory=dict
    )  # what its recipes have instead of defaults

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss that belongs to the task."""
        if self.kind == "regression":
            return self.error(outputs.squeeze(-1), targets)
        return F.cross_entropy(outputs.flatten(0, -2), targets.flatten(), ignore_index=IGNORED)

    @property
    def chance(self) -> float:
        """The loss of a uniform guess."""
        return math.log(self.classes)


def split(inputs: Tensor, targets: Tensor, held_back: int = 400) -> Splits:
    return Splits(
        inputs[:-held_back], targets[:-held_back], inputs[-held_back:], targets[-held_back:]
    )
