"""Restarts: which go on where a start stopped, and which begin anew."""

from __future__ import annotations

import numpy as np

from loganalyze.run import Series

INTERVALS = 2  # logging intervals within which a first step is that of a new beginning


def begins_anew(series: Series, border: int) -> bool:
    """Tell whether the start at index `border` of all starts begins from the first step again."""
    own = series.step[series.segment == series.segment[border]]
    interval = int(np.median(np.diff(own))) if len(own) > 1 else 1
    return int(series.step[border]) <= max(int(series.step[0]), INTERVALS * interval)
