"""Where on a common axis the points of two runs lie, and both curves at the same places."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from loganalyze.compare.values import Axis
from loganalyze.errors import UsageError

if TYPE_CHECKING:
    from loganalyze.run import FloatArray, Run, Series

TOKEN_METRICS = ("num_input_tokens_seen", "train/num_input_tokens_seen", "tokens_seen", "train/tokens",
                 "consumed_tokens", "total_tokens", "num_tokens")  # fmt: skip
LENGTHS = ("max_seq_length", "seq_length", "sequence_length", "block_size", "context_length", "max_length",
           "seq_len", "cutoff_len")  # fmt: skip
COMMON = 0.6  # of the coarser run's points; where so many steps are shared, nothing is interpolated


@dataclass(frozen=True, slots=True)
class Placed:
    """The finite points of a metric by their place on an axis, in order."""

    at: FloatArray
    value: FloatArray

    def __len__(self) -> int:
        return len(self.at)


def batch_of(run: Run) -> float | None:
    """Return the samples of an optimizer step: per device x accumulation x devices; None where unknown."""
    whole = run.number("total_train_batch_size") or run.number("global_batch_size")
    if whole:
        return whole
    device = run.number("train_batch_size")
    if not device:
        return None
    steps = run.number("gradient_accumulation_steps") or 1.0
    return device * steps * (run.number("world_size") or 1.0)


def tokens_of(run: Run) -> float | None:
    """Return the tokens of an optimizer step, from batch and sequence length; None where unknown."""
    length = next((n for name in LENGTHS if (n := run.number(name))), None)
    batch = batch_of(run)
    return batch * length if batch and length else None


def placed(run: Run, series: Series, axis: Axis) -> Placed | None:
    """Return the finite points of a metric on an axis; None where the log does not give their places."""
    clean = series.finite()
    at = _places(run, clean, axis)
    if at is None or not len(clean):
        return None
    known = np.isfinite(at)
    at, value = at[known], clean.value[known]
    order = np.argsort(at, kind="stable")
    at, value = at[order], value[order]
    last = np.r_[at[1:] != at[:-1], True][: len(at)]
    return Placed(at[last], value[last]) if len(at) else None


def _places(run: Run, series: Series, axis: Axis) -> FloatArray | None:
    match axis:
        case Axis.STEP:
            return series.step.astype(float)
        case Axis.EPOCH:
            return _epochs(run, series)
        case Axis.TOKENS:
            return _tokens(run, series)
    return _seconds(run, series)


def _epochs(run: Run, series: Series) -> FloatArray | None:
    """Return the logged epoch of each point, or the one between those of the training loss."""
    if np.isfinite(series.epoch).all():
        return series.epoch
    loss = run.series("train/loss")
    known = loss.take(np.isfinite(loss.epoch))
    if len(known) >= 2:
        return np.asarray(np.interp(series.step, known.step, known.epoch), dtype=np.float64)
    samples, batch = run.number("train_samples"), batch_of(run)
    return series.step.astype(np.float64) * (batch / samples) if samples and batch else None


def _tokens(run: Run, series: Series) -> FloatArray | None:
    for name in TOKEN_METRICS:
        counted = run.series(name).finite()
        if len(counted) >= 2:
            return np.asarray(np.interp(series.step, counted.step, counted.value), dtype=np.float64)
    each = tokens_of(run)
    return None if each is None else series.step.astype(np.float64) * each


def _seconds(run: Run, series: Series) -> FloatArray | None:
    """Return the seconds of training up to each point: the time between points, restarts left out."""
    took = run.series("perf/step_seconds").finite()
    if len(took) < 2:
        return None
    steps = np.diff(took.step, prepend=0)
    spent = np.cumsum(took.value * steps)
    return np.interp(series.step, np.r_[0, took.step], np.r_[0.0, spent])


def check_axis(a: Run, b: Run, axis: Axis) -> None:
    """Refuse an axis on which a run cannot be placed.

    Raises
    ------
    UsageError
        If a log does not say where its points lie on it.
    """
    lacks = {
        Axis.EPOCH: "the epoch of its points",
        Axis.TOKENS: "how many tokens it has seen, nor batch size and sequence length",
        Axis.TIME: "the time of its points, nor of a step",
    }
    for run in (a, b):
        metric = next((m for m in map(str, run.metrics["metric"].cat.categories) if run.has(m)), "")
        if axis in lacks and (not metric or placed(run, run.series(metric), axis) is None):
            raise UsageError(
                f"cannot align on {axis.value}: {run.name} does not log {lacks[axis]}; try --align step"
            )


@dataclass(frozen=True, slots=True)
class Aligned:
    """Two curves at the same places.

    Attributes
    ----------
    shared
        Whether every place was logged by both, so that nothing is interpolated.
    """

    at: FloatArray
    a: FloatArray
    b: FloatArray
    shared: bool

    def part(self, first: int, last: int) -> Aligned:
        """Return the points from `first` up to, not including, `last`."""
        cut = slice(first, last)
        return replace(self, at=self.at[cut], a=self.a[cut], b=self.b[cut])


def align(a: Placed, b: Placed) -> Aligned | None:
    """Bring two curves to the places of the coarser one, where both were logged; None where nowhere.

    Places that both have are taken as they are, if most of the coarser run's are such; otherwise the finer
    curve is interpolated between its points.
    """
    first, last = max(a.at[0], b.at[0]), min(a.at[-1], b.at[-1])
    if first > last:
        return None
    both, in_a, in_b = np.intersect1d(a.at, b.at, return_indices=True)
    coarse = min((a, b), key=lambda one: int(((one.at >= first) & (one.at <= last)).sum()))
    inside = coarse.at[(coarse.at >= first) & (coarse.at <= last)]
    if len(both) >= max(COMMON * len(inside), 1):
        return Aligned(both, a.value[in_a], b.value[in_b], True)
    if not len(inside):
        return None
    return Aligned(
        inside, np.interp(inside, a.at, a.value), np.interp(inside, b.at, b.value), False
    )
