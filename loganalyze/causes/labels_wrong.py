"""Labels are shuffled, shifted or constant: nothing links them to the inputs.

What it is
----------
The best a model can do is the labels' frequencies: the loss stays at the level of a guess.

What speaks for it
------------------
The loss stays at log(C) with a living learning rate and an ordinary gradient norm.

What speaks against it
----------------------
The loss falls below log(C). A gradient of 0.

How to confirm
--------------
Overfit one batch: it works even with random labels, so if it does and training does not, the
labels are at fault.

Fix
---
Print ten samples with their decoded labels; check the order of inputs and labels after shuffling.

References
----------
Karpathy, A Recipe for Training Neural Networks (2019).
"""

from __future__ import annotations

from loganalyze.causes.cause import MODERATE, Case, Hypothesis
from loganalyze.finding import Clue

NEAR = 0.05  # relative distance to log(C); label noise and smoothing move it by 1 to 2 %
FLOWING = 1e-3  # gradient norm; below it hardly anything is updated


def weigh(case: Case) -> list[Clue]:
    """Weigh the level and whether gradients flow."""
    clues = []
    ratio = case.number("loss-at-chance", "ratio_to_log_c")
    if ratio is not None and ratio <= 1 - NEAR:
        text = f"The loss stays at {ratio:.2f} x log(C), below a guess: something was learned."
        clues.append(Clue(text, -MODERATE))
    elif ratio is not None and ratio < 1 + NEAR:
        clues.append(
            Clue(f"The loss stays at {ratio:.2f} x log(C), the level of a guess.", MODERATE)
        )
    norm = case.run.series("train/grad_norm").finite()
    if len(norm) and float(norm.value.mean()) > FLOWING:
        clues.append(Clue("Gradients flow all the time, and lead nowhere.", MODERATE))
    elif len(norm):
        clues.append(Clue("The gradient norm is about 0.", -MODERATE))
    return clues


def fix(case: Case) -> list[str]:
    """Name what to print."""
    return ["Print ten training samples with their decoded labels, after shuffling and collation"]


HYPOTHESIS = Hypothesis(
    id="labels-wrong",
    title="The labels do not belong to the inputs",
    prior=-0.5,
    explains=(
        "loss-at-chance",
        "loss-plateau",
    ),
    weigh=weigh,
    fix=fix,
    probe="overfit",
)
