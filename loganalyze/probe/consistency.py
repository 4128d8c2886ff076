"""Whether a batch costs what its samples cost: alone, without padding, and accumulated.

A log once showed 6.2 for a single sample and 69.5 in training, and nobody found out why: these are the
comparisons that would have told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loganalyze.probe import batches, call
from loganalyze.probe.guess import IGNORED
from loganalyze.probe.padding import kept_places, trimmed
from loganalyze.probe.step import without_dropout

if TYPE_CHECKING:
    import torch

    from loganalyze.probe.bench import Bench

SAMPLES = 8  # of a batch that are looked at alone
MICRO = 4  # parts that a batch is cut into, where the target does not say how many
CLOSE = 1e-3  # relative; sums of float32 in another order differ by 1e-6 to 1e-4
CLOSE_HALF = 5e-2  # relative, of bf16 and fp16: 2 to 3 digits
SMALLEST = 1e-4  # a difference below it is none


@dataclass(frozen=True, slots=True)
class Alone:
    """A batch beside its samples alone.

    Attributes
    ----------
    together
        Loss of the batch.
    each
        Loss of each sample as it stands in the batch, padding and all.
    bare
        Loss of each sample without its padding; empty where none is padded or nothing tells.
    predictions_differ
        Largest difference between a sample's logits in the batch and alone, relative to their spread.
    refused
        What the model said to more than one sample; empty where it took them.
    """

    together: float
    each: tuple[float, ...]
    bare: tuple[float, ...]
    predictions_differ: float | None
    refused: str = ""

    @property
    def mean(self) -> float:
        """Mean of the samples' losses."""
        return sum(self.each) / len(self.each)

    @property
    def padding_differs(self) -> float:
        """Largest change of a sample's loss by taking its padding away, relative."""
        pairs = zip(self.each, self.bare, strict=True) if self.bare else ()
        return max((relative(a, b) for a, b in pairs), default=0.0)


def relative(a: float, b: float) -> float:
    """Return the difference of two numbers, relative to the larger one; 0 for a tiny one."""
    difference = abs(a - b)
    return 0.0 if difference < SMALLEST else difference / max(abs(a), abs(b))


def tolerance(bench: Bench) -> float:
    """Return the relative difference that rounding explains, in the precision of the training."""
    import torch

    half = (torch.float16, torch.bfloat16)
    reduced = any(p.dtype in half for p in bench.target.model.parameters())
    return CLOSE_HALF if bench.target.precision != "fp32" or reduced else CLOSE


def alone(bench: Bench, batch: Any) -> Alone | None:
    """Compare a batch with its samples alone, in eval mode; None for a batch of one sample."""
    import torch

    batch = batches.selected(batch, range(min(batches.size(batch), SAMPLES)))
    samples = batches.singles(batch, SAMPLES)
    if len(samples) < 2:
        return None
    bench.target.model.eval()
    kept = kept_places(bench.target, batch)
    with torch.no_grad():
        single = [bench.forward(sample) for sample in samples]
        each = _losses(bench, single, samples)
        try:
            output = bench.forward(batch)
            together = float(bench.loss_of(output, batch))
        except (ValueError, RuntimeError, IndexError) as error:
            said = (str(error).splitlines() or [type(error).__name__])[0]
            return Alone(float("nan"), each, (), None, said)
        bare: tuple[float, ...] = ()
        if kept is not None and not bool(kept.all()):
            cut = [trimmed(s, kept[i]) for i, s in enumerate(samples)]
            bare = _losses(bench, [bench.forward(sample) for sample in cut], cut)
    return Alone(together, each, bare, _difference(output, single, batch))


def _losses(bench: Bench, outputs: Sequence[Any], samples: Sequence[Any]) -> tuple[float, ...]:
    return tuple(
        float(bench.loss_of(output, sample))
        for output, sample in zip(outputs, samples, strict=True)
    )


def _difference(output: Any, single: Sequence[Any], batch: Any) -> float | None:
    """Return how far predictions of a batch are from those of its samples alone, padding left out."""
    import torch

    together = call.logits(output)
    each = [call.logits(one) for one in single]
    if together is None or any(one is None or one.shape[1:] != together.shape[1:] for one in each):
        return None
    rows = torch.cat([one for one in each if one is not None])
    if rows.shape != together.shape:
        return None
    labels = batches.labels(batch)
    if labels is not None and labels.shape == rows.shape[: labels.dim()] and labels.dim() > 1:
        counted = labels != IGNORED
        rows, together = rows[counted], together[counted]
    if not rows.numel():
        return None
    scale = max(float(rows.float().std(correction=0)), 1e-6)
    return float((rows.float() - together.float()).abs().max()) / scale


@dataclass(frozen=True, slots=True)
class Accumulated:
    """The gradient of micro-batches beside that of one large batch.

    Attributes
    ----------
    count
        Micro-batches.
    norm_ratio, loss_ratio
        Of the accumulated gradient, and loss, to that of the large batch; 1 where all is well.
    cosine
        Of the angle between the gradients.
    weighted_ratio
        Ratio of the norms where each micro-batch counts by its labels; None where all have as many.
    own
        Whether the target's own ``accumulate`` was used.
    """

    count: int
    norm_ratio: float
    loss_ratio: float | None
    cosine: float
    weighted_ratio: float | None
    own: bool


def accumulated(bench: Bench, batch: Any) -> Accumulated | None:
    """Compare k micro-batches with one large batch; None where a batch cannot be cut, or nothing is trained.

    Without a function of the target's, each micro-batch's loss counts 1/k, as training loops do it.
    """
    asked = bench.target.accumulation if bench.target.accumulation > 1 else MICRO
    count = min(asked, batches.size(batch))
    if count < 2 or not bench.trainable():
        return None
    micro = batches.parts(batch, count)
    large = batches.selected(batch, range(count * (batches.size(batch) // count)))
    without_dropout(bench.target.model)  # a training step of the target's own puts it in train mode
    bench.target.model.eval()
    total, reference = _gradient(bench, [large], [1.0])
    if reference is None or not float(reference.norm()) > 0:
        return None
    own = bench.target.accumulate
    if own is not None:
        bench.clear_gradients()
        own(bench.target.model, micro)
        losses, gradient = None, _flat(bench)
    else:
        losses, gradient = _gradient(bench, micro, [1 / count] * count)
    weights = _weights(micro)
    weighted = None
    if weights is not None and own is None:
        _, by_labels = _gradient(bench, micro, weights)
        weighted = _ratio(by_labels, reference)
    bench.clear_gradients()
    if gradient is None:
        return None
    return Accumulated(
        count, _ratio(gradient, reference) or 0.0,
        losses / total if losses is not None and total else None,
        _cosine(gradient, reference), weighted, own is not None,
    )  # fmt: skip


def _gradient(
    bench: Bench, parts: Sequence[Any], weights: Sequence[float]
) -> tuple[float | None, torch.Tensor | None]:
    bench.clear_gradients()
    total = 0.0
    for part, weight in zip(parts, weights, strict=True):
        loss = bench.loss(part)
        if not loss.requires_grad:
            return None, None
        (loss * weight).backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach()) * weight
    return total, _flat(bench)


def _flat(bench: Bench) -> torch.Tensor | None:
    import torch

    parts = [
        (p.grad if p.grad is not None else torch.zeros_like(p)).detach().flatten().double().cpu()
        for _, p in bench.trainable()
    ]
    return torch.cat(parts) if parts else None


def _ratio(a: torch.Tensor | None, b: torch.Tensor) -> float | None:
    return None if a is None else float(a.norm() / b.norm())


def _cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    norms = float(a.norm() * b.norm())
    return float(a @ b) / norms if norms > 0 else 0.0


def _weights(micro: Sequence[Any]) -> list[float] | None:
    """Return the share of the labels that each micro-batch has; None where all have as many."""
    counts = []
    for part in micro:
        labels = batches.labels(part)
        if labels is None or labels.dim() < 2 or labels.is_floating_point():
            return None
        counts.append(int((labels != IGNORED).sum()))
    total = sum(counts)
    if not total or len(set(counts)) == 1:
        return None
    return [count / total for count in counts]
