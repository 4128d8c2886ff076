"""Whether the gradient holds nothing but which classes a batch happens to have.

A model whose outputs do not depend on its inputs guesses the same for every sample. At the uniform guess the
gradient of the head's bias is ``1/C - n/B``, with the counts n of the C classes in a batch of B; the gradient
of the head's weights is the same, times the vector that enters the head, which is then constant. So, with
balanced classes,

- the norm has the relative spread of a chi distribution with C - 1 degrees of freedom, whatever its scale;
- where that vector is zero, or only the bias is trained, its root mean square is ``sqrt((1 - 1/C) / B)``.

In a model that looks at its inputs, many more directions than C - 1 share the noise: the norm spreads less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from loganalyze.run import Run
from loganalyze.signals.loss_kind import chance
from loganalyze.signals.robust import noise_sigma

FEWEST = 30  # norms; the spread of fewer is off by more than 15 %
SPREAD = (0.75, 1.3)  # measured over expected: twice the sampling error of 30 norms
BIAS = (0.8, 1.2)  # measured over expected, of the bias alone
MOST_CLASSES = 30  # beyond it the expected spread is as small as any
LEVEL = 0.05  # relative distance of the loss to log(C) within which the guess is uniform


@dataclass(frozen=True, slots=True)
class CountsOnly:
    """A gradient that follows the class counts of the batches alone.

    Attributes
    ----------
    spread
        Standard deviation of the norm over its median.
    expected
        The same for counts alone.
    bias
        Norm that the head's bias alone would have, or None where the batch size is not known.
    norm
        Median of the norm.
    """

    spread: float
    expected: float
    bias: float | None
    norm: float

    @property
    def is_bias_alone(self) -> bool:
        """Whether the head's bias accounts for the whole norm."""
        return self.bias is not None and BIAS[0] < self.norm / self.bias < BIAS[1]


def counts_only(run: Run) -> CountsOnly | None:
    """Return what the gradient norm shows if it follows class counts alone, else None.

    None, too, where that cannot be told: no norm, few points, classes unknown or many, a loss that does not
    stand at log(C).
    """
    guess = chance(run)
    loss = run.series("train/loss").finite().value
    norm = run.series("train/grad_norm").finite().value
    norm, loss = norm[len(norm) // 2 :], loss[len(loss) // 2 :]
    if guess is None or guess.classes > MOST_CLASSES or min(len(norm), len(loss)) < FEWEST:
        return None
    middle = float(np.median(norm))
    if middle <= 0 or abs(float(np.median(loss)) / guess.log_c - 1) > LEVEL:
        return None
    spread, expected = noise_sigma(norm) / middle, _relative_spread(guess.classes - 1)
    if not SPREAD[0] < spread / expected < SPREAD[1]:
        return None
    batch = run.number("train_batch_size")
    if batch is not None:
        batch *= run.number("gradient_accumulation_steps") or 1
    bias = math.sqrt((1 - 1 / guess.classes) / batch) if batch else None
    return CountsOnly(spread, expected, bias, middle)


def _relative_spread(freedom: int) -> float:
    """Return standard deviation over mean of a chi distribution with that many degrees of freedom."""
    mean = math.sqrt(2) * math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))
    return math.sqrt(freedom - mean**2) / mean
