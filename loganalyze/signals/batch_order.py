"""Whether batches are alike inside and differ from each other, and whether they come in the same order each
epoch.

With shuffled data a batch of B samples, of which the share p is answered right, varies by ``p (1 - p) / B``
and by how fast the model changes. Batches of one class each are answered nearly all right or nearly all
wrong. And where the order is the same in every epoch, so are the ups and downs of the loss along it.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from loganalyze.run import Run, Series
from loganalyze.signals.accuracy import share
from loganalyze.signals.loss_kind import chance
from loganalyze.signals.lr import restarts
from loganalyze.signals.restart import told_restarts
from loganalyze.signals.robust import FloatArray

WINDOW = 21  # log points over which the accuracy has a level
FEWEST = 30  # log points; the spread of fewer is off by a quarter
MEDIAN_OF_CHI2 = (
    0.455  # of a squared normal deviate: the median of a variance is that part of its mean
)
SLOTS = (6, 12)  # parts of an epoch, fewest and most; each must have a log point
EPOCHS = 3  # epochs that are compared, at least
ENOUGH = 30.0  # right answers of a guess; half of them or fewer come by chance once in 10,000 times
SELDOM = 0.5  # of the right answers of a guess
SLIDES = 0.65  # share of the steps at which the loss falls; of shuffled batches half do
LEAP = 0.2  # of the log loss: it costs a fifth more than the batch before
LEAPS = (15, 0.05)  # of them at least, and per log point: more than a run that breaks down has
KEPT = 0.4  # correlation of a batch's loss, less its level, with the one before
BEFORE, AFTER = 5, 3  # log points whose levels are compared at a change of kinds
TIMES = 3.0  # every loss after it over every one before: no noise of batches parts them so
KNOWN = 0.7  # of the first losses: what came before a change of kinds had been learned
SHOWN = 0.7  # of the first evaluation; one of all kinds hardly falls where they come one by one
STAYS = 2.0  # times the level before that the loss still has later: no spike that is made good
LATER = (20, 30)  # log points after it
CLEAR = 3.5  # standard errors of the mean correlation of epochs that have nothing in common


def accuracy_spread(run: Run) -> float | None:
    """Return how many times the variance of shuffled batches the train accuracy has, or None if unknown."""
    value = share(run.series("train/accuracy").finite().value)
    batch = (run.number("train_batch_size") or 0) * (run.number("gradient_accumulation_steps") or 1)
    if len(value) < FEWEST or batch < 2:
        return None
    half = WINDOW // 2
    padded = np.pad(value, half, mode="reflect")
    level = np.convolve(padded, np.ones(WINDOW) / WINDOW, "valid")
    expected = np.maximum(level * (1 - level), 0.5 / batch) / batch
    variance = (value - level) ** 2 * WINDOW / (WINDOW - 1)
    return float(np.median(variance) / np.median(expected) / MEDIAN_OF_CHI2)


def hits_and_guesses(run: Run) -> tuple[float, float] | None:
    """Return how many answers of the logged batches are right, and how many of an even guess would be.

    Of batches whose loss is still that of a guess or worse: later there are no guesses. None if unknown.
    """
    guess = chance(run)
    loss, accuracy = (run.series(f"train/{name}").finite() for name in ("loss", "accuracy"))
    batch = (run.number("train_batch_size") or 0) * (run.number("gradient_accumulation_steps") or 1)
    if guess is None or not len(loss) or not len(accuracy) or not batch:
        return None
    value = share(accuracy.value)[np.interp(accuracy.step, loss.step, loss.value) > guess.log_c]
    return float(value.sum() * batch), len(value) * batch / guess.classes


def same_order(run: Run) -> float | None:
    """Return how alike the course of the loss is from one epoch to the next (a correlation).

    0 where it may be chance: over n pairs of epochs in s parts, less a line, its standard error is
    ``1 / sqrt(n (s - 2))``. None where there are too few epochs or points in them.
    """
    loss = run.series("train/loss").finite()
    place = epochs(run, loss)
    if place is None:
        return None
    number = np.floor(place - 1e-9)
    names, counts = np.unique(number, return_counts=True)
    slots = min(int(np.median(counts)) * 3 // 4, SLOTS[1])
    if slots < SLOTS[0]:
        return None
    parts = ((place[number == epoch] - epoch, loss.value[number == epoch]) for epoch in names)
    courses = [course for part in parts if (course := _course(*part, slots)) is not None]
    courses = courses[len(courses) // 3 :]  # the first ones fall too fast to compare
    if len(courses) < EPOCHS:
        return None
    pairs = [np.corrcoef(one, other)[0, 1] for one, other in itertools.pairwise(courses)]
    alike = float(np.mean(pairs))
    return alike if alike * np.sqrt(len(pairs) * (slots - 2)) > CLEAR else 0.0


def slides_and_leaps(run: Run) -> int | None:
    """Return how often the loss leaps where it falls step by step between the leaps; None where it does not.

    A model that gets one kind of sample for a while learns to expect it, and pays when the next kind begins.
    The losses of shuffled batches lie above and below their level at random.
    """
    value = run.series("train/loss").finite().value
    if len(value) < LEAPS[0] / LEAPS[1] / 2 or value.min() <= 0:
        return None
    log = np.log(value)
    steps = np.diff(log)
    half = WINDOW // 2
    left = log - np.convolve(np.pad(log, half, mode="reflect"), np.ones(WINDOW) / WINDOW, "valid")
    kept = float((left[1:] * left[:-1]).mean() / max(float((left**2).mean()), 1e-12))
    leaps = int((steps > LEAP).sum())
    if leaps < max(LEAPS[0], LEAPS[1] * len(value)) or kept < KEPT:
        return None
    return leaps if float((steps < 0).mean()) > SLIDES else None


def changes_of_kind(run: Run) -> list[int]:
    """Return the steps at which the loss leaps to another level, from one log point to the next, and stays.

    A kind of sample that comes alone for a long while is learned until nothing else is known; the next kind
    costs many times as much at once, and is learned in its turn. A rate that goes up again or a restart makes
    such a leap, too, and does not count; nor does any where an evaluation shows that all kinds are known.
    """
    evals = run.series("eval/loss").finite().value
    if len(evals) > 1 and evals.min() < SHOWN * evals[0]:
        return []
    loss = run.series("train/loss").finite()
    value, told = loss.value, np.concatenate([restarts(run), told_restarts(run)])
    last = len(value) - (LATER[0] + LATER[1]) // 2
    if last < BEFORE:
        return []
    known = KNOWN * float(np.median(value[:AFTER]))
    before = sliding_window_view(value, BEFORE)[: last - BEFORE + 1]
    after = sliding_window_view(value, AFTER)[BEFORE : last + 1]
    level = before.max(axis=1)
    leaps = (before.min(axis=1) > 0) & (level < np.minimum(known, after.min(axis=1) / TIMES))
    found: list[int] = []
    for at in (np.flatnonzero(leaps) + BEFORE).tolist():
        if np.median(value[at + LATER[0] : at + LATER[1]]) < STAYS * level[at - BEFORE]:
            continue
        near = (told >= loss.step[at - AFTER]) & (told <= loss.step[at])
        if not near.any() and (loss.segment[at - 1] == loss.segment[at]):
            found.append(int(loss.step[at]))
    return found


def epochs(run: Run, loss: Series) -> FloatArray | None:
    """Return the epoch of each loss: as logged, or from the size of the data."""
    if len(loss) and np.isfinite(loss.epoch).all() and (loss.epoch != np.floor(loss.epoch)).any():
        return loss.epoch
    samples, batch = run.number("train_samples"), run.number("train_batch_size")
    if not samples or not batch or not len(loss):
        return None
    steps = samples // (batch * (run.number("gradient_accumulation_steps") or 1))
    return loss.step / steps if steps else None


def _course(place: FloatArray, value: FloatArray, slots: int) -> FloatArray | None:
    """Return the mean loss in each part of one epoch, less its trend; None where a part has no point."""
    slot = np.minimum((place * slots).astype(int), slots - 1)
    count = np.bincount(slot, minlength=slots)
    if (count == 0).any():
        return None
    mean = np.bincount(slot, value, slots) / count
    at = np.arange(slots)
    left = mean - np.polyval(np.polyfit(at, mean, 1), at)
    return left if np.ptp(left) > 0 else None
