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

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.fp16_overflow import precision
from loganalyze.finding import Clue


def weigh(case: Case) -> list[Clue]:
    """A bad sample gives no warning and does not care for the learning rate."""
    clues = []
    rise = case.number("loss-nonfinite", "rise_before")
    if rise is not None and rise < 1.5:
        clues.append(Clue("The loss turned NaN in one row, without a rise before.", MODERATE))
    elif rise is not None:
        clues.append(Clue(f"The loss rose {rise:.1f} x before it turned NaN.", -STRONG))
    if case.number("loss-nonfinite", "index_of_first") == 0:
        clues.append(Clue("The very first loss is not finite.", MODERATE))
    share = case.number("loss-nonfinite", "lr_share_of_peak")
    if (
        share is not None
        and share < 0.1
        and (case.number("loss-nonfinite", "first_step") or 0) < 100
    ):
        clues.append(
            Clue(f"The rate was at {share:.1%} of its peak: too small to do it.", MODERATE)
        )
    finding = case.found("loss-nonfinite")
    if finding and finding.evidence.get("recovered") == "yes":
        clues.append(Clue("Finite losses follow: the weights survived, one batch was bad.", STRONG))
    finding = case.found("loss-zero")
    if finding and finding.evidence.get("grad_norm") == "NaN":
        clues.append(Clue("The hidden NaN (loss 0.0, gradient norm NaN) came in one row.", WEAK))
    elif finding and finding.evidence.get("grad_norm") == "0":
        clues.append(Clue("The gradient norm is 0, not NaN.", -DECISIVE))
    half, name = precision(case)
    if half in ("fp32", "bf16"):
        clues.append(Clue(f"The precision is {half} ({name}): overflow is out.", MODERATE))
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
    explains=("loss-nonfinite", "grad-nonfinite", "loss-zero"),
    weigh=weigh,
    fix=fix,
    probe="nan",
)
