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
from loganalyze.finding import Clue
from loganalyze.signals.accuracy import beats_guess, guessed_accuracy, share
from loganalyze.signals.loss_kind import Chance, chance
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
LAST = 10  # points whose median is the level at the end


def weigh(case: Case) -> list[Clue]:
    """Compare the losses with what a softmax applied twice and an error of class numbers leave."""
    loss = case.run.series("train/loss").finite().value
    guess = chance(case.run)
    clues = _accuracy(case, loss, guess)
    if len(loss) and guess is not None:
        if not beats_guess(case.run):
            clues += _class_numbers(loss, guess)
        # A softmax applied twice is one wrong loss of several: that it is not this one counts only
        # where nothing else points at the loss.
        clues = [*(clues or _below_floor(case, loss, guess)), *_at_floor(case, loss, guess)]
        clues += _on_line(case, guess)
    weight = -DECISIVE if case.found("initial-loss-high") else -MODERATE
    return clues or [Clue("Nothing points at the loss function.", weight)]


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
    if guess.classes <= 2 or abs(float(np.median(loss[:FIRST])) / squares - 1) >= SQUARES:
        return []
    text = (
        f"The first losses are near {squares:.3g}, the mean square of the numbers 0 to "
        f"{guess.classes - 1}: the error of class numbers, not a cross-entropy."
    )
    return [Clue(text, DECISIVE if guess.classes > FEW_CLASSES else STRONG)]


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
    if len(accuracy) > 2 and np.ptp(accuracy) == 0 and loss[-1] < FELL * loss[0]:
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
              "eval-at-chance"),
    weigh=weigh,
    fix=fix,
    probe="overfit",
)  # fmt: skip
