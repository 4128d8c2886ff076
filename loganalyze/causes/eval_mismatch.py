"""Evaluation does something else than training: other labels, other preprocessing, another mode.

What it is
----------
The folders of the evaluation set sort into other class numbers, images are scaled differently, the model is
evaluated in training mode or with statistics that were never updated.

What speaks for it
------------------
The training learns while the evaluation stays exactly at chance: overfitting never goes to chance. Or the
evaluation is far off in level from the first time on.

What speaks against it
----------------------
The evaluation follows the training for a while and then turns: overfitting.

How to confirm
--------------
Evaluate on the training set with the evaluation's loader: it should be as good as training.

Fix
---
One class-to-index table and one preprocessing for both; model.eval().

References
----------
pytorch/examples#377, #550; timm#1081: 94 % in training, 0.1 % in evaluation.
"""

from __future__ import annotations

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, Case, Hypothesis
from loganalyze.finding import Clue
from loganalyze.signals.accuracy import guessed_accuracy

LEARNED = 0.5  # of the first train loss: below it something was learned


def weigh(case: Case) -> list[Clue]:
    """Weigh training against evaluation."""
    clues = []
    if case.found("eval-at-chance"):
        clues.append(Clue("The evaluation stays at chance while the training learns.", STRONG))
    guessed = guessed_accuracy(case.run)
    if guessed is not None:
        text = f"The train accuracy, {guessed:.2g}, is that of a guess as well."
        clues.append(Clue(text, -DECISIVE))
    loss = case.run.series("train/loss").finite()
    if len(loss) and loss.value[0] > 0 and loss.value[-1] < LEARNED * loss.value[0]:
        text = f"The train loss fell from {loss.value[0]:.3g} to {loss.value[-1]:.3g}."
        clues.append(Clue(text, MODERATE))
    if case.found("slow-convergence"):
        text = "The training has learned little itself: there is not much to fail in evaluation."
        clues.append(Clue(text, -STRONG))
    if case.found("epoch-sawtooth"):
        clues.append(
            Clue("The train loss steps down with every pass: it is learned by heart.", -STRONG)
        )
    return clues


def fix(case: Case) -> list[str]:
    """Name the test that tells."""
    return [
        "Run the evaluation on training samples; compare label tables and preprocessing of both sets"
    ]


HYPOTHESIS = Hypothesis(
    id="eval-mismatch",
    title="Evaluation and training do not match",
    prior=0.2,
    explains=("eval-at-chance", "eval-below-train"),
    weigh=weigh,
    fix=fix,
    probe="data",
)
