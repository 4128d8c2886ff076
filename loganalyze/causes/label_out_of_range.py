"""A label is not one of the classes that the head has.

What it is
----------
Cross-entropy looks a label up in the row of logits: with C classes it must lie in 0 .. C - 1. Labels
that start at 1, a -1 for "unknown", an extra background class, or a head that is too small break that.

What speaks for it
------------------
The assertion ``t >= 0 && t < n_classes`` on an accelerator; ``Target 7 is out of bounds`` on a CPU. An
assertion on the device that is not told, under a call of the loss.

What speaks against it
----------------------
The assertion is ``srcIndex < srcSelectDimSize``: that is an embedding, hence the tokenizer.

How to confirm
--------------
Print the smallest and the largest label of the data set next to the size of the head.

Fix
---
Set the number of classes to the largest label + 1; map -1 to the index that the loss ignores (-100).

References
----------
PyTorch documentation, `torch.nn.CrossEntropyLoss` (target, ignore_index).
"""

from __future__ import annotations

import re

from loganalyze.causes.cause import DECISIVE, MODERATE, WEAK, Case, Hypothesis
from loganalyze.causes.error_text import LOOKUP, device_assert, stated, stated_or_not
from loganalyze.finding import Clue

ERROR = re.compile(
    r"\bt(?:arget)? ?>= ?0 ?&& ?(?:cur_)?t(?:arget)? ?< ?n_classes|cur_target ?>= ?0"
    r"|[Tt]arget -?\d+ is out of bounds|label value of -?\d+ which is outside"
    r"|nll_loss.*(?:out of bounds|Assertion)|NLLCriterion.*Assertion"
    r"|Assertion.*\b(?:label|target)\b.*num_class|Assertion.*target_val ?[<>]="
    r"|Class values must be (?:smaller than num_classes|non-negative)"
    r"|all elements of target should be between 0 and 1"
)
LIKELY = re.compile(  # an output is picked by its number
    r"idx_dim >= 0 && idx_dim < index_size|index \d+ is out of bounds for dimension 1 with size"
    r"|Assertion.{0,10}-sizes\[i\] <= index"
)
LOSS = re.compile(r"loss|criterion|nll|cross_?entropy", re.I)


def weigh(case: Case) -> list[Clue]:
    """Read the message."""
    untold = device_assert(case)
    if not stated(case, ERROR) and (likely := stated(case, LIKELY, DECISIVE)):
        return likely
    if untold is None or stated(case, ERROR):
        return stated_or_not(case, ERROR, "a label that is out of range")
    text = "An index was out of range on the device; most often it is a label."
    clues = [Clue(text, WEAK if LOOKUP.search(untold) else DECISIVE)]
    if LOSS.search(untold):
        clues.append(Clue("The traceback leads through the loss.", MODERATE))
    return clues


def fix(case: Case) -> list[str]:
    """Name the two numbers to compare."""
    classes = case.run.number("num_classes")
    allowed = f"0 .. {int(classes) - 1}" if classes else "0 .. C - 1"
    return [f"labels: min and max must lie in {allowed}; set num_labels to the largest label + 1"]


HYPOTHESIS = Hypothesis(
    id="label-out-of-range",
    title="A label is not one of the classes",
    prior=0.0,
    explains=("crash",),
    weigh=weigh,
    fix=fix,
    probe="data",
)
