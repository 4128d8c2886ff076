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
A NaN in one row without a rise, or at a rate that was higher before. A rise that the gradient does not share.
A fault while the rate is still a small share of its target. A loss that was wrong before the first update.

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

import numpy as np

from loganalyze.causes.above import OVERSHOOT, above_clues
from loganalyze.causes.carried import learned_apart
from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.components import components
from loganalyze.causes.course import (
    SLOW,
    frequencies_only,
    is_constant,
    is_silent,
    kinds_in_turn,
    norms,
    short_steps,
    went_silent,
)
from loganalyze.causes.onset import UNTOUCHED, Onset, onset
from loganalyze.causes.rates import HIGH_FOR_SGD, common_rates, is_unbounded, told_rate
from loganalyze.causes.rates import optimizer as optimizer_name
from loganalyze.causes.trouble import burst_at_first, leapt_on_the_way_up, survived
from loganalyze.finding import Clue
from loganalyze.signals.batch_order import accuracy_spread, changes_of_kind
from loganalyze.signals.loss_kind import LossKind, loss_kind
from loganalyze.signals.lr import warmup
from loganalyze.signals.saturation import saturation

POINTS = 20  # blocks of the run
DECAYED = 0.3  # share of the peak rate
FALL = 0.05  # share of the loss that falls as the rate decays
STOOD = 0.2  # of that fall: less at the full rate is none
GENTLE = 10.0  # times the highest rate in common use that a run without any sign bears
ABSURD = 100.0  # times the highest rate in common use: no training uses that
FAR = 10.0  # times the highest rate in common use
LOW = 0.02  # share of the highest rate in common use; fine-tunings with Adam begin at 1e-5
NO_UPDATE = 1e-7  # rate that moves no weight, whatever the optimizer
TINY = 0.1  # share of the peak or target below which a rate cannot be too high
TOP = 0.7  # share of the peak from which the rate counts as full
AFTER_WARMUP = 1.5  # times the warmup: a rate that is too high shows soon after it is reached
ONE_KIND = 4.0  # times the variance of the accuracy of shuffled batches
BORNE = 0.3  # of the run
SEVERAL = 2  # epochs
MANY = 3  # spikes: more than odd batches
BY_KINDS = ("loss-oscillation", "slow-convergence", "loss-divergence")  # what sorted data make


def weigh(case: Case) -> list[Clue]:
    """Weigh the rate, and what the loss did before."""
    first = onset(case)
    return [
        *_rise(case, first),
        *_terms(case),
        *_saturated(case),
        *_course(case),
        *_height(case, first),
        *_early(case, first),
        *_before_training(case),
    ]


def _rise(case: Case, first: Onset | None) -> list[Clue]:
    if first is not None and first.had_updates and components(case) is None:
        text = "The first logged loss is not finite, with updates before it: steps too long need but a few."
        return [Clue(text, WEAK)]
    if first is None or first.rise is None:
        return []
    if first.rose_alone:
        text = (
            f"The loss rose {first.rise:.1f} x before the NaN of step {first.step:,}, but the gradient norm "
            "did not: steps that overshoot raise both."
        )
        return [Clue(text, -MODERATE)]
    if first.rose:
        text = f"The loss rose {first.rise:.1f} x over the points before the NaN of step {first.step:,}."
        return [Clue(text, STRONG)]
    value = case.found("loss-nonfinite")
    infinite = value is not None and value.evidence.get("first_value") == "Infinity"
    if infinite and loss_kind(case.run) is LossKind.REGRESSION:
        text = (
            "The loss became infinite before it was NaN: an error of regression does so by growing."
        )
        return [Clue(text, STRONG)]
    if not first.is_close or is_unbounded(case.run):
        if first.passes >= SEVERAL:
            text = f"The run had borne its rate for {first.passes} epochs."
            return [Clue(text, -WEAK)]
        if first.got_nowhere:
            text = "The loss had not fallen before it turned NaN: the steps got nowhere."
            return [Clue(text, WEAK)]
        return []  # a rise inside the interval was not logged
    return [Clue(f"The loss did not rise before the NaN of step {first.step:,}.", -STRONG)]


def _terms(case: Case) -> list[Clue]:
    found = components(case)
    if found is None or not found.is_whole_model:
        return []
    return [Clue(found.summary, STRONG if found.jumped else MODERATE)]


def _saturated(case: Case) -> list[Clue]:
    """A softmax that is certain of every answer was driven there, by an update or by its inputs."""
    found = saturation(case.run)
    if found is None:
        return []
    text = f"Every wrong answer costs {found.cost:.4f}, the most there is: the softmax is saturated"
    if found.from_start:
        return [Clue(f"{text} from the first logged loss.", WEAK)]
    return [Clue(f"{text} from step {found.step:,}, and was not before.", STRONG)]


def _course(case: Case) -> list[Clue]:
    clues = []
    zero = case.found("loss-zero")
    if (
        zero is not None
        and zero.evidence.get("from_start") == "yes"
        and zero.evidence.get("grad_norm") != "NaN"
    ):
        clues.append(
            Clue("The loss is 0 from the first step on: no learning rate does that.", -DECISIVE)
        )
    broken = None if survived(case) else case.found("loss-divergence", "loss-nonfinite")
    if case.found("clip-saturated") and not case.found(*OVERSHOOT):
        text = "The gradient is clipped hard, though no loss or gradient jumped, rose or broke."
        clues.append(Clue(text, -STRONG))
    spread = accuracy_spread(case.run)
    if (spread is not None and spread > ONE_KIND) or len(changes_of_kind(case.run)) > 1:
        text = "Samples of one kind come together: what swings is what the batches hold."
        clues.append(Clue(text, -STRONG))
    elif learned_apart(case):
        text = "No evaluation had got better before the loss rose: what the batches had in common changed."
        clues.append(Clue(text, -STRONG))
    elif kinds_in_turn(case) is not None and case.found(*BY_KINDS):
        text = (
            "The loss leaps as one kind of sample gives way to another, not as a step overshoots."
        )
        clues.append(Clue(text, -STRONG))
    clues += [*above_clues(case), *_falls_with_the_rate(case), *_died(case)]
    if case.found("loss-divergence", "loss-spike") and case.found("loss-jump-on-resume"):
        clues.append(Clue("The loss jumped at a restart, not at a step of its own.", -STRONG))
    elif broken and (ratio := case.number("loss-divergence", "ratio")) is not None:
        clues.append(Clue(f"The loss rose for good, to {ratio:.1f} x its best.", MODERATE))
    if case.found("loss-divergence") and leapt_on_the_way_up(case):
        text = "It rose while the rate was on its way up, at the highest rate so far."
        clues.append(Clue(text, MODERATE))
    spike = case.found("loss-spike")
    times = burst_at_first(case)
    if spike and times is not None and not case.found("initial-loss-high"):
        text = f"The first updates made the loss {times:,.0f} x that of the untrained model."
        clues.append(Clue(text, STRONG))
    if case.found("grad-explosion") and (broken or spike):
        clues.append(Clue("The gradient norm left its past together with the loss.", WEAK))
    count = case.number("loss-spike", "count")
    if count is not None and count >= MANY:
        clues.append(Clue(f"The loss spiked {count:.0f} times: more than one odd batch.", MODERATE))
    elif spike and not broken and case.number("loss-spike", "steps_to_recover") is not None:
        clues.append(Clue("The loss recovered while the rate stayed as it was.", -MODERATE))
    elif spike and not broken and count == 1 and _was_borne(case):
        clues.append(Clue("It spiked once, at a rate that it had borne for long.", -MODERATE))
    return clues


def _was_borne(case: Case) -> bool:
    """Tell whether the rate had been as high for a third of the run before the loss spiked."""
    rate = case.run.series("train/learning_rate").finite()
    step = case.number("loss-spike", "step")
    at = rate.value_at(int(step)) if step is not None and len(rate) else None
    if step is None or at is None:
        return False
    before = rate.value[rate.step < step]
    return int((before >= TOP * at).sum()) > BORNE * len(rate)


def _died(case: Case) -> list[Clue]:
    """Long steps switch units off for good; short ones never do."""
    if short_steps(case) is not None:
        text = "The evaluation creeps straight downhill: nothing overshoots."
        return [Clue(text, -STRONG)]
    top = went_silent(case)
    if top is not None:
        text = f"The loss leapt to {top:.3g}, then every batch has the same: a step switched the units off."
        return [Clue(text, STRONG)]
    rate = _highest(case, None)
    if is_constant(case) and (rate is None or rate > common_rates(case.run)[0]):
        text = "All samples get the same even guess: one long step switches all units off."
        return [Clue(text, MODERATE if rate is None else STRONG)]
    norm = norms(case)
    if (
        norm is None
        or not norm.died
        or is_silent(case)
        or frequencies_only(case)
        or not case.found(*SLOW)
    ):
        return []
    text = (
        f"The gradient norm was {norm.early:.3g} at first and is {norm.late:.3g} later, though nothing was "
        "learned: long steps switch units off."
    )
    return [Clue(text, MODERATE)]


def _falls_with_the_rate(case: Case) -> list[Clue]:
    """At a rate that is too high the loss stands or rises; what falls, falls as the rate decays."""
    rate = case.run.series("train/learning_rate").finite()
    loss = case.run.series("train/loss").finite()
    if not case.found("slow-convergence", "loss-oscillation") or len(loss) < 2 * POINTS:
        return []
    at = np.interp(loss.step, rate.step, rate.value) if len(rate) else np.zeros(len(loss))
    peak = float(at.max())
    full = np.flatnonzero(at >= TOP * peak)
    low = np.flatnonzero((at <= DECAYED * peak) & (loss.step > loss.step[full[-1]]))
    if not peak or len(full) < POINTS or len(low) < POINTS // 2:
        return []
    third = len(full) // 3
    early, late = (float(np.median(loss.value[part])) for part in (full[:third], full[-third:]))
    end = float(np.median(loss.value[low[-len(low) // 2 :]]))
    if late - end < FALL * late or early - late > STOOD * (late - end):
        return []
    evals = case.run.series("eval/loss").finite()
    before = evals.value[evals.step <= loss.step[full[-1]]]
    if len(before) and evals.value[-1] > (1 - FALL / 2) * before[-1]:
        return []  # what fell is remembered, not learned
    text = (
        f"At the full rate the loss went from {early:.4g} to {late:.4g}; only as the rate decayed did it "
        f"fall, to {end:.4g}."
    )
    return [Clue(text, STRONG)]


def _height(case: Case, first: Onset | None) -> list[Clue]:
    """Compare the highest rate up to the fault with those in common use."""
    rate = _highest(case, first)
    if rate is None:
        return []
    (high, optimizer), name = common_rates(case.run), optimizer_name(case.run)
    if not name and high < rate <= HIGH_FOR_SGD and first is None:
        return []  # SGD bears it
    if rate > ABSURD * high:
        text = f"The learning rate reaches {rate:.3g}, {rate / high:.0f} x the most that is usual{optimizer}."
        return [Clue(text, DECISIVE)]
    if rate > FAR * high:
        text = f"The learning rate reaches {rate:.3g}, {rate / high:.0f} x the most that is usual{optimizer}."
        return [Clue(text, STRONG)]
    gentle = not case.found(*OVERSHOOT, "clip-saturated")
    if rate > high and gentle and rate < GENTLE * high:
        return [Clue(f"The learning rate reaches {rate:.3g}, somewhat high{optimizer}.", -WEAK)]
    if rate > high:
        weight = WEAK if first is not None and first.was_sudden else MODERATE
        return [Clue(f"The learning rate reaches {rate:.3g}, high{optimizer}.", weight)]
    if gentle:
        return [
            Clue(
                f"Nothing broke, and the learning rate of {rate:.3g} is usual{optimizer}.", -STRONG
            )
        ]
    if rate < NO_UPDATE:
        text = f"The learning rate is at most {rate:.2g}: no update of that size breaks anything."
        return [Clue(text, -DECISIVE)]
    if rate < LOW * high:
        return [Clue(f"The learning rate is at most {rate:.2g}, low{optimizer}.", -WEAK)]
    return []


def _highest(case: Case, first: Onset | None) -> float | None:
    rate = case.run.series("train/learning_rate").finite()
    if first is not None:
        rate = rate.take(rate.step <= first.step)
        if first.rate and (first.rate_share or 1.0) < TINY:
            return first.rate  # higher ones were borne
    return float(rate.value.max()) if len(rate) else told_rate(case.run)


def _early(case: Case, first: Onset | None) -> list[Clue]:
    """A rate that is still a small share of its target cannot be too high, unless that is absurd."""
    if first is not None and first.is_untouched:
        return [Clue(UNTOUCHED, -DECISIVE)]
    rate = case.run.series("train/learning_rate").finite()
    if not len(rate):
        return []
    peak = float(rate.value.max())
    goal = max(case.run.number("learning_rate") or 0.0, peak)
    high, _ = common_rates(case.run)
    if 0 < peak < TINY * goal and peak < high:
        text = (
            f"The rate never passed {peak / goal:.1%} of its target: it cannot have been too high."
        )
        return [Clue(text, -DECISIVE)]
    if first is not None:
        return _at_onset(case, first, high)
    norm = case.run.series("train/grad_norm").finite()
    median, limit = (case.number("clip-saturated", n) for n in ("median_norm", "max_grad_norm"))
    at = rate.value_at(int(norm.step[0])) if len(norm) else None
    if median is None or limit is None or at is None or at >= TINY * goal:
        return []
    if norm.value[0] <= max(limit, median / 2):
        return []
    text = (
        f"The gradient norm was {norm.value[0]:.3g} at step {norm.step[0]:,} already, at "
        f"{at / goal:.1%} of the rate: the scale of the loss makes it, not the rate."
    )
    return [Clue(text, -STRONG)]


def _at_onset(case: Case, first: Onset, high: float) -> list[Clue]:
    if first.rate is None or first.rate_share is None:
        return []
    if first.rate_share >= TOP and not first.is_first and _is_at_the_top(case, first.step):
        return [
            Clue(
                f"The NaN came as the warmup ended, at the full rate of {first.rate:.2g}.", MODERATE
            )
        ]
    rate = case.run.series("train/learning_rate").finite()
    peak = int(rate.step[np.argmax(rate.value)])
    if first.rate_share < TOP and peak < first.step:
        text = f"The NaN came at {first.rate_share:.0%} of the peak rate, which the run had borne before."
        return [Clue(text, -STRONG if first.rate_share < TINY and first.rate < high else -MODERATE)]
    if first.rate_share >= TINY or first.rate >= high:
        return []
    text = f"The first NaN came at a rate of {first.rate:.2g}, {first.rate_share:.1%} of its peak."
    return [Clue(text, -STRONG)]


def _is_at_the_top(case: Case, step: int) -> bool:
    """Tell whether a warmup ended shortly before `step`, or all but ended there."""
    found = warmup(case.run)
    return found is not None and found.steps is not None and step <= AFTER_WARMUP * found.steps


def _before_training(case: Case) -> list[Clue]:
    ratio = case.number("initial-loss-high", "ratio_to_log_c")
    if ratio is None:
        return []
    text = f"The loss was {ratio:.1f} x log(C) before any update: no learning rate does that."
    return [Clue(text, -DECISIVE)]


def fix(case: Case) -> list[str]:
    """Divide the rate."""
    target = told_rate(case.run) or _highest(case, None)
    if target is None:
        return ["Divide the learning rate by 3 to 10"]
    return [f"learning_rate {target:.3g} -> {target / 5:.3g}"]


HYPOTHESIS = Hypothesis(
    id="lr-too-high",
    title="The learning rate is too high",
    prior=-0.3,
    explains=(*OVERSHOOT, "clip-saturated", "warmup-too-short", "loss-oscillation",
              *SLOW, "loss-repeats"),
    weigh=weigh,
    fix=fix,
    probe="lr",
)  # fmt: skip
