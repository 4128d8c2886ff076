"""The gradient norm leaves its own past by a factor, and stays there or grows without bound.

What it does
------------
Each log norm is compared with the median of the `window` points before it. Points more than
`factor` times above it, and above `absolute`, count. It holds if at least `points` of them come
in a row, or if they last to the end of the log. Without such points, a norm that grew `factor` times from
the first tenth of the log to the last, to more than `high`, is noted: it grows without bound. So are norms
above `extreme` at `points` steps: no ordinary run has them.

Why it matters
--------------
Updates grow with the norm; a clipped run goes on with directions that mean little, an unclipped
one is lost.

Not to be confused with
-----------------------
The first steps of a warmup. A norm that is high but steady from the start (a scaling fault: see
clip-saturated). The first steps after an intended restart of the rate. Single outliers that recover, and
rises over less than `away` of the run after which the loss is lower than before (info). A likelihood that
falls below 0 and grows sharper, and its gradient with it (info). Reinforcement losses.

Settings
--------
`factor`, `absolute`, `high`, `window`, `points`, `extreme`, `away`.

Fix
---
Clip the gradient norm, lower the learning rate, look at the batch of the first such step.

References
----------
``g_t > alpha * EMA(g)`` with alpha 5 to 10; norms of 0.1 to 10 are ordinary, above 100 they are
not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run, Series
from loganalyze.settings import setting
from loganalyze.signals.loss_kind import LossKind, loss_kind
from loganalyze.signals.lr import restarts
from loganalyze.signals.reference import left_reference
from loganalyze.signals.robust import groups, trailing_median

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class ExplosionSettings:
    """Thresholds of the check."""

    factor: float = setting(10.0, unit="ratio to the median before", source="alpha 5 to 10")
    absolute: float = setting(10.0, unit="gradient norm", source="0.1 to 10 is the ordinary range")
    high: float = setting(100.0, unit="gradient norm", source="above 100 absolute")
    window: int = setting(50, unit="log points", source="long enough for a steady median")
    extreme: float = setting(
        1000.0, unit="gradient norm", source="ten times what is called out of the ordinary, 100"
    )
    points: int = setting(3, unit="log points in a row", source="a repeat is no outlier")
    away: float = setting(0.1, unit="share of the run", source="as for a loss that comes back")


SHORTEST_WINDOW = 5
FIRST = 3  # log points that stand for the level while there are fewer than a window
EARLY = 10.0  # times their median: norms move in the first steps
NOTEWORTHY = 3.0  # times the factor: a single outlier above it is worth a note


def detect(run: Run, settings: ExplosionSettings) -> Detected:
    """Find norms that left their past."""
    kind = loss_kind(run)
    runs_away = kind is LossKind.REINFORCEMENT and left_reference(run)
    if kind in (LossKind.REINFORCEMENT, LossKind.ADVERSARIAL) and not runs_away:
        return NotApplicable(f"jumps of the gradient norm are ordinary for {kind.value}")
    series = run.series("train/grad_norm").finite()
    window = min(settings.window, len(series) // 3)
    if window < SHORTEST_WINDOW:
        needed = 3 * SHORTEST_WINDOW
        return NotApplicable(f"{len(series)} gradient norms are too few, {needed} needed")
    norm = series.value
    before = trailing_median(norm, window)
    before[FIRST:window] = EARLY * float(np.median(norm[:FIRST]))
    # The median before follows a lasting jump; hold the level from before the jump for comparison.
    with np.errstate(divide="ignore", invalid="ignore"):
        high = (norm > settings.factor * before) & (norm > settings.absolute)
    high &= ~_after_restart(run, series, settings)
    if not high.any():
        return _extreme(series, settings)
    bursts = groups(high, gap=1)
    first, last = max(bursts, key=lambda g: float(np.max(norm[g[0] : g[1] + 1]) / before[g[0]]))
    level = float(before[first])
    in_a_row = max(end - start + 1 for start, end in bursts)
    stays = last >= len(norm) - 1 and in_a_row > 1
    worst = first + int(np.argmax(norm[first : last + 1]))
    ratio = float(norm[worst] / max(level, 1e-30))
    if in_a_row < settings.points and not stays:
        if ratio < NOTEWORTHY * settings.factor:
            return _extreme(series, settings)
        severity = Severity.INFO
    else:
        severity = Severity.CRITICAL if stays else Severity.WARNING
    count = int(high.sum())
    passes = not stays and count < settings.away * len(norm)
    if (kind is LossKind.UNBOUNDED or passes) and _goes_on_to_fall(run, int(series.step[first])):
        severity = Severity.INFO
    return (
        Finding(
            id="grad-explosion",
            severity=severity,
            confidence=0.9 if count >= settings.points else 0.7,
            title=f"The gradient norm rises to {ratio:,.0f} x its level",
            summary=(
                f"At step {series.step[worst]:,} the gradient norm is {norm[worst]:.4g}, {ratio:,.0f} x the "
                f"{level:.4g} of the {window} points before; {count} points stand out so"
                + (", up to the end of the log." if stays else ".")
            ),
            steps=(int(series.step[first]), int(series.step[last])),
            metrics=("train/grad_norm",),
            evidence={
                "first_step": int(series.step[first]),
                "value": float(norm[worst]),
                "level_before": level,
                "ratio_to_past": ratio,
                "count": count,
                "max": float(norm.max()),
            },
            where=(series.where(first), series.where(worst)),
            fix=("max_grad_norm 1.0, and a lower learning rate if it comes back",),
            levels={f"level before {level:.3g}": level},
        ),
    )


def _after_restart(run: Run, series: Series, settings: ExplosionSettings) -> BoolArray:
    """Mark the points soon after an intended restart of the rate: it is meant to shake the weights."""
    at = restarts(run)
    cycles = np.diff(np.r_[at, series.step[-1]]) if len(at) else at
    soon = np.zeros(len(series), dtype=bool)
    for step, cycle in zip(at.tolist(), cycles.tolist(), strict=True):
        soon |= (series.step >= step) & (series.step <= step + settings.away * cycle)
    return soon


def _goes_on_to_fall(run: Run, step: int) -> bool:
    """Tell whether the loss ends below where it was when the norm rose.

    A likelihood below 0 grows sharper as it learns, and its gradient grows with that: by the inverse of
    the standard deviation that is predicted.
    """
    loss = run.series("train/loss").finite()
    before = loss.value[loss.step < step][-SHORTEST_WINDOW:]
    after = loss.value[loss.step >= step]
    if not len(before) or not len(after):
        return False
    return float(np.median(after[-SHORTEST_WINDOW:])) < float(np.median(before))


def _extreme(series: Series, settings: ExplosionSettings) -> tuple[Finding, ...]:
    """Note norms beyond any ordinary one, though they are this run's habit or its start."""
    tenth = max(len(series) // 10, FIRST)
    first, last = (float(np.median(part)) for part in (series.value[:tenth], series.value[-tenth:]))
    limit = settings.extreme
    if last > max(settings.high, settings.factor * first):
        limit = settings.high
    high = np.flatnonzero(series.value > limit)
    if len(high) < settings.points:
        return ()
    worst = int(np.argmax(series.value))
    return (
        Finding(
            id="grad-explosion",
            severity=Severity.INFO,
            confidence=0.6,
            title=f"The gradient norm reaches {series.value[worst]:,.3g}",
            summary=(
                f"At {len(high):,} of {len(series):,} logged steps the gradient norm is above "
                f"{limit:,.0f}, {series.value[worst]:,.3g} at step {series.step[worst]:,}; "
                "0.1 to 10 is ordinary."
            ),
            steps=(int(series.step[high[0]]), int(series.step[high[-1]])),
            metrics=("train/grad_norm",),
            evidence={
                "first_step": int(series.step[high[0]]),
                "value": float(series.value[worst]),
                "count": len(high),
                "max": float(series.value[worst]),
            },
            where=(series.where(worst),),
            fix=("Normalise the inputs and average the loss; then clip at max_grad_norm 1.0",),
        ),
    )


DETECTOR = Detector(
    id="grad-explosion",
    group="explosion",
    passed="The gradient norm stays near its own past",
    failed="The gradient norm leaves its own past",
    requires=("train/grad_norm",),
    settings=ExplosionSettings,
    detect=detect,
)
