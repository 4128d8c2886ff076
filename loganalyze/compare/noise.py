"""How noisy the difference of two curves is: block means and their standard errors.

A point of a log is noisy, and its neighbours share some of that noise (running means, momentum, one epoch's
order). So the difference is cut into blocks; the standard error of a block's mean comes from the scatter
within it around its trend, widened by the autocorrelation of that scatter (the long-run variance with
Bartlett's weights, Newey and West 1987).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from loganalyze.signals.robust import mad_sigma

if TYPE_CHECKING:
    from loganalyze.run import FloatArray

MOST_BLOCKS = 20  # of a curve: each a twentieth of the run, the precision that a level needs
PER_BLOCK = 6  # points, where there are enough
FEW_BLOCKS = 10  # of a curve of few points: one each, up to that many
CLIP = 4.0  # robust standard deviations within a block, beyond which a point is an outlier
NEIGHBOURS = 1  # blocks at each side that tell how noisy a block is
FEWEST = 3  # points that have a scatter at all


@dataclass(frozen=True, slots=True)
class Blocks:
    """Consecutive parts of a difference.

    Attributes
    ----------
    first
        Index of the first point of each block, and the number of points at the end.
    mean
        Of each block, outliers clipped.
    error
        Standard error of each mean.
    """

    first: tuple[int, ...]
    mean: FloatArray
    error: FloatArray

    def __len__(self) -> int:
        return len(self.mean)


def blocks_of(values: FloatArray) -> Blocks:
    """Cut a difference into at most `MOST_BLOCKS` blocks, or into its points where it has few."""
    n = len(values)
    count = max(n // PER_BLOCK, min(n, FEW_BLOCKS))
    count = max(1, min(count, MOST_BLOCKS, n))
    edges = np.linspace(0, n, count + 1).round().astype(int)
    parts = [values[a:b] for a, b in pairwise(edges)]
    mean = np.array([_clipped_mean(part) for part in parts])
    return Blocks(tuple(edges.tolist()), mean, _errors(values, parts))


def _clipped_mean(part: FloatArray) -> float:
    middle, spread = float(np.median(part)), mad_sigma(part)
    if len(part) < PER_BLOCK or not spread:
        return float(np.mean(part))
    return float(np.mean(np.clip(part, middle - CLIP * spread, middle + CLIP * spread)))


def _errors(values: FloatArray, parts: list[FloatArray]) -> FloatArray:
    """Return the standard error of each block's mean."""
    if len(values) < FEWEST:
        return np.full(len(parts), np.inf)
    size = len(values) / len(parts)
    if (
        size < PER_BLOCK - 0.5
    ):  # too few points for a trend in each: the scatter around the neighbours
        return np.full(len(parts), bend_sigma(values) / np.sqrt(size))
    rest = [_detrended(part) for part in parts]
    stretch = np.sqrt(min(inflation(rest), size))
    errors = []
    for index in range(len(rest)):
        near = np.concatenate(rest[max(index - NEIGHBOURS, 0) : index + NEIGHBOURS + 1])
        # A line was taken out of each block: two degrees of freedom.
        sigma = max(mad_sigma(near), 0.5 * float(np.std(near))) * np.sqrt(size / max(size - 2, 1))
        errors.append(stretch * sigma / np.sqrt(len(rest[index])))
    return np.array(errors, dtype=float)


def bend_sigma(values: FloatArray) -> float:
    """Return the scale of the noise of a curve of few points, blind to its slope.

    Second differences of noise with standard deviation s have s * sqrt(6).
    """
    if len(values) < FEWEST:
        return float("inf")
    bends = np.abs(np.diff(values, 2))
    return float(max(np.median(bends) * 1.4826, np.sqrt(np.mean(bends**2)) / 2) / np.sqrt(6.0))


def _detrended(part: FloatArray) -> FloatArray:
    x = np.arange(len(part), dtype=float)
    x -= x.mean()
    slope = float(x @ part / (x @ x)) if len(part) > 1 else 0.0
    return np.asarray(part - part.mean() - slope * x)


def inflation(rest: list[FloatArray]) -> float:
    """Return by how much autocorrelation widens the variance of a mean: 1 for white noise, never less."""
    scale = mad_sigma(np.concatenate(rest))
    if not scale:
        return 1.0
    clipped = [np.clip(part, -CLIP * scale, CLIP * scale) for part in rest]
    own = sum(float(part @ part) for part in clipped)
    size = min(map(len, rest))
    reach = int(size**0.5)
    if not own or reach < 1:
        return 1.0
    total = 1.0
    for lag in range(1, reach + 1):
        shared = sum(float(part[lag:] @ part[:-lag]) for part in clipped)
        # A line fitted to each block leaves its residuals a little anticorrelated: about -2/size a lag.
        total += 2 * (1 - lag / (reach + 1)) * (shared / own + 2.0 / size)
    return max(total, 1.0)
