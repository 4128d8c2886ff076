"""Inputs or targets come in units of thousands, or of thousandths.

What it is
----------
Layers are initialised for inputs with mean 0 and standard deviation 1. Raw pixels, prices or coordinates
make the first losses huge and the gradients as huge.

What speaks for it
------------------
The first losses are huge, and the evaluation jumps by orders of magnitude from one time to the next, at a
moderate learning rate. It is a regression.

What speaks against it
----------------------
A cross-entropy that starts at log(C).

How to confirm
--------------
Print mean and standard deviation of one batch of inputs and of targets.

Fix
---
Standardise each feature with the statistics of the training set; the targets of a regression too.

References
----------
LeCun et al., "Efficient BackProp" (1998), section 4.3; keras#510; DeepSurv#14.
"""

from __future__ import annotations

import numpy as np

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.finding import Clue
from loganalyze.signals.loss_kind import LossKind, chance, loss_kind

HUGE = 1e3  # a first loss beyond it is no loss of standardised targets
TOWERING = 50.0  # times log(C): ten times what a head with tenfold weights makes
WILD = 1.0  # standard deviation of the log of the evaluation loss: a factor e from one to the next
FEW = 4  # evaluations whose scatter says something
NEAR = 1.3  # times log(C) up to which a first loss is that of a guess


def weigh(case: Case) -> list[Clue]:
    """Weigh the first loss and the scatter of the evaluation."""
    clues = []
    loss = case.run.series("train/loss").finite()
    first = float(loss.value[0]) if len(loss) else None
    guess = chance(case.run)
    if first is not None and first > HUGE:
        clues.append(
            Clue(f"The first loss is {first:.3g}: inputs or targets are large numbers.", STRONG)
        )
    elif first is not None and guess is not None and first < NEAR * guess.log_c:
        clues.append(Clue(f"The loss starts at {first:.3g}, near {guess.label}.", -DECISIVE))
    ratio = case.number("initial-loss-high", "ratio_to_log_c")
    if ratio is not None and ratio > TOWERING:
        text = (
            f"The loss starts at {ratio:.0f} x log(C): logits of hundreds, more than a head makes."
        )
        clues.append(Clue(text, MODERATE))
    evals = case.run.series("eval/loss").finite().value
    if len(evals) >= FEW and (evals > 0).all() and float(np.std(np.diff(np.log(evals)))) > WILD:
        low, high = evals.min(), evals.max()
        text = (
            f"The evaluation loss jumps between {low:.3g} and {high:.3g} from one time to the next."
        )
        clues.append(Clue(text, STRONG))
    if loss_kind(case.run) is LossKind.REGRESSION:
        clues.append(Clue("The loss is that of a regression.", WEAK))
    norm = case.run.series("train/grad_norm").finite()
    if len(norm) and norm.value[0] > HUGE:
        clues.append(Clue(f"The first gradient norm is {norm.value[0]:.3g}.", STRONG))
    return clues or [Clue("Nothing shows that inputs or targets are large numbers.", -STRONG)]


def fix(case: Case) -> list[str]:
    """Name the scaling."""
    return ["inputs and targets -> (x - mean) / std, with mean and std of the training set"]


HYPOTHESIS = Hypothesis(
    id="inputs-not-normalized",
    title="Inputs or targets are not normalised",
    prior=-1.2,
    explains=("loss-nonfinite", "loss-divergence", "loss-oscillation", "grad-explosion", "loss-spike",
              "initial-loss-high", "slow-convergence", "clip-saturated"),
    weigh=weigh,
    fix=fix,
    probe="data",
)  # fmt: skip
