"""How far the steps of a whole run can have taken the weights, and the loss.

Adam and RMSprop move each weight by about the rate in every step, whatever its gradient: all steps together
by the sum of the rates at most. SGD takes off the loss, to first order, the rate times the squared norm of
the gradient in each step. Neither depends on how often something was logged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.causes.cause import Case
from loganalyze.causes.rates import is_adam, optimizer
from loganalyze.signals.robust import FloatArray

FEWEST = 10  # gradient norms
HALF = 0.5  # of the rate that is set: what common schedules leave on average
# Sum of the rates of Adam. A weight of a layer of width 100 is 0.1 in size: below a tenth of that nothing
# of it changes. A full training at 1e-3 over 1,000 steps has 0.5, a fine-tuning at 2e-5 over 2,000 has 0.02.
LITTLE = 0.01
SOME = 0.03
SHARE = 0.05  # of the loss: less is not seen among the noise of batches


@dataclass(frozen=True, slots=True)
class Reach:
    """The most that all steps together could do.

    Attributes
    ----------
    travel
        Sum of the rates over all steps, for optimizers that divide the gradient by its size; else None.
    drop
        What SGD can have taken off the loss, as a share of its first value; else None.
    """

    travel: float | None
    drop: float | None

    @property
    def is_tiny(self) -> bool:
        """Whether the run cannot have got anywhere."""
        return (self.travel is not None and self.travel < LITTLE) or (
            self.drop is not None and self.drop < SHARE
        )

    @property
    def is_small(self) -> bool:
        """Whether it cannot have got far."""
        return (self.travel is not None and self.travel < SOME) or (
            self.drop is not None and self.drop < 3 * SHARE
        )

    @property
    def summary(self) -> str:
        """Say it with its number."""
        if self.travel is not None:
            return f"All steps of the run together move a weight by {self.travel:.2g} at most"
        return f"All steps of the run together take {self.drop or 0:.1%} off the loss at most"


def reach(case: Case) -> Reach | None:
    """Return how far the run can have got, or None where rate or optimizer are not known."""
    run = case.run
    steps = run.series("train/loss").step
    rate = _rates(case, steps)
    if rate is None or len(steps) < 2:
        return None
    if is_adam(run) or "rmsprop" in optimizer(run):
        return Reach(_over_steps(steps, rate), None)
    if "adagrad" in optimizer(
        run
    ):  # divides by the root of the sum of squares: sqrt(t) times the size
        return Reach(_over_steps(steps, rate / np.sqrt(np.maximum(steps, 1))), None)
    norm = run.series("train/grad_norm").finite()
    loss = run.series("train/loss").finite().value
    if "sgd" not in optimizer(run) or len(norm) < FEWEST or not len(loss) or loss[0] <= 0:
        return None
    size = np.interp(steps, norm.step, norm.value)
    limit = run.number("max_grad_norm") or np.inf
    momentum = run.number("momentum") or 0.0
    gain = rate * size * np.minimum(size, limit) / (1 - min(momentum, 0.999))
    return Reach(None, _over_steps(steps, gain) / float(loss[0]))


def _rates(case: Case, steps: np.ndarray) -> FloatArray | None:
    rate = case.run.series("train/learning_rate").finite()
    if len(rate):
        return np.asarray(np.interp(steps, rate.step, rate.value))
    told = case.run.number("learning_rate")
    return np.full(len(steps), HALF * told) if told else None


def _over_steps(steps: np.ndarray, value: FloatArray) -> float:
    """Return the sum over all steps of what is known at some of them."""
    first = float(value[0]) * max(int(steps[0]), 0)
    return first + float(np.sum(np.diff(steps).clip(0) * (value[1:] + value[:-1]) / 2))
