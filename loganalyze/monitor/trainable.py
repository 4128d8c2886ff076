"""How much of a model is trained: one without any trained part learns nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def parameter_counts(model: torch.nn.Module) -> dict[str, int]:
    """Return the numbers of parameters and of those that are trained."""
    counts = {"num_parameters": 0, "trainable_parameters": 0}
    for weight in model.parameters():
        counts["num_parameters"] += weight.numel()
        counts["trainable_parameters"] += weight.numel() if weight.requires_grad else 0
    return counts
