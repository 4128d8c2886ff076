"""Nothing limits the update that one odd batch can make.

What it is
----------
Without clipping, a gradient a thousand times the usual one moves the weights a thousand times as
far.

What speaks for it
------------------
max_grad_norm is 0 or absent. The gradient norm jumps by a factor of 10 and more, at the fault or before it.

What speaks against it
----------------------
Clipping is on.

How to confirm
--------------
Replay the batch with max_grad_norm 1.0.

Fix
---
Clip the gradient norm at 1.0.

References
----------
Pascanu et al. (2013); bittensor#229.
"""

from __future__ import annotations

import numpy as np

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.onset import UNTOUCHED, onset
from loganalyze.causes.rates import is_unbounded
from loganalyze.causes.trouble import first_trouble
from loganalyze.finding import Clue

BROKEN = ("loss-spike", "grad-explosion", "loss-nonfinite", "loss-divergence")
FEW = 3  # norms, or single batches
CLOSE = 10  # steps between log points; of farther ones the way back is not seen
NEAR_NOTHING = 0.05  # of the first losses
POINTS = 20  # log points; fewer show no level
PEAK = 10.0  # times the median loss
ALONE = 3.0  # times the losses beside it
WIDELY = 10.0  # times their median: a limit at ten times the usual norm is a loose one


def weigh(case: Case) -> list[Clue]:
    """Weigh whether clipping is on, and whether it would have caught the jump."""
    first = onset(case)
    if first is not None and first.is_untouched:
        return [Clue(UNTOUCHED, -DECISIVE)]
    clues = []
    found = case.run.setting("max_grad_norm")
    limit = case.run.number("max_grad_norm")
    if found is not None and not limit:
        clues.append(Clue(f"max_grad_norm is {found.value}: clipping is off.", STRONG))
    elif limit:
        clues.append(Clue(f"The gradient norm is clipped at {limit:g}.", -DECISIVE))
    elif case.run.framework == "hf-trainer":
        clues.append(Clue("The Trainer clips at 1.0 unless told otherwise.", -STRONG))
    elif case.run.setting("optimizer") is not None:
        clues.append(Clue("The settings name an optimizer and no limit of the gradient.", WEAK))
    if is_unbounded(case.run):
        text = "A regression by SGD without a limit: a large error makes a step that makes a larger one."
        clues.append(Clue(text, MODERATE))
    peaks = lone_peaks(case)
    if peaks >= FEW and not limit:
        text = f"{peaks} single batches cost {PEAK:.0f} x the median and more: what a limit is there for."
        clues.append(Clue(text, MODERATE))
    sudden = leaps(case)
    if sudden >= FEW and not limit and peaks < FEW:
        text = f"{sudden} times a batch costs {PEAK:.0f} x the one before, and the next one as little again."
        clues.append(Clue(text, STRONG))
    elif peaks < FEW and sudden < FEW and not case.found(*BROKEN):
        clues.append(Clue("No single batch costs far more than the others.", -STRONG))
    ratio = case.number("grad-explosion", "ratio_to_past")
    if ratio is None and not limit:
        clues += _before(case)
    if first is not None and first.is_close and first.was_sudden and not is_unbounded(case.run):
        text = (
            f"The loss did not rise before the NaN of step {first.step:,}: a long step raises it."
        )
        clues.append(Clue(text, -MODERATE))
    if ratio is not None:
        clues.append(Clue(f"The gradient norm jumped to {ratio:,.0f} x its level.", MODERATE))
    return clues


def lone_peaks(case: Case) -> int:
    """Count the batches that cost far more than all others, and more than those beside them."""
    loss = case.run.series("train/loss").finite().value
    if len(loss) < POINTS:
        return 0
    beside = np.maximum(np.r_[loss[0], loss[:-1]], np.r_[loss[1:], loss[-1]])
    return int(((loss > PEAK * np.median(loss)) & (loss > ALONE * beside)).sum())


def leaps(case: Case) -> int:
    """Count the batches that cost ten times as much as the one before, each undone as suddenly.

    A few samples with errors far larger than all others make that, at any rate; steps that overshoot take
    several to come back. Near zero a loss scatters by any factor.
    """
    loss = case.run.series("train/loss").finite()
    if len(loss) < POINTS or loss.value.min() <= 0 or np.median(np.diff(loss.step)) > CLOSE:
        return 0
    value = loss.value
    known = value > NEAR_NOTHING * float(np.median(value[:FEW]))
    ratio = value[1:] / value[:-1]
    up, down = (int((side & known[1:]).sum()) for side in (ratio > PEAK, ratio < 1 / PEAK))
    return min(up, down)


def _before(case: Case) -> list[Clue]:
    """Gradients that jump about before the run breaks would have been cut by a limit."""
    trouble = first_trouble(case)
    norm = case.run.series("train/grad_norm").finite()
    before = norm.value if trouble is None else norm.value[norm.step < trouble]
    if len(before) < FEW or before.max() < WIDELY * np.median(before):
        return []
    text = f"The gradient norm jumped to {before.max():.3g} before, from {np.median(before):.3g}."
    return [Clue(text, MODERATE)]


def fix(case: Case) -> list[str]:
    """Name the limit."""
    found = case.run.setting("max_grad_norm")
    before = found.value if found is not None else "not set"
    return [f"max_grad_norm {before} -> 1.0: one batch moves the weights no farther than others"]


HYPOTHESIS = Hypothesis(
    id="no-grad-clipping",
    title="The gradient is not clipped",
    prior=-1.0,
    explains=(*BROKEN, "loss-oscillation", "warmup-too-short"),
    weigh=weigh,
    fix=fix,
    probe="gradients",
)
