"""The learning rate is larger than the loss surface bears: updates overshoot.

What it is
----------
A step longer than the curvature allows makes the loss rise instead of fall; the next gradient is
larger still.

What speaks for it
------------------
The loss rises over several log points *before* the first NaN. It happens at the top of the warmup
or just after it. The rate is high for the optimizer. The gradient norm grows with it.

What speaks against it
----------------------
A NaN in one row without a rise. A fault while the rate is still a small share of its target. A
loss that was wrong before the first update.

How to confirm
--------------
Run 50 steps at a tenth of the rate from the last good checkpoint: the fault stays away.

Fix
---
Divide the learning rate by 3 to 10, or warm up longer.

References
----------
detectron2#214, maskrcnn-benchmark#295: a rate that was not scaled to the number of GPUs.
"""

from __future__ import annotations

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.finding import Clue

HIGH_FOR_ADAM = 1e-3  # full trainings with Adam use 1e-5 to 1e-3
TINY = 0.1  # share of the peak or target below which a rate cannot be too high
RISE = 1.5  # times the level before: a rise of the loss ahead of a NaN


def weigh(case: Case) -> list[Clue]:
    """Weigh the rate, and what the loss did before."""
    clues = []
    rise = case.number("loss-nonfinite", "rise_before")
    if rise is not None and rise >= RISE:
        clues.append(
            Clue(f"The loss rose {rise:.1f} x over the points before the first NaN.", STRONG)
        )
    elif rise is not None:
        clues.append(Clue("The loss did not rise before the first NaN.", -STRONG))
    if case.found("loss-divergence"):
        ratio = case.number("loss-divergence", "ratio") or 0.0
        clues.append(Clue(f"The loss rose for good, to {ratio:.1f} x its best.", MODERATE))
    if case.found("grad-explosion") and case.found(
        "loss-divergence", "loss-nonfinite", "loss-spike"
    ):
        clues.append(Clue("The gradient norm left its past together with the loss.", WEAK))
    count = case.number("loss-spike", "count")
    if count is not None and count >= 3:
        clues.append(Clue(f"The loss spiked {count:.0f} times: more than one odd batch.", MODERATE))
    elif count == 1 and not case.found("loss-divergence", "loss-nonfinite"):
        clues.append(Clue("There was one spike only, at an unchanged rate.", -MODERATE))
    return clues + _rate(case) + _before_training(case)


def _rate(case: Case) -> list[Clue]:
    rate = case.run.series("train/learning_rate").finite()
    target = case.run.number("learning_rate")
    peak = float(rate.value.max()) if len(rate) else target
    if not peak:
        return []
    clues = []
    if peak > HIGH_FOR_ADAM:
        clues.append(Clue(f"The learning rate reaches {peak:.3g}, high for Adam.", MODERATE))
    goal = max(target or 0.0, peak)
    if len(rate) and float(rate.value[-1]) < TINY * goal and float(rate.value.max()) < TINY * goal:
        share = float(rate.value.max()) / goal
        clues.append(
            Clue(
                f"The rate never passed {share:.1%} of its target: it cannot have been too high.",
                -DECISIVE,
            )
        )
    at_first = case.number("loss-nonfinite", "lr_share_of_peak")
    if at_first is not None and at_first < TINY and len(rate) and rate.value[0] < rate.value.max():
        clues.append(Clue(f"The first NaN came at {at_first:.1%} of the peak rate.", -STRONG))
    return clues


def _before_training(case: Case) -> list[Clue]:
    ratio = case.number("initial-loss-high", "ratio_to_log_c")
    if ratio is None:
        return []
    return [
        Clue(
            f"The loss was {ratio:.1f} x log(C) before any update: no learning rate does that.",
            -DECISIVE,
        )
    ]


def fix(case: Case) -> list[str]:
    """Divide the rate."""
    target = case.run.number("learning_rate")
    if target is None:
        rate = case.run.series("train/learning_rate").finite()
        target = float(rate.value.max()) if len(rate) else None
    if target is None:
        return ["Divide the learning rate by 3 to 10"]
    return [f"learning_rate {target:.3g} -> {target / 5:.3g}"]


HYPOTHESIS = Hypothesis(
    id="lr-too-high",
    title="The learning rate is too high",
    prior=-0.3,
    explains=(
        "loss-divergence",
        "loss-nonfinite",
        "grad-nonfinite",
        "loss-spike",
        "grad-explosion",
        "clip-saturated",
        "loss-zero",
    ),
    weigh=weigh,
    fix=fix,
    probe="lr",
)
