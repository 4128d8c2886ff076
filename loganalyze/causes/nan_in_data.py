"""An input, a target or a label is NaN, infinite or empty.

What it is
----------
One bad sample makes the loss NaN, and with it every weight after the next update.

What speaks for it
------------------
The loss is NaN in one row without a rise, at any learning rate, even at the first steps. It comes
back at the same step of each epoch.

What speaks against it
----------------------
A rise of the loss before it. All loss components fall together after a rise.

How to confirm
--------------
Walk over the data with learning rate 0 and look for the first input, label or loss that is not
finite.

Fix
---
Drop or mend the sample; add an epsilon where the loss divides or takes a logarithm.

References
----------
Mask_RCNN#296; caffe#5986: NaN at step 0, even at learning rate 0.
"""

from __future__ import annotations

import re

from loganalyze.causes.cause import DECISIVE, MODERATE, STATED, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.components import components
from loganalyze.causes.error_text import quote, stated
from loganalyze.causes.onset import Onset, onset
from loganalyze.causes.rates import is_unbounded
from loganalyze.causes.reads import reads_tokens
from loganalyze.finding import Clue

# Comparisons that warn are the wake of a network that gives NaN, divisions often those of a metric.
PREPARED = re.compile(r"RuntimeWarning: invalid value encountered in (?:log|sqrt|power|arc)")
ERROR = re.compile(
    r"[Ii]nput (?:\w+ )?contains (?:NaN|infinity)|contains NaN, infinity or a value too large"
)
SEEN = 2  # epochs; one may be counted from 1, and a sample may be left out of it
TINY = 0.1  # share of the highest rate below which a rate moves the weights too little for a NaN


def weigh(case: Case) -> list[Clue]:
    """A bad sample gives no warning and does not care for the learning rate."""
    if told := stated(case, ERROR):
        return told
    clues = []
    zero = case.found("loss-zero")
    if zero and zero.evidence.get("grad_norm") == "0":
        clues.append(Clue("The loss is 0 and the gradient norm is 0, not NaN.", -DECISIVE))
    clues += _computed(case)
    first = onset(case)
    if first is None:
        return (
            clues
            if case.found("loss-zero", "eval-nonfinite")
            else [*clues, Clue("All losses are numbers.", -STATED)]
        )
    if not case.run.has("train/loss") and not case.run.has("train/grad_norm"):
        return clues  # no shape is known
    if any("ctc" in str(name).lower() for name in case.run.metrics["name"].cat.categories):
        text = "CTC is infinite for a sample whose target is longer than its input."
        clues.append(Clue(text, MODERATE))
    finding = case.found("loss-nonfinite")
    if finding and finding.evidence.get("recovered") == "yes":
        clues.append(Clue("Finite losses follow: the weights survived, one batch was bad.", STRONG))
    if reads_tokens(case):
        text = "Inputs and targets are numbers of tokens, and an integer is never NaN."
        clues.append(Clue(text, -DECISIVE))
    return [
        *clues,
        *_terms(case),
        *_shape(first, is_close=first.is_close and not is_unbounded(case.run)),
    ]


def _computed(case: Case) -> list[Clue]:
    """NumPy computes on the host: the logarithm or root that it warns of is one of the data."""
    line = quote(case, PREPARED)
    if line is None:
        return []
    text = f'NumPy says "{line}": a value was NaN while the data were prepared.'
    return [Clue(text, DECISIVE)]


def _terms(case: Case) -> list[Clue]:
    """A bad target breaks the term that it belongs to; broken weights break all."""
    found = components(case)
    if found is None:
        return []
    if found.is_whole_model:
        return [Clue(found.summary, -STRONG)]
    if 0 < len(found.broken) <= len(found.whole):
        text = (
            f"Only {', '.join(found.broken[:3])} is NaN; {', '.join(found.whole[:3])} stay finite."
        )
        return [Clue(text, DECISIVE)]
    return []


def _shape(first: Onset, *, is_close: bool) -> list[Clue]:
    if first.spared_the_loss:
        text = f"The loss of that step is {first.loss:.4g}: what went into it were numbers."
        return [Clue(text, -MODERATE)]
    hidden = " (printed as 0.0)" if first.is_hidden else ""
    clues = []
    if first.rose:
        clues.append(Clue(f"The loss rose {first.rise:.1f} x before it turned NaN.", -STRONG))
    elif first.was_sudden:
        text = f"The loss turned NaN{hidden} at step {first.step:,} in one row, without a rise."
        clues.append(Clue(text, MODERATE if is_close else WEAK))
    if first.is_first and not first.had_updates:
        clues.append(Clue(f"The very first loss is not finite{hidden}.", MODERATE))
    elif first.passes >= SEEN:
        text = f"All samples had been seen before: {first.passes} epochs were over by then."
        clues.append(Clue(text, -WEAK))
    elif first.is_of_first_gradient:
        clues.append(Clue("The very first gradient is not finite.", MODERATE))
    if first.rate is not None and first.rate_share is not None and first.rate_share < TINY:
        text = f"The rate was {first.rate:.2g}, {first.rate_share:.1%} of its peak: too small to do it."
        clues.append(Clue(text, MODERATE))
    return clues


def fix(case: Case) -> list[str]:
    """Name the step to look at."""
    step = case.number("loss-nonfinite", "first_step") or case.number("loss-zero", "first_step")
    near = f" of step {step:.0f}" if step is not None else ""
    return [f"Check inputs, targets and loss of the batches{near} with isfinite; drop the sample"]


HYPOTHESIS = Hypothesis(
    id="nan-in-data",
    title="The data hold NaN or infinite values",
    prior=-0.5,
    explains=(
        "loss-nonfinite",
        "grad-nonfinite",
        "loss-zero",
        "eval-nonfinite",
        "eval-at-chance",
        "crash",
    ),
    weigh=weigh,
    fix=fix,
    probe="nan",
)
