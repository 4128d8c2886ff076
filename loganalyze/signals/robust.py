"""Scale and outliers that a few wild points do not move."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

MAD_TO_SIGMA = 1.4826  # for normal noise: 1 / quantile(3/4)


def mad_sigma(values: FloatArray) -> float:
    """Return the standard deviation estimated from the median absolute deviation."""
    if not len(values):
        return 0.0
    return float(MAD_TO_SIGMA * np.median(np.abs(values - np.median(values))))


def noise_sigma(values: FloatArray) -> float:
    """Return the scale of the point-to-point noise, blind to a slow trend.

    Successive differences of noise with standard deviation s have s * sqrt(2).
    """
    if len(values) < 3:
        return 0.0
    return float(mad_sigma(np.diff(values)) / np.sqrt(2.0))


def trailing_median(values: FloatArray, window: int, fewest: int | None = None) -> FloatArray:
    """Return for each point the median of the `window` points before it, or of those there are.

    Returns
    -------
    Array of the same length; NaN where fewer than `fewest` (by default: `window`) points stand before.
    """
    return _before(values, window, fewest or window)


def trailing_sigma(values: FloatArray, window: int, fewest: int | None = None) -> FloatArray:
    """Return for each point the robust scale of the noise in the `window` points before it.

    NaN where fewer than `fewest` (by default: `window`) points stand before. Differences are taken, so that
    a trend inside the window does not count as noise.
    """
    out = np.full(len(values), np.nan)
    least = fewest or window
    if len(values) > least:
        moves = np.abs(np.diff(values))
        out[1:] = MAD_TO_SIGMA / np.sqrt(2.0) * _before(moves, window - 1, least - 1)
    return out


def _before(values: FloatArray, window: int, fewest: int) -> FloatArray:
    """Return the median of the `window` values before each; NaN where there are fewer than `fewest`."""
    out = np.full(len(values), np.nan)
    if len(values) > fewest:
        from pandas import Series

        # A sorted window that slides: the windows are never held in memory all at once.
        out[1:] = Series(values).rolling(window, min_periods=fewest).median().to_numpy()[:-1]
    return out


def groups(mask: NDArray[np.bool_], gap: int = 1) -> list[tuple[int, int]]:
    """Return (first, last) of each run of True, joining runs that are `gap` or fewer apart."""
    hits = np.flatnonzero(mask)
    if not len(hits):
        return []
    breaks = np.flatnonzero(np.diff(hits) > gap)
    firsts = hits[np.r_[0, breaks + 1]]
    lasts = hits[np.r_[breaks, len(hits) - 1]]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def longest(mask: NDArray[np.bool_]) -> int:
    """Return the length of the longest run of True."""
    return max((last - first + 1 for first, last in groups(mask)), default=0)
