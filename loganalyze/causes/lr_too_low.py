"""The steps are too short to get anywhere.

What it is
----------
With a rate far below the useful range the loss changes by less than its noise.

What speaks for it
------------------
The rate is below 1e-6 throughout. All steps together cannot take the weights anywhere: with Adam a weight
moves by the sum of the rates at most, with SGD the loss falls by the sum of rate times squared gradient norm.
The loss falls, though hardly.

What speaks against it
----------------------
The rate is in the usual range.

How to confirm
--------------
A learning-rate range test: where does the loss begin to fall?

Fix
---
Raise the learning rate by 10 and look again.

References
----------
Smith, Cyclical Learning Rates (2017).
"""

from __future__ import annotations

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.rates import NEXT_TO_NOTHING, common_rates, low_rate
from loganalyze.causes.reach import SHARE, reach
from loganalyze.finding import Clue
from loganalyze.signals.accuracy import one_answer
from loganalyze.signals.lr import warmup
from loganalyze.signals.movement import Movement, movement

LOW = 1e-6  # fine-tunings of whole models begin here; everything else is higher
SAME = 1e-5  # share of the evaluation loss; logs keep 4 to 5 digits
MODEST = 0.2  # share of the highest rate in common use: room for longer steps
LEARNED = 0.01  # share of the evaluation loss
ENOUGH = 0.1  # sum of the rates of Adam: as much as a weight of a layer of width 100 is large
FACTOR = 10  # one notch of a range test


def weigh(case: Case) -> list[Clue]:
    """Weigh the recorded rate."""
    rate = case.run.series("train/learning_rate").finite()
    told = case.run.number("learning_rate")
    peak = float(rate.value.max()) if len(rate) else told
    if peak is None:
        return []
    margin = case.run.series("rewards/margins").finite().value
    if len(margin) and not margin.any():
        text = "The margins of the rewards are exactly 0: the lowest rate would move them."
        return [Clue(text, -DECISIVE)]
    if case.found("initial-loss-high"):
        text = "The loss was far too high before any update: no learning rate does that."
        return [Clue(text, -DECISIVE)]
    rise = warmup(case.run)
    if rise is not None and not rise.done:
        text = "The log ends inside the warmup: the rate that was planned never came to act."
        return [Clue(text, -STRONG)]
    usual, name = common_rates(case.run)
    course = movement(case.run)
    if not case.found("loss-at-chance", "loss-plateau", "slow-convergence"):
        # A loss that stays high keeps the gradient large; there must be a course that says so.
        learns = course is not None and peak < MODEST * usual and _learns(case, course, peak, usual)
        return learns or [Clue("Nothing shows that the loss falls too slowly.", -DECISIVE)]
    standing = course is not None and course.span < SAME
    if standing and peak > NEXT_TO_NOTHING * usual:
        return [Clue("The evaluation loss does not move at all: no rate is so low.", -MODERATE)]
    if peak < LOW or peak <= low_rate(case.run):
        clues = [Clue(f"The learning rate never exceeds {peak:.2g}, low{name}.", DECISIVE)]
        if case.found("slow-convergence"):
            clues.append(Clue("The loss falls, only slowly.", WEAK))
        return clues
    got = _got(case, peak)
    if got:
        return got
    clues = [Clue(f"The learning rate reaches {peak:.2g}, in the usual range.", -WEAK)]
    if course is not None and peak < MODEST * usual:
        clues += _learns(case, course, peak, usual)
    return clues


def _got(case: Case, peak: float) -> list[Clue]:
    """How far all steps together can have got, where that is known."""
    far = reach(case)
    limit, norm = (case.number("clip-saturated", name) for name in ("max_grad_norm", "median_norm"))
    if far is None:
        return []
    if far.drop is not None and limit and norm and far.drop * norm / limit > SHARE:
        text = f"The limit of {limit:g} makes the steps {norm / limit:,.0f} x shorter than the rate alone."
        return [Clue(text, -MODERATE)]
    if far.is_small:
        text = f"{far.summary}, at a rate of {peak:.2g}: too little to learn from nothing."
        if far.drop is not None and peak >= MODEST * common_rates(case.run)[0]:
            return [Clue(text, MODERATE)]  # the gradient is small, not the rate
        return [Clue(text, DECISIVE if far.is_tiny else STRONG)]
    if far.travel is not None and far.travel > ENOUGH:
        text = f"{far.summary}: enough to learn, at a rate of {peak:.2g}."
        return [Clue(text, -STRONG)]
    return []


def _learns(case: Case, course: Movement, peak: float, usual: float) -> list[Clue]:
    """What is learned slowly, and holds in evaluation, wants longer steps and nothing else."""
    if one_answer(case.run):
        return []
    if course.is_straight and course.last < course.first * (1 - LEARNED):
        text = (
            f"The evaluation loss falls steadily, from {course.first:.4g} to {course.last:.4g}: the model "
            f"learns what holds, only slowly, at {peak / usual:.0%} of the highest rate in common use."
        )
        return [Clue(text, STRONG)]
    return []


def fix(case: Case) -> list[str]:
    """Raise it by ten."""
    rate = case.run.series("train/learning_rate").finite()
    if not len(rate):
        return ["Raise the learning rate by 10"]
    peak = float(rate.value.max())
    return [f"learning_rate {peak:.2g} -> {peak * FACTOR:.2g}: ten times longer steps"]


HYPOTHESIS = Hypothesis(
    id="lr-too-low",
    title="The learning rate is too low",
    prior=-0.8,
    explains=("loss-at-chance", "loss-plateau", "slow-convergence", "clip-saturated"),
    weigh=weigh,
    fix=fix,
    probe="lr",
)
