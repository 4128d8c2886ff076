"""A gradient norm is NaN or infinite.

What it does
------------
Counts norms that are NaN or infinite, how many in a row, whether finite ones follow, and what the
loss was there.

Why it matters
--------------
An update with such a gradient destroys the weights, unless a loss scaler skips it.

Not to be confused with
-----------------------
Isolated skipped steps of a dynamic loss scaler: one or two, finite norms after them (info). Where the run is
known to have one, more of them, up to `skipped` of the steps: it tries a larger scale again and again.

Settings
--------
`persistent`, `skipped`.

Fix
---
Find the first step with a norm that is not finite and look at its batch and its precision.

References
----------
PyTorch documentation, automatic mixed precision: the scaler starts at 65,536 and halves at each
overflow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, Severity
from loganalyze.run import Run
from loganalyze.settings import setting
from loganalyze.signals.robust import longest

_HALF = re.compile(r"(?<!b)(?:fp|float|f)_?16|half|^16(?:-mixed)?$", re.I)


@dataclass(frozen=True)
class GradNonfiniteSettings:
    """Thresholds of the check."""

    persistent: int = setting(3, unit="log points in a row", source="a scaler skips one or two")
    skipped: float = setting(
        0.05,
        unit="share of the steps",
        source="a scaler doubles its scale every 20 steps at the most",
    )


def detect(run: Run, settings: GradNonfiniteSettings) -> Detected:
    """Find gradient norms that are no numbers."""
    series = run.series("train/grad_norm")
    bad = ~np.isfinite(series.value)
    if not bad.any():
        return ()
    first, count, in_a_row = int(np.argmax(bad)), int(bad.sum()), longest(bad)
    persists = in_a_row >= settings.persistent or bool(bad[-1] and count > 1)
    severity = Severity.CRITICAL if persists else Severity.INFO
    by_plan = _has_scaler(run) and count <= settings.skipped * len(series)
    if not persists and count > settings.persistent and not by_plan:
        severity = Severity.WARNING
    loss = run.series("train/loss").value_at(int(series.step[first]))
    what = "NaN" if np.isnan(series.value[first]) else "infinite"
    return (
        Finding(
            id="grad-nonfinite",
            severity=severity,
            confidence=1.0,
            title=f"The gradient norm is {what} from step {series.step[first]:,}",
            summary=(
                f"The gradient norm is {what} at step {series.step[first]:,}; {count:,} of "
                f"{len(series):,} logged norms are not finite, at most {in_a_row:,} in a row"
                + (", to the end of the log." if bad[-1] else ", and finite ones follow.")
            ),
            steps=(int(series.step[first]), int(series.step[np.flatnonzero(bad)[-1]])),
            metrics=("train/grad_norm",),
            evidence={
                "first_step": int(series.step[first]),
                "count": count,
                "share": count / len(series),
                "consecutive": in_a_row,
                **({"loss_at": loss} if loss is not None else {}),
            },
            where=(series.where(first),),
            fix=(
                f"Replay the batch of step {series.step[first]:,} in fp32: finite there means overflow",
            ),
        ),
    )


def _has_scaler(run: Run) -> bool:
    """Tell whether a loss scaler is known to be at work: float16 is what needs one."""
    mixed = run.setting("mixed_precision")
    told = mixed is not None and bool(_HALF.search(str(mixed.value)))
    return told or bool(run.number("fp16")) or run.has("train/loss_scale")


DETECTOR = Detector(
    id="grad-nonfinite",
    group="grad_nonfinite",
    passed="Every gradient norm is finite",
    failed="A gradient norm is NaN or infinite",
    requires=("train/grad_norm",),
    settings=GradNonfiniteSettings,
    detect=detect,
)
