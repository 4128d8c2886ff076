"""The limit of the gradient norm lies far below the norm that this model has by nature.

What it is
----------
Clipping is for the odd batch. A limit below the usual norm scales every step down: the learning rate that
is set is not the one that is used, and SGD crawls.

What speaks for it
------------------
Nearly all steps are clipped, while the norm is ordinary and steady (0.1 to 10) and the loss starts where
it should.

What speaks against it
----------------------
The norm itself is far too large: then the loss or the initialisation is wrong, not the limit.

How to confirm
--------------
100 steps with the limit at the 90th percentile of the norm: the loss falls faster and nothing breaks.

Fix
---
Set the limit a little above the usual norm.

References
----------
Pascanu et al., "On the difficulty of training recurrent neural networks" (2013), section 3.2: the
threshold is a factor on the average norm.
"""

from __future__ import annotations

import numpy as np

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, Case, Hypothesis
from loganalyze.causes.rates import is_adam
from loganalyze.finding import Clue

ORDINARY = 10.0  # norms from 0.1 to 10 are those of most models
FAR_BELOW = 0.01  # a tenth of the lowest ordinary norm
USUAL_LIMIT = 0.5  # limits below it are rare


def weigh(case: Case) -> list[Clue]:
    """Weigh whether the norm or the limit is the odd one."""
    median, limit = (case.number("clip-saturated", n) for n in ("median_norm", "max_grad_norm"))
    if median is None or limit is None:
        return _limit_alone(case)
    clues = []
    if case.found("initial-loss-high"):
        clues.append(
            Clue("The loss starts far too high: the norm is large because of it.", -DECISIVE)
        )
    if limit <= FAR_BELOW and not is_adam(case.run):
        text = (
            f"max_grad_norm is {limit:g}, a tenth of the lowest norm in common: {limit / median:.2g} of each "
            "step is left."
        )
        return [*clues, Clue(text, DECISIVE)]
    if median <= ORDINARY:
        clues.append(Clue(f"The median norm is {median:.3g}, as in most models.", MODERATE))
    else:
        clues.append(Clue(f"The median norm is {median:.3g}, large for any model.", -STRONG))
    if limit < USUAL_LIMIT:
        clues.append(Clue(f"max_grad_norm is {limit:g}, lower than usual.", STRONG))
    return clues


def _limit_alone(case: Case) -> list[Clue]:
    """Weigh the limit where no norm was logged: Adam does not care, SGD crawls."""
    limit = case.run.number("max_grad_norm")
    if not limit:
        return [Clue("No clipping limit is known.", -DECISIVE)]
    if limit > FAR_BELOW or is_adam(case.run):
        return [Clue(f"Nothing shows that a limit of {limit:g} is met often.", -STRONG)]
    text = f"max_grad_norm is {limit:g}, a tenth of the lowest norm in common: every step is cut."
    return [Clue(text, DECISIVE)]


def fix(case: Case) -> list[str]:
    """Set the limit where only the odd batch meets it."""
    norm = case.run.series("train/grad_norm").finite()
    limit = case.number("clip-saturated", "max_grad_norm")
    if not len(norm) or limit is None:
        return ["max_grad_norm -> 1.0"]
    return [
        f"max_grad_norm {limit:g} -> {np.quantile(norm.value, 0.9):.2g}, the 90th percentile of the norm"
    ]


HYPOTHESIS = Hypothesis(
    id="clip-threshold-too-low",
    title="The clipping limit is too low",
    prior=-0.3,
    explains=("clip-saturated", "slow-convergence", "loss-at-chance", "loss-plateau"),
    weigh=weigh,
    fix=fix,
    probe="gradients",
)
