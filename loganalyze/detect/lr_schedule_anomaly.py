"""The learning rate jumps, starts over or ends where no plan says so.

What it does
------------
Looks at the recorded rate for: a fall back to its first values, or to a warmup, at a restart of the run; a
jump up by more than `jump` of the peak that happens once and is no cycle; a configured schedule that the
record contradicts (constant where a decay is set, or the reverse); PyTorch's warning that the scheduler is
stepped before the optimizer.

Why it matters
--------------
The run does not train at the rates that were chosen.

Not to be confused with
-----------------------
Cosine restarts, OneCycle, step decay, warmup-stable-decay: jumps that repeat or are set. A first step at the
optimizer's default. The warning once, with mixed precision.

Settings
--------
`jump`, `points`.

Fix
---
Save and load the scheduler's state; build it with the number of optimizer steps.

References
----------
yolov5#292, yolov3#902 (the rate starts over on resume); DeepSpeed#6569 (first step at the default rate).
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import EventKind, Run, Series, Where
from loganalyze.series import every_start
from loganalyze.settings import setting
from loganalyze.signals.loss_kind import LossKind, loss_kind
from loganalyze.signals.restart import begins_anew, told_restarts
from loganalyze.signals.robust import FloatArray, groups

ORDER = re.compile(r"Detected call of `lr_scheduler\.step\(\)`")
CYCLIC = re.compile(r"restart|cycl|sgdr|onecycle|one_cycle", re.I)
CONSTANT = re.compile(r"^constant$", re.I)
DECAYS = re.compile(r"^(?:linear|cosine|polynomial)$", re.I)
FEWEST = 4  # log points that show a decay and a start
LOW = 0.1  # share of the peak below which a jump is one of noise
NEAR_PEAK = 0.9  # share of the peak to which a warm restart goes back
CLIMB = 4  # log points over which a schedule that starts over may climb
FULL = 0.99  # share of the peak: logs round to 3 digits
LEAST = 0.1  # share of the peak: a lesser rise is hardly seen
ABRUPT = 5.0  # times the usual move of a schedule
QUICK = (
    0.35  # of the fall before it: a warmup takes a tenth of a plan, the rise of a cycle half of it
)
FLAT = 1e-3  # relative range below which a recorded rate is constant


@dataclass(frozen=True)
class ScheduleSettings:
    """Thresholds of the check."""

    jump: float = setting(
        0.3, unit="share of the peak", source="no smooth schedule moves so far at once"
    )
    points: int = setting(8, unit="log points", source="fewer show no schedule")


def detect(run: Run, settings: ScheduleSettings) -> Detected:
    """Compare the recorded rate with the plan and with itself."""
    if loss_kind(run) is LossKind.ADVERSARIAL:
        return NotApplicable("two optimizers share the column of the learning rate")
    found = run.setting("lr_scheduler_type")
    kind = str(found.value) if found is not None else ""
    rate = every_start(
        run.columns, "train/learning_rate", run.preferred.get("train/learning_rate", ())
    )
    rate = rate.finite() if len(rate) else run.series("train/learning_rate").finite()
    hint = next((e for e in run.events_of(EventKind.HINT) if ORDER.search(e.text)), None)
    if hint is not None and not _is_mixed(run):
        text = "PyTorch warns that the scheduler is stepped before the optimizer: its first value is skipped"
        note = _finding(
            "The scheduler is stepped before the optimizer", text, None, {}, (hint.where,)
        )
        # With mixed precision that the log does not tell of, the warning is harmless.
        return (dataclasses.replace(note, severity=Severity.INFO, confidence=0.5),)
    if found_at := _at_told(run, rate, settings):
        return found_at
    if len(rate) < settings.points:
        return NotApplicable(f"{len(rate)} learning rates are too few, {settings.points} needed")
    peak = float(rate.value.max())
    if peak <= 0:
        return ()
    return (
        _at_restarts(rate, peak, settings)
        or _jumps(rate, peak, kind, settings)
        or _against_plan(run, rate, kind)
    )


def _is_mixed(run: Run) -> bool:
    """Tell whether a loss scaler skips the first step, which makes the warning harmless."""
    return bool(run.flag("fp16")) or bool(
        run.events_of(EventKind.LOSS_SCALE, EventKind.SKIPPED_STEP)
    )


def _expected(rate: Series, border: int, earlier: Series) -> float:
    """Return how far the schedule itself moves from the last rate before a restart to the first after it."""
    gap = int(rate.step[border]) - int(earlier.step[-1])
    later = rate.take(rate.segment == rate.segment[border])
    slopes = [
        float(np.max(np.abs(np.diff(part.value)) / np.maximum(np.diff(part.step), 1)))
        for part in (earlier.take(slice(-5, None)), later.take(slice(0, 5)))
        if len(part) > 1
    ]
    return 1.5 * gap * max(slopes) if slopes else np.inf


def _at_restarts(rate: Series, peak: float, settings: ScheduleSettings) -> tuple[Finding, ...]:
    for border in (np.flatnonzero(np.diff(rate.segment) > 0) + 1).tolist():
        at = int(rate.step[border])
        earlier = rate.take((rate.segment < rate.segment[border]) & (rate.step <= at))
        if not len(earlier) or begins_anew(rate, border):
            continue
        before, after = float(earlier.value[-1]), float(rate.value[border])
        allowed = _expected(rate, border, earlier) + settings.jump * max(before, after)
        if abs(after - before) <= allowed or max(before, after) < LOW * peak:
            continue
        summary = (
            f"At the restart of step {at:,} the learning rate goes from {before:.3g} to {after:.3g}"
        )
        numbers = {"step": at, "before": before, "after": after}
        return (_finding("The learning rate starts over at a restart", summary, at, numbers,
                         (rate.where(border),)),)  # fmt: skip
    return ()


def _at_told(run: Run, rate: Series, settings: ScheduleSettings) -> tuple[Finding, ...]:
    """Look at the restarts that a line of the log tells of: the rate rises there and nowhere else."""
    if len(rate) < FEWEST:
        return ()
    peak = int(np.argmax(rate.value >= NEAR_PEAK * rate.value.max()))
    # The rises after the first peak; a schedule that starts over may climb over a few points.
    late = np.diff(rate.value) > settings.jump * rate.value[:-1]
    late[:peak] = False
    rises = groups(late, gap=1)
    if len(rises) != 1 or rises[0][1] - rises[0][0] >= CLIMB:
        return ()
    border = rises[0][0] + 1
    low, high = int(rate.step[max(border - 2, 0)]), int(rate.step[border])
    told = told_restarts(run)
    # The foot of the climb may lie below the rate that the schedule had come down to.
    before = float(rate.value[max(border - 2, 0) : border].max())
    after = float(rate.value[border : border + CLIMB + 1].max())
    falls_before = border > 1 and before < rate.value[:border].max()
    if not falls_before or not ((told >= low) & (told <= high)).any():
        return ()
    if after - before <= settings.jump * before:
        return ()
    summary = (
        f"At the restart of step {high:,} the learning rate goes from {before:.3g} to {after:.3g}"
    )
    numbers = {"step": high, "before": before, "after": after}
    return (_finding("The learning rate starts over at a restart", summary, high, numbers,
                     (rate.where(border),)),)  # fmt: skip


def _jumps(rate: Series, peak: float, kind: str, settings: ScheduleSettings) -> tuple[Finding, ...]:
    """Look for the one rise after the peak that no schedule makes."""
    if CYCLIC.search(kind):
        return ()
    value = rate.value
    # A warmup is no jump: only rises after the first peak count.
    first = int(np.argmax(value >= FULL * peak))
    climbs = [(a + first, b + first + 1) for a, b in groups(np.diff(value[first:]) > 0)]
    climbs = [(foot, top) for foot, top in climbs if value[top] - value[foot] > LEAST * peak]
    if len(climbs) != 1:
        return ()  # none, or a cycle
    foot, top = climbs[0]
    if np.ptp(rate.segment[foot : top + 1]) or _takes_its_time(rate, first, foot, top):
        return ()
    before, usual = _left_at(value, first, foot)
    rise, fall = float(value[top]) - before, before - float(value[foot])
    sudden = top - foot == 1 and rise > max(LEAST * peak, ABRUPT * usual)
    if max(rise, fall) <= settings.jump * peak and not sudden:
        return ()
    if _restarts_warm(value, first, foot, top, before, peak):
        return ()
    step, after = int(rate.step[foot + 1]), float(value[top])
    summary = f"At step {step:,} the learning rate jumps from {before:.3g} to {after:.3g}, once"
    numbers = {"step": step, "before": before, "after": after}
    where = (rate.where(foot + 1),)
    return (_finding("The learning rate jumps up", summary, step, numbers, where),)


def _takes_its_time(rate: Series, first: int, foot: int, top: int) -> bool:
    """Tell whether the rise is as slow as the fall before it: a triangle is a cycle, a warmup is quick."""
    fell = int(rate.step[foot]) - int(rate.step[first])
    return top - foot > 1 and int(rate.step[top]) - int(rate.step[foot]) > QUICK * fell


def _left_at(value: FloatArray, first: int, foot: int) -> tuple[float, float]:
    """Return the rate that the schedule had come down to, and its usual move.

    A schedule that starts over with a warmup falls at once to the foot of that, which is below the rate that
    it had come down to.
    """
    if foot <= first:
        return float(value[foot]), 0.0
    moves = np.abs(np.diff(value[first : foot + 1]))
    usual = float(np.median(moves[:-1])) if len(moves) > 1 else float(moves[-1])
    at_once = moves[-1] > ABRUPT * usual
    return float(value[foot - 1] if at_once else value[foot]), usual


def _restarts_warm(
    value: FloatArray, first: int, foot: int, top: int, before: float, peak: float
) -> bool:
    """Tell whether the rate goes from the end of a decay back to the peak: a warm restart, as planned.

    The end and the peak may lie between two log points: each side is continued by one move of its own.
    """
    falls = float(value[foot - 1] - value[foot]) if foot > first and before <= value[foot] else 0.0
    follows = float(value[top] - value[top + 1]) if top + 1 < len(value) else 0.0
    is_low = before - falls < LOW * peak
    return is_low and float(value[top]) + max(follows, 0.0) > NEAR_PEAK * peak


def _against_plan(run: Run, rate: Series, kind: str) -> tuple[Finding, ...]:
    span = run.planned_steps or int(rate.step[-1])
    late = rate.take(rate.step >= 0.3 * span)
    if len(late) < 3 or rate.step[-1] < 0.5 * span:
        return ()
    moves = float(np.ptp(late.value)) / float(rate.value.max())
    if DECAYS.search(kind) and moves < FLAT:
        stays = f"{late.value[0]:.3g} to step {late.step[-1]:,}"
        summary = f"lr_scheduler_type is {kind}, but the rate stays at {stays}"
        return (_finding("The learning rate does not decay as set", summary, int(late.step[0]),
                         {"moves": moves}, (late.where(0),)),)  # fmt: skip
    if CONSTANT.search(kind) and moves > 0.1:
        moved = f"{late.value[0]:.3g} to {late.value[-1]:.3g}"
        summary = f"lr_scheduler_type is constant, but the rate moves from {moved}"
        return (_finding("The learning rate is not constant as set", summary, int(late.step[0]),
                         {"moves": moves}, (late.where(0),)),)  # fmt: skip
    return ()


def _finding(
    title: str, summary: str, step: int | None, numbers: dict[str, float], where: tuple[Where, ...]
) -> Finding:
    return Finding(
        id="lr-schedule-anomaly",
        severity=Severity.WARNING,
        confidence=0.75,
        title=title,
        summary=f"{summary}.",
        steps=(step, step) if step is not None else None,
        metrics=("train/learning_rate",),
        evidence=dict(numbers),
        where=where,
        fix=("Save and load the scheduler's state; build it with the number of optimizer steps",),
    )


DETECTOR = Detector(
    id="lr-schedule-anomaly",
    group="schedule",
    passed="The learning rate follows a plan",
    failed="The learning rate jumps, starts over or ends against the plan",
    requires=(),
    settings=ScheduleSettings,
    detect=detect,
)
