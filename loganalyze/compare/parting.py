"""Where two curves part for longer than their noise explains.

The test
--------
The difference of the curves (of their logarithms, where both are positive) is cut into blocks. Each block's
mean is divided by its standard error, which holds the noise of both curves with its autocorrelation
(`noise`) and what another seed would change (`between`). Consecutive blocks that stand out on one side form
a window; the statistic of a window is its mean difference over its standard error, in which the noise of
the blocks averages out and the seed's part does not. It is compared with Student's t of few degrees of
freedom, for the seed's part rests on few measured pairs and has heavy tails. The p of a window is
multiplied by the number of windows of its length that lie side by side. Over the metrics of a pair Holm's
correction keeps the chance of any false parting below `LEVEL` (`holm`).

The place
---------
Where the curves are equal up to a point, they part after it. Elsewhere the place is the one at which the
difference is best described by a level before it and by a line after it; the interval holds the places that
fit nearly as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from loganalyze.signals.robust import groups

if TYPE_CHECKING:
    from loganalyze.compare.noise import Blocks
    from loganalyze.run import FloatArray

LEVEL = 0.05  # chance of any false parting in a pair of runs
FREEDOM = 5  # degrees of freedom of Student's t
STANDS_OUT = 2.0  # standard errors from which a block belongs to a window
LASTS = 0.15  # share of the blocks that a window spans at least; shorter ones are spikes
SHORTEST = 2  # blocks of a window
BRIDGED = 2  # places from one block that stands out to the next: one between them may not
FEWEST = 4  # blocks from which there is a test


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive blocks, the last one inclusive, in which two curves differ."""

    first: int
    last: int
    t: float
    p: float


def windows(blocks: Blocks, seed: FloatArray) -> list[Window]:
    """Return the windows in which a difference stands out, with their p, the most telling first.

    Parameters
    ----------
    seed
        Standard deviation of each block's difference that another seed explains.
    """
    count = len(blocks)
    if count < FEWEST:
        return []
    score = blocks.mean / np.hypot(blocks.error, seed)
    least = max(SHORTEST, ceil(LASTS * count))
    found = []
    for side in (1, -1):
        for first, last in groups(side * score >= STANDS_OUT, gap=BRIDGED):
            if last - first + 1 >= least:
                found.append(_window(blocks, seed, first, last))
    late = _window(blocks, seed, count - least, count - 1)  # a change just before the end
    found += [late] if abs(late.t) >= STANDS_OUT else []
    return sorted(found, key=lambda window: (window.p, window.first))


def _window(blocks: Blocks, seed: FloatArray, first: int, last: int) -> Window:
    part = slice(first, last + 1)
    size = last - first + 1
    noise = float(np.sqrt(np.sum(blocks.error[part] ** 2))) / size
    error = float(np.hypot(noise, np.mean(seed[part])))
    t = float(np.mean(blocks.mean[part])) / error
    tries = ceil(len(blocks) / size)
    return Window(first, last, t, min(1.0, tries * two_sided(t)))


def two_sided(t: float) -> float:
    """Return the chance of so large a value of Student's t with `FREEDOM` degrees of freedom."""
    from scipy.special import stdtr

    return float(2 * stdtr(FREEDOM, -abs(t)))


def quantile(level: float = LEVEL) -> float:
    """Return the value of Student's t that is exceeded, on either side, with this chance."""
    from scipy.special import stdtrit

    return float(stdtrit(FREEDOM, 1 - level / 2))


def holm(chances: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Tell which hypotheses are rejected, so that any false one is with at most this chance (Holm 1979)."""
    order = sorted(range(len(chances)), key=lambda index: chances[index])
    rejected = [False] * len(chances)
    for rank, index in enumerate(order):
        if chances[index] > level / (len(chances) - rank):
            break
        rejected[index] = True
    return rejected
