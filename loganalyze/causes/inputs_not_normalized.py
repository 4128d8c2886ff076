"""Inputs or targets come in units of thousands, or of thousandths.

What it is
----------
Layers are initialised for inputs with mean 0 and standard deviation 1. Raw pixels, prices or coordinates
make the first losses huge and the gradients as huge.

What speaks for it
------------------
The first losses are huge, and the evaluation jumps by orders of magnitude from one time to the next, at a
moderate learning rate. It is a regression.

What speaks against it
----------------------
A cross-entropy that starts at log(C), unless its gradient was large at first and then lost: saturated units.

How to confirm
--------------
Print mean and standard deviation of one batch of inputs and of targets.

Fix
---
Standardise each feature with the statistics of the training set; the targets of a regression too.

References
----------
LeCun et al., "Efficient BackProp" (1998), section 4.3; keras#510; DeepSurv#14.
"""

from __future__ import annotations

import numpy as np

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.course import norms
from loganalyze.causes.initial import (
    OF_INPUTS,
    RISES,
    STANDS,
    TOWERING,
    ends_at_guess,
    has_gradient_of_inputs,
    is_steady_at_first,
    model_clues,
    norm_of_one,
    passes_guess,
    rises_at_first,
)
from loganalyze.causes.multiple import excess_clues
from loganalyze.causes.no_grad_clipping import FEW as FEW_BATCHES
from loganalyze.causes.no_grad_clipping import leaps, lone_peaks
from loganalyze.causes.reads import reads_tokens
from loganalyze.finding import Clue
from loganalyze.signals.class_counts import counts_only
from loganalyze.signals.loss_kind import LossKind, chance, loss_kind
from loganalyze.signals.robust import FloatArray

HUGE = 1e3  # a first loss beyond it is no loss of standardised targets
WILD = 1.0  # of the log of the evaluation loss: a factor e from one to the next
WIDELY = 10.0  # times its level that the gradient norm reaches, while the loss starts at a guess
LOST = 5.0  # times its later level that the gradient norm had at first
MUCH = 5.0  # times log(C): beyond any guess over unused outputs
FAR = 20.0  # times its later level
FEW = 4  # evaluations whose scatter says something
NEAR = 1.3  # times log(C) up to which a first loss is that of a guess


def weigh(case: Case) -> list[Clue]:
    """Weigh the first loss and the scatter of the evaluation."""
    if reads_tokens(case):
        text = "The model reads numbers of tokens: they have no scale."
        return [Clue(text, -DECISIVE)]
    clues = []
    loss = case.run.series("train/loss").finite()
    first = float(loss.value[0]) if len(loss) else None
    guess = chance(case.run)
    steady = case.found("initial-loss-high") is not None and is_steady_at_first(case)
    if steady:
        clues.append(Clue(STANDS, -MODERATE))
    if first is not None and first > HUGE and not steady:
        clues.append(
            Clue(f"The first loss is {first:.3g}: inputs or targets are large numbers.", STRONG)
        )
    elif first is not None and guess is not None and first < NEAR * guess.log_c:
        clues.append(_near_a_guess(case, f"The loss starts at {first:.3g}, near {guess.label}."))
    ratio = case.number("initial-loss-high", "ratio_to_log_c")
    if ratio is not None and ratio > TOWERING and not steady:
        text = (
            f"The loss starts at {ratio:.0f} x log(C): logits of hundreds, more than a head makes."
        )
        clues.append(Clue(text, MODERATE))
    evals = case.run.series("eval/loss").finite().value
    if len(evals) >= FEW and (evals > 0).all() and _jumps(np.diff(np.log(evals))):
        low, high = evals.min(), evals.max()
        text = f"The evaluation loss jumps to and fro between {low:.3g} and {high:.3g}."
        clues.append(Clue(text, STRONG))
    single = max(leaps(case), lone_peaks(case))
    if single >= FEW_BATCHES:
        text = f"{single} batches cost ten times what those beside them do: single rows are large, not all."
        clues.append(Clue(text, -STRONG))
    if loss_kind(case.run) is LossKind.REGRESSION:
        clues.append(Clue("The loss is that of a regression.", WEAK))
    if ratio is not None:
        clues += _above_a_guess(case, ratio, alone=not clues)
    clues += _first_gradient(case, steady=steady)
    clues += excess_clues(case)
    if ratio is not None and ratio < TOWERING and passes_guess(case):
        text = "The loss falls right through the level of a guess: large inputs leave few units that could."
        clues.append(Clue(text, -MODERATE))
    return clues or [Clue("Nothing shows that inputs or targets are large numbers.", -STRONG)]


def _above_a_guess(case: Case, ratio: float, *, alone: bool) -> list[Clue]:
    """Read a loss that starts above a guess; `alone` where nothing else speaks for large inputs."""
    if ends_at_guess(case):
        text = (
            "The loss starts far too high and falls to a guess, where it stays: large inputs drive units to "
            "where they have no gradient."
        )
        return [Clue(text, STRONG if ratio > MUCH else WEAK)]
    if rises_at_first(case):
        return [Clue(RISES, MODERATE)]
    if alone or ratio > TOWERING:
        return model_clues(case) or [
            Clue("The loss starts too high: large inputs do that, among others.", -WEAK)
        ]
    return []


def _first_gradient(case: Case, *, steady: bool) -> list[Clue]:
    clues = []
    norm = case.run.series("train/grad_norm").finite()
    of_one = norm_of_one(case)
    if of_one is not None and of_one > OF_INPUTS:
        text = (
            f"The first gradient norm is {norm.value[0]:.3g}, {of_one:.3g} per guess that the loss is worth: "
            "more than a head makes."
        )
        clues.append(Clue(text, STRONG if has_gradient_of_inputs(case) else MODERATE))
    if len(norm) and norm.value[0] > HUGE and not steady:
        clues.append(Clue(f"The first gradient norm is {norm.value[0]:.3g}.", STRONG))
    return clues


def _near_a_guess(case: Case, text: str) -> Clue:
    """Units that large inputs saturate give a guess as well, after a large first gradient."""
    course = norms(case)
    if case.found("loss-at-chance") and course is not None and course.early > LOST * course.late:
        text = (
            f"The gradient norm was {course.early:.3g} at first and is {course.late:.3g} later, while the "
            "loss stayed that of a guess: large inputs saturate units so."
        )
        return Clue(text, STRONG if course.early > FAR * course.late else MODERATE)
    if case.found("loss-at-chance") and counts_only(case.run) is not None:
        text = (
            "The gradient follows the class counts alone: the outputs do not depend on the input, as where "
            "large inputs saturate all units."
        )
        return Clue(text, MODERATE)
    if (
        course is not None
        and course.largest > WIDELY * course.late
        and not case.found("grad-explosion")
    ):
        return Clue(
            f"{text} Yet the gradient norm reaches {course.largest:.3g}, from {course.late:.3g}.",
            -WEAK,
        )
    return Clue(text, -DECISIVE)


def _jumps(steps: FloatArray) -> bool:
    """Tell whether the log of a loss goes up as well as down by a factor e, more than once in all."""
    return bool((steps > WILD).any() and (steps < -WILD).any() and (abs(steps) > WILD).sum() > 2)


def fix(case: Case) -> list[str]:
    """Name the scaling."""
    return ["inputs and targets -> (x - mean) / std, with mean and std of the training set"]


HYPOTHESIS = Hypothesis(
    id="inputs-not-normalized",
    title="Inputs or targets are not normalised",
    prior=-1.3,
    explains=("loss-nonfinite", "loss-divergence", "loss-oscillation", "grad-explosion", "loss-spike",
              "initial-loss-high", "slow-convergence", "clip-saturated", "loss-at-chance",
              "loss-plateau"),
    weigh=weigh,
    fix=fix,
    probe="data",
)  # fmt: skip
