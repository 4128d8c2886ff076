"""A loss that starts too high, seen from its course: does it stay the same multiple, or is an excess lost?

A sum of k terms is k times the loss from first to last. It falls as the loss does that it is k times,
passes a guess late or never, and each wrong answer costs more the surer the model becomes. Outputs that
are sure and wrong from the start (a large head, large inputs, outputs that no label has) are an excess: it
is unlearned first, each wrong answer costs less and less, and what remains is an ordinary loss below a guess.
"""

from __future__ import annotations

import math

import numpy as np

from loganalyze.causes.cause import MODERATE, STRONG, WEAK, Case
from loganalyze.causes.initial import is_training_alone, rises_at_first
from loganalyze.causes.reach import reach
from loganalyze.finding import Clue
from loganalyze.signals.accuracy import share
from loganalyze.signals.robust import FloatArray

POINTS = 10  # log points; fewer show no course
QUARTER = 4  # parts of the log: the last one is its end
ABOVE = 1.15  # times log(C); losses of guesses scatter by less
WELL_ABOVE = 1.4  # times log(C); large heads after a hundred steps have 1.15 to 1.3 left
RESTS = (
    0.1  # share of the whole fall that the last quarter may have: what is learned has come to rest
)
LEARNED = (
    0.25  # share of the first loss: what fell by that was trained, whatever it is a multiple of
)
TWICE = 2.0  # times log(C) that the loss starts at, at least: half of it lies at a guess then
TELLING = 3.0  # times log(C) from which the cost of answers tells a multiple from an ordinary loss
BETTER = 0.3  # of the way from the accuracy of a guess to 1: from there on answers tell
RARE = 0.03  # share of wrong answers; what fewer of them cost, right ones cost as well
FEWEST = 3  # log points whose answers tell
# Loss over the most that such answers cost where they mean what they say, over the same at the start. Sums
# measured 0.48 to 0.93, an excess 0.04 to 0.4 where it was at least `TELLING` times a guess.
AS_DEAR, CHEAP = 0.47, 0.3
SOON = (
    0.12  # share of the run within which an excess is lost; sums pass a guess after 0.22 and later
)
FAR = 0.3  # sum of the rates of Adam: heads of forty times the usual weights were unlearned at 0.15
UNEVEN = (
    0.12  # relative scatter from one of the first losses to the next; sums measured 0.001 to 0.07
)
SECOND = (
    math.sqrt(6) * 0.6745
)  # median of the size of second differences of white noise, over its sigma
LEFT, AT_GUESS, PASSED = 0.8, 1.25, 0.8  # of the first loss; times log(C); times log(C)
OF_TEXT = 0.1  # share of log(V); byte and word models keep 0.2 and more
LONGER = 2.0  # times: a loss that rests at a guess takes longer there than it took to come to it


def stays_above(case: Case) -> bool:
    """Tell whether a loss that was plainly learned comes to rest well above a guess, as only a multiple does.

    An excess that is still being unlearned falls to the end, and one that is all but lost rests at a guess.
    """
    ratio, log_c = _start(case)
    loss = case.run.series("train/loss").finite().value
    if ratio < TWICE or len(loss) < POINTS or not _is_even(case, loss):
        return False
    parts = np.array_split(loss, QUARTER)
    before, end = float(np.median(parts[-2])), float(np.median(parts[-1]))
    fell = ratio * log_c - end
    if end >= (1 - LEARNED) * ratio * log_c or before - end > RESTS * fell:
        return False
    return end > WELL_ABOVE * log_c


def is_soon_lost(case: Case) -> bool:
    """Tell whether what lay above a guess was lost within the first steps, or much faster than all else."""
    ratio, log_c = _start(case)
    loss = case.run.series("train/loss").finite()
    if ratio < TWICE or len(loss) < POINTS or is_training_alone(case):
        return False
    below = np.flatnonzero(loss.value < ABOVE * log_c)
    if len(below) and loss.step[below[0]] <= SOON * loss.step[-1]:
        return True
    left, came, passed = (
        _first_below(loss.value, level)
        for level in (LEFT * ratio * log_c, AT_GUESS * log_c, PASSED * log_c)
    )
    if left is None or came is None:
        return False
    rests = loss.step[passed if passed is not None else -1] - loss.step[came]
    return bool(rests > LONGER * (loss.step[came] - loss.step[max(left - 1, 0)]))


def _first_below(loss: FloatArray, level: float) -> int | None:
    below = np.flatnonzero(loss < level)
    return int(below[0]) if len(below) else None


def _is_even(case: Case, loss: FloatArray) -> bool:
    """Tell whether the first losses follow each other closely: sure and wrong answers scatter from batch to
    batch.
    """
    first = loss[:POINTS]
    scatter = np.abs(np.diff(first, 2)) / SECOND / np.maximum(first[1:-1], 1e-12)
    return not rises_at_first(case) and float(np.median(scatter)) < UNEVEN


def dearness(case: Case) -> float | None:
    """Return what answers cost later on, over the most that they cost if they mean what they say, over the
    same at the start; None where that is not known.

    A multiple keeps that share (models are a little surer of right answers than of wrong ones), an excess
    loses it.
    """
    ratio, log_c = _start(case)
    loss, accuracy = (case.run.series(f"train/{name}").finite() for name in ("loss", "accuracy"))
    if ratio < TELLING or not len(loss) or not len(accuracy) or not _is_even(case, loss.value):
        return None
    _, one, other = np.intersect1d(loss.step, accuracy.step, return_indices=True)
    wrong = 1 - share(accuracy.value)[other]
    guessed = 1 - math.exp(-log_c)  # share of wrong answers in a guess
    tells = (wrong < (1 - BETTER) * guessed) & (wrong > RARE)
    if int(tells.sum()) < FEWEST:
        return None
    wrong = wrong[tells]
    honest = -(wrong * np.log(wrong) + (1 - wrong) * np.log(1 - wrong))
    honest += wrong * math.log(max(math.exp(log_c) - 1, 1))
    return float(np.median(loss.value[one][tells] / honest)) / ratio


def excess_clues(case: Case, weight: float = MODERATE) -> list[Clue]:
    """Weigh the course for a fault that makes an excess and no multiple; `weight` of one that stays."""
    dear = dearness(case)
    clues = []
    if stays_above(case):
        text = (
            "The loss is learned all along and stays above a guess: an excess is unlearned first."
        )
        clues.append(Clue(text, -weight if _went_far(case) else -WEAK))
    elif is_soon_lost(case):
        text = "The loss was soon down to a guess: an excess is unlearned first."
        clues.append(Clue(text, WEAK))
    if dear is not None and dear > AS_DEAR:
        text = (
            f"Later answers cost {dear:.0%} of {_start(case)[0]:.0f} x what they should, as the first ones "
            "did: it was not sure and wrong answers that made the loss high."
        )
        clues.append(Clue(text, -STRONG))
    return clues


def multiple_clues(case: Case) -> list[Clue]:
    """Weigh the course for a loss that is a multiple from first to last."""
    dear = dearness(case)
    clues = _below_entropy(case)
    if stays_above(case):
        text = "The loss is learned all along and stays above a guess to the end: it is a multiple."
        clues.append(Clue(text, STRONG if _went_far(case) else WEAK))
    elif is_soon_lost(case):
        text = "The loss was soon down to a guess: a multiple is not unlearned."
        clues.append(Clue(text, -MODERATE))
    if dear is not None and dear > AS_DEAR:
        text = (
            f"Later answers cost {dear:.0%} of {_start(case)[0]:.0f} x what they should, as the first ones "
            "did: the whole loss is a multiple."
        )
        clues.append(Clue(text, STRONG))
    elif dear is not None and dear < CHEAP and not is_training_alone(case):
        text = (
            f"Later answers cost {dear:.0%} of {_start(case)[0]:.0f} x what they should: sure and wrong "
            "answers were unlearned, where a multiple stays."
        )
        clues.append(Clue(text, -STRONG))
    return clues


def _below_entropy(case: Case) -> list[Clue]:
    """Text cannot be foretold beyond its entropy: what would be less for each part is no sum of parts."""
    loss = case.run.series("train/loss").finite().value
    ratio, log_v = _start(case)
    if not case.run.number("vocab_size") or ratio < TWICE or len(loss) < POINTS:
        return []
    end = float(np.median(loss[-len(loss) // QUARTER :])) / ratio
    if end > OF_TEXT * log_v or is_training_alone(case):
        return []
    text = f"Parts of a sum would end at {end:.2g} each, {end / log_v:.0%} of log(V): no text is so certain."
    return [Clue(text, -MODERATE)]


def _went_far(case: Case) -> bool:
    """Tell whether the steps were long enough, as far as that is known, to unlearn any excess."""
    far = reach(case)
    return far is None or far.travel is None or far.travel > FAR


def _start(case: Case) -> tuple[float, float]:
    """Return the initial loss over log(C), and log(C); zeros where nothing is known to be high."""
    ratio, log_c = (case.number("initial-loss-high", name) for name in ("ratio_to_log_c", "log_c"))
    return ratio or 0.0, log_c or 0.0
