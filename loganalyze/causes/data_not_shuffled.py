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

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, Case, Hypothesis
from loganalyze.finding import Clue

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
    return clues


def fix(case: Case) -> list[str]:
    """Name the switch."""
    return ["shuffle False -> True for the training set, with a new order in every epoch"]


HYPOTHESIS = Hypothesis(
    id="data-not-shuffled",
    title="The data are not shuffled",
    prior=-0.6,
    explains=("loss-oscillation", "epoch-sawtooth", "eval-at-chance"),
    weigh=weigh,
    fix=fix,
    probe="data",
)
