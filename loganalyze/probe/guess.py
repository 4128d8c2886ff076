"""What a guess costs: log(C) for C classes, and what the model's own logits would cost with any labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

IGNORED = -100  # label that torch's cross-entropy leaves out by default


@dataclass(frozen=True, slots=True)
class Guess:
    """The loss of a guess.

    Attributes
    ----------
    classes
        C; 2 where each output says yes or no.
    axis
        Of the logits, along which the classes stand; None where each output says yes or no.
    """

    classes: int
    axis: int | None

    @property
    def loss(self) -> float:
        """The cross-entropy of equal probabilities, in nats."""
        return math.log(self.classes)

    @property
    def formula(self) -> str:
        """The loss as it is written: ``log(280) = 5.63``."""
        return f"log({self.classes:,}) = {self.loss:.4g}"


def guess(
    logits: torch.Tensor | None, labels: torch.Tensor | None, loss: Any, given: int | None
) -> Guess | None:
    """Return what a guess costs, by the shapes of logits and labels; None for anything but classification."""
    if logits is None or labels is None:
        return Guess(given, -1) if given else None
    axis = _class_axis(logits, labels)
    if axis is not None and not labels.is_floating_point():
        return Guess(given or logits.shape[axis], axis)
    if _same(logits, labels) and _zero_or_one(labels):
        if _one_hot(labels) and type(loss).__name__ == "CrossEntropyLoss":
            return Guess(given or logits.shape[-1], -1)
        if not _one_hot(labels) or "BCE" in type(loss).__name__:
            return Guess(2, None)
    return Guess(given, axis) if given else None


def _class_axis(logits: torch.Tensor, labels: torch.Tensor) -> int | None:
    """Return the axis that the logits have and the labels lack: the last, or the second of pictures."""
    if logits.dim() != labels.dim() + 1:
        return None
    if logits.shape[:-1] == labels.shape and logits.shape[-1] > 1:
        return -1
    if logits.shape[:1] + logits.shape[2:] == labels.shape and logits.shape[1] > 1:
        return 1
    return None


def _same(logits: torch.Tensor, labels: torch.Tensor) -> bool:
    return logits.numel() == labels.numel() and logits.shape[0] == labels.shape[0]


def _zero_or_one(labels: torch.Tensor) -> bool:
    return bool(((labels == 0) | (labels == 1)).all())


def _one_hot(labels: torch.Tensor) -> bool:
    return labels.dim() > 1 and labels.shape[-1] > 1 and bool((labels.sum(-1) == 1).all())


def plain_losses(
    logits: torch.Tensor, labels: torch.Tensor | None, known: Guess | None
) -> tuple[float, ...]:
    """Return what logits and labels cost by the book: cross-entropy, also with the labels shifted by one."""
    import torch

    if labels is None or known is None or not labels.numel():
        return ()
    functional = torch.nn.functional
    z = logits.detach().double()
    if known.axis is None:
        same = labels.reshape(z.shape).double()
        return (float(functional.binary_cross_entropy_with_logits(z, same)),)
    if labels.is_floating_point() or _class_axis(logits, labels) is None:
        return ()
    z = z.movedim(known.axis, -1)
    pairs = [(z, labels)]
    if known.axis == -1 and labels.dim() > 1:
        pairs.append((z[:, :-1], labels[:, 1:]))
    return tuple(
        float(functional.cross_entropy(a.reshape(-1, a.shape[-1]), b.reshape(-1).long()))
        for a, b in pairs
    )


@dataclass(frozen=True, slots=True)
class Spread:
    """How the logits are spread, each prediction about its own mean (cross-entropy does not see the mean).

    Attributes
    ----------
    mean, std, low, high
        Of the raw logits: mean, and lowest and highest; the spread is that about each prediction's mean.
    largest
        Largest distance of a logit from the mean of its prediction.
    unrelated
        The cross-entropy that these logits have, on average, with labels that have nothing to do with
        them: the mean over classes of log(sum(exp(z))) - z.
    """

    mean: float
    std: float
    low: float
    high: float
    largest: float
    unrelated: float | None


def spread(logits: torch.Tensor, labels: torch.Tensor | None, known: Guess | None) -> Spread:
    """Return how logits are spread; those whose label is ignored are left out."""
    import torch

    with torch.no_grad():
        z = logits.detach().double()
        if known is None or known.axis is None:
            centred, unrelated = z, None
            if known is not None:  # softplus(z) - z / 2: of labels that are 0 or 1 by chance
                unrelated = float((torch.nn.functional.softplus(z) - z / 2).mean())
        else:
            z = z.movedim(known.axis, -1).reshape(-1, z.shape[known.axis])
            if labels is not None and labels.numel() == len(z) and (labels != IGNORED).any():
                z = z[(labels != IGNORED).reshape(-1)]
            centred = z - z.mean(-1, keepdim=True)
            unrelated = float(torch.logsumexp(centred, -1).mean())
        return Spread(
            float(z.mean()), float(centred.std()) if centred.numel() > 1 else 0.0, float(z.min()),
            float(z.max()), float(centred.abs().max()), unrelated,
        )  # fmt: skip
