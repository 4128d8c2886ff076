"""How long two curves are equal, digit for digit: runs of one seed are, until something changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from loganalyze.compare.axis import Aligned
    from loganalyze.run import FloatArray

FEWEST = 3  # equal points that are no coincidence, of as many different values
DIGITS = 9  # significant, that any writer of logs may give; more are taken as equal
MOST_DECIMALS = 8


def equal_until(aligned: Aligned) -> int:
    """Return how many of the first points are equal; 0 where so few are that chance may make them so.

    Values that the writers rounded differently are equal if they are within half of the coarser rounding.
    """
    if not aligned.shared:
        return 0
    same = _equal(aligned.a, aligned.b)
    count = len(same) if same.all() else int(np.argmin(same))
    if count == len(same) and count:
        return count
    return count if len(np.unique(aligned.a[:count])) >= FEWEST else 0


def _equal(a: FloatArray, b: FloatArray) -> np.ndarray:
    size = np.maximum(np.abs(a), np.abs(b))
    near = size * 10.0**-DIGITS
    steps = {round_of(a), round_of(b)}
    if len(steps) == 2:
        near = np.maximum(near, 0.505 * max(steps))
    return np.asarray(np.abs(a - b) <= near)


def round_of(values: FloatArray) -> float:
    """Return the unit that values are multiples of: 1e-4 for four decimals; 0 where none shows."""
    for decimals in range(MOST_DECIMALS):
        unit = 10.0**-decimals
        scaled = values / unit
        if np.all(np.abs(scaled - np.round(scaled)) < 1e-6 * np.maximum(np.abs(scaled), 1)):
            return unit
    return 0.0
