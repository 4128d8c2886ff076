"""The gradient norm decays to nothing while the loss is not at its floor.

What it does
------------
The norm at the end (median of the last tenth) is below `absolute`, or below `decay` of its level
over the first tenth, while the loss has fallen by less than `learned` since the start and the
learning rate is alive.

Why it matters
--------------
Without a gradient nothing is learned any more, however long the run goes on.

Not to be confused with
-----------------------
A converged or interpolating run: small loss, small gradient. A norm of exactly zero throughout,
which is another matter (nothing is connected, or it is not recorded).

Settings
--------
`absolute`, `decay`, `learned`, `points`.

Fix
---
Look at the norms per layer; use residual connections, other activations or another
initialisation; check for saturated outputs.

References
----------
``g < 1e-7``, or ``g_t / g_(t-100) < 0.01``; SageMaker Debugger, VanishingGradient: 1e-7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run
from loganalyze.settings import setting
from loganalyze.signals.lr import is_alive


@dataclass(frozen=True)
class VanishingSettings:
    """Thresholds of the check."""

    absolute: float = setting(1e-7, unit="gradient norm", source="single precision's resolution")
    decay: float = setting(0.01, unit="ratio to the start", source="g_t / g_(t-100) < 0.01")
    learned: float = setting(0.5, unit="share of the first loss", source="half is learning")
    points: int = setting(10, unit="log points", source="two levels and what is between")


FINITE = 0.5  # share of the logged losses; a run of NaN is another matter


def detect(run: Run, settings: VanishingSettings) -> Detected:
    """Compare the norm's end with its start and with the loss."""
    series = run.series("train/grad_norm").finite()
    if len(series) < settings.points:
        return NotApplicable(f"{len(series)} gradient norms are too few, {settings.points} needed")
    norm = series.value
    if (norm == 0).all():
        return NotApplicable("the gradient norm is exactly 0 throughout")
    part = max(3, len(norm) // 10)
    start, end = float(np.median(norm[:part])), float(np.median(norm[-part:]))
    if end >= settings.absolute and (start <= 0 or end >= settings.decay * start):
        return ()
    if is_alive(run, int(series.step[-part])) is False:
        return ()
    loss = run.series("train/loss").finite()
    if len(loss) < max(settings.points, FINITE * len(run.series("train/loss"))):
        return NotApplicable("too few losses to tell vanishing from converging")
    width = max(3, len(loss) // 10)
    first, last = float(np.median(loss.value[:width])), float(np.median(loss.value[-width:]))
    fallen = (first - last) / abs(first) if first else 1.0
    if fallen >= settings.learned:
        return ()
    low = norm < max(settings.absolute, settings.decay * start)
    begin = int(np.argmax(low))
    return (
        Finding(
            id="grad-vanishing",
            severity=Severity.WARNING,
            confidence=0.85,
            title="The gradient vanishes",
            summary=(
                f"The gradient norm fell from {start:.3g} to {end:.3g} while the loss only went from "
                f"{first:.4g} to {last:.4g} ({fallen:.0%})."
            ),
            steps=(int(series.step[begin]), int(series.step[-1])),
            metrics=("train/grad_norm", "train/loss"),
            evidence={
                "norm_at_start": start,
                "norm_at_end": end,
                "ratio": end / start if start else 0.0,
                "loss_fallen": fallen,
            },
            where=(series.where(begin), series.where(len(series) - 1)),
            fix=(
                "Look at the gradient norm of each layer: the first one that is ~0 is where it is lost",
            ),
        ),
    )


DETECTOR = Detector(
    id="grad-vanishing",
    group="vanishing",
    passed="The gradient does not vanish before the loss has fallen",
    failed="The gradient vanishes while the loss is high",
    requires=("train/grad_norm",),
    settings=VanishingSettings,
    detect=detect,
)
