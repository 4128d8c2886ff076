"""The output layer starts with logits so large that confident wrong guesses cost far more than
log(C).

What it is
----------
With logits of standard deviation s the initial cross-entropy is about log(C) + s^2 / 2: 12 times
log(C) needs s of 11.

What speaks for it
------------------
Train and evaluation loss are high together. The factor is no integer. The loss falls quickly once
the rate is up.

What speaks against it
----------------------
A normal evaluation loss. A factor equal to the accumulation steps.

How to confirm
--------------
Forward one batch through the untouched model: the logits should have mean about 0 and standard
deviation about 1.

Fix
---
Initialise the head with standard deviation 0.02, or scale its input by a normalisation.

References
----------
Karpathy, A Recipe for Training Neural Networks (2019).
"""

from __future__ import annotations

from loganalyze.causes.cause import MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.finding import Clue


def weigh(case: Case) -> list[Clue]:
    """A large head shows in every loss, and its factor is no integer."""
    clues = []
    ratio = case.number("initial-loss-high", "ratio_to_log_c") or 0.0
    log_c = case.number("initial-loss-high", "log_c") or 0.0
    spread = (2 * max(ratio - 1, 0) * log_c) ** 0.5
    clues.append(
        Clue(f"Logits with a standard deviation of about {spread:.0f} would give this loss.", WEAK)
    )
    return clues + evaluation_clues(case) + integer_clues(case)


def evaluation_clues(case: Case) -> list[Clue]:
    """A fault of the model shows in the evaluation too."""
    ratio = case.number("initial-loss-high", "ratio_to_log_c")
    log_c = case.number("initial-loss-high", "log_c")
    evaluation = case.run.series("eval/loss").finite()
    if not ratio or not log_c or not len(evaluation):
        return []
    first = float(evaluation.value[0])
    if first < 1.5 * log_c:
        return [Clue(f"The evaluation loss is normal ({first:.3g}): the model itself is.", -STRONG)]
    if first > 0.7 * ratio * log_c:
        return [
            Clue(
                f"The evaluation loss is as high ({first:.3g}): the model itself is wrong.",
                MODERATE,
            )
        ]
    return []


def integer_clues(case: Case) -> list[Clue]:
    """A factor equal to the accumulation steps speaks for a sum."""
    ratio = case.number("initial-loss-high", "ratio_to_log_c")
    accumulation = case.run.number("gradient_accumulation_steps")
    if ratio and accumulation and accumulation > 1 and abs(ratio / accumulation - 1) < 0.12:
        return [Clue(f"The factor is just the {accumulation:.0f} accumulation steps.", -STRONG)]
    return []


def fix(case: Case) -> list[str]:
    """Name the usual scale."""
    return ["Initialise the head's weights with standard deviation 0.02 and its bias with 0"]


HYPOTHESIS = Hypothesis(
    id="head-init-scale",
    title="The head's initial weights are too large",
    prior=-0.5,
    explains=("initial-loss-high", "clip-saturated"),
    weigh=weigh,
    fix=fix,
    probe="init",
)
