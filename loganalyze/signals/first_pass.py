"""The first pass over the data, in which every training batch is new to the model.

Until a sample comes a second time nothing can have been learned by heart: the train loss is an honest
evaluation, and an evaluation on data of the same kind must agree with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.run import Run
from loganalyze.signals.batch_order import epochs
from loganalyze.signals.robust import FloatArray, noise_sigma

POINTS = 4  # log points of the first pass; fewer say little
BESIDE = 5  # train losses about an evaluation whose median is compared
HALF = 0.5  # of the second pass
BLOCKS = 20  # parts of the run
BURST = 0.25  # of the run
NOTHING = 0.06  # share of the first loss: as much as the frequencies of labels give
AT_ONCE = 0.3  # share of the loss that falls as the samples come again
FEWEST = 3  # log points of the second pass; fewer must stand out from the noise
SIGMAS = 4.0  # standard deviations of a batch
LESS = 0.2  # of what fell as the samples came again: in a whole pass of new ones that is little
SLACK = 1.05  # passes; the evaluation at the end of the first one is a step late


@dataclass(frozen=True, slots=True)
class FirstPass:
    """What was learned while nothing could be remembered.

    Attributes
    ----------
    fell
        Share of the first loss that the train loss fell by its end.
    apart
        The last evaluation in it over the train loss about it, or None where there was none.
    again
        Share of its end that the loss fell at once as the samples came a second time.
    half
        Share of the run by which half of what the loss fell in all had fallen.
    """

    fell: float
    apart: float | None
    again: float
    half: float

    @property
    def is_gradual(self) -> bool:
        """Whether the loss falls little by little all along; what has a rule is learned in a burst."""
        return self.half > BURST

    @property
    def is_remembered(self) -> bool:
        """Whether the loss stood while the samples were new and fell as they came again."""
        return self.again > AT_ONCE and self.fell < max(NOTHING, LESS * self.again)


def first_pass(run: Run) -> FirstPass | None:
    """Return what the first pass shows, or None where its end is not known or it has few log points."""
    loss = run.series("train/loss").finite()
    passes = epochs(run, loss)
    if passes is None or float(passes[-1]) <= SLACK:
        return None
    inside = loss.take(passes <= SLACK)
    value = inside.value
    if len(value) < POINTS or value[0] <= 0 or int(inside.step[0]) > int(inside.step[-1]) / 2:
        return None
    first, end = float(np.median(value[:3])), float(np.median(value[-len(value) // 3 :]))
    if first <= 0:
        return None
    evals = run.series("eval/loss").finite()
    within = evals.take(evals.step <= int(inside.step[-1]))
    apart = None
    if len(within) and end > 0:
        near = np.argsort(np.abs(inside.step - int(within.step[-1])), kind="stable")[:BESIDE]
        apart = float(within.value[-1]) / max(float(np.median(value[near])), 1e-12)
    later = loss.value[(passes > SLACK) & (passes <= SLACK + HALF)]
    again = (end - float(np.median(later))) / end if len(later) and end > 0 else 0.0
    if len(later) < FEWEST and again * end < SIGMAS * noise_sigma(value):
        again = 0.0  # one batch may be an easy one
    return FirstPass((first - end) / first, apart, again, _half(loss.value))


def _half(value: FloatArray) -> float:
    course = np.array([np.median(part) for part in np.array_split(value, min(BLOCKS, len(value)))])
    middle = (course[0] + course.min()) / 2
    return float(np.argmax(course <= middle)) / len(course)
