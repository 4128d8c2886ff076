"""Nothing limits the update that one odd batch can make.

What it is
----------
Without clipping, a gradient a thousand times the usual one moves the weights a thousand times as
far.

What speaks for it
------------------
max_grad_norm is 0 or absent. The gradient norm jumps by a factor of 10 and more in one step.

What speaks against it
----------------------
Clipping is on.

How to confirm
--------------
Replay the batch with max_grad_norm 1.0.

Fix
---
Clip the gradient norm at 1.0.

References
----------
Pascanu et al. (2013); bittensor#229.
"""

from __future__ import annotations

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, Case, Hypothesis
from loganalyze.finding import Clue


def weigh(case: Case) -> list[Clue]:
    """Weigh whether clipping is on, and whether it would have caught the jump."""
    clues = []
    found = case.run.setting("max_grad_norm")
    limit = case.run.number("max_grad_norm")
    if found is not None and not limit:
        clues.append(Clue(f"max_grad_norm is {found.value}: clipping is off.", STRONG))
    elif limit:
        clues.append(Clue(f"The gradient norm is clipped at {limit:g}.", -DECISIVE))
    elif case.run.framework == "hf-trainer":
        clues.append(Clue("The Trainer clips at 1.0 unless told otherwise.", -STRONG))
    ratio = case.number("grad-explosion", "ratio_to_past")
    if ratio is not None:
        clues.append(Clue(f"The gradient norm jumped to {ratio:,.0f} x its level.", MODERATE))
    return clues


def fix(case: Case) -> list[str]:
    """Name the limit."""
    found = case.run.setting("max_grad_norm")
    before = found.value if found is not None else "not set"
    return [f"max_grad_norm {before} -> 1.0: one batch moves the weights no farther than others"]


HYPOTHESIS = Hypothesis(
    id="no-grad-clipping",
    title="The gradient is not clipped",
    prior=-1.0,
    explains=("loss-spike", "grad-explosion", "loss-nonfinite", "loss-divergence"),
    weigh=weigh,
    fix=fix,
    probe="gradients",
)
