"""The loss steps down at each epoch boundary and is flat or rising between.

What it does
------------
Over the epochs in the log (as logged, or from the number of samples and the batch size), the change of the
loss across each boundary is compared with the change inside epochs, both as medians over windows of a quarter
of an epoch. The finding holds if at least `share` of `boundaries` or more step down by more than `noise`
sigmas and by `drop`, and all steps together make up `most` of the whole fall; below `clearly` it is a note.
Boundaries none of which is clear of the noise are a note if together they are, and make up `share` of the
fall.

Why it matters
--------------
Samples are recognised when they come again: the model remembers instead of learning.

Not to be confused with
-----------------------
A learning rate that steps down at epoch ends. A logged value that is a mean since the epoch began: it gets
smoother inside the epoch. One point per epoch. A loss that falls fast inside the epochs as well: near its
floor all steps are large as shares, and none is large on the curve.

Settings
--------
`share`, `boundaries`, `drop`, `deep`, `noise`, `most`, `clearly`.

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
from loganalyze.signals.batch_order import epochs
from loganalyze.signals.loss_kind import LossKind, loss_kind
from loganalyze.signals.robust import FloatArray, noise_sigma


@dataclass(frozen=True)
class SawtoothSettings:
    """Thresholds of the check."""

    share: float = setting(0.8, unit="share of the boundaries", source="nearly all")
    boundaries: int = setting(2, unit="epoch boundaries", source="one step may be anything")
    drop: float = setting(0.08, unit="share of the loss", source="visible on the curve")
    deep: float = setting(0.15, unit="share of the loss", source="a smaller step is a note")
    noise: float = setting(4.0, unit="robust standard errors", source="beyond chance")
    most: float = setting(
        0.5, unit="share of the whole fall", source="twice what a steady fall has at its boundaries"
    )
    clearly: float = setting(
        0.67, unit="share of the whole fall", source="two thirds: the inside adds a third at most"
    )


FEWEST = 6  # log points per epoch: fewer do not show its inside
MOST = 500  # epochs that are looked at; the steps are largest in the first ones
SINGLE = 12  # log points per epoch from which a single boundary is judged
PART = 4  # windows per epoch
STEP_ERROR = 1.77  # of a difference of two medians over that of one value: sqrt(2) * sqrt(pi / 2)
TINY = 1e-12  # a divisor above 0
LR_STEP = 0.8  # of the rate before a boundary: below it the rate stepped
SMOOTHER = 0.4  # noise at the end of an epoch against its start: below it values are running means


def detect(run: Run, settings: SawtoothSettings) -> Detected:
    """Compare steps at the boundaries of epochs with the course inside."""
    kind = loss_kind(run)
    if kind in (LossKind.REINFORCEMENT, LossKind.ADVERSARIAL):
        return NotApplicable(f"no sample comes again for {kind.value}")
    series = run.series("train/loss").finite()
    place = epochs(run, series)
    if place is None:
        return NotApplicable("no epoch was logged with the train loss")
    number = np.floor(place - 1e-9).astype(np.int64)
    borders = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(series)]
    spans = [span for span in itertools.pairwise(borders) if span[1] - span[0] >= FEWEST]
    parts = [series.take(slice(*span)) for span in spans[:MOST]]
    if len(parts) <= settings.boundaries:
        return NotApplicable(f"{len(parts)} epochs with {FEWEST} or more losses are too few")
    if _is_running_mean(parts):
        return NotApplicable("the loss is a running mean that starts anew with each epoch")
    steps = _steps(parts)
    if steps.share < settings.most or _rate_steps(run, parts):
        return ()
    singly = min(len(part) for part in parts) >= SINGLE and _each_shows(steps, settings)
    if not singly and not _together(steps, settings):
        return ()
    deep = float(np.median(1 - steps.starts / steps.ends)) >= settings.deep
    grave = singly and deep and steps.share >= settings.clearly
    return (_finding(series, parts, steps, Severity.WARNING if grave else Severity.INFO),)


@dataclass(frozen=True, slots=True)
class _Steps:
    """What the loss does at the boundaries of epochs, and inside.

    Attributes
    ----------
    ends, starts
        Level at the end of each epoch but the last, and at the start of the next.
    inside
        Change inside the epoch behind each boundary.
    sigma
        Standard error of a step.
    share
        Of all steps together in the whole fall.
    """

    ends: FloatArray
    starts: FloatArray
    inside: FloatArray
    sigma: FloatArray
    share: float


def _steps(parts: list[Series]) -> _Steps:
    width = max(2, min(len(part) for part in parts) // PART)
    firsts = np.array([np.median(part.value[:width]) for part in parts])
    lasts = np.array([np.median(part.value[-width:]) for part in parts])
    noise = np.array([noise_sigma(part.value) for part in parts[1:]])
    whole = float(np.median(parts[0].value) - np.median(parts[-1].value))
    ends, starts = lasts[:-1], firsts[1:]
    fallen = float((ends - starts).sum())
    return _Steps(
        ends,
        starts,
        lasts[1:] - firsts[1:],
        noise * STEP_ERROR / np.sqrt(width),
        # A loss that rises inside and is no lower in the end falls at the boundaries alone.
        fallen / whole if whole > 0 else np.inf if fallen > 0 else 0.0,
    )


def _each_shows(steps: _Steps, settings: SawtoothSettings) -> bool:
    """Tell whether most boundaries step down, each clear of the noise."""
    fall = steps.ends - steps.starts
    error = settings.noise * steps.sigma
    down = (fall > settings.drop * steps.ends) & (fall > error)
    shown = down & (fall > 2 * np.maximum(-steps.inside, 0))
    # Near zero the noise hides a step as well as its absence: such a boundary says nothing.
    absent = ~shown & (fall + error < settings.drop * steps.ends)
    unclear = ~shown & ~absent
    return bool(
        shown.sum() >= max(settings.boundaries, unclear.sum())
        and shown.sum() >= settings.share * (shown.sum() + absent.sum())
    )


def _together(steps: _Steps, settings: SawtoothSettings) -> bool:
    """Tell whether the boundaries step down, clear of the noise as a whole, and the inside does not fall."""
    fall = steps.ends - steps.starts
    error = max(float(np.sqrt((steps.sigma**2).sum())), TINY)
    return bool(
        len(fall) > settings.boundaries
        and fall.sum() > settings.noise * error
        and fall.sum() > settings.drop * steps.ends.sum()
        and steps.share >= settings.share
        and fall.sum() > 2 * max(float(-steps.inside.sum()), 0.0)
        and (fall > 0).mean() >= settings.share
    )


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


def _finding(series: Series, parts: list[Series], steps: _Steps, severity: Severity) -> Finding:
    drop = float(np.median(1 - steps.starts / steps.ends))
    inside = float(np.median(steps.inside / steps.starts))
    return Finding(
        id="epoch-sawtooth",
        severity=severity,
        confidence=0.8 if len(parts) > 3 else 0.65,
        title="The loss steps down at each epoch boundary",
        summary=(
            f"At {len(steps.ends)} epoch boundaries the train loss falls by {drop:.0%} at once, while "
            f"inside the epochs it changes by {inside:+.0%}."
        ),
        steps=(int(series.step[0]), int(series.step[-1])),
        metrics=("train/loss",),
        evidence={
            "boundaries": len(steps.ends),
            "drop_at_boundary": drop,
            "change_inside": inside,
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
