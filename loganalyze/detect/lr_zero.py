"""The learning rate is 0 while the run goes on.

What it does
------------
Finds the stretch of rates at or below `zero` of the peak that lasts longest. The finding holds if it takes
`share` of the logged steps (`points` log points at least) and is neither the end of a decay that ends with
the run nor a first row. Rates at or below `low` of the peak are at their floor: the finding holds if the run
ends with `share_low` of its steps there.

Why it matters
--------------
Every step at rate 0 is paid for and changes nothing.

Not to be confused with
-----------------------
The last step of a decay. One first step at 0. Rows of a warmup, or of a loss scaler that still calibrates.

Settings
--------
`zero`, `share`, `low`, `share_low`, `at_start`, `points`.

Fix
---
Give the scheduler the number of optimizer steps that will be made.

References
----------
determined#711: the schedule was built for 400 of 15,000 steps; transformers#10362: rate 0 while the loss
scaler calibrates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import EventKind, Run, Series
from loganalyze.settings import setting
from loganalyze.signals.robust import groups


@dataclass(frozen=True)
class ZeroRateSettings:
    """Thresholds of the check."""

    zero: float = setting(1e-6, unit="share of the peak", source="below it no weight moves")
    share: float = setting(
        0.1, unit="share of the logged steps", source="decays end within a few percent"
    )
    low: float = setting(
        5e-4, unit="share of the peak", source="half of what three drops of a step decay leave"
    )
    share_low: float = setting(
        0.15, unit="share of the logged steps", source="the end of a cosine takes 3 %"
    )
    at_start: float = setting(
        0.5,
        unit="share of the logged steps",
        source="a scaler may calibrate for long in a short log",
    )
    points: int = setting(4, unit="log points", source="a few rows may be rounding")


TAIL = 0.25  # share of the log; a cosine is below half of a seventh of its peak for 17 %
COARSE = 0.01  # share of the peak: a log with so few digits prints 0 for a rate that decays


def detect(run: Run, settings: ZeroRateSettings) -> Detected:
    """Look for a stretch at zero."""
    rate = run.series("train/learning_rate").finite()
    if len(rate) < settings.points:
        return NotApplicable(f"{len(rate)} learning rates are too few, {settings.points} needed")
    peak = max(float(rate.value.max()), run.number("learning_rate") or 0.0)
    dead = np.abs(rate.value) <= settings.zero * peak
    _revive_rounded(rate.value, dead, peak)
    stretches = groups(dead)
    if not stretches:
        return _at_floor(run, rate, peak, settings)
    first, last = max(stretches, key=lambda g: int(rate.step[g[1]] - rate.step[g[0]]))
    span = int(rate.step[-1] - rate.step[0])
    steps = int(rate.step[last] - rate.step[first])
    if last - first + 1 < settings.points or steps < settings.share * span:
        return _at_floor(run, rate, peak, settings)
    at_start = first == 0
    if at_start and (steps < settings.at_start * span or _calibrates(run, last < len(rate) - 1)):
        return ()  # a loss scaler that calibrates, or the first rows of a warmup
    when = "from the first step" if at_start else f"from step {rate.step[first]:,}"
    return (
        Finding(
            id="lr-zero",
            severity=Severity.CRITICAL if steps >= 0.5 * span else Severity.WARNING,
            confidence=0.9,
            title=f"The learning rate is 0 {when}",
            summary=(
                f"The learning rate is {rate.value[first]:.2g} {when} to {rate.step[last]:,}: "
                f"{steps:,} of {span:,} "
                "logged steps changed nothing."
            ),
            steps=(int(rate.step[first]), int(rate.step[last])),
            metrics=("train/learning_rate", "train/loss"),
            evidence={
                "first_step": int(rate.step[first]),
                "last_step": int(rate.step[last]),
                "share": steps / max(span, 1),
                "peak": peak,
                "from_start": "yes" if at_start else "no",
            },
            where=(rate.where(first), rate.where(last)),
            fix=("The scheduler's number of steps -> the optimizer steps that are really made",),
        ),
    )


def _at_floor(
    run: Run, rate: Series, peak: float, settings: ZeroRateSettings
) -> tuple[Finding, ...]:
    """Judge an end at rates that are no zeros and move hardly anything."""
    alive = np.flatnonzero(np.abs(rate.value) > settings.low * peak)
    first = int(alive[-1]) + 1 if len(alive) else 0
    if not first or len(rate) - first < settings.points or not np.all(rate.value[first:] > 0):
        return ()
    span = int(rate.step[-1] - rate.step[0])
    steps = int(rate.step[-1] - rate.step[first])
    if steps < settings.share_low * max(span, run.planned_steps or 0):
        return ()
    return (
        Finding(
            id="lr-zero",
            severity=Severity.WARNING,
            confidence=0.8,
            title=f"The learning rate is all but 0 from step {rate.step[first]:,}",
            summary=(
                f"From step {rate.step[first]:,} to {rate.step[-1]:,} the learning rate is below "
                f"{settings.low:g} of its peak {peak:.3g}: {steps:,} of {span:,} logged steps moved hardly "
                "anything."
            ),
            steps=(int(rate.step[first]), int(rate.step[-1])),
            metrics=("train/learning_rate", "train/loss"),
            evidence={
                "first_step": int(rate.step[first]),
                "last_step": int(rate.step[-1]),
                "share": steps / max(span, 1),
                "peak": peak,
                "from_start": "no",
            },
            where=(rate.where(first), rate.where(len(rate) - 1)),
            fix=("The decay -> one that ends with the run: per epoch, not per step",),
        ),
    )


def _calibrates(run: Run, rises: bool) -> bool:
    """Tell whether a loss scaler skipped steps at the start, after which the rate came alive."""
    return rises and bool(run.events_of(EventKind.LOSS_SCALE))


def _revive_rounded(value: np.ndarray, dead: np.ndarray, peak: float) -> None:
    """Take zeros out of `dead` that may be rates below the last digit that the log prints."""
    alive = np.unique(value[~dead])
    if len(alive) < 2 or not dead[-1]:
        return
    digit = 10.0 ** np.round(np.log10(np.diff(alive).min()))
    last = int(np.flatnonzero(~dead)[-1])
    is_rounded = np.allclose(alive / digit, np.round(alive / digit), rtol=0, atol=1e-3)
    is_tail = len(value) - last - 1 <= TAIL * len(value)
    if is_rounded and is_tail and value[last] <= digit * 1.01 and digit > COARSE * peak:
        dead[last + 1 :] = False


DETECTOR = Detector(
    id="lr-zero",
    group="lr_zero",
    passed="The learning rate is alive while the run goes on",
    failed="The learning rate is 0 while the run goes on",
    requires=("train/learning_rate",),
    settings=ZeroRateSettings,
    detect=detect,
)
