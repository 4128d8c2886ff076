"""The loss does not fit the output or the task.

What it is
----------
A softmax before a cross-entropy that applies its own; a mean squared error on class numbers; an accuracy
for a regression.

What speaks for it
------------------
The loss stops at ``log(1 + (C - 1) / e)``, the least that a cross-entropy can be when its logits are
probabilities already; it learns, but to a worse level. On the way there the loss is ``log(e + C - 1)`` less
the accuracy, because each sample that is answered wrong costs just 1 more. It starts at log(C) to the digit,
with a gradient far smaller than usual, and leaves that start. The loss falls while the accuracy stays fixed.
A binary cross-entropy starts well above ln 2 and stops between 0.31 and ln 2.

What speaks against it
----------------------
The loss falls below that floor, or rises above ``log(e + C - 1)``, the most that it can be then.

How to confirm
--------------
Print the last layer's output for one batch: logits reach far below 0 and above 1.

Fix
---
Give cross-entropy the raw logits.

References
----------
PyTorch documentation, `torch.nn.CrossEntropyLoss` (unnormalised logits); keras#6260.
"""

from __future__ import annotations

import math
import re

import numpy as np

from loganalyze.causes.cause import DECISIVE, MODERATE, STATED, STRONG, Case, Hypothesis
from loganalyze.causes.error_text import stated
from loganalyze.causes.initial import first_norm, followed
from loganalyze.causes.reach import reach
from loganalyze.causes.sigmoid_twice import sigmoid_twice
from loganalyze.causes.untrained import answers_better
from loganalyze.finding import Clue
from loganalyze.signals.accuracy import beats_guess, guessed_accuracy, share
from loganalyze.signals.loss_kind import Chance, LossKind, chance, loss_kind
from loganalyze.signals.movement import movement
from loganalyze.signals.robust import FloatArray

NEAR = 0.08  # share of the way from the floor to log(C) within which a loss stands at the floor
ALIKE = 0.015  # spread of the first losses, as a share; squares of class numbers scatter by 5 % and more
FIRST = 3  # points whose median is the level at the start
SQUARES = 0.15  # relative distance to the mean square of class numbers
FEW_CLASSES = 6  # with so few the squares are below 12, where a guess over a vocabulary is as well
LEARNED = 0.7  # of log(C): a loss below it takes an accuracy above a guess
FELL = 0.5  # of the first loss: below it training got somewhere
SURE = 0.95  # accuracy; of two classes fewer right answers cost as much in an honest loss
CONFIDENT = 0.5  # accuracy from which the answers are mostly sure of themselves
ON_LINE = (0.03, 0.06)  # distance of the loss to the line, for evaluations and for single batches
EXPLAINED = 0.65  # what is left of the scatter of a batch's accuracy when its loss is added
NEARLY_ALL = 0.9  # right answers; more leave little room to rise
TOO_CHEAP = 0.1  # share of the answers; evaluation sets of 400 scatter by 2 to 3 %
TOO_DEAR = 1.4  # times; young models are less sure than they could be by 10 to 20 %
FLAT = 0.5  # times the norm that the head's bias has at an even guess
FAR_BELOW = 0.15  # times it: what is left beside class counts that happen to be even
EXACT = 0.01  # relative distance; untrained heads of the usual scale lie 1 to 5 % above log(C)
TO_THE_DIGIT = 5e-4  # relative distance; a tenth of what heads of the usual scale leave
ONE_ANSWER = 0.05  # range of the evaluation loss; what is learned of the inputs moves it by more
STANDING = ("loss-plateau", "slow-convergence")
GREW = 2.0  # times: the largest norm over the first
SURE_OF_SOME = 0.2  # accuracy from which the line and an honest loss lie apart
BEYOND = 1.1  # times the most that an honest answer costs
LAST = 10  # points whose median is the level at the end


# A binary cross-entropy of probabilities that was given logits.
ERROR = re.compile(
    r"Assertion `\*?input(?:_val)? >= |all elements of input should be between 0 and 1"
)


def weigh(case: Case) -> list[Clue]:
    """Compare the losses with what a softmax applied twice and an error of class numbers leave."""
    if told := stated(case, ERROR):
        return told
    if case.found("crash") and not case.run.has("train/loss"):
        return [Clue("No error in the log comes from what a loss was given.", -STATED)]
    loss = case.run.series("train/loss").finite().value
    guess = chance(case.run)
    clues = [*(_negative(case, loss) or _accuracy(case, loss, guess)), *_too_cheap(case)]
    clues += sigmoid_twice(case, loss)
    if len(loss) and guess is not None:
        if not beats_guess(case.run):
            clues += _class_numbers(loss, guess)
        # A softmax applied twice is one wrong loss of several: that it is not this one counts only
        # where nothing else points at the loss.
        outside = _outside(case, loss, guess)
        clues = clues or outside
        if not outside:
            clues += _at_floor(case, loss, guess)
            clues += (
                _on_line(case, guess) or _too_dear(case, guess) or _flat_start(case, loss, guess)
            )
    clues = clues or _only_the_mean(case)
    weight = -DECISIVE if case.found("initial-loss-high") else -MODERATE
    return clues or [Clue("Nothing points at the loss function.", weight)]


def _only_the_mean(case: Case) -> list[Clue]:
    """Of each output against each target, as (N, 1) against (N,) makes it, one answer to all is best."""
    course, norm = movement(case.run), case.run.series("train/grad_norm").finite().value
    if loss_kind(case.run) is not LossKind.REGRESSION or not case.found(*STANDING):
        return []
    if course is None or not 0 < course.span < ONE_ANSWER or not len(norm) or not norm.any():
        return []
    text = (
        f"The evaluation stays within {course.span:.1%} of {course.last:.3g} while gradients flow: only the "
        "mean of the targets is learned, as where each output is compared with every target."
    )
    return [Clue(text, MODERATE)]


def _negative(case: Case, loss: FloatArray) -> list[Clue]:
    """A cross-entropy is a distance: below zero it was taken of numbers that are no log-probabilities."""
    classifies = chance(case.run) is not None or case.run.has("train/accuracy")
    if not classifies or not len(loss) or float(loss.min()) >= 0:
        return []
    if loss_kind(case.run) not in (LossKind.UNBOUNDED, LossKind.CROSS_ENTROPY):
        return []
    text = f"The loss of a classifier falls to {loss.min():.3g}: no cross-entropy is below 0."
    return [Clue(text, DECISIVE + STRONG)]


def _too_cheap(case: Case) -> list[Clue]:
    """Each wrong answer costs a cross-entropy ln 2 and more, since another class has the larger share."""
    loss, accuracy = _together(case, "eval")
    if len(loss) < FIRST or loss_kind(case.run) is LossKind.REGRESSION or float(loss.min()) < 0:
        return []
    off = 1 - loss / math.log(2) - accuracy
    if float(np.median(off)) < TOO_CHEAP:
        return []
    text = (
        f"An evaluation loss of {float(np.median(loss)):.3g} goes with {1 - float(np.median(accuracy)):.0%} "
        "of wrong answers. Each costs a cross-entropy 0.69 at least: it is the loss of something else."
    )
    return [Clue(text, DECISIVE)]


def _too_dear(case: Case, guess: Chance) -> list[Clue]:
    """Answers that are mostly right, and cost nearly as much as a guess, come from a flattened softmax."""
    loss, accuracy = _together(case, "eval")
    far = reach(case)
    if (
        len(loss) < FIRST
        or float(accuracy.mean()) < CONFIDENT
        or (far is not None and far.is_small)
    ):
        return []
    if case.run.number("label_smoothing") or answers_better(case):
        return []
    if guess.classes <= 2 and float(np.median(accuracy)) < SURE:
        return []
    honest = float(np.median([_honest(float(share), guess) for share in accuracy]))
    level = float(np.median(loss))
    if level < TOO_DEAR * honest or level < _floor(guess):
        return []
    text = (
        f"{float(np.median(accuracy)):.0%} of the answers are right, which costs {honest:.3g} at most where "
        f"the outputs mean what they say; the loss is {level:.3g}, as of a softmax applied twice."
    )
    return [Clue(text, STRONG)]


def _flat_start(case: Case, loss: FloatArray, guess: Chance) -> list[Clue]:
    """Probabilities hardly differ at first: the loss is a guess to the digit, its gradient 1 / C of others.

    A model that is not trained stays so; this one leaves its start.
    """
    norm = case.run.series("train/grad_norm").finite().value
    batch = case.run.number("train_batch_size")
    if not len(norm):
        return _exact_start(case, loss, guess)
    if not batch or len(norm) < LAST or len(loss) < LAST or first_norm(case) is None:
        return []
    usual = math.sqrt(
        (1 - 1 / guess.classes) / batch
    )  # of the head's bias alone: the counts of classes
    if float(norm[0]) > FLAT * usual or abs(float(loss[0]) / guess.log_c - 1) > EXACT:
        return []
    end = float(np.median(loss[-LAST:]))
    if (
        case.found("loss-at-chance")
        and float(norm.max()) < FAR_BELOW * usual
        and end < loss[0] * (1 + TO_THE_DIGIT)
    ):
        text = (
            f"The gradient norm is {norm.max():.2g} at most where the head's bias alone has {usual:.2g} in "
            "any model that guesses: the loss hardly depends on its outputs, as of a softmax applied twice."
        )
        return [Clue(text, STRONG)]
    if (
        float(norm.max()) < GREW * float(norm[0])
        or end > (1 - EXACT) * loss[0]
        or end < _floor(guess)
    ):
        return []
    text = (
        f"The loss starts at {guess.label}, with a gradient norm of {norm[0]:.2g} where the head's bias "
        f"alone has {usual:.2g}, and learns later: as of a softmax applied twice."
    )
    return [Clue(text, DECISIVE)]


def _exact_start(case: Case, loss: FloatArray, guess: Chance) -> list[Clue]:
    """Without the norm, only the first loss tells: heads of the usual scale do not guess that evenly."""
    end = float(np.median(loss[-LAST:]))
    even = len(loss) >= LAST and abs(float(loss[0]) / guess.log_c - 1) < TO_THE_DIGIT
    if not even or not _floor(guess) < end < (1 - EXACT) * guess.log_c or not case.found(*STANDING):
        return []
    text = f"The loss starts at {guess.label} to the digit and stops at {end:.4g}: perhaps of probabilities."
    return [Clue(text, MODERATE)]


def _floor(guess: Chance) -> float:
    """Return the lowest loss of a softmax applied twice: all the weight on the right class."""
    return math.log(1 + (guess.classes - 1) / math.e)


def _lowest(case: Case, loss: FloatArray) -> float:
    return float(np.concatenate([loss, case.run.series("eval/loss").finite().value]).min())


def _highest(case: Case, loss: FloatArray) -> float:
    return float(np.concatenate([loss, case.run.series("eval/loss").finite().value]).max())


def _outside(case: Case, loss: FloatArray, guess: Chance) -> list[Clue]:
    floor, lowest = _floor(guess), _lowest(case, loss)
    top = math.log(math.e + guess.classes - 1)
    if guess.classes > 2 and _highest(case, loss) > (1 + EXACT) * top:
        text = f"The loss reaches {_highest(case, loss):.3g}, above the {top:.3g} of a softmax applied twice."
        return [Clue(text, -DECISIVE)]
    if guess.classes <= 2 or lowest >= floor - NEAR * (guess.log_c - floor):
        return []
    text = f"The loss fell to {lowest:.3g}, below the {floor:.3g} of a softmax applied twice."
    return [Clue(text, -DECISIVE)]


def _at_floor(case: Case, loss: FloatArray, guess: Chance) -> list[Clue]:
    floor, level = _floor(guess), float(np.median(loss[-LAST:]))
    room = guess.log_c - floor
    if guess.classes <= 2 or _lowest(case, loss) < floor - NEAR * room:
        return []
    if level > floor + 4 * NEAR * room:
        return []
    text = f"The loss ends at {level:.3g}; a softmax applied twice cannot go below {floor:.3g}."
    return [Clue(text, DECISIVE if level < floor + NEAR * room else MODERATE)]


def _on_line(case: Case, guess: Chance) -> list[Clue]:
    """A softmax applied twice costs log(e + C - 1) - 1 for a right answer, and 1 more for a wrong one."""
    top = math.log(math.e + guess.classes - 1)
    for split, near in zip(("eval", "train"), ON_LINE, strict=True):
        loss, accuracy = _together(case, split)
        if (
            len(loss) < LAST // 2
            or guess.classes <= 2
            or (
                accuracy.mean() < CONFIDENT
                and not (split == "eval" and _is_beyond_honest(float(accuracy.mean()), top, guess))
            )
            or np.ptp(accuracy) == 0
        ):
            continue
        off = loss + accuracy - top
        if float(np.median(np.abs(off))) > near:
            return []
        if split == "train" and float(np.std(off)) > EXPLAINED * float(np.std(accuracy)):
            return []
        text = (
            f"Loss plus accuracy is {float(np.median(loss + accuracy)):.3g} all along, log(e + C - 1) = "
            f"{top:.3g}: the loss is taken of probabilities, as if a softmax were applied twice."
        )
        return [Clue(text, DECISIVE)]
    return []


def _honest(accuracy: float, guess: Chance) -> float:
    """Return the most that answers cost which are right that often and mean what they say."""
    wrong = 1 - accuracy
    entropy = -(wrong * math.log(max(wrong, 1e-9)) + accuracy * math.log(max(accuracy, 1e-9)))
    return entropy + wrong * math.log(guess.classes - 1)


def _is_beyond_honest(accuracy: float, top: float, guess: Chance) -> bool:
    """Tell whether the line of a softmax applied twice lies above any honest loss at this accuracy."""
    return accuracy > SURE_OF_SOME and top - accuracy > BEYOND * _honest(accuracy, guess)


def _together(case: Case, split: str) -> tuple[FloatArray, FloatArray]:
    """Return loss and accuracy (as a share) at the steps that have both, in the second half."""
    loss, accuracy = (case.run.series(f"{split}/{name}").finite() for name in ("loss", "accuracy"))
    _, one, other = np.intersect1d(loss.step, accuracy.step, return_indices=True)
    half = len(one) // 2
    return loss.value[one][half:], share(accuracy.value)[other][half:]


def _class_numbers(loss: FloatArray, guess: Chance) -> list[Clue]:
    first = loss[:FIRST]
    if len(first) == FIRST and np.ptp(first) < ALIKE * float(np.median(first)):
        return []  # squares scatter from batch to batch, an even guess does not
    squares = (guess.classes - 1) * (2 * guess.classes - 1) / 6
    off = [abs(value / squares - 1) for value in (float(np.median(first)), float(loss[0]))]
    if guess.classes <= 2 or min(off) >= SQUARES:
        return []
    text = (
        f"The first losses are near {squares:.3g}, the mean square of the numbers 0 to "
        f"{guess.classes - 1}: the error of class numbers, not a cross-entropy."
    )
    return [Clue(text, DECISIVE if guess.classes > FEW_CLASSES and off[0] < SQUARES else STRONG)]


def _accuracy(case: Case, loss: FloatArray, guess: Chance | None) -> list[Clue]:
    """A loss of the right kind does not fall without the accuracy rising."""
    if not len(loss):
        return []
    evals = case.run.series("eval/loss").finite().value
    if case.found("eval-at-chance") and followed(evals, loss):
        text = (
            f"The evaluation loss fell with that of the training, to {evals[-1]:.3g}, but its accuracy "
            "stayed that of a guess: what is minimised is not what is asked for."
        )
        return [Clue(text, DECISIVE)]
    end = float(np.median(loss[-LAST:]))
    guessed = guessed_accuracy(case.run)
    if guessed is not None and guess is not None and end < LEARNED * guess.log_c:
        text = (
            f"The train loss fell to {end:.3g}, far below {guess.label}, but the train accuracy stayed that "
            f"of a guess, {guessed:.2g}: what is minimised is not what is asked for."
        )
        return [Clue(text, DECISIVE)]
    accuracy = case.run.series("eval/accuracy").finite().value
    if (
        len(accuracy) > 2
        and np.ptp(accuracy) == 0
        and not case.found("initial-loss-high")
        and share(accuracy)[0] < NEARLY_ALL
        and loss[-1] < FELL * loss[0]
    ):
        return [Clue(f"The accuracy stays at {accuracy[0]:.3g} while the loss falls.", STRONG)]
    return []


def fix(case: Case) -> list[str]:
    """Name the usual mistake."""
    return ["loss(softmax(x), y) -> loss(x, y): cross-entropy applies the softmax itself"]


HYPOTHESIS = Hypothesis(
    id="wrong-loss-function",
    title="The loss function does not fit",
    prior=-0.8,
    explains=("initial-loss-high", "loss-plateau", "loss-at-chance", "slow-convergence",
              "eval-at-chance", "clip-saturated", "grad-explosion", "loss-divergence", "overfit-gap",
              "grad-vanishing", "loss-repeats", "crash"),
    weigh=weigh,
    fix=fix,
    probe="overfit",
)  # fmt: skip
