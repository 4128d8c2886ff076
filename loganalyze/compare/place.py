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
    costs = np.array([_cost(part, at) for at in range(FEWEST, n - FEWEST + 1)])
    best = int(np.argmin(costs))
    sigma2 = max(float(costs[best]) / max(n - 3, 1), 1e-30)
    near = np.flatnonzero(costs - costs[best] <= NEARLY * stretch * sigma2)
    offset = begin + FEWEST
    return Place(best + offset, int(near[0]) + offset, int(near[-1]) + offset)


def _cost(part: FloatArray, at: int) -> float:
    """Return the squares that are left of a level before `at` and a line from it on."""
    before, after = part[:at], part[at:]
    rest = before - before.mean()
    x = np.arange(len(after), dtype=float)
    x -= x.mean()
    line = after - after.mean() - x * float(x @ after / (x @ x))
    return float(rest @ rest + line @ line)


def clipped(values: FloatArray) -> FloatArray:
    """Return a difference without its outliers: points far from both neighbours lie between them."""
    if len(values) < FEWEST:
        return values
    middle = values.copy()
    middle[1:-1] = np.median([values[:-2], values[1:-1], values[2:]], axis=0)
    reach = CLIP * max(mad_sigma(values - middle), 1e-300)
    return np.asarray(np.clip(values, middle - reach, middle + reach))
