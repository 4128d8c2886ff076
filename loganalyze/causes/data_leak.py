"""The evaluation set holds samples, or answers, that the training has seen.

What it is
----------
Duplicates across the split, a split by row where rows belong together, features that hold the label.

What speaks for it
------------------
Evaluation is better than training from the start, or perfect.

What speaks against it
----------------------
Dropout, augmentation and label smoothing act in training only and explain a gap of their own; a running mean
lags behind.

How to confirm
--------------
Intersect the ids (or hashes) of both sets; train on half of the groups and evaluate on the other half.

Fix
---
Split by group and by time, drop duplicates before the split.

References
----------
Kapoor and Narayanan, "Leakage and the reproducibility crisis in machine-learning-based science" (2023).
"""

from __future__ import annotations

from loganalyze.causes.cause import MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.untrained import DROPS
from loganalyze.finding import Clue

PERFECT = 0.995  # accuracy beyond which real tasks hardly go


def weigh(case: Case) -> list[Clue]:
    """Weigh how good the evaluation is, and what else would make it so."""
    clues = []
    accuracy = case.run.series("eval/accuracy").finite()
    if len(accuracy):
        best = float(accuracy.value.max())
        best = best / 100 if best > 1 else best
        if best >= PERFECT:
            clues.append(Clue(f"The evaluation reaches an accuracy of {best:.1%}.", STRONG))
    evals, train = case.run.series("eval/loss").finite(), case.run.series("train/loss").finite()
    if len(evals) and len(train):
        at = train.value_at(int(evals.step[0]))
        if at is not None and evals.value[0] < at:
            clues.append(Clue("The first evaluation is better than training already.", WEAK))
    if case.found("initial-loss-high"):
        text = (
            "The train loss starts above any guess: it is the training that is counted otherwise."
        )
        clues.append(Clue(text, -STRONG))
    strong = [key for key in DROPS if (case.run.number(key) or 0) > 0]
    if strong:
        text = f"{', '.join(strong[:3])} acts in training only and explains a gap."
        clues.append(Clue(text, -MODERATE))
    return clues


def fix(case: Case) -> list[str]:
    """Name the check."""
    return [
        "Intersect hashes of training and evaluation samples; split by group before anything else"
    ]


HYPOTHESIS = Hypothesis(
    id="data-leak",
    title="The evaluation set leaks into the training",
    prior=0.0,
    explains=("eval-below-train",),
    weigh=weigh,
    fix=fix,
    probe="data",
)
