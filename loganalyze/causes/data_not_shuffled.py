"""The batches come in the order of the data set, class by class or file by file.

What it is
----------
The model learns what the last hundred batches had in common, and forgets it in the next hundred.

What speaks for it
------------------
The loss goes through the same ups and downs in every epoch: the order does not change. Batches are answered
nearly all right or nearly all wrong, which shuffled ones never are. The loss swings with the period of an
epoch; the evaluation stays at chance while the train loss is low. Answers are right less often than those of
a guess, since each batch is of a class that those before it were not. The settings turn shuffling off.

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

from loganalyze.causes.carried import learned_apart
from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.course import kinds_in_turn
from loganalyze.finding import Clue
from loganalyze.signals.batch_order import (
    ENOUGH,
    SELDOM,
    accuracy_spread,
    changes_of_kind,
    epochs,
    hits_and_guesses,
    same_order,
)

SWINGS = (
    "loss-oscillation",
    "epoch-sawtooth",
    "eval-at-chance",
    "slow-convergence",
    "loss-at-chance",
)
SURELY = 6.0  # times; shuffled runs reach 4.5 where their accuracy goes up in leaps
UNLIKE = 4.0  # times the variance of shuffled batches; a model that learns fast stays below
PERIODS = 3  # epochs; fewer show no period
BORDER = 0.06  # of an epoch: a spike falls there by chance as seldom
ALIKE = 0.5  # correlation of the loss over one epoch with that over the next
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
    slides = _slides(case)
    if swing and swing.evidence.get("periodic") == "yes":
        weight = DECISIVE if swing.evidence.get("period_is_epoch") == "yes" else STRONG
        clues.append(Clue("The loss swings with a period, as sorted data make it.", weight))
    elif (
        swing and swing.evidence.get("periodic") == "no" and _passes(case) > PERIODS and not slides
    ):
        clues.append(Clue("The swing of the loss has no period.", -MODERATE))
    clues += [*(_batches(case) or _never_right(case) or slides)]
    clues += [clue for clue in _order(case) if clue.weight > 0 or not slides]
    clues += _at_the_border(case) + _leaps(case)
    if learned_apart(case) and not slides:
        text = "Before the loss leapt the training knew its batches and no evaluation: they were of one kind."
        clues.append(Clue(text, DECISIVE))
    if not clues and not case.found(*SWINGS):
        return [
            Clue(
                "Nothing shows that batches differ from each other more than by chance.", -DECISIVE
            )
        ]
    known = accuracy_spread(case.run) is not None or same_order(case.run) is not None
    if not clues and not known:
        return [Clue("The log has too little of each epoch to show an order.", -WEAK)]
    if not clues and not case.found("loss-oscillation", "epoch-sawtooth"):
        clues.append(
            Clue("Neither the loss nor the accuracy swings, as sorted data make them.", -STRONG)
        )
    return clues


def _passes(case: Case) -> float:
    """Return how often the data were seen; as often as needed where nobody knows."""
    place = epochs(case.run, case.run.series("train/loss").finite())
    return float(place[-1]) if place is not None and len(place) else np.inf


def _batches(case: Case) -> list[Clue]:
    """Batches of one class each are answered nearly all right or nearly all wrong."""
    spread = accuracy_spread(case.run)
    if spread is None or spread < UNLIKE:
        return []
    text = (
        f"The train accuracy varies {spread:.0f} x as much from batch to batch as with shuffled samples: "
        "those of a batch are of one kind."
    )
    return [Clue(text, DECISIVE if spread > SURELY else MODERATE)]


def _never_right(case: Case) -> list[Clue]:
    """A model that has just seen another class is right less often than a guess, which shuffled samples
    never allow for long."""
    hits, expected = hits_and_guesses(case.run) or (0.0, 0.0)
    if expected < ENOUGH or hits > SELDOM * expected or case.found("initial-loss-high"):
        return []
    text = (
        f"Of the answers {hits:,.0f} are right where a guess has {expected:,.0f}: each batch is of a class "
        "that those before it were not."
    )
    return [Clue(text, DECISIVE)]


def _slides(case: Case) -> list[Clue]:
    """A kind of sample that comes for a while is learned for that while."""
    leaps = kinds_in_turn(case)
    if leaps is None or not case.found(*SWINGS):
        return []
    text = (
        f"The loss falls step by step and leaps, {leaps} times: the model learns one kind of sample for a "
        "while, then another kind comes."
    )
    return [Clue(text, DECISIVE)]


def _leaps(case: Case) -> list[Clue]:
    """Kinds that each come for long are learned until nothing else is known."""
    leaps = changes_of_kind(case.run)
    if not leaps or not case.found(*SWINGS, "loss-spike", "loss-divergence"):
        return []
    at = ", ".join(f"{step:,}" for step in leaps[:3])
    text = (
        f"At step {at} the loss leaps at once from what had been learned to another level, and is learned "
        "anew: another kind of sample comes."
    )
    return [Clue(text, DECISIVE if len(leaps) > 1 else MODERATE)]


def _at_the_border(case: Case) -> list[Clue]:
    """Where the order begins anew, its first batches differ most from the last ones."""
    step = case.number("loss-spike", "step")
    loss = case.run.series("train/loss").finite()
    place = epochs(case.run, loss)
    if step is None or place is None or case.run.flag("shuffle"):
        return []
    into = float(np.interp(step, loss.step, place))
    if len(place) < 2 or float(np.median(np.diff(place))) > BORDER:
        return []
    if into < 1 or (into - into // 1) > BORDER:
        return []
    text = f"The loss jumped {into - into // 1:.0%} into epoch {int(into) + 1}, where an order begins anew."
    return [Clue(text, MODERATE)]


def _order(case: Case) -> list[Clue]:
    """What comes in the same order each epoch has the same losses in the same places."""
    alike = same_order(case.run)
    if alike is None:
        return []
    if case.found("loss-repeats"):
        return [Clue("The losses repeat digit for digit: no order alone does that.", -DECISIVE)]
    spread = accuracy_spread(case.run)
    if alike < ALIKE and spread is not None and spread >= UNLIKE:
        return []  # each epoch may begin elsewhere
    if alike < ALIKE:
        return [Clue("The course of the loss differs from epoch to epoch.", -MODERATE)]
    text = (
        f"The loss takes the same course in every epoch (correlation {alike:.2f}): the order stays."
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
              "loss-at-chance", "loss-spike", "loss-divergence", "loss-zero", "loss-plateau"),
    weigh=weigh,
    fix=fix,
    probe="data",
)  # fmt: skip
