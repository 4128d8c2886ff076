"""Whether a curve repeats itself: the same course again and again, at an epoch's length or another.

The monotone curve that lies nearest is taken away first (isotonic regression), so that a fall in every epoch
is no repetition. What is left is compared with itself one period later.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from loganalyze.run import Series
from loganalyze.signals.robust import FloatArray, noise_sigma
from loganalyze.signals.smooth import centered_median

SHORTEST = 8  # log points per period; fewer show no course
MOST = 4_000  # points that are looked at
PERIODS = 3  # seen at least, where the length is that of an epoch
MORE_PERIODS = 4  # and where it had to be searched for
ALIKE = 0.6  # correlation with the period before; noise that lasts over several points reaches 0.4
AGAIN = 0.4  # and with that before it
SMOOTH = 3  # log points averaged before the comparison
STEADY = 1.7  # amplitude over the noise of neighbours; batches in a fixed order make 1
RAMP = 0.85  # correlation of the course with a ramp: steps between epochs, no swing


@dataclass(frozen=True, slots=True)
class Cycle:
    """A course that comes back.

    Attributes
    ----------
    points
        Length in log points.
    alike
        Correlation of each period with the next.
    amplitude
        Standard deviation of the mean course.
    is_epoch
        Whether its length is that of an epoch.
    """

    points: int
    alike: float
    amplitude: float
    is_epoch: bool


def beside_monotone(curve: FloatArray) -> FloatArray:
    """Return the curve less the monotone one, falling or rising, that lies nearest to it."""
    from scipy.optimize import isotonic_regression

    middle = centered_median(curve, 3)  # one odd point must not carry the fit away
    fits = [isotonic_regression(middle, increasing=up).x for up in (False, True)]
    return np.asarray(curve - min(fits, key=lambda fit: float(np.abs(middle - fit).sum())))


def cycle(series: Series, curve: FloatArray) -> Cycle | None:
    """Return the course of `curve` (at the points of `series`) that comes back, or None."""
    each = -(-len(curve) // MOST)  # a long log is averaged first: a course needs no more points
    if each > 1:
        series = series.take(slice(each - 1, len(curve) // each * each, each))
        curve = curve[: len(curve) // each * each].reshape(-1, each).mean(axis=1)
    rest = beside_monotone(curve)
    smooth = np.convolve(rest - rest.mean(), np.ones(SMOOTH) / SMOOTH, "valid")
    length = _epoch_points(series)
    lag = length if length is not None else _searched(smooth)
    if lag is None or lag < SHORTEST or len(smooth) < PERIODS * lag:
        return None
    lags = [near for near in (lag - 1, lag, lag + 1) if near * PERIODS <= len(smooth)]
    best = max(lags, key=lambda near: _alike(smooth, near))
    alike = _alike(smooth, best)
    course = _course(rest, best)
    amplitude = float(course.std())
    steady = amplitude / max(noise_sigma(course), 1e-12)
    if alike < ALIKE or steady < STEADY or _is_ramp(course):
        return None
    return Cycle(best * each, alike, amplitude, length is not None)


def _epoch_points(series: Series) -> int | None:
    """Return the log points of an epoch, where the log tells its epochs and they are alike."""
    if not np.isfinite(series.epoch).all():
        return None
    counts = np.unique(np.floor(series.epoch - 1e-9), return_counts=True)[1]
    return int(np.median(counts)) if len(counts) >= PERIODS else None


def _searched(smooth: FloatArray) -> int | None:
    """Return the lag at which the curve is most like itself, once it was unlike itself, or None."""
    size = len(smooth)
    most = size // MORE_PERIODS
    if most <= SHORTEST:
        return None
    power = np.fft.rfft(smooth, 2 * size)
    auto = np.fft.irfft(power * power.conj())[: 2 * most + 1]
    auto = auto / max(float(auto[0]), 1e-300) * size / (size - np.arange(len(auto)))
    below = np.flatnonzero(auto[: most + 1] < 0)
    start = max(int(below[0]) if len(below) else most + 1, SHORTEST)
    if start > most:
        return None
    lag = start + int(np.argmax(auto[start : most + 1]))
    return lag if auto[lag] > ALIKE and auto[2 * lag] > AGAIN else None


def _alike(curve: FloatArray, lag: int) -> float:
    """Return the correlation of a period with the next: the median, as swings may grow or die away."""
    whole = _periods(curve, lag)
    whole = whole[whole.std(axis=1) > 0]
    if len(whole) < PERIODS:
        return 0.0
    return float(np.median([np.corrcoef(one, other)[0, 1] for one, other in pairwise(whole)]))


def _course(rest: FloatArray, lag: int) -> FloatArray:
    return np.asarray(np.median(_periods(rest, lag), axis=0))


def _periods(curve: FloatArray, lag: int) -> FloatArray:
    return curve[: len(curve) // lag * lag].reshape(-1, lag)


def _is_ramp(course: FloatArray) -> bool:
    """Tell whether the course goes one way and starts over: steps between epochs are no swing."""
    return abs(float(np.corrcoef(course, np.arange(len(course)))[0, 1])) > RAMP
