"""The loss does not fit the output or the task.

What it is
----------
A softmax before a cross-entropy that applies its own; a mean squared error on class numbers; an accuracy
for a regression.

What speaks for it
------------------
The loss stops at ``log(1 + (C - 1) / e)``, the least that a cross-entropy can be when its logits are
probabilities already; it learns, but to a worse level. The loss falls while the accuracy stays fixed.

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
from loganalyze.finding import Clue
from loganalyze.signals.loss_kind import chance

NEAR = 0.08  # share of the way from the floor to log(C) within which a loss stands at the floor
FIRST = 3  # points whose median is the level at the start
SQUARES = 0.15  # relative distance to the mean square of class numbers
FEW_CLASSES = 6  # with so few the squares are below 12, where a guess over a vocabulary is as well
LAST = 10  # points whose median is the level at the end


def weigh(case: Case) -> list[Clue]:
    """Compare the level at the end with the floor of a softmax that is applied twice."""
    loss = case.run.series("train/loss").finite().value
    guess = chance(case.run)
    clues = []
    if len(loss) and guess is not None and guess.classes > 2:
        floor = math.log(1 + (guess.classes - 1) / math.e)
        lowest = float(np.concatenate([loss, case.run.series("eval/loss").finite().value]).min())
        level, room = float(np.median(loss[-LAST:])), guess.log_c - floor
        if lowest < floor - NEAR * room:
            text = (
                f"The loss fell to {lowest:.3g}, below the {floor:.3g} of a softmax applied twice."
            )
            clues.append(Clue(text, -DECISIVE))
        elif level <= floor + 4 * NEAR * room:
            text = f"The loss ends at {level:.3g}; a softmax applied twice cannot go below {floor:.3g}."
            clues.append(Clue(text, DECISIVE))
    if len(loss) and guess is not None and guess.classes > FEW_CLASSES:
        squares = (guess.classes - 1) * (2 * guess.classes - 1) / 6
        if abs(float(np.median(loss[:FIRST])) / squares - 1) < SQUARES:
            text = (
                f"The first losses are near {squares:.3g}, the mean square of the numbers 0 to "
                f"{guess.classes - 1}: the error of class numbers, not a cross-entropy."
            )
            clues.append(Clue(text, DECISIVE))
    accuracy = case.run.series("eval/accuracy").finite().value
    if len(accuracy) > 2 and np.ptp(accuracy) == 0 and len(loss) and loss[-1] < 0.5 * loss[0]:
        text = f"The accuracy stays at {accuracy[0]:.3g} while the loss falls."
        clues.append(Clue(text, STRONG))
    weight = -DECISIVE if case.found("initial-loss-high") else -MODERATE
    return clues or [Clue("Nothing points at the loss function.", weight)]


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
