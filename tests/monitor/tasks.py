"""A small task that trains in a second, and faults that can be planted in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

CLASSES, WIDTH, SAMPLES = 4, 8, 512


class Classifier(nn.Module):
    """Two layers; `fault` gives what the loss of a training step is multiplied by, and may change the model."""

    def __init__(self, fault: Callable[[int, nn.Module], float] | None = None) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(WIDTH, 16), nn.ReLU(), nn.Linear(16, CLASSES))
        self.fault, self.step = fault, 0

    def forward(self, x: Tensor, labels: Tensor) -> Mapping[str, Any]:
        factor = 1.0
        if self.training:
            self.step += 1
            if self.fault is not None:
                factor = self.fault(self.step, self)
        logits = self.layers(x)
        return {"loss": nn.functional.cross_entropy(logits, labels) * factor, "logits": logits}


def data(seed: int = 0) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(SAMPLES, WIDTH, generator=random)
    labels = (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()
    flipped = torch.rand(SAMPLES, generator=random) < 0.05
    return x, torch.where(flipped, (labels + 1) % CLASSES, labels)


ONSET = 80  # the step at which a fault begins


def nan(step: int, model: nn.Module) -> float:
    """A loss that is no number: the update breaks the weights."""
    return float("nan") if step == ONSET else 1.0


def runaway(step: int, model: nn.Module) -> float:
    """Weights that grow with every step, as they do when the learning rate is far too high."""
    if step >= ONSET:
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(1.15)
    return 1.0


def collapse(step: int, model: nn.Module) -> float:
    """A loss of nothing, as when every label is masked."""
    return 0.0 if step >= ONSET else 1.0


def scrambled(step: int, model: nn.Module) -> float:
    """Weights that a bad update threw far away: the loss stays high."""
    if step == ONSET:
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn_like(weight) * 30)
    return 1.0


FAULTS = {"nan": nan, "runaway": runaway, "collapse": collapse, "scrambled": scrambled}
