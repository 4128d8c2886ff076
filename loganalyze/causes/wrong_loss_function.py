"""The loss does not fit the output or the task.

What it is
----------
A softmax before a cross-entropy that applies its own; a mean squared error on class numbers; an accuracy
for a regression.

What speaks for it
------------------
The loss stops at ``log(1 + (C - 1) / e)``, the least that a cross-entropy can be when its logits are
probabilities already; it learns, but to a worse level. On the way there the loss is ``log(e + C - 1)`` less
the accuracy, because each sample that is answered wrong costs just 1 more. The loss falls while the
accuracy stays fixed.

What speaks against it
----------------------
The loss falls below that floor.

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

import numpy as np

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, Case, Hypothesis
from loganalyze.causes.initial import followed
from loganalyze.causes.reach import reach
from loganalyze.finding import Clue
from loganalyze.signals.accuracy import beats_guess, guessed_accuracy, share
from loganalyze.signals.loss_kind import Chance, LossKind, chance, loss_kind
from loganalyze.signals.robust import FloatArray

NEAR = 0.08  # share of the way from the floor to log(C) within which a loss stands at the floor
ALIKE = 0.015  # spread of the first losses, as a share; squares of class numbers scatter by 5 % and more
FIRST = 3  # points whose median is the level at the start
SQUARES = 0.15  # relative distance to the mean square of class numbers
FEW_CLASSES = 6  # with so few the squares are below 12, where a guess over a vocabulary is as well
LEARNED = 0.7  # of log(C): a loss below it takes an accuracy above a guess
FELL = 0.5  # of the first loss: below it training got somewhere
CONFIDENT = 0.5  # accuracy from which the answers are mostly sure of themselves
ON_LINE = (0.03, 0.06)  # distance of the loss to the line, for evaluations and for single batches
EXPLAINED = 0.65  # what is left of the scatter of a batch's accuracy when its loss is added
NEARLY_ALL = 0.9  # right answers; more leave little room to rise
TOO_CHEAP = 0.1  # share of the answers; evaluation sets of 400 scatter by 2 to 3 %
TOO_DEAR = 1.4  # times; young models are less sure than they could be by 10 to 20 %
LAST = 10  # points whose median is the level at the end


def weigh(case: Case) -> list[Clue]:
    """Compare the losses with what a softmax applied twice and an error of class numbers leave."""
    loss = case.run.series("train/loss").finite().value
    guess = chance(case.run)
    clues = [*(_negative(case, loss) or _accuracy(case, loss, guess)), *_too_cheap(case)]
    if len(loss) and guess is not None:
        if not beats_guess(case.run):
            clues += _class_numbers(loss, guess)
        # A softmax applied twice is one wrong loss of several: that it is not this one counts only
        # where nothing else points at the loss.
        clues = [*(clues or _below_floor(case, loss, guess)), *_at_floor(case, loss, guess)]
        clues += _on_line(case, guess) or _too_dear(case, guess)
    weight = -DECISIVE if case.found("initial-loss-high") else -MODERATE
    return clues or [Clue("Nothing points at the loss function.", weight)]


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
    if case.run.number("label_smoothing") or guess.classes <= 2:
        return []
    wrong = 1 - accuracy
    entropy = -(wrong * np.log(wrong.clip(1e-9)) + accuracy * np.log(accuracy.clip(1e-9)))
    honest = float(np.median(entropy + wrong * math.log(guess.classes - 1)))
    level = float(np.median(loss))
    if level < TOO_DEAR * honest or level < _floor(guess):
        return []
    text = (
        f"{float(np.median(accuracy)):.0%} of the answers are right, which costs {honest:.3g} at most where "
        f"the outputs mean what they say; the loss is {level:.3g}, as of a softmax applied twice."
    )
    return [Clue(text, STRONG)]


def _floor(guess: Chance) -> float:
    """Return the lowest loss of a softmax applied twice: all the weight on the right class."""
    return math.log(1 + (guess.classes - 1) / math.e)


def _lowest(case: Case, loss: FloatArray) -> float:
    return float(np.concatenate([loss, case.run.series("eval/loss").finite().value]).min())


def _below_floor(case: Case, loss: FloatArray, guess: Chance) -> list[Clue]:
    floor, lowest = _floor(guess), _lowest(case, loss)
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
            or accuracy.mean() < CONFIDENT
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
              "eval-at-chance", "clip-saturated", "grad-explosion", "loss-divergence", "overfit-gap"),
    weigh=weigh,
    fix=fix,
    probe="overfit",
)  # fmt: skip
