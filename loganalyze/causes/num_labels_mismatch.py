"""The head has another number of outputs than the data has classes, or the labels are encoded
otherwise.

What it is
----------
A head that was made for another label set, or labels that are shifted or not contiguous, turn
right answers into wrong ones.

What speaks for it
------------------
The number of classes stands in the settings with other values elsewhere. The loss starts above
log(C).

What speaks against it
----------------------
A small excess (more outputs than classes costs at most log(outputs / classes)). A normal
evaluation loss.

How to confirm
--------------
Compare min and max of the labels with the head's outputs, and print ten decoded labels.

Fix
---
Set num_labels to the number of classes in the training data; map the labels to 0..C-1.

References
----------
Hugging Face documentation, sequence classification: num_labels.
"""

from __future__ import annotations

from loganalyze.causes.cause import MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.initial import model_clues
from loganalyze.finding import Clue

MUCH = 5.0  # times log(C): more than a uniform guess over unused outputs ever costs


def weigh(case: Case) -> list[Clue]:
    """Look for contradicting numbers of classes, and for what a mismatch cannot do."""
    clues = []
    numbers = {
        value
        for key, item in case.run.config.items()
        if key.rsplit(".", 1)[-1] in {"num_labels", "num_classes", "n_classes", "max_classes"}
        and isinstance(value := item.value, (int, float))
    }
    if len(numbers) > 1:
        listed = ", ".join(f"{number:g}" for number in sorted(numbers))
        clues.append(Clue(f"The settings name different numbers of classes: {listed}.", STRONG))
    if any(
        key.rsplit(".", 1)[-1] == "num_labels" and item.value is None
        for key, item in case.run.config.items()
    ):
        clues.append(Clue("num_labels is not set: the model guesses it.", MODERATE))
    ratio = case.number("initial-loss-high", "ratio_to_log_c")
    if ratio is not None and ratio > MUCH:
        text = f"Unused outputs alone cost little; {ratio:.1f} x log(C) needs wrong labels as well."
        clues.append(Clue(text, -WEAK))
    return clues + model_clues(case)


def fix(case: Case) -> list[str]:
    """Name the number the log was judged with."""
    classes = case.number("initial-loss-high", "classes")
    number = f"{classes:.0f}" if classes else "the number of classes in the data"
    return [f"num_labels -> {number}, and check that the labels are 0..{number} - 1"]


HYPOTHESIS = Hypothesis(
    id="num-labels-mismatch",
    title="The number of labels does not fit the data",
    prior=-0.8,
    explains=("initial-loss-high",),
    weigh=weigh,
    fix=fix,
    probe="init",
)
