"""The loss is summed over accumulation steps, micro-batches or tokens: it and its gradient are k
times the real ones.

What it is
----------
A loss that is divided by the wrong count, or by none, is larger by that factor, and so is its
gradient norm. Training may still work with Adam, which forgives the scale; clipping and logged
numbers do not.

What speaks for it
------------------
Initial loss / log(C) close to an integer k, best the number of accumulation steps. Gradient norm
large by the same factor. A normal evaluation loss. A loss that is learned all along and yet stays above
log(C), whose later answers cost as many times too much as the first ones.

What speaks against it
----------------------
An evaluation loss that is just as high, unless it sums over the batch or over positions as well. No
accumulation. An excess that is lost in the first steps.

How to confirm
--------------
Train two steps with gradient_accumulation_steps 1 and k times the batch: the logged loss must not
change.

Fix
---
Divide by the number of accumulation steps, or by the number of tokens over all micro-batches.

References
----------
transformers#34191, #35207; LLaMA-Factory#7443; axolotl#2262: 10.5 against 83.7 at 8 accumulation
steps.
"""

from __future__ import annotations

import math

import numpy as np

from loganalyze.causes.cause import DECISIVE, MODERATE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.initial import (
    MATCH,
    ORDINARY_NORM,
    RISES,
    STANDS,
    evaluations,
    first_evaluation,
    first_norm,
    is_steady_at_first,
    is_training_alone,
    rises_at_first,
)
from loganalyze.causes.multiple import multiple_clues
from loganalyze.finding import Clue
from loganalyze.signals.loss_kind import LossKind, loss_kind
from loganalyze.signals.saturation import saturation

INTEGER = 0.05  # relative distance to an integer that counts as one; noise of first losses
LARGEST_LOG_C = math.log(262_144)  # vocabulary of the largest tokenizers in use
PERHAPS_CROSS_ENTROPY = (LossKind.CROSS_ENTROPY, LossKind.UNKNOWN)
FEWEST = 3  # evaluations
DEARER = 1.06  # times: untrained heads of the usual scale cost 1 to 5 % more than a guess
MOST_TOLD = 10.0  # a factor; integers beyond it lie as close to each other as the noise is wide
NEAR_COUNT = 0.25  # relative distance of that factor to the count; train losses lag and scatter
STEADY = 0.4  # spread of the factor between train and evaluation loss, as a share of it
LEAST = 3.0  # times; leaked samples and dropout make no such gap where little is learned yet
SUM_OF_ALL = 2.0  # times the train loss that an evaluation loss is if both are sums
MOSTLY = 1.5  # first gradient norm that most models stay below; large heads measured 0.8 to 18 for each part
FEW_PARTS = 4  # positions; rows of fewer are hardly sequences, and pictures have far more pixels
LARGE_NORM = 10.0  # gradient norm; ordinary ones lie between 0.1 and 10


def weigh(case: Case) -> list[Clue]:
    """Compare the factor with counts, with integers and with the evaluation."""
    ratio = case.number("initial-loss-high", "ratio_to_log_c")
    if ratio is None:
        return [_without_classes(case), *_steady(case)]
    scatter = [Clue(RISES, -MODERATE)] if rises_at_first(case) else []
    if is_steady_at_first(case):
        scatter = [Clue(STANDS, WEAK)]
    return [
        _level(case, ratio),
        *scatter,
        *_factor(case, ratio),
        *_first_norm(case, ratio),
        *_norm(case),
        *_evaluation(case),
        *multiple_clues(case),
    ]


def _without_classes(case: Case) -> Clue:
    loss = case.run.series("train/loss").finite()
    if saturation(case.run) is not None:
        text = "The loss is as high as wrong answers can make it; a sum knows no such limit."
        return Clue(text, -DECISIVE)
    if len(loss) and loss.value[0] > LARGEST_LOG_C and loss_kind(case.run) in PERHAPS_CROSS_ENTROPY:
        text = (
            f"The first loss is {loss.value[0]:.4g}; a guess over the largest vocabulary in use "
            f"costs {LARGEST_LOG_C:.1f}."
        )
        if rises_at_first(case):
            return Clue(RISES, -MODERATE)
        words = case.run.has("train/accuracy") or case.run.has("eval/accuracy")
        return Clue(text, STRONG if words or case.found("clip-saturated") else MODERATE)
    return Clue("Nothing shows that the loss started above log(C).", -MODERATE)


def _steady(case: Case) -> list[Clue]:
    """A sum is larger by the same factor at every evaluation; what is learned changes a gap."""
    factors = np.array([one.factor for one in evaluations(case)])
    if not case.found("eval-below-train"):
        return []
    middle = float(np.median(factors)) if len(factors) else 0.0
    accumulation = case.run.number("gradient_accumulation_steps") or 1
    if accumulation > 1 and len(factors) >= FEWEST and abs(middle / accumulation - 1) < NEAR_COUNT:
        text = (
            f"The train loss is {middle:.1f} x the evaluation loss, as a sum over the "
            f"{accumulation:.0f} accumulation steps is."
        )
        return [Clue(text, DECISIVE)]
    losses = case.run.series("train/loss").finite().value
    if len(factors) >= FEWEST and factors.min() > LEAST and losses[0] > LARGEST_LOG_C:
        text = (
            f"The train loss is {factors.min():.1f} x the evaluation loss and more at every evaluation, the "
            "first one among them."
        )
        return [Clue(text, STRONG)]
    if len(factors) < FEWEST or middle < 2 * (1 - INTEGER) or np.ptp(factors) > STEADY * middle:
        return [Clue("The train loss is no steady multiple of the evaluation loss.", -MODERATE)]
    text = f"The train loss stays {middle:.1f} x the evaluation loss from the first evaluation on."
    return [Clue(text, DECISIVE)]


def _level(case: Case, ratio: float) -> Clue:
    loss, log_c = (case.number("initial-loss-high", n) for n in ("initial_loss", "log_c"))
    classes = case.number("initial-loss-high", "classes")
    if loss is None or log_c is None or classes is None:
        return Clue(f"The loss was {ratio:.1f} x log(C) before any update could matter.", WEAK)
    text = (
        f"The loss was {loss:.4g}, {ratio:.1f} x log({classes:,.0f}) = {log_c:.2f}, before any "
        "update could matter."
    )
    return Clue(text, WEAK)


def _factor(case: Case, ratio: float) -> list[Clue]:
    """Compare the factor with the counts that a sum would run over."""
    accumulation = case.run.number("gradient_accumulation_steps")
    batch = case.run.number("train_batch_size")
    if accumulation and accumulation > 1 and _matches(ratio, accumulation):
        text = f"The factor {ratio:.2f} is the number of accumulation steps, {accumulation:.0f}."
        return [Clue(text, DECISIVE)]
    if batch and batch > 1 and _matches(ratio, batch):
        weight = DECISIVE if is_steady_at_first(case) else STRONG
        return [Clue(f"The factor {ratio:.2f} is the batch size, {batch:.0f}.", weight)]
    # What the evaluation has as well runs over the batch or over positions, whatever is accumulated.
    is_both = is_training_alone(case) is False
    if accumulation == 1 and not is_both:
        text = "gradient_accumulation_steps is 1: there are no micro-batches to sum over."
        return [Clue(text, -MODERATE), *_no_integer(case, ratio)]
    if accumulation and accumulation > 1 and not is_both:
        text = (
            f"The factor {ratio:.1f} is not the number of accumulation steps, {accumulation:.0f}."
        )
        return [Clue(text, -MODERATE)]
    if is_both and batch and ratio < FEW_PARTS:
        text = f"Neither the batch of {batch:.0f} nor a row of positions has as few as {ratio:.1f} parts."
        return [Clue(text, -MODERATE)]
    clues = _integer(ratio) or _no_integer(case, ratio)
    if is_both and batch and ratio < batch:
        text = f"The factor {ratio:.1f} is less than the batch of {batch:.0f}: a sum over positions, if any."
        clues.append(Clue(text, -WEAK))
    if accumulation is None and batch and case.run.number("learning_rate") and not is_both:
        clues.append(Clue("The settings name no accumulation steps.", -MODERATE))
    return clues


def _matches(ratio: float, count: float) -> bool:
    return abs(ratio / count - 1) < MATCH


def _integer(ratio: float) -> list[Clue]:
    """Weigh an integer factor by how seldom chance comes that close to one."""
    k = round(ratio)
    by_chance = 2 * INTEGER * k
    if k < 2 or by_chance >= 1 or abs(ratio / k - 1) >= INTEGER:
        return []
    return [Clue(f"The factor {ratio:.2f} is close to the integer {k}.", -math.log(by_chance))]


def _no_integer(case: Case, ratio: float) -> list[Clue]:
    """A count of equal parts is an integer, and untrained outputs cost a little more than a guess each."""
    k = int(ratio / (1 - INTEGER / 2))
    if not 1 < ratio < MOST_TOLD or not is_steady_at_first(case) or (k and ratio < k * DEARER):
        return []
    text = f"The factor {ratio:.2f} is no integer, and the first losses are too even for that to be chance."
    return [Clue(text, -MODERATE)]


def _first_norm(case: Case, ratio: float) -> list[Clue]:
    """A sum of k even guesses has k times the gradient of one; sure and wrong answers have far more."""
    norm = first_norm(case)
    if norm is None or ratio < 2:
        return []
    of_one = norm / ratio
    if of_one > 2 * ORDINARY_NORM:
        text = f"The first gradient norm is {norm:.3g}, {of_one:.3g} for each part of the sum: too large."
        return [Clue(text, -STRONG)]
    if of_one < ORDINARY_NORM and norm > LARGE_NORM:
        text = (
            f"The first gradient norm of {norm:.3g} is {ratio:.0f} x {of_one:.2g}, an ordinary one."
        )
        return [Clue(text, MODERATE if of_one < MOSTLY else WEAK)]
    return []


def _norm(case: Case) -> list[Clue]:
    norm = case.number("clip-saturated", "median_norm")
    if norm is None or norm <= LARGE_NORM:
        return []
    text = f"The gradient norm is large as well (median {norm:.3g}), as a k-fold loss makes it."
    return [Clue(text, WEAK)]


def _evaluation(case: Case) -> list[Clue]:
    beside, alone = first_evaluation(case), is_training_alone(case)
    if beside is None or alone is None:
        return []
    if 0 < beside.factor < 1 / SUM_OF_ALL:
        text = (
            f"The evaluation loss, {beside.loss:.3g}, is {1 / beside.factor:.1f} x the train loss at step "
            f"{beside.step:,}: a sum over more samples is."
        )
        return [Clue(text, MODERATE if is_steady_at_first(case) else WEAK)]
    where = f"At step {beside.step:,} the evaluation loss is {beside.loss:.3g}"
    if alone:
        text = f"{where} and the train loss {beside.train:.3g}: only the training loss is summed."
        return [Clue(text, STRONG)]
    text = f"{where}, as the train loss ({beside.train:.3g}): a sum in training alone is out."
    accumulation = case.run.number("gradient_accumulation_steps") or 1
    ratio = case.number("initial-loss-high", "ratio_to_log_c") or 0.0
    over_steps = accumulation > 1 and _matches(ratio, accumulation)
    return [Clue(text, -STRONG if over_steps else -MODERATE)]


def fix(case: Case) -> list[str]:
    """Name the division that is missing."""
    ratio = case.number("initial-loss-high", "ratio_to_log_c") or 0.0
    accumulation = case.run.number("gradient_accumulation_steps") or 1
    k = f"{accumulation:.0f}" if accumulation > 1 else "the number of micro-batches"
    log_c = case.number("initial-loss-high", "log_c")
    level = f"about {log_c:.2f}" if log_c else "about log(C)"
    if accumulation > 1 and not _matches(ratio, accumulation):
        k = "the number of terms it sums over"
    return [f"loss -> loss / {k} before backward(): the initial loss should be {level}"]


HYPOTHESIS = Hypothesis(
    id="loss-not-normalized",
    title="The loss is summed where it should be averaged",
    prior=0.0,
    explains=("initial-loss-high", "clip-saturated", "eval-below-train"),
    weigh=weigh,
    fix=fix,
    probe="init",
)
