"""A setting of the optimizer beside the rate is off: momentum, betas, epsilon, weight decay.

What it is
----------
A momentum or beta close to 1 remembers too long, a weight decay near 1 pulls the weights to zero, an epsilon
that fp16 rounds to zero divides by zero.

What speaks for it
------------------
The settings say so. Or the course does: with Adam at an ordinary rate the evaluation creeps along a
straight line, as at a rate a hundred times lower (an epsilon that swallows the gradient), or it creeps on to
the end at an ordinary rate of an optimizer that is not told; or a gradient
that was there at first is lost, and the loss returns to that of a guess, exactly (weights pulled to zero).

What speaks against it
----------------------
The settings are the usual ones.

How to confirm
--------------
The same 200 steps with the optimizer's defaults.

Fix
---
betas (0.9, 0.95 to 0.999), eps 1e-8 (1e-4 in pure fp16), weight decay 0 to 0.1.

References
----------
keras#11860 (epsilon in fp16); Chowdhery et al., "PaLM" (2022), on beta2 and late spikes.
"""

from __future__ import annotations

from loganalyze.causes.cause import DECISIVE, MODERATE, STATED, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.course import (
    creeps_on,
    hardly_moves,
    is_silent,
    norms,
    peak_rate,
    share_above_guess,
    short_steps,
)
from loganalyze.causes.fp16_overflow import precision
from loganalyze.causes.rates import common_rates, optimizer
from loganalyze.causes.uncleared import uncleared
from loganalyze.finding import Clue

# Setting -> the spellings it is logged under, the most that is usual, what more of it does.
ABOVE = {
    "weight_decay": (("weight_decay",), 0.3, "pulls the weights to zero"),
    "momentum": (("momentum",), 0.99, "remembers hundreds of steps"),
    "beta1": (("adam_beta1", "beta1"), 0.95, "remembers dozens of steps"),
    "beta2": (("adam_beta2", "beta2"), 0.9995, "reacts too late to a growing gradient"),
    "epsilon": (("adam_epsilon", "eps", "adam_eps", "epsilon"), 1e-3, "swallows small gradients"),
}
ABSURD = 10.0  # times the most that is usual: no training uses that
NEAR = 0.02  # relative distance to log(C) of a model of which only a bias is left
LOW_BETA2 = 0.9  # below it the second moment is noise
ZERO_IN_FP16 = 6e-8  # smallest positive number of fp16
MODEST = 0.3  # gradient norm; a model of which all weights are trained begins with 0.3 to 3
ORDINARY = 0.2  # of the highest rate in common use: below it the rate itself is suspected
USUAL = 2.0  # log-odds against it where nothing is known to be odd


def weigh(case: Case) -> list[Clue]:
    """Compare the settings with what is usual."""
    clues = []
    for name, (keys, most, effect) in ABOVE.items():
        value = _number(case, keys)
        if value is not None and value > most:
            weight = STATED if value > ABSURD * most else DECISIVE + MODERATE
            clues.append(Clue(f"{name} is {value:g}: it {effect}.", weight))
    beta2, epsilon = (_number(case, ABOVE[name][0]) for name in ("beta2", "epsilon"))
    if beta2 is not None and beta2 < LOW_BETA2:
        clues.append(Clue(f"beta2 is {beta2:g}: the step size is noise.", DECISIVE))
    if epsilon is not None and 0 <= epsilon < ZERO_IN_FP16 and precision(case)[0] == "fp16":
        clues.append(Clue(f"epsilon is {epsilon:g}, which pure fp16 rounds to 0.", MODERATE))
    return (
        clues
        or _course(case)
        or [Clue("No setting of the optimizer is known to be unusual.", -USUAL)]
    )


def _course(case: Case) -> list[Clue]:
    """Read from the course what the settings leave out."""
    sums = uncleared(case)
    if sums is not None and sums.moves:
        text = (
            f"The gradient norm grows step by step, to {sums.times:.0f} x its first value, and the weights "
            "follow it nowhere: gradients are added up and never set to zero."
        )
        return [Clue(text, DECISIVE)]
    course, norm = short_steps(case), norms(case)
    if course is not None:
        text = (
            f"The evaluation loss creeps straight from {course.first:.5g} to {course.last:.5g} at an "
            "ordinary rate of Adam: its steps are much shorter than the rate says, as a large epsilon "
            "makes them."
        )
        return [Clue(text, STRONG if norm is not None else MODERATE)]
    creep = creeps_on(case) if case.found("slow-convergence") else None
    peak = peak_rate(case)
    ordinary = peak is not None and peak >= ORDINARY * common_rates(case.run)[0]
    if creep is not None and ordinary and not optimizer(case.run):
        text = (
            f"The evaluation loss creeps on from {creep.first:.5g} to {creep.last:.5g}, at a rate of "
            f"{peak:.2g} of an optimizer that is not told: what else sets its steps may make them short."
        )
        return [Clue(text, WEAK)]
    still = hardly_moves(case)
    if still is not None and norm is not None and norm.late > MODEST:
        text = (
            f"The evaluation loss moves by {still.span:.2%} in all at an ordinary rate of Adam: its steps "
            "are much shorter than the rate says, as a large epsilon makes them."
        )
        return [Clue(text, STRONG)]
    ratio = case.number("loss-at-chance", "ratio_to_log_c")
    if (
        norm is None
        or not norm.died
        or ratio is None
        or abs(ratio - 1) > NEAR
        or not is_silent(case)
    ):
        return []
    if (share_above_guess(case) or 0.0) > 0:
        return []  # it was worse than a guess on its way: long steps, not a pull to zero
    text = (
        f"The gradient norm fell from {norm.early:.3g} to {norm.late:.3g}, and every batch has the loss of "
        "a guess: so it is when the weights are pulled to zero."
    )
    return [Clue(text, DECISIVE)]


def _number(case: Case, keys: tuple[str, ...]) -> float | None:
    return next((value for key in keys if (value := case.run.number(key)) is not None), None)


def fix(case: Case) -> list[str]:
    """Name the odd one with a usual value."""
    usual = {
        "weight_decay": "0.01",
        "momentum": "0.9",
        "beta1": "0.9",
        "beta2": "0.999",
        "epsilon": "1e-8",
    }
    changes = []
    for name, (keys, most, _) in ABOVE.items():
        value = _number(case, keys)
        low = name == "beta2" and value is not None and value < LOW_BETA2
        if value is not None and (value > most or low):
            changes.append(f"{name} {value:g} -> {usual[name]}")
    if uncleared(case) is not None:
        changes.append("Call optimizer.zero_grad() once in each step")
    return changes or ["betas, eps, momentum and weight_decay -> the optimizer's defaults"]


HYPOTHESIS = Hypothesis(
    id="optimizer-hyperparameters",
    title="A setting of the optimizer is off",
    prior=-0.5,
    explains=("loss-divergence", "loss-spike", "loss-plateau", "loss-at-chance", "loss-nonfinite",
              "loss-oscillation", "slow-convergence", "grad-explosion", "grad-vanishing", "clip-saturated",
              "grad-nonfinite", "warmup-too-short"),
    weigh=weigh,
    fix=fix,
    probe="lr",
)  # fmt: skip
