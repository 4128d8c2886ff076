"""No parameter is updated: all are frozen, detached or not in the optimizer.

What it is
----------
The loss of each batch is what the untouched model gives, whatever the learning rate.

What speaks for it
------------------
The loss stays at its level with an ordinary learning rate. The gradient norm is 0 or not there, or what the
bias of the head alone would get. The evaluation hardly moves though Adam moves every weight that has a
gradient. The log counts few trainable parameters.

What speaks against it
----------------------
The gradient norm is ordinary.

How to confirm
--------------
Compare the parameters before and after one step; list those with requires_grad.

Fix
---
Unfreeze, apply the adapter, give the optimizer the right parameters.

References
----------
trl#1311; transformers#26221.
"""

from __future__ import annotations

import re

import numpy as np

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.course import (
    frequencies_only,
    hardly_moves,
    is_constant,
    norms,
    peak_rate,
    short_steps,
)
from loganalyze.causes.error_text import stated
from loganalyze.causes.rates import NEXT_TO_NOTHING, common_rates
from loganalyze.causes.uncleared import uncleared
from loganalyze.finding import Clue
from loganalyze.signals.class_counts import counts_only
from loganalyze.signals.loss_kind import is_by_reward
from loganalyze.signals.movement import Movement, movement
from loganalyze.signals.robust import noise_sigma
from loganalyze.signals.saturation import saturation

HARDLY_ANY = 1_000  # trainable parameters; a bias has them, an adapter has far more
MOST = 0.95  # of all parameters: position tables and the like are often fixed
SHARE = 0.01  # of all parameters
SAME = 1e-5  # share of the evaluation loss; logs keep 4 to 5 digits
LEARNED = 0.02  # share of the evaluation loss: more than the frequencies of labels give
STILL = 0.005  # share of the loss: a change below it is none
MOVES = 5e-4  # share of the evaluation loss: less is the rounding of the sums
MODEST = 0.3  # gradient norm; a model of which all weights are trained begins with 0.3 to 3
FEW = 0.05  # gradient norm; half the least that is usual (0.1 to 10) when all weights are trained
ERROR = re.compile(
    r"does not require grad and does not have a grad_fn|optimizer got an empty parameter list"
    r"|No (?:inf checks|trainable parameters)|None of the inputs have requires_grad=True"
)


def weigh(case: Case) -> list[Clue]:
    """Weigh the gradient norm."""
    clues = stated(case, ERROR)
    if case.found("crash") and not clues:
        clues.append(Clue("No error in the log says that nothing requires a gradient.", -DECISIVE))
    zero = case.found("loss-zero")
    if zero and "reward_std" in zero.evidence:
        clues.append(Clue("The rewards have no spread: there is nothing to follow.", -DECISIVE))
    if case.found("loss-nonfinite"):
        clues.append(Clue("Weights that stand still do not turn a loss into NaN.", -STRONG))
    few = _trainable(case)
    clues += few
    if any(clue.weight > 0 for clue in few):
        return clues  # what little is trained moves the loss a little
    clues += [*_level(case), *_course(case), *_preference(case)]
    norm = case.run.series("train/grad_norm").finite()
    if len(norm) and float(norm.value.max()) == 0 and zero and is_by_reward(case.run):
        text = (
            "A method that learns from rewards has no gradient either where all are worth the same."
        )
        clues.append(Clue(text, MODERATE))
    elif len(norm) and float(norm.value.max()) == 0:
        clues.append(Clue("The gradient norm is exactly 0 throughout.", DECISIVE))
    elif (sums := uncleared(case)) is not None:
        text = (
            f"The gradient norm grows step by step, to {sums.times:.0f} x its first value, while the loss "
            "stands: gradients are added up and never cleared, as where the optimizer holds other parameters."
        )
        clues.append(Clue(text, -MODERATE if sums.moves else DECISIVE))
    elif len(norm):
        middle = float(norm.value.mean())
        counts = counts_only(case.run)
        if counts is not None and counts.is_bias_alone and not _died(case):
            text = f"The gradient norm, {middle:.2g}, is what the bias of the head alone would get."
            return [*clues, Clue(text, STRONG)]
        if middle < FEW and short_steps(case) is not None:
            text = (
                f"The gradient norm is {middle:.2g} and the evaluation creeps, though Adam moves every "
                "weight that has a gradient by the full rate: few of them have one."
            )
            return [*clues, Clue(text, STRONG)]
        clues.append(Clue(f"There is a gradient (norm {middle:.2g} on average).", -WEAK))
        clues += _lost(case)
    return clues


def _lost(case: Case) -> list[Clue]:
    """Read a gradient that was there at first: weights that never change keep theirs, but for the batches."""
    course, norm = norms(case), case.run.series("train/grad_norm").finite().value
    if course is None or not course.died or course.early <= float(norm[len(norm) // 2 :].max()):
        return []
    text = (
        f"The gradient norm was {course.early:.3g} at first and {course.late:.3g} later: a model that does "
        "not change keeps its gradient."
    )
    return [Clue(text, -STRONG)]


def _died(case: Case) -> bool:
    """Tell whether the gradient was larger at first: what is frozen never had one."""
    course = norms(case)
    return course is not None and course.died


def _trainable(case: Case) -> list[Clue]:
    """Read how many parameters the log calls trainable; adapters have 100,000 and more of them."""
    count, total = (case.run.number(key) for key in ("trainable_parameters", "num_parameters"))
    if count is None:
        return []
    if total and count < HARDLY_ANY and count < SHARE * total:
        text = f"Only {count:,.0f} of {total:,.0f} parameters are trainable."
        return [Clue(text, DECISIVE)]
    if count == 0:
        return [Clue("No parameter is trainable.", DECISIVE)]
    if total and count < SHARE * total:
        text = f"Only {count / total:.2%} of the parameters are trainable, as in an adapter or a head alone."
        return [Clue(text, WEAK)]
    if total and count < MOST * total:
        text = f"Only {count:,.0f} of {total:,.0f} parameters are trainable."
        return [Clue(text, STRONG)]
    if count == total:
        return [Clue(f"All {count:,.0f} parameters are said to be trainable.", -MODERATE)]
    return []


def _preference(case: Case) -> list[Clue]:
    """A policy that is its reference, bit for bit, earns rewards of exactly 0."""
    margin = case.run.series("rewards/margins").finite().value
    if not len(margin):
        return []
    if margin.any():
        return [Clue("The rewards differ from 0: the policy has moved.", -DECISIVE)]
    answers = case.run.series("logps/chosen").finite().value
    if not answers.any():
        return []  # then nothing is known of the policy
    text = "All rewards are exactly 0: the policy is still its reference, bit for bit."
    return [Clue(text, DECISIVE)]


def _course(case: Case) -> list[Clue]:
    """A model of which nothing is trained is evaluated the same every time."""
    course = movement(case.run)
    if course is None or not case.found("loss-at-chance", "loss-plateau", "slow-convergence"):
        return []
    if course.span < SAME and saturation(case.run) is not None:
        return []
    if is_constant(case):
        text = (
            f"Every sample costs {course.last:.5g}, an even guess to the digit: untrained weights of a head "
            "answer less evenly."
        )
        return [Clue(text, -STRONG)]
    if course.span < SAME:
        return [_stands(case, course)]
    if hardly_moves(case) is not None and not _died(case) and short_steps(case) is None:
        text = (
            f"The evaluation loss moves by {course.span:.2%} in all, though Adam moves every weight that has "
            "a gradient by the full rate: few of them have one."
        )
        norm = norms(case)
        return [Clue(text, WEAK if norm is not None and norm.late > MODEST else STRONG)]
    if short_steps(case) is not None and norms(case) is None:
        text = (
            f"The evaluation loss creeps from {course.first:.5g} to {course.last:.5g}, though Adam moves "
            "every weight that has a gradient by the full rate: perhaps few of them have one."
        )
        return [Clue(text, MODERATE)]
    if course.wanders and course.span > MOVES:
        text = "The evaluation loss goes to and fro: the weights change, to no avail."
        return [Clue(text, -MODERATE)]
    if course.span > LEARNED and course.last < course.first:
        text = f"The evaluation loss fell from {course.first:.4g} to {course.last:.4g}."
        return [Clue(text, -STRONG)]
    return []


def _level(case: Case) -> list[Clue]:
    """Even a model that finds nothing learns how frequent the labels are; a frozen one does not."""
    if case.found("loss-repeats") and saturation(case.run) is not None:
        return [Clue("The losses repeat because the softmax is saturated.", -STRONG)]
    if case.found("loss-repeats"):
        return [_repeats(case)]
    if not case.found("loss-at-chance", "loss-plateau", "slow-convergence"):
        return []
    at_once = frequencies_only(case)
    if at_once is not None:
        text = f"The loss fell by {at_once:.1%} in the first steps: something is trained."
        return [Clue(text, -STRONG)]
    if not case.found("loss-at-chance", "loss-plateau"):
        return []
    course = movement(case.run)
    if course is not None and course.span < SAME:
        return []  # what the train loss did is the noise of its batches
    loss = case.run.series("train/loss").finite().value
    part = max(len(loss) // 4, 3)
    start, end = loss[:part], loss[-part:]
    error = (noise_sigma(loss) or 1e-12) * 1.77 / np.sqrt(part)
    fall = float(np.median(start) - np.median(end))
    if abs(fall) < 2 * error and abs(fall) < STILL * float(np.median(end)):
        return [Clue(f"The loss is {np.median(end):.4g} at the end as at the start.", MODERATE)]
    if fall < STILL * float(np.median(end)) or (short_steps(case) and norms(case) is None):
        return []  # that little, a single bias does
    return [Clue(f"The loss fell by {fall:.3g} at first: something is trained.", -MODERATE)]


def _stands(case: Case, course: Movement) -> Clue:
    """Read an evaluation that is all but the same every time: a rate of next to nothing leaves it so, too."""
    peak = peak_rate(case)
    slow = peak is not None and peak <= NEXT_TO_NOTHING * common_rates(case.run)[0]
    if course.creeps and slow:
        text = (
            f"The evaluation loss creeps from {course.first:.8g} to {course.last:.8g}, at a rate of only "
            f"{peak:.2g}: weights do change."
        )
        return Clue(text, -STRONG)
    text = f"The evaluation loss stays at {course.last:.5g} throughout: no weight changes."
    return Clue(text, WEAK if slow else DECISIVE)


def _repeats(case: Case) -> Clue:
    """Losses that come again in turn are those of a model that stands; one value may be a dead output."""
    if case.number("loss-repeats", "period_points") != 1:
        return Clue("The losses repeat digit for digit: no weight changes.", DECISIVE)
    loss = case.run.series("train/loss").finite().value
    if loss[0] != loss[-1]:
        text = (
            f"The loss was {loss[0]:.6g} before it stood at {loss[-1]:.6g}: a weight had changed."
        )
        return Clue(text, -MODERATE)
    return Clue("The loss is the same digit for digit from the first point on.", MODERATE)


def fix(case: Case) -> list[str]:
    """Name what to list."""
    return ["print(sum(p.numel() for p in model.parameters() if p.requires_grad)) must not be 0"]


HYPOTHESIS = Hypothesis(
    id="frozen-parameters",
    title="Nothing is trained",
    prior=-0.4,
    explains=(
        "loss-at-chance",
        "loss-plateau",
        "slow-convergence",
        "loss-repeats",
        "grad-zero",
        "crash",
    ),
    weigh=weigh,
    fix=fix,
    probe="gradients",
)
