"""A curve in a line of text: block characters, the highest value of each column."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loganalyze.run import Series

BARS = "▁▂▃▄▅▆▇█"
BROKEN = "\N{MULTIPLICATION SIGN}"  # a column whose values are no numbers
LOG_FROM = 100.0  # highest over lowest from which the bars are those of the logarithm


def sparkline(series: Series, width: int, steps: tuple[int, int]) -> str:
    """Draw a series over a range of steps.

    Each column covers an equal share of the steps and shows its highest finite value, so that no spike is
    lost; a column without points goes on as the one before it.

    Parameters
    ----------
    width
        Number of columns.
    steps
        First and last step of the range, both inclusive; no point lies outside of it.
    """
    import numpy as np

    if not len(series):
        return ""
    span = max(steps[1] - steps[0], 1)
    column = np.minimum((series.step - steps[0]) * width // span, width - 1)
    finite = np.isfinite(series.value)
    high = np.full(width, -np.inf)
    np.maximum.at(high, column[finite], series.value[finite])
    known = np.isfinite(high)
    if not known.any():
        return " " * int(column[0]) + BROKEN * (int(column[-1]) - int(column[0]) + 1)
    low, top = float(high[known].min()), float(high[known].max())
    if low > 0 and top / low > LOG_FROM:
        high, low, top = np.log(np.where(known, high, 1.0)), math.log(low), math.log(top)
    half = top / 2 - low / 2  # the whole may be more than a number can hold
    share = np.where(known, high / 2 - low / 2, 0.0) / half if half > 0 else np.zeros(width)
    height = np.rint(share * (len(BARS) - 1)).astype(int)
    # Where a column has no point, the last column that had one goes on, to the end of the series.
    seen = np.bincount(column, minlength=width) > 0
    source = np.maximum.accumulate(np.where(seen, np.arange(width), -1))
    source[int(column[-1]) + 1 :] = -1
    return "".join(
        " " if i < 0 else BARS[height[i]] if known[i] else BROKEN for i in source.tolist()
    ).rstrip()
