"""The loss steps down at each epoch boundary and is flat or rising between.

What it does
------------
Over the whole epochs in the log, the change of the loss across each boundary is compared with the change
inside epochs, both as medians over windows of a tenth of an epoch. The finding holds if at least `share` of
`boundaries` or more step down by more than `noise` sigmas and by `drop`, and the steps make up most of the
whole fall.

Why it matters
--------------
Samples are recognised when they come again: the model remembers instead of learning.

Not to be confused with
-----------------------
A learning rate that steps down at epoch ends. A logged value that is a mean since the epoch began: it gets
smoother inside the epoch. One point per epoch.

Settings
--------
`share`, `boundaries`, `drop`, `deep`, `noise`.

Fix
---
Fewer epochs, more data, or regularisation; watch the evaluation loss.

References
----------
transformers#18730.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run, Series
from loganalyze.settings import setting
from loganalyze.signals.loss_kind import LossKind, loss_kind
from loganalyze.signals.robust import noise_sigma


@dataclass(frozen=True)
class SawtoothSettings:
    """Thresholds of the check."""

    share: float = setting(0.8, unit="share of the boundaries", source="nearly all")
    boundaries: int = setting(2, unit="epoch boundaries", source="one step may be anything")
    drop: float = setting(0.08, unit="share of the loss", source="visible on the curve")
    deep: float = setting(0.15, unit="share of the loss", source="a smaller step is a note")
    noise: float = setting(4.0, unit="robust standard errors", source="beyond chance")


FEWEST = 12  # log points per epoch: fewer do not show its inside
PART = 4  # windows per epoch
LR_STEP = 0.8  # of the rate before a boundary: below it the rate stepped
SMOOTHER = 0.4  # noise at the end of an epoch against its start: below it values are running means


def detect(run: Run, settings: SawtoothSettings) -> Detected:
    """Compare steps at the boundaries of epochs with the course inside."""
    kind = loss_kind(run)
    if kind in (LossKind.REINFORCEMENT, LossKind.ADVERSARIAL):
        return NotApplicable(f"no sample comes again for {kind.value}")
    series = run.series("train/loss").finite()
    series = series.take(np.isfinite(series.epoch))
    if not len(series):
        return NotApplicable("no epoch was logged with the train loss")
    number = np.floor(series.epoch - 1e-9).astype(np.int64)
    parts = [series.take(number == epoch) for epoch in np.unique(number).tolist()]
    parts = [part for part in parts if len(part) >= FEWEST]
    if len(parts) <= settings.boundaries:
        return NotApplicable(f"{len(parts)} epochs with {FEWEST} or more losses are too few")
    if _is_running_mean(parts):
        return NotApplicable("the loss is a running mean that starts anew with each epoch")
    width = max(3, min(len(part) for part in parts) // PART)
    ends = np.array([np.median(part.value[-width:]) for part in parts[:-1]])
    starts = np.array([np.median(part.value[:width]) for part in parts[1:]])
    inside = np.array([np.median(p.value[-width:]) - np.median(p.value[:width]) for p in parts[1:]])
    sigma = np.array([noise_sigma(part.value) for part in parts[1:]]) * 1.77 / np.sqrt(width)
    down = (ends - starts > settings.drop * ends) & (ends - starts > settings.noise * sigma)
    steeper = ends - starts > 2 * np.maximum(-inside, 0)
    steps = down & steeper
    # Near zero the noise hides a step as well as its absence: such a boundary says nothing.
    absent = ~steps & (ends - starts + settings.noise * sigma < settings.drop * ends)
    unclear = ~steps & ~absent
    if steps.sum() < max(settings.boundaries, unclear.sum()) or _rate_steps(run, parts):
        return ()
    if steps.sum() < settings.share * (steps.sum() + absent.sum()):
        return ()
    return (_finding(series, parts, ends, starts, inside, settings),)


def _is_running_mean(parts: list[Series]) -> bool:
    ratios = []
    for part in parts:
        half = len(part) // 2
        early, late = noise_sigma(part.value[:half]), noise_sigma(part.value[half:])
        if early > 0:
            ratios.append(late / early)
    return bool(ratios) and float(np.median(ratios)) < SMOOTHER


def _rate_steps(run: Run, parts: list[Series]) -> bool:
    rate = run.series("train/learning_rate").finite()
    if not len(rate):
        return False
    drops = []
    for one, other in itertools.pairwise(parts):
        before, after = rate.value_at(int(one.step[-1])), rate.value_at(int(other.step[0]))
        drops.append(before is not None and after is not None and after < LR_STEP * before)
    return float(np.mean(drops)) > 0.5


def _finding(
    series: Series,
    parts: list[Series],
    ends: np.ndarray,
    starts: np.ndarray,
    inside: np.ndarray,
    settings: SawtoothSettings,
) -> Finding:
    return Finding(
        id="epoch-sawtooth",
        severity=Severity.WARNING
        if np.median(1 - starts / ends) >= settings.deep
        else Severity.INFO,
        confidence=0.8 if len(parts) > 3 else 0.65,
        title="The loss steps down at each epoch boundary",
        summary=(
            f"At {len(ends)} epoch boundaries the train loss falls by "
            f"{float(np.median(1 - starts / ends)):.0%} at "
            f"once, while inside the epochs it changes by {float(np.median(inside / starts)):+.0%}."
        ),
        steps=(int(series.step[0]), int(series.step[-1])),
        metrics=("train/loss",),
        evidence={
            "boundaries": len(ends),
            "drop_at_boundary": float(np.median(1 - starts / ends)),
            "change_inside": float(np.median(inside / starts)),
        },
        where=tuple(part.where(0) for part in parts[1:4]),
        fix=("Train fewer epochs and watch the evaluation loss: the data are being remembered",),
    )


DETECTOR = Detector(
    id="epoch-sawtooth",
    group="sawtooth",
    passed="The loss does not step down at epoch boundaries",
    failed="The loss steps down at each epoch boundary",
    requires=("train/loss",),
    settings=SawtoothSettings,
    detect=detect,
)
