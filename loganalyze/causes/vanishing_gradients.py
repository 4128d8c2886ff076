"""The gradient dies on its way back: the first layers are not trained.

What it is
----------
Saturated sigmoids, dead ReLUs, deep stacks without normalisation or shortcuts multiply many numbers
below 1.

What speaks for it
------------------
The gradient norm is tiny, or decays, while the loss is far from its floor. The loss stands still, digit
for digit. The norm follows the class counts of the batches and nothing else: what reaches the head does not
depend on the input. The softmax is certain of every answer from the start: the loss is a constant
(16.118 in Keras, 87.3365 in Caffe) times the share of wrong ones.

What speaks against it
----------------------
An ordinary gradient norm. Nothing at all is trainable: then the norm is exactly 0. Adam divides each gradient
by its own size, so that a small one moves its weight as far. A gradient that was ordinary at first.

How to confirm
--------------
Print the gradient norm per layer: it falls by orders of magnitude towards the input.

Fix
---
ReLU or GELU, He or Glorot initialisation, normalisation layers, shortcuts.

References
----------
Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010); He
et al., "Delving Deep into Rectifiers" (2015).
"""

from __future__ import annotations

import numpy as np

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.course import SLOW, is_constant, norms, peak_rate, share_above_guess
from loganalyze.causes.rates import common_rates, is_adam, low_rate, optimizer
from loganalyze.finding import Clue
from loganalyze.signals.accuracy import one_answer, share
from loganalyze.signals.class_counts import counts_only
from loganalyze.signals.movement import movement
from loganalyze.signals.saturation import saturation

TINY = 1e-3  # norms below it hardly move the weights at usual rates
FEWEST = 20  # norms whose median is the level at the end
SOME = 0.1  # of the run: what overshoots stands above a guess for longer
SAME = 1e-5  # share of the evaluation loss; below it nothing is trained
SOLVED = 0.8  # accuracy
LARGE = 1.0  # norms above it do not come from the last layers alone
ORDINARY = 0.05  # norms above it are those of a model that learns


def weigh(case: Case) -> list[Clue]:
    """Weigh the gradient norm; a softmax that is certain of every answer passes none."""
    found = saturation(case.run)
    if found is not None and found.from_start:
        text = (
            f"The loss is {found.cost:.4g} x the share of wrong answers: the model is certain of each, and "
            "the clipped logarithm passes no gradient."
        )
        return [Clue(text, DECISIVE)]
    clues = _norm(case)
    course = movement(case.run)
    peak = peak_rate(case)
    if peak is not None and peak <= low_rate(case.run):
        text = f"At a rate of {peak:.2g} the model is about as untrained as at its start, whatever it passes."
        clues.append(Clue(text, -STRONG))
    elif case.found(*SLOW) and one_answer(case.run) and course is not None and course.span > SAME:
        text = (
            "The evaluation's accuracy is that of one answer to all samples, though its loss changes: the "
            "outputs do not depend on the input."
        )
        overshot = case.found("initial-loss-high") or (share_above_guess(case) or 0.0) > SOME
        high = peak is not None and peak > common_rates(case.run)[0] and bool(optimizer(case.run))
        clues.append(Clue(text, WEAK if overshot or high else STRONG))
    elif is_constant(case):
        text = "All samples get the same even guess: the outputs do not depend on the input."
        clues.append(Clue(text, STRONG))
    right = share(case.run.series("eval/accuracy").finite().value)
    if len(right) and float(right[-1]) > SOLVED:
        text = f"{right[-1]:.0%} of the evaluation is answered right: enough of the gradient came through."
        clues.append(Clue(text, -STRONG))
    late = case.run.series("train/grad_norm").finite().value[-FEWEST:]
    # Far below it the gradient of a single weight is lost in Adam's epsilon of 1e-8.
    if is_adam(case.run) and len(late) and float(np.median(late)) > TINY:
        text = "Adam scales every gradient to the same size: small ones move their weights as far."
        clues.append(Clue(text, -STRONG))
    norm = norms(case)
    if norm is not None and norm.died and not case.found("grad-vanishing"):
        text = (
            f"The gradient norm was {norm.early:.3g} at first, against {norm.late:.3g} later: it came "
            "through."
        )
        clues.append(Clue(text, -MODERATE))
    return clues


def _norm(case: Case) -> list[Clue]:
    norm = case.run.series("train/grad_norm").finite().value
    if case.number("loss-repeats", "period_points") == 1 and not norm.any():
        text = "The loss is one value, digit for digit: an output that is saturated or dead gives that."
        return [Clue(text, WEAK)]
    if not len(norm):
        return []  # nothing is known of it, for or against
    late = float(np.median(norm[-max(len(norm) // 4, 1) :]))
    if late == 0:
        return [Clue("The gradient norm is exactly 0, not small.", -MODERATE)]
    if case.found("grad-vanishing") or late < TINY:
        return [Clue(f"The gradient norm is down to {late:.2g}.", STRONG)]
    counts = counts_only(case.run)
    if counts is not None:
        text = (
            f"The gradient norm varies by {counts.spread:.0%} from batch to batch, as class counts do "
            f"({counts.expected:.0%}): what reaches the head does not depend on the input."
        )
        return [Clue(text, MODERATE if counts.is_bias_alone else STRONG)]
    if late > ORDINARY:
        # That of all layers together: the last ones may have it all.
        weight = -WEAK if late < LARGE else -DECISIVE
        return [Clue(f"The gradient norm is {late:.2g}, as in a model that learns.", weight)]
    return [Clue(f"The gradient norm is {late:.2g}, small.", MODERATE)]


def fix(case: Case) -> list[str]:
    """Name the usual remedies."""
    return ["sigmoid or tanh -> ReLU or GELU, with He initialisation and a normalisation per block"]


HYPOTHESIS = Hypothesis(
    id="vanishing-gradients",
    title="The gradient vanishes on its way back",
    prior=-0.4,
    explains=(
        "grad-vanishing",
        "grad-zero",
        "loss-plateau",
        "loss-at-chance",
        "slow-convergence",
        "loss-repeats",
    ),
    weigh=weigh,
    fix=fix,
    probe="gradients",
)
