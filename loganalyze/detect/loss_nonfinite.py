"""A train loss is NaN or infinite.

What it does
------------
Counts NaN and infinities of the train loss and looks at what came before: whether the loss rose
over the `before` finite points ahead of the first one, the learning rate there, and whether
finite losses follow. Without any such loss in the log, an error that a guard in the training loop raised
("Loss became infinite or NaN") counts as well.

Why it matters
--------------
Once the weights are NaN every later step is lost; the rows before the first one hold the cause.

Not to be confused with
-----------------------
A single skipped step of a dynamic loss scaler with finite losses after it (info).

Settings
--------
`before`, `persistent`.

Fix
---
Restart from the last checkpoint before the first NaN with the cause removed.

References
----------
PyTorch documentation, automatic mixed precision: gradient scaling skips steps with infinite
gradients.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import EventKind, Run, Series
from loganalyze.settings import setting
from loganalyze.signals.robust import longest

# What guards in training loops say: Detectron2, DETR, MMDetection and their like.
GUARD = re.compile(
    r"loss (?:became|is|was|has become) (?:infinite or )?(?:nan|inf)|NaN (?:loss|or Inf found)"
    r"|non-?finite loss|invalid loss|loss = nan|training has diverged"
    r"|(?:boxes|scores|outputs?|predictions?|logits) (?:or scores )?contains? (?:Inf/NaN|inf|nan)",
    re.I,
)
INVALID = re.compile(r"RuntimeWarning: (?:invalid value|divide by zero) encountered")
STEP = re.compile(r"(?:iteration|iter|step)[ =:]{1,3}(\d{1,12})", re.I)


@dataclass(frozen=True)
class NonfiniteSettings:
    """Thresholds of the check."""

    before: int = setting(5, unit="log points", source="a blow-up takes a few rows")
    persistent: int = setting(3, unit="log points in a row", source="a scaler skips one or two")


def detect(run: Run, settings: NonfiniteSettings) -> Detected:
    """Find losses that are no numbers."""
    series = run.series("train/loss")
    bad = ~np.isfinite(series.value)
    if not bad.any():
        return _announced(run)
    first = int(np.argmax(bad))
    count, in_a_row = int(bad.sum()), longest(bad)
    recovered = not bad[-1]
    severity = Severity.CRITICAL
    if recovered and in_a_row < settings.persistent:
        severity = Severity.INFO if count <= 2 else Severity.WARNING
    ends = "finite losses follow" if recovered else "no finite loss follows"
    evidence = _before(run, series, first, settings)
    rise = evidence.get("rise_before")
    how = ""
    if isinstance(rise, float):
        how = f"; it had risen {rise:.1f} x before" if rise >= 1.5 else "; it had not risen before"
    return (
        Finding(
            id="loss-nonfinite",
            severity=severity,
            confidence=1.0,
            title=f"The loss is {_name(series.value[first])} from step {series.step[first]:,}",
            summary=(
                f"The train loss is {_name(series.value[first])} at step {series.step[first]:,}, {count:,} "
                f"of {len(series):,} logged losses are not finite, {ends}{how}."
            ),
            steps=(int(series.step[first]), int(series.step[np.flatnonzero(bad)[-1]])),
            metrics=("train/loss",),
            evidence={
                "first_step": int(series.step[first]),
                "first_value": _name(series.value[first]),
                "count": count,
                "share": count / len(series),
                "consecutive": in_a_row,
                "recovered": "yes" if recovered else "no",
                **evidence,
            },
            where=tuple(series.where(i) for i in (max(first - 1, 0), first)),
            fix=_fix(series, first),
        ),
    )


def _announced(run: Run) -> Detected:
    """Take the word of an error that a guard in the training loop raised."""
    told = run.events_of(EventKind.TRACEBACK, EventKind.HINT)
    errors = [event for event in told if GUARD.search(event.text)]
    if not errors and run.has("train/loss"):
        return ()
    if not errors:
        return _warned(run) or NotApplicable("no train/loss was logged")
    error = errors[0]
    line = next(part for part in reversed(error.text.splitlines()) if GUARD.search(part)).strip()
    stated = STEP.search(line)
    step = int(stated[1]) if stated else error.step
    where = f" at step {step:,}" if step is not None else ""
    evidence: dict[str, float | str] = {"first_value": "not finite", "count": 0, "recovered": "no"}
    if step is not None:
        evidence["first_step"] = step
    return (
        Finding(
            id="loss-nonfinite",
            severity=Severity.CRITICAL,
            confidence=0.97,
            title=f"The training stopped itself at a loss that is not finite{where}",
            summary=f"The training stopped itself{where}: {line[:160]}",
            steps=(step, step) if step is not None else None,
            metrics=("train/loss",),
            evidence=evidence,
            where=(error.where,),
            fix=("Go back to the last checkpoint before it with the cause removed",),
        ),
    )


def _warned(run: Run) -> tuple[Finding, ...]:
    """Take the word of NumPy in a log without losses: something was computed that is no number."""
    warnings = [event for event in run.events_of(EventKind.HINT) if INVALID.search(event.text)]
    if not warnings:
        return ()
    line = warnings[0].text.strip()
    return (
        Finding(
            id="loss-nonfinite",
            severity=Severity.WARNING,
            confidence=0.5,
            title="A computation gave NaN",
            summary=f"No loss was logged, and NumPy warns of a value that is no number: {line[-160:]}",
            metrics=("train/loss",),
            evidence={"first_value": "not finite", "count": 0, "recovered": "unknown"},
            where=(warnings[0].where,),
            fix=(
                "Print what goes into the line that warns: a negative size, a zero, an empty set",
            ),
        ),
    )


def _before(
    run: Run, series: Series, first: int, settings: NonfiniteSettings
) -> dict[str, float | str]:
    """Describe the finite points ahead of the first bad one."""
    evidence: dict[str, float | str] = {"index_of_first": first}
    finite = series.take(slice(0, first)).finite()
    if len(finite):
        evidence["last_finite_loss"] = float(finite.value[-1])
        evidence["last_finite_step"] = int(finite.step[-1])
    if len(finite) > settings.before:
        level = float(np.median(finite.value[: -settings.before][-4 * settings.before :]))
        recent = float(np.max(finite.value[-settings.before :]))
        if level > 0:
            evidence["rise_before"] = recent / level
    elif len(finite) >= 2 and finite.value.min() > 0:
        evidence["rise_before"] = float(finite.value[-1] / finite.value.min())
    rate = run.series("train/learning_rate").finite()
    at = rate.value_at(int(series.step[first]))
    if at is not None:
        evidence["lr_at_first"] = at
        evidence["lr_share_of_peak"] = at / max(float(rate.value.max()), 1e-30)
    norm = run.series("train/grad_norm").finite()
    at = norm.value_at(int(series.step[first]))
    if at is not None:
        evidence["grad_norm_before"] = at
    return evidence


def _fix(series: Series, first: int) -> tuple[str, ...]:
    if first == 0:
        return (
            "The very first loss is not finite: look at the first batch and the untouched model",
        )
    return (f"Go back to a checkpoint before step {series.step[first]:,} with the cause removed",)


def _name(value: float) -> str:
    if np.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


DETECTOR = Detector(
    id="loss-nonfinite",
    group="nonfinite",
    passed="Every train loss is finite",
    failed="A train loss is NaN or infinite",
    requires=(),
    settings=NonfiniteSettings,
    detect=detect,
)
