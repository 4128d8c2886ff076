"""Does the loss start where a guess would, and does a batch cost what its samples cost?

What it does
------------
Measures, on the untouched model: the loss of several batches against log(C), a guess over C classes; the
spread of the logits; the loss of a batch against that of its samples alone, with and without their padding;
the gradient of k micro-batches against that of one large batch; what the loss says to a perfect prediction;
and whether the outputs depend on the inputs at all.

Thresholds
----------
The loss is high from 1.8 x log(C) on, from 1.3 x where log(C) is 3 or more: initialisations in use stay
within 10 % of log(C) = 3, and mostly below it. Logits are wide from a standard deviation of 10, or 50 from
their mean, on. Losses and gradients agree within 0.1 % (5 % in bf16 and fp16).

References
----------
Karpathy, A Recipe for Training Neural Networks (2019): "verify loss at init", "input-independent baseline".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from loganalyze.probe import batches, call
from loganalyze.probe.consistency import Accumulated, Alone, accumulated, alone
from loganalyze.probe.guess import Guess, Spread, guess, plain_losses, spread
from loganalyze.probe.init_verdict import conclude
from loganalyze.probe.perfect import Perfect, perfect
from loganalyze.probe.probe import Probe
from loganalyze.probed import Curve, Drawn, ProbeFigure, ProbeResult

if TYPE_CHECKING:
    import torch

    from loganalyze.probe.bench import Bench

T = TypeVar("T")

BATCHES = 8  # whose loss is measured
BINS = 40  # of the distribution of the logits


@dataclass
class Start:
    """What was measured on the untouched model.

    Attributes
    ----------
    losses
        Of the first batches, in train mode, as a training would log them.
    first_loss, plain
        Of the first batch, in eval mode: its loss, and what its logits cost by the book.
    null_change
        Largest change of a logit when all inputs are made the same; None where that cannot be done.
    """

    losses: list[float]
    known: Guess | None = None
    spread: Spread | None = None
    first_loss: float | None = None
    plain: tuple[float, ...] = ()
    null_loss: float | None = None
    null_change: float | None = None
    alone: Alone | None = None
    accumulated: Accumulated | None = None
    perfect: Perfect | None = None
    label_range: tuple[float, float] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def loss(self) -> float:
        """The mean loss; NaN where one is not finite."""
        return sum(self.losses) / len(self.losses)


def run(bench: Bench) -> ProbeResult:
    """Measure, then conclude."""
    import torch

    first = bench.batches(BATCHES)
    model = bench.target.model
    model.train()
    with torch.no_grad():
        losses = []
        for position, batch in enumerate(first):
            losses.append(_loss(bench, batch))
            bench.report(position + 1, len(first) + 4)
            if not bench.clock.allows(0.4):
                break
    start = Start(losses)
    bench.rewind()
    logits = _look(bench, first[0], start)
    fullest = max(first, key=batches.size)
    bench.report(len(first) + 1, len(first) + 4)
    start.alone = _tried(lambda: alone(bench, fullest), start, "samples alone")
    bench.report(len(first) + 2, len(first) + 4)
    bench.rewind()
    if bench.clock.allows(0.8):
        start.accumulated = _tried(
            lambda: accumulated(bench, fullest), start, "micro-batches accumulated"
        )
    return conclude(bench, start, _figures(start, logits))


def _loss(bench: Bench, batch: Any) -> float:
    """Return the loss of a batch; of its first sample, where the model refuses more than one."""
    try:
        return float(bench.loss(batch))
    except (ValueError, RuntimeError, IndexError):
        if batches.size(batch) < 2:
            raise
        return float(bench.loss(batches.selected(batch, [0])))


def _look(bench: Bench, batch: Any, start: Start) -> list[float]:
    """Look at the logits of one batch, or of one sample, in eval mode; return some of them."""
    import torch

    bench.target.model.eval()
    with torch.no_grad():
        output = _tried(lambda: bench.forward(batch), start, "a whole batch")
        if output is None:
            batch = batches.selected(batch, [0])
            output = bench.forward(batch)
        logits, labels = call.logits(output), batches.labels(batch)
        start.known = guess(logits, labels, bench.target.loss, bench.target.num_classes)
        if labels is not None and labels.numel():
            real = labels[labels != -100] if not labels.is_floating_point() else labels
            if real.numel():
                start.label_range = (float(real.min()), float(real.max()))
        if logits is None or not logits.numel():
            return []
        start.spread = spread(logits, labels, start.known)
        start.first_loss = _tried(lambda: float(bench.loss_of(output, batch)), start, "one batch")
        plain = _tried(lambda: plain_losses(logits, labels, start.known), start, "cross-entropy")
        start.plain = plain or ()
        start.perfect = _tried(
            lambda: perfect(bench, output, batch, start.known), start, "a perfect prediction"
        )
        _null(bench, batch, logits, start)
    sample = logits.detach().float().flatten()
    return [float(v) for v in sample[:: max(1, len(sample) // 4000)].cpu()]


def _null(bench: Bench, batch: Any, logits: torch.Tensor, start: Start) -> None:
    """Give every sample the same input: the logits must notice."""
    import torch

    labels = batches.labels(batch)

    def same(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value is labels or not value.numel():
            return value
        if value.dtype == torch.bool or (
            not value.is_floating_point() and bool((value <= 1).all())
        ):
            return value  # a mask
        return (
            torch.zeros_like(value) if value.is_floating_point() else value * 0 + value.flatten()[0]
        )

    def measure() -> None:
        null = batches.mapped(batch, same)
        output = bench.forward(null)
        other = call.logits(output)
        start.null_loss = float(bench.loss_of(output, null))
        if other is not None and other.shape == logits.shape:
            start.null_change = float((other.double() - logits.double()).abs().max())

    _tried(measure, start, "inputs that are all the same")


def _tried(measure: Callable[[], T], start: Start, what: str) -> T | None:
    """Measure; where the target's code refuses, say so in the notes."""
    from loganalyze.probe.runner import told

    try:
        return measure()
    except Exception as error:  # noqa: BLE001 - the target's code may raise anything
        start.notes.append(f"Not measured, {what}: {told(error)}.")
        return None


def _figures(start: Start, logits: list[float]) -> tuple[ProbeFigure, ...]:
    """Return the losses of the batches beside the guess, and the distribution of the logits."""
    import numpy as np

    finite = [(float(i + 1), v) for i, v in enumerate(start.losses) if math.isfinite(v)]
    levels = {start.known.formula: start.known.loss} if start.known else {}
    figures = []
    if finite:
        curve = Curve("loss", [x for x, _ in finite], [y for _, y in finite])
        figures.append(
            ProbeFigure(
                "Loss of the untouched model", Drawn.LINE, (curve,), "batch", "loss", levels=levels
            )
        )
    values = np.asarray([v for v in logits if math.isfinite(v)])
    if len(values) > BINS and values.max() > values.min():
        count, edges = np.histogram(values, BINS)
        middle = (edges[1:] + edges[:-1]) / 2
        curve = Curve("logits", [float(x) for x in middle], [float(c) for c in count])
        figures.append(ProbeFigure("Logits of one batch", Drawn.LINE, (curve,), "logit", "count"))
    return tuple(figures)


PROBE = Probe("init", "Does the loss start where a guess would?", run)
