"""The learning-rate schedule as recorded: its warmup, its peak, and where a run stands in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.run import Run, Series, once

FULL = 0.99  # share of the peak from which the rate counts as full; logs round to 3 digits
CONSTANT = 1e-3  # relative range below which a rate is constant
ALIVE = 0.1  # share of the peak below which the rate hardly moves the weights any more
LONG_ENOUGH = 0.3  # share of the log points; what leaves its start at all has left it by then
LINEAR_ERROR = 0.02  # relative error up to which a rise through the origin is a linear warmup
POINTS_FOR_LINE = 3
STILL = (
    2.0  # times the warmup of the settings, or the stair of a rate: what rises for longer goes on
)
RANGE_POINTS = 10  # log points that show how a rate rises
RANGE_DECADES = (
    2.0  # a range test spans what may be too low and what is too high; no warmup is so curved
)


@dataclass(frozen=True, slots=True)
class Warmup:
    """A warmup as seen or configured.

    Attributes
    ----------
    steps
        Its length in optimizer steps; None where it did not end in the log and nobody says.
    target
        The rate it leads to; None where unknown.
    reached
        Share of the target at the last logged step (1 after a completed warmup).
    done
        Whether it was completed inside the log.
    source
        Where the length comes from: ``"config"``, ``"log"`` or ``"slope"``.
    """

    steps: int | None
    target: float | None
    reached: float | None
    done: bool
    source: str


def warmup(run: Run) -> Warmup | None:
    """Return the run's warmup, or None where there was none (or no rate was logged)."""
    series = run.series("train/learning_rate").finite()
    if not len(series):
        return None
    peak_index = int(np.argmax(series.value >= FULL * series.value.max()))
    peak = float(series.value.max())
    first = float(series.value[0])
    rises = first < FULL * peak
    target = run.number("learning_rate")
    steps = configured_warmup(run)
    last_value = float(series.value[-1])
    if steps is not None and steps > 0 and not _rises_on(series, steps, target):
        goal = target if target else (peak if series.step[-1] >= steps else None)
        done = bool(series.step[-1] >= steps)
        return Warmup(steps, goal, _share(last_value, goal, done), done, "config")
    if not rises:
        return None
    still_rising = _is_late(series, peak_index) and (target is None or peak < FULL * target)
    if not still_rising:
        return Warmup(int(series.step[peak_index]), peak, 1.0, True, "log")
    if target is None:
        return Warmup(None, None, None, False, "log")
    return Warmup(
        _extrapolated(series.step, series.value, target),
        target,
        last_value / target,
        False,
        "slope",
    )


def _rises_on(series: Series, steps: int, target: float | None) -> bool:
    """Tell whether the rate goes on rising long after the warmup of the settings, below its target."""
    peak = float(series.value.max())
    full = int(series.step[int(np.argmax(series.value >= FULL * peak))])
    at = series.value_at(steps)
    return bool(target and at and at < ALIVE * target and full > STILL * steps)


def _is_late(series: Series, peak_index: int) -> bool:
    """Tell whether the rate was highest at the end; one that is set once an epoch stands there a while."""
    if peak_index >= len(series) - 2:
        return True
    stairs = np.flatnonzero(np.diff(series.value) > 0) + 1
    if len(stairs) < POINTS_FOR_LINE or (np.diff(series.value) < 0).any():
        return False
    return len(series) - int(stairs[-1]) <= STILL * float(np.median(np.diff(stairs)))


def _share(value: float, goal: float | None, done: bool) -> float | None:
    if done:
        return 1.0
    return value / goal if goal else None


def configured_warmup(run: Run) -> int | None:
    """Return the steps of warmup that the settings ask for, or None where they do not tell."""
    told = run.number("warmup_steps")
    if told and told >= 1:
        return round(told)
    ratio = run.number("warmup_ratio") or (told if told and 0 < told < 1 else None)
    if ratio and run.planned_steps:
        return round(ratio * run.planned_steps)
    return None


def _extrapolated(step: np.ndarray, value: np.ndarray, target: float) -> int | None:
    """Return the step at which a linear warmup meets its target, if the rise is linear."""
    rising = value > 0
    if rising.sum() < POINTS_FOR_LINE:
        return None
    slope, offset, error = _line(step[rising], value[rising])
    # A rate that is set once an epoch is off its line by up to one stair.
    stair = float(np.diff(value[rising]).max()) / float(value.max())
    if slope <= 0 or error > max(LINEAR_ERROR, stair):
        return None
    return int((target - offset) / slope + 0.5)


def _line(step: np.ndarray, value: np.ndarray) -> tuple[float, float, float]:
    """Return slope and offset of a line, and its greatest error as a share of the last value."""
    slope, offset = np.polyfit(step, value, 1)
    error = np.abs(slope * step + offset - value).max() / value.max()
    return float(slope), float(offset), float(error)


def rises_in_a_curve(run: Run, until: int) -> bool:
    """Tell whether the rate rises to step `until` along a curve, as OneCycle's half cosine does."""
    series = run.series("train/learning_rate").finite()
    rise = series.take((series.step <= until) & (series.value > 0))
    if len(rise) <= POINTS_FOR_LINE:
        return False
    return _line(rise.step, rise.value)[2] > LINEAR_ERROR


def is_alive(run: Run, step: int) -> bool | None:
    """Tell whether the rate at `step` still moves the weights; None where none was logged."""
    series = run.series("train/learning_rate").finite()
    at = series.value_at(step)
    if at is None:
        return None
    peak = float(series.value.max())
    return peak > 0 and at > ALIVE * peak


def was_alive(run: Run) -> bool | None:
    """Tell whether the rate moved the weights for long enough to learn; None where none was logged."""
    value = run.series("train/learning_rate").finite().value
    if not len(value):
        return None
    return bool(value.max() > 0 and np.mean(value > ALIVE * value.max()) >= LONG_ENOUGH)


def restarts(run: Run) -> np.ndarray:
    """Return the steps at which the rate jumps up by more than half of its peak: intended restarts."""
    series = run.series("train/learning_rate").finite()
    if len(series) < 2:
        return np.zeros(0, dtype=np.int64)
    jump = np.diff(series.value) > 0.5 * series.value.max()
    return np.asarray(series.step[1:][jump], dtype=np.int64)


@once
def is_range_test(run: Run) -> bool:
    """Tell whether the rate grows by one factor from each step to the next, over decades, to the end.

    So Smith's range test looks for the rate at which a loss diverges; a warmup rises along a line or a
    cosine.
    """
    rate = run.series("train/learning_rate").finite()
    if len(rate) < RANGE_POINTS or not (rate.value > 0).all():
        return False
    curve = np.log10(rate.value)
    if curve[-1] - curve[0] < RANGE_DECADES:
        return False
    return _line(rate.step, curve - curve[0])[2] <= LINEAR_ERROR
