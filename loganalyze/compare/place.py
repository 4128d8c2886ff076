"""The place at which a difference departs from what it was: a level, then a line, and the best break."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from loganalyze.signals.robust import mad_sigma

if TYPE_CHECKING:
    from loganalyze.run import FloatArray

CLIP = 4.0  # robust standard deviations of the noise beyond which a point counts as that far
NEARLY = (
    6.0  # twice the logarithm of the likelihood that a place may lose and still be in the interval
)
FEWEST = 3  # points at each side of a break


@dataclass(frozen=True, slots=True)
class Place:
    """Index of the first point that differs, and the first and last index that fit nearly as well."""

    index: int
    low: int
    high: int


def break_in(values: FloatArray, begin: int, end: int, stretch: float) -> Place:
    """Return where in ``values[begin:end]`` the break lies.

    Parameters
    ----------
    stretch
        By how much autocorrelation widens the variance of a mean (`noise.inflation`).
    """
    part = values[begin:end]
    n = len(part)
    if n < 2 * FEWEST:
        return Place(begin, begin, min(begin + 1, len(values) - 1))
    costs = _costs(part)[FEWEST : n - FEWEST + 1]
    best = int(np.argmin(costs))
    sigma2 = max(float(costs[best]) / max(n - 3, 1), 1e-30)
    near = np.flatnonzero(costs - costs[best] <= NEARLY * stretch * sigma2)
    offset = begin + FEWEST
    return Place(best + offset, int(near[0]) + offset, int(near[-1]) + offset)


def _costs(part: FloatArray) -> FloatArray:
    """Return the squares that are left of a level before each place and a line from it on.

    From running sums, so that a million points take no longer than reading them.
    """
    n = len(part)
    y = part - part.mean()  # small numbers lose fewer digits in their squares
    x = np.linspace(-1.0, 1.0, n)
    count = np.arange(n + 1, dtype=float)
    sums = [np.r_[0.0, np.cumsum(v)] for v in (y, y * y, x, x * x, x * y)]
    before = sums[1] - sums[0] ** 2 / np.maximum(count, 1.0)
    left = np.maximum(n - count, 1.0)
    late_y, late_yy, late_x, late_xx, late_xy = (total[-1] - total for total in sums)
    spread = np.maximum(late_xx - late_x**2 / left, 1e-300)
    shared = late_xy - late_x * late_y / left
    after = late_yy - late_y**2 / left - shared**2 / spread
    return np.asarray(np.maximum(before, 0.0) + np.maximum(after, 0.0))


def clipped(values: FloatArray) -> FloatArray:
    """Return a difference without its outliers: points far from both neighbours lie between them."""
    if len(values) < FEWEST:
        return values
    middle = values.copy()
    middle[1:-1] = np.median([values[:-2], values[1:-1], values[2:]], axis=0)
    reach = CLIP * max(mad_sigma(values - middle), 1e-300)
    return np.asarray(np.clip(values, middle - reach, middle + reach))
