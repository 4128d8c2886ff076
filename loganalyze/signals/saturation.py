"""A classifier that is certain of every answer: its loss is a constant times the share of wrong ones.

Frameworks clip the probability whose logarithm they take, so that a certain and wrong answer costs the same
everywhere: Caffe ``-ln(FLT_MIN)`` = 87.3365, Keras ``-ln(1e-7)`` = 16.118 (15.942 for two classes, where
``1 - 1e-7`` is rounded to a float). Beyond the clip there is no gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.run import Run
from loganalyze.signals.accuracy import share

CAFFE = 87.3365  # -ln(1.17549e-38), the smallest normal float32
CAFFE_POINTS = 2
KERAS = (16.1181, 15.9424)  # -ln(1e-7); -ln of the float32 next below 1, from 1
NEAR = 0.005  # share of the loss; accuracies are printed with four digits
POINTS = 3  # log points; fewer may agree by chance
LEAST = 0.05  # share of wrong answers; of fewer the product says little


@dataclass(frozen=True, slots=True)
class Saturation:
    """The cost of a wrong answer, and the step from which every answer was certain."""

    cost: float
    step: int
    from_start: bool


def saturation(run: Run) -> Saturation | None:
    """Return how the train loss is saturated at its end, or None where it is not."""
    loss = run.series("train/loss").finite()
    same = np.isclose(loss.value, CAFFE, rtol=1e-4)
    if not len(loss) or not same[-CAFFE_POINTS:].all() or len(loss) < CAFFE_POINTS:
        same, cost = _certain(run)
        if len(same) < POINTS or not same[-POINTS:].all():
            return None
    else:
        cost = CAFFE
    first = int(np.flatnonzero(~same)[-1]) + 1 if not same.all() else 0
    # Caffe logs its first loss: one that is saturated later on was not so at the start.
    from_start = first == 0 and (cost != CAFFE or int(loss.step[0]) == 0)
    return Saturation(cost, int(loss.step[first]), from_start)


def _certain(run: Run) -> tuple[np.ndarray, float]:
    """Return at which losses every wrong answer costs what the clip allows, and how much that is."""
    loss, accuracy = (run.series(f"train/{name}").finite() for name in ("loss", "accuracy"))
    if not len(loss) or not np.array_equal(loss.step, accuracy.step):
        return np.zeros(0, dtype=bool), 0.0
    wrong = 1 - share(accuracy.value)
    fits = [
        (np.isclose(loss.value, cost * wrong, rtol=NEAR) & (wrong > LEAST), cost) for cost in KERAS
    ]
    return max(fits, key=lambda fit: int(fit[0].sum()))
