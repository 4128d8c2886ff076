"""The gradient norm is one constant over many steps.

What it does
------------
The commonest value of the gradient norm (to `digits` relative) fills at least `share` of the log points,
`points` of them or more, and is not 0.

Why it matters
--------------
Norms of real gradients are never equal. A constant of 1.0 or 1.414 beside a plausible loss has been the mark
of gradients that one process overwrites for the other.

Not to be confused with
-----------------------
A norm that is logged after clipping: it equals max_grad_norm, which is harmless (info). A norm that is
printed with one digit.

Settings
--------
`share`, `points`, `digits`.

Fix
---
Log the norm before clipping (what `clip_grad_norm_` returns); with ZeRO-2 set overlap_comm to false.

References
----------
DeepSpeed#5347: the norm stuck at 1.0 or 1.41421356.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run
from loganalyze.settings import setting


@dataclass(frozen=True)
class ConstantSettings:
    """Thresholds of the check."""

    share: float = setting(0.8, unit="share of the log points", source="nearly always")
    points: int = setting(8, unit="log points", source="fewer may be chance with few digits")
    digits: float = setting(1e-4, unit="relative difference", source="as printed")


CLIPPED = 0.02  # relative distance to max_grad_norm within which the norm was logged after clipping
USUAL_LIMITS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)  # values that a clipped norm has
LEARNS = 0.95  # of the first losses: below it the run learns


def detect(run: Run, settings: ConstantSettings) -> Detected:
    """Look for a value that most of the norms have."""
    norm = run.series("train/grad_norm").finite()
    if len(norm) < settings.points:
        return NotApplicable(f"{len(norm)} norms are too few, {settings.points} needed")
    middle = float(np.median(norm.value))
    if middle <= 0:
        return ()
    same = np.abs(norm.value / middle - 1) <= settings.digits
    if same.mean() < settings.share or same.sum() < settings.points:
        return ()
    limit = run.number("max_grad_norm")
    learns = _learns(run)
    if limit:
        clipped = abs(middle / limit - 1) < CLIPPED
    else:
        clipped = learns and any(abs(middle / usual - 1) < CLIPPED for usual in USUAL_LIMITS)
    told = " = max_grad_norm: it was logged after clipping" if clipped else ""
    return (
        Finding(
            id="grad-constant",
            severity=Severity.INFO if clipped else Severity.WARNING,
            confidence=0.9,
            title=f"The gradient norm is {middle:.6g} at nearly every step",
            summary=f"{int(same.sum()):,} of {len(norm):,} logged gradient norms are {middle:.6g}{told}.",
            steps=(int(norm.step[0]), int(norm.step[-1])),
            metrics=("train/grad_norm",),
            evidence={
                "value": middle,
                "share": float(same.mean()),
                "after_clipping": "yes" if clipped else "no",
            },
            where=(norm.where(0),),
            fix=("Log the norm before clipping: the value that clip_grad_norm_ returns",)
            if clipped
            else ("overlap_comm true -> false (ZeRO-2), or log the norm before clipping",),
        ),
    )


def _learns(run: Run) -> bool:
    loss = run.series("train/loss").finite().value
    if len(loss) < 4:
        return False
    quarter = max(1, len(loss) // 4)
    return float(np.median(loss[-quarter:])) < LEARNS * float(np.median(loss[:quarter]))


DETECTOR = Detector(
    id="grad-constant",
    group="grad_constant",
    passed="The gradient norm varies",
    failed="The gradient norm is one constant",
    requires=("train/grad_norm",),
    settings=ConstantSettings,
    detect=detect,
)
