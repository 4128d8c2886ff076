"""Smoothing: what a curve does once its noise is averaged out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def ema(values: FloatArray, beta: float) -> FloatArray:
    """Return the exponential moving average with bias correction.

    ``m_t = beta * m_(t-1) + (1 - beta) * x_t``, divided by ``1 - beta^t`` (Kingma and Ba, 2015).
    """
    from scipy.signal import lfilter

    raw = lfilter([1.0 - beta], [1.0, -beta], values)
    weight = 1.0 - beta ** np.arange(1, len(values) + 1)
    return np.asarray(raw / weight, dtype=np.float64)


def block_medians(values: FloatArray, blocks: int) -> FloatArray:
    """Return the medians of `blocks` consecutive parts of nearly equal length."""
    parts = np.array_split(values, min(blocks, len(values)))
    return np.array([np.median(part) for part in parts])


def centered_median(values: FloatArray, window: int) -> FloatArray:
    """Return a running median of finite values; the curve is mirrored at both ends."""
    # Not scipy.ndimage: importing it takes as long as all else that a small run needs.
    import pandas as pd

    size = max(1, min(window, len(values)) | 1)
    # Mirrored, not "nearest": that repeats the first point until it is the median of its window.
    mirrored = np.pad(values, size // 2, mode="symmetric")
    return pd.Series(mirrored).rolling(size).median().to_numpy()[size - 1 :]
