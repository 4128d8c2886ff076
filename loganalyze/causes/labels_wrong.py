"""Labels are shuffled, shifted or constant: nothing links them to the inputs.

What it is
----------
The best a model can do is the labels' frequencies: the loss stays at the level of a guess.

What speaks for it
------------------
The loss stays at log(C) with a living learning rate and an ordinary gradient norm. What is learned all the
same never makes the evaluation better than an untrained model. Where only part of the training's labels are
wrong, the evaluation is answered better than the training.

What speaks against it
----------------------
The loss falls below log(C). A gradient of 0.

How to confirm
--------------
Overfit one batch: it works even with random labels, so if it does and training does not, the
labels are at fault.

Fix
---
Print ten samples with their decoded labels; check the order of inputs and labels after shuffling.

References
----------
Karpathy, A Recipe for Training Neural Networks (2019).
"""

from __future__ import annotations

import numpy as np

from loganalyze.causes.cause import DECISIVE, MODERATE, STATED, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.course import (
    creeps_on,
    frequencies_only,
    hardly_moves,
    is_silent,
    kinds_in_turn,
    norms,
    settled_early,
    short_steps,
    went_silent,
)
from loganalyze.causes.rates import is_adam
from loganalyze.causes.reach import reach
from loganalyze.causes.untrained import answers_better, best_evaluation, untrained_level
from loganalyze.finding import Clue
from loganalyze.signals.accuracy import one_answer
from loganalyze.signals.batch_order import accuracy_spread
from loganalyze.signals.class_counts import counts_only
from loganalyze.signals.first_pass import first_pass
from loganalyze.signals.loss_kind import LossKind, chance, loss_kind
from loganalyze.signals.movement import movement
from loganalyze.signals.robust import noise_sigma

LEVELS = ("loss-at-chance", "loss-plateau", "slow-convergence", "eval-at-chance")
PARTLY = ("loss-plateau", "slow-convergence", "loss-at-chance", "overfit-gap")
ENOUGH = 0.1  # sum of the rates of Adam: as much as a weight of a layer of width 100 is large
LITTLE = 0.08  # share of the loss: as much as its mean and spread give
FAR_WORSE = 1.5  # times an untrained model: more is another kind of data
FREQUENCIES = 0.85  # times log(C): uneven labels alone lead down to it
BETTER = 0.97  # times log(C): an evaluation below it beats a guess
HALF = 0.4  # of log(C): what means something is learned farther than that
AT_ONCE = 0.3  # share of the loss that falls as the samples come again: a model that remembers all
FALLEN = 0.95  # times log(C): a train loss below it has left the guess
SAME = 1e-5  # share of the evaluation loss; logs keep 4 to 5 digits
STILL = 0.005  # share of the loss: a change below it is none
ONE_KIND = 4.0  # times the variance of the accuracy of shuffled batches
LITTLE_LEARNED = 0.1  # share of the evaluation loss
HOLDS = 0.005  # share of the evaluation loss: less is the frequencies being learned more exactly
BALANCED = (
    0.01  # relative distance to log(C) at which labels that are as frequent as each other leave it
)
NOTHING = 0.06  # share of the first loss that frequencies give
CLEARLY = 3.0  # standard deviations of a point
FEWEST = 4  # points of a third
NEAR = 0.05  # relative distance to log(C); label noise and smoothing move it by 1 to 2 %
LAST = 10  # points whose median is the level at the end
CAME = 2.0  # times its later level that the gradient norm had at first
FLOWING = 1e-3  # gradient norm; below it hardly anything is updated


def weigh(case: Case) -> list[Clue]:
    """Weigh the level and whether gradients flow."""
    clues = [*_one_class(case), *_noisy(case)]
    if kinds_in_turn(case) is not None and case.found("loss-oscillation", "slow-convergence"):
        text = "The loss falls and leaps as kinds of samples come and go: that is learned, in vain."
        return [*clues, Clue(text, -STRONG)]
    if not clues and not case.found(*LEVELS):
        helped = _never_helped(case) if case.found("overfit-gap") else []
        none = Clue("No level of a loss or an accuracy points at the labels.", -STATED)
        return helped if any(clue.weight > 0 for clue in helped) else [none]
    ratio = case.number("loss-at-chance", "ratio_to_log_c")
    if ratio is not None and ratio <= 1 - NEAR:
        text = f"The loss stays at {ratio:.2f} x log(C), below a guess: something was learned."
        clues.append(Clue(text, -MODERATE))
    elif ratio is not None and ratio < 1 + NEAR:
        clues.append(Clue(f"The loss stays at {ratio:.2f} x log(C), the level of a guess.", WEAK))
    norm = case.run.series("train/grad_norm").finite()
    if counts_only(case.run) is not None:
        text = "The gradient follows the class counts alone: the model does not look at its inputs."
        # Where Adam moved all weights and they still found nothing, there was nothing to find.
        # So they end as well where a gradient came through at first.
        course = norms(case)
        found_none = is_adam(case.run) or (course is not None and course.early > CAME * course.late)
        clues.append(Clue(text, -WEAK if found_none else -MODERATE))
    elif len(norm) and float(norm.value.mean()) > FLOWING:
        clues.append(Clue("Gradients flow all the time, and lead nowhere.", WEAK))
    elif len(norm):
        clues.append(Clue("The gradient norm is about 0.", -MODERATE))
    at_once = frequencies_only(case)
    if at_once is not None:
        text = (
            f"The loss fell by {at_once:.1%} in the first steps, as far as knowing how frequent each label "
            "is, and no farther."
        )
        clues.append(Clue(text, MODERATE))
    if went_silent(case) is not None:
        text = "Every batch has the same loss: the outputs do not depend on the inputs, whatever the labels."
        clues.append(Clue(text, -STRONG))
    spread = accuracy_spread(case.run)
    if spread is not None and spread > ONE_KIND:
        text = "Whole batches are answered right or wrong: labels that mean nothing are not."
        clues.append(Clue(text, -STRONG))
    return [
        *clues,
        *_learned_by_heart(case),
        *_unmoved(case),
        *_course(case),
        *_nothing_to_find(case),
    ]


def _one_class(case: Case) -> list[Clue]:
    """A class that is right everywhere, beside others without any sample, is all that the labels hold."""
    last = {
        str(name): float(case.run.series(str(name)).value[-1])
        for name in case.run.metrics["metric"].cat.categories
        if str(name).startswith("eval/iou.") and case.run.has(str(name))
    }
    whole = [name for name, value in last.items() if value in (1.0, 100.0)]
    absent = [name for name, value in last.items() if value != value]
    if len(whole) != 1 or len(absent) != len(last) - 1 or not absent:
        return []
    text = (
        f"{whole[0]} is {last[whole[0]]:g} and {', '.join(absent[:3])} NaN: the labels hold one class, the "
        "others are missing or ignored (a mask of 0 and 255, say)."
    )
    return [Clue(text, STATED)]


def _noisy(case: Case) -> list[Clue]:
    """Labels that are partly wrong in training alone cannot be learned there, and what is right can."""
    better = answers_better(case)
    if not better or case.found("eval-below-train", "initial-loss-high") or not case.found(*PARTLY):
        return []
    text = f"{better}: labels that are wrong in part of the training alone do that."
    return [Clue(text, STRONG if case.found(*LEVELS) else DECISIVE)]


def _course(case: Case) -> list[Clue]:
    """Weights that follow wrong labels change all the time, and evaluation with them."""
    course = movement(case.run)
    if course is None or not case.found("loss-at-chance", "loss-plateau"):
        if creeps_on(case) is None or answers_better(case):
            return []
        text = "The evaluation loss falls on to the end, if slowly: what is learned holds there."
        return [Clue(text, -MODERATE)]
    if course.span < SAME:
        return [
            Clue(
                "The evaluation loss does not change at all: nothing follows the labels.", -MODERATE
            )
        ]
    if one_answer(case.run):
        text = "All samples get one answer: the model does not look at its inputs, right labels or wrong."
        return [Clue(text, -MODERATE)]
    if hardly_moves(case) is not None:
        text = f"The evaluation loss moves by {course.span:.2%} in all: hardly a weight follows the labels."
        return [Clue(text, -MODERATE)]
    if course.wanders:
        text = "The evaluation loss goes to and fro: the weights change, to no avail."
        return [Clue(text, MODERATE if is_adam(case.run) else WEAK)]
    if answers_better(case):
        return []
    if settled_early(case) and HOLDS < course.span < LITTLE_LEARNED:
        text = "The evaluation loss fell at first, as far as the frequencies of labels give, and stands."
        return [Clue(text, WEAK)]
    if (course.is_straight and course.last < course.first * (1 - HOLDS)) or short_steps(case):
        text = "The evaluation loss falls steadily, if slowly: what is learned holds there."
        return [Clue(text, -MODERATE)]
    return []


def _learned_by_heart(case: Case) -> list[Clue]:
    """Wrong labels can be remembered, and nothing else: evaluation stays worse than a guess."""
    guess = chance(case.run)
    if case.found("overfit-gap"):
        return _never_helped(case)
    if guess is None:
        return _apart_from_the_start(case)
    evals = case.run.series("eval/loss").finite().value
    train = case.run.series("train/loss").finite().value
    if len(evals) < 2 or len(train) < 2:
        return []
    best = float(evals.min()) / guess.log_c
    end = float(np.median(train[-LAST:]))
    if end > guess.log_c or FREQUENCIES <= best < BETTER:
        return []  # as much as the frequencies of the labels give
    if best < FREQUENCIES and answers_better(case):
        return []
    if best < FREQUENCIES:
        return [Clue("The evaluation got better than a guess: the labels mean something.", -STRONG)]
    seen = first_pass(case.run)
    if seen is not None and seen.fell < NOTHING and end < FREQUENCIES * guess.log_c:
        text = (
            "In the first pass over the data next to nothing was learned, in later ones more: labels that "
            "mean nothing can only be remembered."
        )
        far = end > HALF * guess.log_c and seen.again < AT_ONCE and seen.is_gradual
        return [Clue(text, STRONG + MODERATE if far else WEAK)]
    if end > FALLEN * guess.log_c:
        return []
    return [Clue("The train loss falls below a guess, the evaluation never does.", MODERATE)]


def _apart_from_the_start(case: Case) -> list[Clue]:
    """Near a guess, the train loss creeps down and the evaluation up: what is learned is true of no other."""
    train, evals = (case.run.series(f"{part}/loss").finite().value for part in ("train", "eval"))
    part = min(len(train), len(evals)) // 3
    if part < FEWEST or not case.found("loss-at-chance"):
        return []
    fell, rose = (
        (float(np.median(value[:part]) - np.median(value[-part:])) * sign, noise_sigma(value))
        for value, sign in ((train, 1.0), (evals, -1.0))
    )
    if min(fell[0] / max(fell[1], 1e-12), rose[0] / max(rose[1], 1e-12)) < CLEARLY:
        return []
    if float(np.median(evals[:part])) < float(np.median(train[:part])) * (1 - HOLDS):
        return []
    text = (
        f"Near a guess the train loss creeps down by {fell[0]:.2g} and the evaluation loss up by "
        f"{rose[0]:.2g}: what is learned of labels that mean nothing is true of no other sample."
    )
    return [Clue(text, STRONG)]


def _never_helped(case: Case) -> list[Clue]:
    """What is learned of labels that mean nothing leaves the evaluation as it was, or makes it worse."""
    best = best_evaluation(case)
    if best is None or best > FAR_WORSE:
        return []
    if best < FREQUENCIES:
        better = bool(answers_better(case))
        text = "The evaluation got better than an untrained model: the labels mean something."
        return [] if better else [Clue(text, -STRONG)]
    seen = first_pass(case.run)
    if seen is not None and seen.fell > NOTHING:
        text = f"The train loss fell by {seen.fell:.0%} before any sample came again: labels mean something."
        return [Clue(text, -STRONG)]
    level, end = untrained_level(case) or 0.0, case.run.series("train/loss").finite().value[-LAST:]
    learned = float(np.median(end)) < HALF * level
    text = (
        f"No evaluation is better than {best:.2f} x an untrained model, whatever the training learned: as of "
        "labels that mean nothing."
    )
    return [Clue(text, MODERATE if best < BETTER or seen is None or learned else STRONG)]


def _nothing_to_find(case: Case) -> list[Clue]:
    """Weights that moved far enough, under a loss that stands at its start: the inputs say nothing of it."""
    loss = case.run.series("train/loss").finite().value
    far, level = reach(case), untrained_level(case)
    if level is None and len(loss) >= LAST and loss_kind(case.run) is LossKind.REGRESSION:
        level = float(np.median(loss[:FEWEST]))  # of few lines; one that stands has it as well
    if level is None or far is None or far.travel is None or far.travel < ENOUGH:
        return []
    if case.found("initial-loss-high") or not case.found("loss-plateau", "slow-convergence"):
        return []
    if abs(float(np.median(loss[-len(loss) // 4 :])) / level - 1) > LITTLE or _is_blind(case):
        return []
    if (best_evaluation(case) or 1.0) < BETTER:
        return []
    text = f"{far.summary}, and the loss stands near {level:.3g}: the inputs say nothing of it."
    return [Clue(text, STRONG if chance(case.run) is None else MODERATE)]


def _is_blind(case: Case) -> bool:
    """Tell whether the outputs do not depend on the inputs, be the labels right or wrong."""
    course = norms(case)
    died = course is not None and course.died
    return died or one_answer(case.run) or is_silent(case) or counts_only(case.run) is not None


def _unmoved(case: Case) -> list[Clue]:
    loss = case.run.series("train/loss").finite().value
    if len(loss) < 8 or not case.found("loss-at-chance", "loss-plateau"):
        return []
    part = max(len(loss) // 4, 3)
    error = (noise_sigma(loss) or 1e-12) * 1.77 / np.sqrt(part)
    fall = float(np.median(loss[:part]) - np.median(loss[-part:]))
    if abs(fall) < 2 * error and abs(fall) < STILL * float(np.median(loss)):
        text = (
            "The loss did not move at all; with wrong labels it still learns how frequent each is."
        )
        ratio = case.number("loss-at-chance", "ratio_to_log_c")
        balanced = ratio is not None and abs(ratio - 1) < BALANCED
        return [Clue(text, -WEAK if balanced else -MODERATE)]
    return []


def fix(case: Case) -> list[str]:
    """Name what to print."""
    return ["Print ten training samples with their decoded labels, after shuffling and collation"]


HYPOTHESIS = Hypothesis(
    id="labels-wrong",
    title="The labels do not belong to the inputs",
    prior=-0.8,
    explains=(*LEVELS, "eval-nonfinite", "overfit-gap"),
    weigh=weigh,
    fix=fix,
    probe="overfit",
)
