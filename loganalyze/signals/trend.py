"""Trends, with their uncertainty."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from loganalyze.signals.robust import MAD_TO_SIGMA

FloatArray = NDArray[np.float64]


def change(values: FloatArray) -> tuple[float, float]:
    """Return the change over the whole array along a robust line, and its standard error.

    The slope is Theil and Sen's over block medians (at most 64 blocks, so that the cost is bounded);
    the error comes from the residuals' robust scale: ``s * sqrt(12 / n)`` for a line over n points.
    """
    n = len(values)
    if n < 4:
        return 0.0, float("inf")
    parts = np.array_split(np.arange(n), min(64, n))
    x = np.array([part.mean() for part in parts])
    y = np.array([np.median(values[part]) for part in parts])
    i, j = np.triu_indices(len(x), k=1)
    slope = float(np.median((y[j] - y[i]) / (x[j] - x[i])))
    residual = values - slope * np.arange(n)
    sigma = MAD_TO_SIGMA * float(np.median(np.abs(residual - np.median(residual))))
    return slope * (n - 1), sigma * float(np.sqrt(12.0 / n))
