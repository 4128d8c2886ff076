"""Can the model learn one batch by heart?

What it does
------------
Trains on one batch for 100 steps, without dropout and at the training's own learning rate; a loss of 0.01, or
every prediction right, is the goal. Where it is not reached, the same again at 10 and 100 times that rate;
where the loss becomes NaN, at a tenth and a hundredth. How far the parameters moved and which had a gradient
says why.

| the loss | what it means |
|---|---|
| reaches 0 | model, loss and optimizer are sound; even wrong labels can be learned by heart |
| falls, but not to 0 | the learning rate is too low, or the model too small, or labels contradict others |
| does not move | nothing is trained, the graph is cut, or the loss does not depend on the model |
| becomes NaN | the learning rate is too high, the numbers too large, or the data holds NaN |

Thresholds
----------
100 steps and a loss of 0.01 (the source's figures). A fall by less than 1 % of the loss is none.

References
----------
Karpathy, A Recipe for Training Neural Networks (2019): "overfit one batch".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loganalyze.probe import batches, call
from loganalyze.probe.guess import guess
from loganalyze.probe.overfit_verdict import conclude
from loganalyze.probe.probe import Probe
from loganalyze.probe.step import not_in_optimizer, step, without_dropout
from loganalyze.probe.verdict import Verdict
from loganalyze.probed import Curve, Drawn, ProbeFigure, ProbeResult

if TYPE_CHECKING:
    import torch

    from loganalyze.probe.bench import Bench

STEPS = 100
GOAL = 0.01  # loss
RIGHT = 0.999  # share of the predictions; label smoothing keeps the loss above the goal
FALLEN = 0.5  # of the first loss, with all predictions right: learned, but for the smoothing
STILL = 0.01  # relative fall below which the loss does not move
ROUNDS = (
    1.0,
    1e1,
    1e2,
    1e3,
    1e4,
)  # x the learning rate, while the goal is not reached and it helps
CALMER = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)  # x, after NaN, which comes within a few steps
HIGHEST = 1.0  # learning rate; above it no optimizer in use trains


@dataclass(frozen=True, slots=True)
class Attempt:
    """One training on one batch.

    Attributes
    ----------
    accuracy
        Share of predictions that are right at the end; None for anything but classification.
    norm
        Of the first gradient.
    moved
        Norm of the change of the trainable parameters, relative to their own.
    still
        Names of those that did not change at all.
    """

    rate: float
    losses: tuple[float, ...]
    accuracy: float | None
    norm: float
    moved: float
    still: tuple[str, ...]

    @property
    def first(self) -> float:
        """The loss before the first step."""
        return self.losses[0]

    @property
    def last(self) -> float:
        """The loss at the end: the lowest of the last tenth, for it may oscillate."""
        return min(self.losses[-max(len(self.losses) // 10, 1) :])

    @property
    def is_finite(self) -> bool:
        """Whether no loss is NaN or infinite."""
        return all(map(math.isfinite, self.losses))

    @property
    def is_at_goal(self) -> bool:
        """Whether the loss came down to 0."""
        return self.is_finite and -GOAL <= self.last <= GOAL

    @property
    def reached(self) -> bool:
        """Whether the batch is learned, though smoothing or a penalty may keep its loss up."""
        if not self.is_finite or self.last < -GOAL:
            return False
        right = self.accuracy is not None and self.accuracy >= RIGHT
        return self.is_at_goal or (right and self.last <= FALLEN * self.first)

    @property
    def fell(self) -> float:
        """By which share of the first loss it fell; negative where it rose."""
        return (self.first - self.last) / max(abs(self.first), 1e-12)


def run(bench: Bench) -> ProbeResult:
    """Train on one batch, at more rates if need be."""
    batch = bench.batches(1)[0]
    lacking = _lacking(bench, batch)
    if lacking is not None:
        return lacking
    rate = bench.learning_rate()
    attempts: list[Attempt] = []
    for factor in ROUNDS:
        if factor > 1 and (rate * factor > HIGHEST or not bench.clock.allows(0.6)):
            break
        attempts.append(_attempt(bench, batch, rate * factor))
        this, best = attempts[-1], min(one.last for one in attempts)
        if this.is_at_goal or not this.is_finite or this.last > best or this.last < -GOAL:
            break
    if not attempts[0].is_finite:
        for factor in CALMER:
            if not bench.clock.is_over and math.isfinite(attempts[0].first):
                attempts.append(_attempt(bench, batch, rate * factor))
                if attempts[-1].reached:
                    break
    return conclude(bench, attempts, _contradictions(batch), _figures(attempts))


def _lacking(bench: Bench, batch: Any) -> ProbeResult | None:
    """Return the result where nothing can be trained at all; None where something can."""
    from loganalyze.causes.cause import STATED

    verdict = Verdict()
    trainable, unheld = bench.trainable(), not_in_optimizer(bench)
    if not trainable:
        verdict.finds(
            "No parameter requires a gradient: nothing can be trained.",
            STATED,
            "frozen-parameters",
            fix="requires_grad False -> True, for what is to be trained",
        )
    elif len(unheld) == len(trainable):
        verdict.finds(
            "The optimizer holds none of the model's parameters.",
            STATED,
            "frozen-parameters",
            fix="Make the optimizer of model.parameters(), after the model is final",
        )
    else:
        bench.target.model.train()
        if bench.loss(batch).requires_grad:
            return None
        verdict.finds("The loss has no gradient: it is cut off from the model.", STATED,
                      "frozen-parameters", fix="Look for detach(), .item(), .data, no_grad or argmax "
                      "between model and loss")  # fmt: skip
    return verdict.result("", {"trainable_parameters": sum(p.numel() for _, p in trainable)})


def _attempt(bench: Bench, batch: Any, rate: float) -> Attempt:
    bench.rewind()
    without_dropout(bench.target.model)
    optimizer = bench.optimizer(rate)
    before = [(n, p, p.detach().clone()) for n, p in bench.trainable()]
    losses, norm = [], float("nan")
    for done in range(STEPS):
        made = step(bench, optimizer, batch)
        norm = made.norm if done == 0 else norm
        losses.append(made.loss)
        bench.report(done + 1, STEPS)
        if not math.isfinite(made.loss) or abs(made.loss) <= GOAL or bench.clock.is_over:
            break
    change = math.hypot(*(float((p.detach() - was).float().norm()) for _, p, was in before))
    size = math.hypot(*(float(was.float().norm()) for _, _, was in before))
    still = tuple(n for n, p, was in before if bool((p.detach() == was).all()))
    accuracy = _accuracy(bench, batch) if math.isfinite(losses[-1]) else None
    return Attempt(rate, tuple(losses), accuracy, norm, change / max(size, 1e-12), still)


def _accuracy(bench: Bench, batch: Any) -> float | None:
    """Return the share of right predictions; of a language model those of the next token."""
    import torch

    with torch.no_grad():
        logits, labels = call.logits(bench.forward(batch)), batches.labels(batch)
        known = guess(logits, labels, bench.target.loss, bench.target.num_classes)
        if logits is None or labels is None or known is None or labels.is_floating_point():
            return None
        if known.axis is None:
            return float(((logits.reshape(labels.shape) > 0) == (labels > 0)).float().mean())
        said = logits.argmax(known.axis)
        pairs = [(said, labels)]
        if labels.dim() > 1 and known.axis == -1:
            pairs.append((said[:, :-1], labels[:, 1:]))
        return max(_share(a, b) for a, b in pairs)


def _share(said: torch.Tensor, labels: torch.Tensor) -> float:
    counted = labels != -100
    return float((said[counted] == labels[counted]).float().mean()) if bool(counted.any()) else 0.0


def _contradictions(batch: Any) -> int:
    """Return how many samples have the same input as an earlier one, and another label."""
    import hashlib

    labels = batches.labels(batch)
    if labels is None or not labels.dim():
        return 0
    seen: dict[str, str] = {}
    count = 0
    for sample in batches.singles(batch, batches.size(batch)):
        held = b"".join(
            t.detach().float().cpu().numpy().tobytes() for _, t in batches.inputs(sample)
        )
        own = batches.labels(sample)
        label = "" if own is None else str(own.tolist())
        key = hashlib.sha256(held).hexdigest()
        count += held != b"" and seen.setdefault(key, label) != label
    return count


def _figures(attempts: list[Attempt]) -> tuple[ProbeFigure, ...]:
    curves = tuple(
        Curve(
            f"learning rate {one.rate:.3g}", [float(i) for i in range(len(one.losses))], one.losses
        )
        for one in attempts
    )
    shown = [v for one in attempts for v in one.losses if math.isfinite(v)]
    log = bool(shown) and min(shown) > 0 and max(shown) > 20 * min(shown)
    levels = {f"goal {GOAL:g}": GOAL}
    title = "Loss on one batch, again and again"
    return (ProbeFigure(title, Drawn.LINE, curves, "step", "loss", log_y=log, levels=levels),)


PROBE = Probe("overfit", "Can the model learn one batch by heart?", run)
