"""No parameter is updated: all are frozen, detached or not in the optimizer.

What it is
----------
The loss of each batch is what the untouched model gives, whatever the learning rate.

What speaks for it
------------------
The loss stays at its level with an ordinary learning rate. The gradient norm is 0 or not there.

What speaks against it
----------------------
The gradient norm is ordinary.

How to confirm
--------------
Compare the parameters before and after one step; list those with requires_grad.

Fix
---
Unfreeze, apply the adapter, give the optimizer the right parameters.

References
----------
trl#1311; transformers#26221.
"""

from __future__ import annotations

import re

from loganalyze.causes.cause import DECISIVE, MODERATE, Case, Hypothesis
from loganalyze.causes.error_text import stated
from loganalyze.finding import Clue

ERROR = re.compile(
    r"does not require grad and does not have a grad_fn|optimizer got an empty parameter list"
    r"|No (?:inf checks|trainable parameters)|None of the inputs have requires_grad=True"
)


def weigh(case: Case) -> list[Clue]:
    """Weigh the gradient norm."""
    clues = stated(case, ERROR)
    if case.found("crash") and not clues:
        clues.append(Clue("No error in the log says that nothing requires a gradient.", -DECISIVE))
    norm = case.run.series("train/grad_norm").finite()
    if len(norm) and float(norm.value.max()) == 0:
        clues.append(Clue("The gradient norm is exactly 0 throughout.", DECISIVE))
    elif len(norm):
        middle = float(norm.value.mean())
        clues.append(Clue(f"There is a gradient (norm {middle:.2g} on average).", -MODERATE))
    return clues


def fix(case: Case) -> list[str]:
    """Name what to list."""
    return ["print(sum(p.numel() for p in model.parameters() if p.requires_grad)) must not be 0"]


HYPOTHESIS = Hypothesis(
    id="frozen-parameters",
    title="Nothing is trained",
    prior=-0.4,
    explains=("loss-at-chance", "loss-plateau", "loss-repeats", "grad-zero", "crash"),
    weigh=weigh,
    fix=fix,
    probe="gradients",
)
