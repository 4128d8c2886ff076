"""The output layer starts with logits so large that confident wrong guesses cost far more than
log(C).

What it is
----------
With logits of standard deviation s the initial cross-entropy is about log(C) + s^2 / 2: 12 times
log(C) needs s of 11.

What speaks for it
------------------
Train and evaluation loss are high together. The factor is no integer. The first gradient norm is in the tens:
errors travel back through the same large weights. The loss falls quickly once the rate is up.

What speaks against it
----------------------
A normal evaluation loss. A factor equal to the accumulation steps. An ordinary first gradient norm.

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

import math

from loganalyze.causes.cause import MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.initial import (
    LARGE_NORM,
    OF_INPUTS,
    ORDINARY_NORM,
    RISES,
    STANDS,
    TOWERING,
    ends_at_guess,
    first_norm,
    has_gradient_of_inputs,
    is_steady_at_first,
    is_training_alone,
    model_clues,
    norm_of_one,
    rises_at_first,
)
from loganalyze.causes.multiple import excess_clues
from loganalyze.finding import Clue
from loganalyze.signals.loss_kind import LossKind, loss_kind

MOST_TOKENS = 262_144  # vocabulary of the largest tokenizers in use
HUGE_NORM = 1e3  # first gradient norm; heads of forty times the usual weights measured 4 to 230


def weigh(case: Case) -> list[Clue]:
    """A large head shows in every loss, and its factor is no count of anything."""
    ratio = case.number("initial-loss-high", "ratio_to_log_c")
    log_c = case.number("initial-loss-high", "log_c")
    if ratio is None or log_c is None:
        if _starts_beyond_any_guess(case) and rises_at_first(case):
            return [Clue(RISES, STRONG)]
        norm = first_norm(case)
        classes = loss_kind(case.run) is LossKind.CROSS_ENTROPY
        if classes and norm is not None and norm > LARGE_NORM and case.found("clip-saturated"):
            text = f"The first gradient norm is {norm:.3g} already: errors may come through large weights."
            return [Clue(text, MODERATE)]
        return [Clue("Nothing shows that the loss started above log(C).", -MODERATE)]
    spread = (2 * max(ratio - 1, 0) * log_c) ** 0.5
    text = (
        f"Logits with a standard deviation of about {spread:.0f} give a loss of "
        f"{ratio:.1f} x log(C) = {ratio * log_c:.3g}."
    )
    return [
        Clue(text, WEAK),
        *_scatter(case),
        *_norm(case),
        *_course(case),
        *model_clues(case),
        *excess_clues(case),
    ]


def _starts_beyond_any_guess(case: Case) -> bool:
    loss = case.run.series("train/loss").finite().value
    return (
        len(loss) > 0
        and float(loss[0]) > math.log(MOST_TOKENS)
        and loss_kind(case.run) is LossKind.UNKNOWN
    )


def _scatter(case: Case) -> list[Clue]:
    if is_steady_at_first(case):
        return [Clue(STANDS, -WEAK)]
    return [Clue(RISES, MODERATE)] if rises_at_first(case) else []


def _course(case: Case) -> list[Clue]:
    """A head is soon unlearned; then the model trains as ever."""
    if not ends_at_guess(case):
        return []
    text = "The loss falls to a guess and stays there: a head alone does not keep the rest from learning."
    return [Clue(text, -STRONG)]


def _norm(case: Case) -> list[Clue]:
    norm = first_norm(case)
    if (case.number("initial-loss-high", "ratio_to_log_c") or 0.0) > TOWERING:
        text = "Logits of hundreds are more than a head makes, even one of a hundred times its weights."
        return [Clue(text, -MODERATE)]
    if norm is not None and norm > HUGE_NORM:
        text = f"The first gradient norm is {norm:.3g}: more than the weights of a head make."
        return [Clue(text, -MODERATE)]
    # A sum has a large norm as well; an evaluation that is high too rules it out.
    ratio = case.number("initial-loss-high", "ratio_to_log_c") or 1.0
    is_sum = norm is not None and norm < ORDINARY_NORM * ratio
    if norm is not None and not is_sum and norm > LARGE_NORM and is_training_alone(case) is False:
        text = f"The first gradient norm is {norm:.3g}: errors come back through large weights."
        if has_gradient_of_inputs(case):
            return []
        if (norm_of_one(case) or 0.0) > OF_INPUTS:
            return [Clue(text, MODERATE)]
        return [Clue(text, STRONG if norm > 2 * LARGE_NORM else MODERATE)]
    if norm is not None and norm < ORDINARY_NORM:
        return [Clue(f"The first gradient norm is {norm:.2g}, ordinary.", -MODERATE)]
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
