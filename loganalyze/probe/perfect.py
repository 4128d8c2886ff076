"""What the loss says to a perfect prediction: it must be about 0, and less than to a wrong one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loganalyze.probe import batches, call
from loganalyze.probe.guess import IGNORED, Guess

if TYPE_CHECKING:
    import torch

    from loganalyze.probe.bench import Bench

# Distance of the right logit from the others: label smoothing has its minimum at one of the smaller ones.
MARGINS = (2.0, 5.0, 10.0, 20.0)


@dataclass(frozen=True, slots=True)
class Perfect:
    """The loss of the right answer, of none, and of the wrong one."""

    right: float
    even: float
    wrong: float

    @property
    def share(self) -> float:
        """How much of the loss of no answer the right one still costs."""
        return self.right / self.even if self.even > 0 else float("nan")


def perfect(bench: Bench, output: Any, batch: Any, known: Guess | None) -> Perfect | None:
    """Give the target's loss perfect, even and wrong predictions; None where it cannot be asked.

    A model that computes its loss itself cannot be asked, and neither can a loss of tokens, which may be
    shifted by one.
    """
    import torch

    found, labels = call.logits(output), batches.labels(batch)
    if bench.target.loss is None or found is None or labels is None:
        return None
    with torch.no_grad():
        right = _answers(found, labels, known)
        if right is None:
            return None
        even = torch.zeros_like(found) if known else (right * 0 + right.mean())
        wrong = [-one for one in (right * margin for margin in MARGINS)] if known else [-right]
        rights = [right * margin for margin in MARGINS] if known else [right]

        def cost(answer: torch.Tensor) -> float:
            return float(bench.loss_of(_with(output, found, answer), batch))

        return Perfect(min(map(cost, rights)), cost(even), min(map(cost, wrong)))


def _answers(
    logits: torch.Tensor, labels: torch.Tensor, known: Guess | None
) -> torch.Tensor | None:
    """Return +1 for the right class and -1 for the others; of a regression the labels themselves."""
    import torch

    if known is None:
        fits = labels.is_floating_point() and labels.numel() == logits.numel()
        return labels.reshape(logits.shape).to(logits.dtype) if fits else None
    if known.axis is None:
        return (labels.reshape(logits.shape) * 2 - 1).to(logits.dtype)
    if labels.is_floating_point() or (labels.dim() > 1 and known.axis == -1):
        return None
    classes = logits.shape[known.axis]
    if bool(((labels != IGNORED) & ((labels < 0) | (labels >= classes))).any()):
        return None
    hot = torch.nn.functional.one_hot(labels.clamp(min=0).long(), classes)
    return (hot.movedim(-1, known.axis) * 2 - 1).to(logits.dtype)


def _with(output: Any, old: torch.Tensor, new: torch.Tensor) -> Any:
    """Return an output with other logits."""
    if output is old:
        return new
    if isinstance(output, (Mapping, tuple, list)):
        return batches.mapped(output, lambda value: new if value is old else value)
    import copy

    twin = copy.copy(output)
    for name, value in vars(output).items():
        if value is old:
            setattr(twin, name, new)
    return twin
