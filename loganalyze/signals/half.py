"""Whether the gradient norms that were logged are numbers that bfloat16 can hold.

Where weights are kept in bfloat16, so are their gradients, and so is the norm that is computed from them.
Such a number has 8 significant bits, which leaves a gap of 0.4 to 0.8 % to the next one. Logs print
more than that, so that any other norm falls between two of them.
"""

from __future__ import annotations

import numpy as np

from loganalyze.run import Run
from loganalyze.signals.robust import FloatArray

BITS = 8  # significant bits of bfloat16, the one that is not stored included
FEWEST = 12  # different norms; by chance that many agree once in 10^6
CLOSE = 0.15  # of the gap between neighbours; four printed digits are off by 0.13 at most
NEARLY_ALL = 0.97  # of the norms; one may have been printed with fewer digits


def norms_in_bf16(run: Run) -> int | None:
    """Return how many different gradient norms there are if all are bfloat16 numbers, else None."""
    value = run.series("train/grad_norm").finite().value
    value = np.unique(value[value > 0])
    if len(value) < FEWEST or np.mean(_off(value) < CLOSE) < NEARLY_ALL:
        return None
    if np.mean(value == np.round(value)) > NEARLY_ALL:
        return None  # whole numbers up to 256 are bfloat16 numbers, whatever they were before
    return len(value)


def _off(value: FloatArray) -> FloatArray:
    """Return the distance to the nearest bfloat16 number, as a share of the gap between two of them."""
    gap = 2.0 ** (np.floor(np.log2(value)) - (BITS - 1))
    return np.asarray(np.abs(value / gap - np.round(value / gap)))
