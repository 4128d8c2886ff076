"""How far the evaluation loss moved, and how straight.

It is taken over the same samples each time, so that it hardly has noise: it shows whether the weights
change where the train loss drowns that in the noise of its batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.run import Run

FEWEST = 4  # evaluations; fewer show no course
COVERED = 0.6  # share of the training steps that the evaluations span
STRAIGHT = 1.3  # path over distance: rounding and one step back
WANDERING = 2.5  # path over distance from which there is no direction


@dataclass(frozen=True, slots=True)
class Movement:
    """The course of the evaluation loss.

    Attributes
    ----------
    first, last
        Its first and last value.
    span
        Highest minus lowest value, as a share of the first.
    wander
        Length of its path over the distance from first to last: 1 for a straight course.
    """

    first: float
    last: float
    span: float
    wander: float

    @property
    def is_straight(self) -> bool:
        """Whether it goes one way."""
        return self.wander < STRAIGHT

    @property
    def creeps(self) -> bool:
        """Whether it goes one way by however little: the same weights have the same loss, digit for digit."""
        return self.span > 0 and self.is_straight

    @property
    def wanders(self) -> bool:
        """Whether it goes to and fro and gets nowhere."""
        return self.wander > WANDERING


def movement(run: Run) -> Movement | None:
    """Return the course of the evaluation loss, or None where too few evaluations span the run."""
    series = run.series("eval/loss").finite()
    steps = run.series("train/loss").step
    if len(series) < FEWEST or not len(steps):
        return None
    if series.step[-1] - series.step[0] < COVERED * (steps[-1] - steps[0]):
        return None
    value = series.value
    scale = max(abs(float(value[0])), 1e-12)
    path = float(np.abs(np.diff(value)).sum())
    distance = abs(float(value[-1] - value[0]))
    return Movement(
        first=float(value[0]),
        last=float(value[-1]),
        span=float(np.ptp(value)) / scale,
        wander=path / distance if distance > 0 else np.inf,
    )
