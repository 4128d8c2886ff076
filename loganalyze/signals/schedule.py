"""Which schedule a recorded learning rate follows, and what another warmup would have made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from loganalyze.run import Run, Series
from loganalyze.signals.lr import CONSTANT, FULL, restarts, rises_in_a_curve, warmup

FloatArray = NDArray[np.float64]

FEWEST = 4  # log points after the peak that show a shape
ERROR = 0.02  # share of the peak: the furthest a point may lie from the shape
AS_GOOD = 1.5  # times the best error: the simpler shape is taken
HELD = 0.2  # share of the time after the warmup; a cosine stays within 1 % of its peak for 6 %
DECAYED = 0.9  # share of the peak; above it a decay may be any
DROP = 0.8  # ratio of neighbouring rates from which a change is a step
STEPS = 0.1  # share of the neighbours that differ, at most, where the rate goes in steps
LONGEST = 4.0  # times what was seen of a cosine; beyond it the part seen is no cosine
FITTED = 2_000  # points, evenly chosen, that shapes are fitted to; a schedule is smooth
PERIODS = 61  # lengths of a cosine that are tried


class Shape(StrEnum):
    """What the rate does after its warmup."""

    CONSTANT = "constant"
    LINEAR = "linear"
    COSINE = "cosine"
    EXPONENTIAL = "exponential"
    INVERSE_SQRT = "inverse square root"
    STEP = "in steps"
    HELD = "held, then decayed"
    RESTARTS = "restarts"
    CYCLIC = "cyclic"
    ONE_CYCLE = "one cycle"
    UNSEEN = "not seen"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule as recognised.

    Attributes
    ----------
    shape
        What follows the warmup; ``UNSEEN`` where the log ends before or soon after its end.
    warmup_steps
        Optimizer steps to the peak; 0 without a warmup.
    peak
        The highest rate recorded, or the target of a warmup that did not end.
    last_step
        The planned last step, else the last one logged.
    final
        Rate at ``last_step`` as a share of the peak.
    """

    shape: Shape
    warmup_steps: int
    peak: float
    last_step: int
    final: float

    @property
    def label(self) -> str:
        """Describe it in a few words: ``linear warmup over 700 steps to 1e-05, then cosine``."""
        rise = f"warmup over {self.warmup_steps:,} steps to {self.peak:.3g}"
        start = rise if self.warmup_steps else f"starts at {self.peak:.3g}"
        if self.shape is Shape.UNSEEN:
            return f"{start}; what follows is not seen"
        return f"{start}, then {self.shape.value}"

    def at(self, steps: FloatArray, warmup_steps: int) -> FloatArray:
        """Return the rate at `steps`, had the warmup taken `warmup_steps` and all else stayed.

        A shape that is not a plain decay, or was not seen, is held at its peak.
        """
        up = steps / max(warmup_steps, 1)
        share = np.clip((steps - warmup_steps) / max(self.last_step - warmup_steps, 1), 0.0, 1.0)
        down = _DECAYS.get(self.shape, np.ones_like)(share)
        return self.peak * np.where(up < 1, up, self.final + (1 - self.final) * down)


_DECAYS: dict[Shape, Callable[[FloatArray], FloatArray]] = {
    Shape.LINEAR: lambda share: 1 - share,
    Shape.COSINE: lambda share: (1 + np.cos(np.pi * share)) / 2,
}


def schedule(run: Run) -> Schedule | None:
    """Return the schedule of a run's recorded learning rate, or None where none was recorded."""
    series = run.series("train/learning_rate").finite()
    if len(series) < 2 or float(series.value.max()) <= 0:
        return None
    peak = float(series.value.max())
    rise = warmup(run)
    begin = int(np.argmax(series.value >= (1 - CONSTANT) * peak))
    length = int(series.step[begin]) if rise is not None else 0
    if rise is not None and rise.steps and rise.source != "log":
        length = rise.steps
    last = max(run.planned_steps or 0, int(series.step[-1]))
    unfinished = rise is not None and not rise.done
    if unfinished and rise is not None and rise.target:
        peak = rise.target
    shape = Shape.UNSEEN if unfinished else _shape(run, series, begin)
    if shape is Shape.UNSEEN:
        return Schedule(_configured(run), length, peak, last, 0.0)
    plain = shape in _DECAYS and int(series.step[-1]) >= FULL * last
    return Schedule(shape, length, peak, last, float(series.value[-1]) / peak if plain else 0.0)


def _configured(run: Run) -> Shape:
    """Take the word of the settings for what was not seen."""
    kind = run.setting("lr_scheduler_type")
    name = str(kind.value).lower() if kind is not None else ""
    return next((s for s in (Shape.COSINE, Shape.LINEAR) if name.endswith(s.value)), Shape.UNSEEN)


def _shape(run: Run, series: Series, begin: int) -> Shape:
    """Name what the rate does from index `begin` on, where it first reaches its peak."""
    value = series.value
    peak = float(value.max())
    tail = value[begin:]
    if np.ptp(value) < CONSTANT * peak:
        return Shape.CONSTANT
    if len(tail) < FEWEST:
        return Shape.UNSEEN
    if len(restarts(run)) and begin < len(value) - FEWEST and _rises_again(tail, 0.5 * peak):
        return Shape.RESTARTS
    if _rises_again(tail, ERROR * peak):
        return Shape.CYCLIC
    if np.ptp(tail) < CONSTANT * peak:
        return Shape.CONSTANT
    if _goes_in_steps(tail, peak):
        return Shape.STEP
    time = (series.step[begin:] - series.step[begin]).astype(np.float64)
    held = float(time[np.flatnonzero(tail >= FULL * peak)[-1]])
    if held > HELD * float(time[-1]):
        return Shape.HELD if tail[-1] < DECAYED * peak else Shape.UNSEEN
    part = np.unique(np.linspace(0, len(tail) - 1, FITTED).astype(int))
    shape = _fitted(time[part], tail[part], peak)
    curved = begin > 0 and rises_in_a_curve(run, int(series.step[begin]))
    return Shape.ONE_CYCLE if curved and shape is Shape.COSINE else shape


def _rises_again(tail: FloatArray, by: float) -> bool:
    """Tell whether the rate, once fallen, rises by more than `by`."""
    return bool((tail - np.minimum.accumulate(tail)).max() > by)


def _goes_in_steps(tail: FloatArray, peak: float) -> bool:
    changed = np.abs(np.diff(tail)) > CONSTANT * peak
    if not changed.any() or changed.sum() > max(1.0, STEPS * len(changed)):
        return False
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = tail[1:][changed] / tail[:-1][changed]
    return bool((ratio <= DROP).all())


def _fitted(time: FloatArray, tail: FloatArray, peak: float) -> Shape:
    """Return the shape that lies nearest, the simpler one where two are about as near."""
    errors = {
        Shape.LINEAR: _error(np.c_[np.ones_like(time), time], tail),
        Shape.COSINE: _cosine_error(time, tail),
    }
    if (tail > 0).all():
        columns = np.c_[np.ones_like(time), time]
        errors[Shape.EXPONENTIAL] = float(np.abs(np.exp(_line(columns, np.log(tail))) - tail).max())
        squared = np.maximum(_line(columns, tail**-2.0), 1e-300)
        errors[Shape.INVERSE_SQRT] = float(np.abs(squared**-0.5 - tail).max())
    best = min(errors.values())
    if best > ERROR * peak:
        return Shape.UNKNOWN
    near = max(AS_GOOD * best, CONSTANT * peak)
    return next(shape for shape, error in errors.items() if error <= near)


def _line(columns: FloatArray, target: FloatArray) -> FloatArray:
    solution = np.linalg.lstsq(columns, target, rcond=None)[0]
    return np.asarray(columns @ solution, dtype=np.float64)


def _error(columns: FloatArray, target: FloatArray) -> float:
    return float(np.abs(_line(columns, target) - target).max())


def _cosine_error(time: FloatArray, tail: FloatArray) -> float:
    """Return the error of the best half cosine that lasts at least as long as what was seen."""
    lengths = float(time[-1]) * np.linspace(1.0, LONGEST, PERIODS)
    return min(
        _error(np.c_[np.ones_like(time), np.cos(np.pi * time / length)], tail) for length in lengths
    )
