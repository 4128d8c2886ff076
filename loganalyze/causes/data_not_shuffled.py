"""The batches come in the order of the data set, class by class or file by file.

What it is
----------
The model learns what the last hundred batches had in common, and forgets it in the next hundred.

What speaks for it
------------------
The loss swings with the period of an epoch; accuracy is high inside a stretch and low at its border; the
evaluation stays at chance while the train loss is low. The settings turn shuffling off.

What speaks against it
----------------------
The swing has no period.

How to confirm
--------------
Count the classes in ten consecutive batches.

Fix
---
shuffle=True, or a shuffle buffer larger than the largest class or file.

References
----------
Bottou, "Stochastic Gradient Descent Tricks" (2012), on shuffling; MONAI#122.
"""

from __future__ import annotations

import numpy as np

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, Case, Hypothesis
from loganalyze.finding import Clue

POINTS = 20  # logged accuracies
SMALLEST_BATCH = 8  # samples; smaller ones are all right or all wrong by chance
OFTEN = 0.03  # of the batches, for both extremes
SETTINGS = ("shuffle", "dataloader_shuffle", "shuffle_train", "train_shuffle")


def weigh(case: Case) -> list[Clue]:
    """Weigh the settings and the period of the swing."""
    clues = []
    flags = [flag for key in SETTINGS if (flag := case.run.flag(key)) is not None]
    if flags:
        text = (
            "Shuffling is off in the settings."
            if not flags[0]
            else "Shuffling is on in the settings."
        )
        clues.append(Clue(text, -DECISIVE if flags[0] else STRONG))
    swing = case.found("loss-oscillation")
    if swing and swing.evidence.get("periodic") == "yes":
        clues.append(Clue("The loss swings with a period, as sorted data make it.", STRONG))
    elif swing and swing.evidence.get("periodic") == "no":
        clues.append(Clue("The swing of the loss has no period.", -MODERATE))
    clues += _batches(case)
    if not clues and not case.found("loss-oscillation", "epoch-sawtooth"):
        clues.append(
            Clue("Neither the loss nor the accuracy swings, as sorted data make them.", -STRONG)
        )
    return clues


def _batches(case: Case) -> list[Clue]:
    """Batches of one class each are answered all right or all wrong."""
    value = case.run.series("train/accuracy").finite().value
    batch = case.run.number("train_batch_size") or 0
    if len(value) < POINTS or batch < SMALLEST_BATCH:
        return []
    value = value / 100 if value.max() > 1 else value
    none, all_right = float(np.mean(value == 0)), float(np.mean(value == 1))
    if none < OFTEN or all_right < OFTEN:
        return []
    text = (
        f"Of the logged batches {none:.0%} are answered all wrong and {all_right:.0%} all right: each "
        "holds one class."
    )
    return [Clue(text, DECISIVE)]


def fix(case: Case) -> list[str]:
    """Name the switch."""
    return ["shuffle False -> True for the training set, with a new order in every epoch"]


HYPOTHESIS = Hypothesis(
    id="data-not-shuffled",
    title="The data are not shuffled",
    prior=-0.6,
    explains=("loss-oscillation", "epoch-sawtooth", "eval-at-chance", "slow-convergence",
              "loss-at-chance"),
    weigh=weigh,
    fix=fix,
    probe="data",
)  # fmt: skip
