"""The gradient norm is exactly 0.

What it does
------------
Looks for exact zeros of the gradient norm: from the first value on, or over `points` log points in a row,
while the loss is above `floor`.

Why it matters
--------------
No gradient, no update: nothing requires one, every label is masked, or every unit is dead.

Not to be confused with
-----------------------
A logger that writes 0 for "not recorded": other evidence of progress is looked at first. Single zeros of
skipped steps, and stretches that end (info). A loss at its floor. Reinforcement learning, where a batch of
equal rewards has no gradient.

Settings
--------
`points`, `share`, `often`, `floor`.

Fix
---
List the parameters with requires_grad and their gradients after one backward pass.

References
----------
transformers#26221: with gradient checkpointing only head and embeddings had a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run
from loganalyze.settings import setting
from loganalyze.signals.loss_kind import LossKind, loss_kind
from loganalyze.signals.robust import groups


@dataclass(frozen=True)
class ZeroNormSettings:
    """Thresholds of the check."""

    points: int = setting(3, unit="log points in a row", source="a scaler skips one or two")
    share: float = setting(0.5, unit="share of the log points", source="more is no exception")
    often: float = setting(
        0.25,
        unit="share of the log points",
        source="of a policy: fewer batches without an advantage",
    )
    floor: float = setting(1e-3, unit="loss", source="at its floor nothing is left to learn")


LEARNS = 0.1  # share by which a loss may fall before its zeros must be a logger's


def detect(run: Run, settings: ZeroNormSettings) -> Detected:
    """Look for stretches of exact zeros."""
    kind = loss_kind(run)
    norm = run.series("train/grad_norm")
    zero = norm.value == 0.0
    runs = [g for g in groups(zero) if g[1] - g[0] + 1 >= settings.points]
    if not runs:
        return ()
    first, last = max(runs, key=lambda g: g[1] - g[0])
    loss = run.series("train/loss").finite()
    inside = loss.take((loss.step >= norm.step[first]) & (loss.step <= norm.step[last])).value
    if _is_at_floor(kind, inside, first, float(zero.mean()), settings):
        return ()
    if bool(zero.all()) and len(inside) > 3 and _fell(inside):
        return NotApplicable(
            "the norm is logged as 0 throughout, though the loss falls: it is not recorded"
        )
    count = int(zero.sum())
    lasting = zero.mean() >= settings.share or bool(zero[-settings.points :].all())
    if kind is LossKind.REINFORCEMENT and not lasting and zero.mean() < settings.often:
        return NotApplicable("batches without any advantage have no gradient: ordinary here")
    return (
        Finding(
            id="grad-zero",
            severity=Severity.CRITICAL if lasting else Severity.INFO,
            confidence=0.95 if last - first >= 5 else 0.8,
            title=f"The gradient norm is exactly 0 from step {norm.step[first]:,}",
            summary=(
                f"The gradient norm is exactly 0 at {count:,} of {len(norm):,} log points, from step "
                f"{norm.step[first]:,} to {norm.step[last]:,}: nothing is updated."
            ),
            steps=(int(norm.step[first]), int(norm.step[last])),
            metrics=("train/grad_norm", "train/loss"),
            evidence={
                "first_step": int(norm.step[first]),
                "count": count,
                "share": float(zero.mean()),
                "from_start": "yes" if first == 0 else "no",
            },
            where=(norm.where(first), norm.where(last)),
            fix=(
                "print([n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()])",
            ),
        ),
    )


def _is_at_floor(
    kind: LossKind, loss: np.ndarray, first: int, share: float, settings: ZeroNormSettings
) -> bool:
    """Tell whether the loss has come down to where nothing is left to learn, as those with a margin do.

    0 is no floor for a policy, or a loss that goes below it, unless for some batches only.
    """
    if kind in (LossKind.REINFORCEMENT, LossKind.UNBOUNDED) and share >= settings.often:
        return False
    tiny = len(loss) > 0 and float(np.median(np.abs(loss))) < settings.floor
    return bool(tiny and (loss.any() or first))


def _fell(loss: np.ndarray) -> bool:
    quarter = max(1, len(loss) // 4)
    start, end = float(np.median(loss[:quarter])), float(np.median(loss[-quarter:]))
    return end < start - LEARNS * abs(start)


DETECTOR = Detector(
    id="grad-zero",
    group="grad_zero",
    passed="The gradient norm is nowhere stuck at 0",
    failed="The gradient norm is exactly 0",
    requires=("train/grad_norm",),
    settings=ZeroNormSettings,
    detect=detect,
)
