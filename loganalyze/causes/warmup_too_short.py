"""The full learning rate came before the model and the optimizer's statistics could bear it.

What it is
----------
Adam's second moments are estimates from few gradients at first, and the first gradients are the largest.
Without a warmup the first updates are long and point anywhere.

What speaks for it
------------------
The run breaks in its first steps, at full rate, and there was little or no warmup. The same run with a
smaller batch or a smaller rate is fine.

What speaks against it
----------------------
It breaks long after the warmup, or there was an ordinary one.

How to confirm
--------------
The same 200 steps with a warmup five times as long stay calm.

Fix
---
Warm up over 3 % of the steps, some hundred at least.

References
----------
Goyal et al., "Accurate, Large Minibatch SGD" (2017); Liu et al., "On the Variance of the Adaptive
Learning Rate and Beyond" (2019); maskrcnn-benchmark#841, mmdetection#1710.
"""

from __future__ import annotations

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, Case, Hypothesis
from loganalyze.causes.no_grad_clipping import FEW, lone_peaks
from loganalyze.causes.onset import UNTOUCHED, onset
from loganalyze.causes.rates import common_rates
from loganalyze.causes.trouble import first_trouble
from loganalyze.finding import Clue
from loganalyze.signals.lr import warmup

EARLY = 0.05  # share of the steps seen or planned that counts as the start
FIRST = 200  # steps that count as the start of any run
FAR = 10.0  # times the highest rate in common use
ENOUGH = 0.03  # share of the steps over which a warmup usually runs


def weigh(case: Case) -> list[Clue]:
    """Weigh when the trouble began, and how long the warmup was."""
    first = onset(case)
    if first is not None and first.is_untouched:
        return [Clue(UNTOUCHED, -DECISIVE)]
    clues = []
    early = case.found("warmup-too-short")
    if early is not None and early.evidence.get("sign") == "overshoot":
        # A gradient step longer than the loss allows is no matter of the first steps alone.
        clues.append(Clue("The first step was already too long for its gradient.", -MODERATE))
    elif early is not None:
        clues.append(Clue("The run was unstable from the first steps at the full rate.", STRONG))
    else:
        clues.append(Clue("The first steps at the full rate were calm.", -STRONG))
    ratio = case.number("initial-loss-high", "ratio_to_log_c")
    if ratio is not None:
        text = f"The loss was {ratio:.1f} x log(C) before the first step: no warmup mends that."
        clues.append(Clue(text, -STRONG))
    trouble, length = first_trouble(case), _length(case)
    if trouble is not None and length:
        is_early = trouble <= max(EARLY * length, min(FIRST, length / 4))
        text = f"It became unstable at step {trouble:,} of {length:,}."
        clues.append(Clue(text, MODERATE if is_early else -DECISIVE))
    rate = case.run.series("train/learning_rate").finite().value
    usual, optimizer = common_rates(case.run)
    if len(rate) and rate.max() > usual:
        ratio = rate.max() / usual
        text = f"The rate of {rate.max():.3g} is {ratio:.0f} x the most that is usual{optimizer}."
        clues.append(Clue(text, -STRONG if ratio > FAR else -MODERATE))
    peaks = lone_peaks(case)
    if peaks >= FEW:
        text = (
            f"{peaks} single batches leap out all along the run: it is not the first steps alone."
        )
        clues.append(Clue(text, -MODERATE))
    if case.found("loss-at-chance", "slow-convergence", "loss-plateau"):
        text = "The loss did not recover at the full rate: not only the first steps were too long."
        clues.append(Clue(text, -MODERATE))
    return [*clues, *_warmup(case, length)]


def _length(case: Case) -> int:
    steps = case.run.series("train/loss").step
    return case.run.planned_steps or (int(steps[-1]) if len(steps) else 0)


def _warmup(case: Case, length: int) -> list[Clue]:
    rate = case.run.series("train/learning_rate").finite()
    found = warmup(case.run)
    if found is None and not len(rate):
        return [
            Clue("No learning rate was logged: whether there was a warmup is unknown.", -MODERATE)
        ]
    if found is None or not found.steps:
        return [Clue("The rate was at its full height from the first step: no warmup.", MODERATE)]
    share = found.steps / length if length else 1.0
    told = case.run.number("warmup_ratio")
    if share >= ENOUGH or (told is not None and ENOUGH <= told <= 1):
        return [Clue(f"The warmup took {found.steps:,} steps, {share:.0%} of the run.", -STRONG)]
    return [Clue(f"The warmup took only {found.steps:,} steps, {share:.1%} of the run.", MODERATE)]


def fix(case: Case) -> list[str]:
    """Name an ordinary length."""
    found = warmup(case.run)
    before = found.steps if found is not None and found.steps else 0
    wanted = max(round(ENOUGH * _length(case)), 5 * before, 100)
    return [f"warmup_steps {before} -> {wanted}"]


HYPOTHESIS = Hypothesis(
    id="warmup-too-short",
    title="The warmup is too short",
    prior=-1.2,
    explains=(
        "warmup-too-short",
        "loss-divergence",
        "loss-spike",
        "grad-explosion",
        "loss-nonfinite",
    ),
    weigh=weigh,
    fix=fix,
    probe="lr",
)
