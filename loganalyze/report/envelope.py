"""Thinning of long series without losing an extreme."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def envelope(
    values: NDArray[np.float64], buckets: int, keep: Sequence[int] = ()
) -> NDArray[np.int64]:
    """Return the indices of the points to draw.

    Kept are the lowest and the highest finite value of each bucket, both ends of every gap of values
    that are not finite, both ends of the series, and the indices in `keep`.
    """
    import numpy as np

    n = len(values)
    if n <= 2 * buckets + len(keep):
        return np.arange(n)
    width = -(-n // buckets)
    padded = np.concatenate([values, np.full(width * buckets - n, np.nan)]).reshape(buckets, width)
    base = np.arange(buckets) * width
    low = base + np.where(np.isfinite(padded), padded, np.inf).argmin(axis=1)
    high = base + np.where(np.isfinite(padded), padded, -np.inf).argmax(axis=1)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        jumps = np.diff(bad) > 1
        bad = np.r_[bad[np.r_[True, jumps]], bad[np.r_[jumps, True]]]
    cited = np.asarray(keep, dtype=np.int64)
    index = np.unique(np.concatenate([[0, n - 1], low, high, bad, cited]))
    return index[index < n]
