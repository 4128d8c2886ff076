"""Nearly every step is clipped, and hard: little of the gradient survives.

What it does
------------
With ``max_grad_norm = c`` a gradient of norm g > c is scaled by c / g. Measured are the share of
logged steps with g > c, and the median share of the gradient that survives, ``min(1, c / g)``. It
holds when the share exceeds `share` and less than `surviving` survives; when it exceeds `share_note`,
less than `surviving_note` is worth a note.

Why it matters
--------------
If every step is clipped to a percent, the size of the gradient no longer says anything and the
norm itself points to a scaling fault: a summed loss, a wrong head, a missing normalisation. With
plain SGD the learning rate is cut by the same factor; Adam forgives the scale and keeps the fault
hidden.

Not to be confused with
-----------------------
Mild clipping (norm 1 to 10 at a limit of 1), usual in language-model pretraining and fine-tuning.
A norm that was logged *after* clipping and so stands at the limit. A limit that the log does not tell (the
Trainer's default is assumed): no more than a note, but for `surviving_critical`; and nothing where the first
norms survive, as a fault of the scale is there from the start and a run that runs away grows its norm.

Settings
--------
`share`, `surviving`, `share_note`, `surviving_note`, `share_critical`, `surviving_critical`, `points`.

Fix
---
Look for the factor in the loss first. Only a norm that is high for a good reason calls for a
higher limit.

References
----------
Pascanu et al., "On the difficulty of training recurrent neural networks" (2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run
from loganalyze.settings import setting


@dataclass(frozen=True)
class ClipSettings:
    """Thresholds of the check."""

    share: float = setting(
        0.5, unit="share of the steps", source="a clip ratio over 50 % is out of the ordinary"
    )
    surviving: float = setting(
        0.05, unit="share of the gradient", source="half of what healthy fine-tunings keep"
    )
    share_note: float = setting(0.9, unit="share of the steps", source="nearly every step")
    surviving_note: float = setting(
        0.1, unit="share of the gradient", source="healthy fine-tunings keep 10 % and more"
    )
    share_critical: float = setting(
        0.95, unit="share of the steps", source="practically every step"
    )
    surviving_critical: float = setting(
        0.02, unit="share of the gradient", source="196 clipped to 1.0 keeps 0.5 %"
    )
    points: int = setting(5, unit="log points", source="fewer could be the first steps' transient")


DEFAULT_LIMIT = 1.0  # max_grad_norm of the Hugging Face Trainer
AT_LIMIT = 0.005  # relative distance at which a norm stands at the limit
LOGGED_AFTER = 0.8  # share of norms at the limit that shows they were logged after clipping


def detect(run: Run, settings: ClipSettings) -> Detected:
    """Measure how often and how hard the gradient is clipped."""
    series = run.series("train/grad_norm").finite()
    limit = run.number("max_grad_norm")
    known = limit is not None
    if limit is None and run.framework == "hf-trainer":
        limit = DEFAULT_LIMIT
    if limit is None:
        return NotApplicable("max_grad_norm is not known: tell it with --given max_grad_norm=1.0")
    if limit <= 0:
        return NotApplicable("gradient clipping is off")
    if len(series) < settings.points:
        return NotApplicable(f"{len(series)} gradient norms are too few, {settings.points} needed")
    norm = series.value
    at_limit = np.abs(norm - limit) <= AT_LIMIT * limit
    if at_limit.mean() >= LOGGED_AFTER and norm.max() <= limit * (1 + AT_LIMIT):
        return NotApplicable("the norm was logged after clipping: it stands at the limit")
    clipped = norm > limit
    share = float(clipped.mean())
    surviving = float(np.median(np.minimum(1.0, limit / np.maximum(norm, 1e-30))))
    hard = share > settings.share and surviving < settings.surviving
    if not hard and not (share > settings.share_note and surviving < settings.surviving_note):
        return ()
    start = np.minimum(1.0, limit / np.maximum(norm[: settings.points], 1e-30))
    if not known and float(np.median(start)) >= settings.surviving_note:
        return ()
    # Where the limit is only assumed, the shares are no more certain than that.
    severity = Severity.WARNING if hard and known else Severity.INFO
    if share >= settings.share_critical and surviving < settings.surviving_critical:
        severity = Severity.CRITICAL
    median = float(np.median(norm))
    first = int(np.argmax(clipped))
    assumed = "" if known else " (the Trainer's default, assumed)"
    return (
        Finding(
            id="clip-saturated",
            severity=severity,
            confidence=0.95 if known else 0.75,
            title=f"{share:.0%} of the steps are clipped, to {surviving:.2%} of the gradient",
            summary=(
                f"{int(clipped.sum()):,} of {len(norm):,} logged steps exceed max_grad_norm = "
                f"{limit:g}{assumed}; the median norm is {median:.4g}, so that {surviving:.2%} of the "
                "gradient survives."
            ),
            steps=(int(series.step[first]), int(series.step[-1])),
            metrics=("train/grad_norm",),
            evidence={
                "share_clipped": share,
                "median_surviving_share": surviving,
                "median_norm": median,
                "lowest_norm": float(norm.min()),
                "highest_norm": float(norm.max()),
                "max_grad_norm": limit,
                "max_grad_norm_from": "settings" if known else "assumed default",
            },
            where=(series.where(first), series.where(len(series) - 1)),
            fix=(
                f"Find why the gradient norm is about {median:.3g} before raising max_grad_norm "
                f"{limit:g}: a loss that is k times too large makes its gradient k times too large",
            ),
            levels={f"max_grad_norm = {limit:g}": limit},
        ),
    )


DETECTOR = Detector(
    id="clip-saturated",
    group="clip",
    passed="Gradient clipping leaves most of the gradient",
    failed="Nearly every step is clipped, and hard",
    requires=("train/grad_norm",),
    settings=ClipSettings,
    detect=detect,
)
