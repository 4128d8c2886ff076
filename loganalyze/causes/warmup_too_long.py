"""The learning rate spends an outsized part of the run on its way up.

What it is
----------
During a linear warmup the average rate is half the target. A run that is judged inside it has
hardly been trained.

What speaks for it
------------------
The recorded rate against its target. A loss that falls steadily, faster as the rate grows.

What speaks against it
----------------------
It explains slowness only: not a wrong loss at the first step, nor a NaN.

How to confirm
--------------
Run the first steps again with a warmup of 3 %: the loss falls faster at the same step.

Fix
---
Shorten the warmup to about 3 % of the planned steps.

References
----------
Goyal et al., "Accurate, Large Minibatch SGD" (2017).
"""

from __future__ import annotations

from loganalyze.causes.cause import MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.finding import Clue

LONG_RISE = 0.45  # of the run; one cycle rises over 30 % unless told otherwise
DOWN = 0.5  # of its peak


def weigh(case: Case) -> list[Clue]:
    """Weigh how much of the target was reached, and what warmup cannot explain."""
    clues = []
    reached = case.number("warmup-too-long", "lr_reached")
    share = case.number("warmup-too-long", "warmup_share_of_planned")
    if reached is not None and reached < 1:
        last = case.number("warmup-too-long", "last_step") or 0
        clues.append(
            Clue(
                f"At step {last:,.0f} the rate had reached {100 * reached:.3g} % of its target.",
                STRONG,
            )
        )
    if share is not None and share > 0.05:
        clues.append(Clue(f"The warmup takes {share:.0%} of the planned steps.", MODERATE))
    if reached == 1 and share is not None and share <= LONG_RISE and _comes_down(case):
        text = (
            f"The rate rises over {share:.0%} of the run and comes down over the rest, as one cycle is meant "
            "to."
        )
        clues.append(Clue(text, -STRONG))
    ratio = case.number("initial-loss-high", "ratio_to_log_c")
    if ratio is not None:
        classes = case.number("initial-loss-high", "classes") or 0
        text = (
            f"It cannot explain an initial loss of {ratio:.1f} x log({classes:.0f}): that was there at the "
            "first step. It explains the slowness."
        )
        clues.append(Clue(text, -WEAK))
    if case.found("loss-nonfinite", "loss-divergence", "loss-zero"):
        clues.append(Clue("A slow start does not make the loss diverge or NaN.", -MODERATE))
    return clues


def _comes_down(case: Case) -> bool:
    rate = case.run.series("train/learning_rate").finite().value
    return len(rate) > 0 and float(rate[-1]) < DOWN * float(rate.max())


def fix(case: Case) -> list[str]:
    """Say how much earlier a shorter warmup reaches the full rate."""
    finding = case.found("warmup-too-long")
    return list(finding.fix) if finding else []


HYPOTHESIS = Hypothesis(
    id="warmup-too-long",
    title="The warmup is too long",
    prior=1.2,
    explains=("warmup-too-long",),
    weigh=weigh,
    fix=fix,
    probe="lr",
)
