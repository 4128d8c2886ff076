"""How the evaluation compares with a model that has learned nothing, and with the training beside it."""

from __future__ import annotations

import numpy as np

from loganalyze.causes.cause import Case
from loganalyze.signals.accuracy import share
from loganalyze.signals.loss_kind import LossKind, chance, loss_kind
from loganalyze.signals.robust import FloatArray

FIRST = 3  # train losses whose median is the level of a model that has learned nothing
BESIDE = 5  # train values about an evaluation
STARTED = 0.05  # of the run: a log that begins later does not hold the start
ERRORS = 4.0  # standard errors by which two accuracies differ for certain
CLEARLY = 0.12  # difference of accuracies; dropout and augmentation explain less
LOWER = 0.88  # times the train loss; dropout of a tenth and averaging explain less
ROW = 3  # evaluations
DROPS = ("dropout", "hidden_dropout_prob", "attention_dropout", "resid_pdrop", "drop_path", "mixup")


def untrained_level(case: Case) -> float | None:
    """Return the loss of a model that has learned nothing: of a guess, or of a regression's first steps."""
    guess = chance(case.run)
    if guess is not None and loss_kind(case.run) is LossKind.CROSS_ENTROPY:
        return guess.log_c
    loss = case.run.series("train/loss").finite()
    if len(loss) < 2 * FIRST or loss_kind(case.run) is not LossKind.REGRESSION:
        return None
    if int(loss.step[FIRST - 1]) > STARTED * int(loss.step[-1]) + FIRST:
        return None
    level = float(np.median(loss.value[:FIRST]))
    return level if level > 0 else None


def best_evaluation(case: Case) -> float | None:
    """Return the lowest evaluation loss over that of a model that has learned nothing."""
    level, evals = untrained_level(case), case.run.series("eval/loss").finite().value
    return float(evals.min()) / level if level and len(evals) > 1 else None


def answers_better(case: Case) -> str:
    """Say how much better the evaluation is answered than the training beside it; empty where it is not.

    Dropout and augmentation act in training only as well; where the settings name much of them, it is
    empty.
    """
    if any((case.run.number(key) or 0) > 1 - LOWER for key in DROPS):
        return ""
    return _more_right(case) or _cheaper(case)


def _more_right(case: Case) -> str:
    evals, train = (case.run.series(f"{part}/accuracy").finite() for part in ("eval", "train"))
    batch = (case.run.number("train_batch_size") or 0) * (
        case.run.number("gradient_accumulation_steps") or 1
    )
    if not len(evals) or len(train) < BESIDE or batch < 2:
        return ""
    held, seen = share(evals.value), _beside(evals.step, train.step, share(train.value))
    error = ERRORS * np.sqrt(np.maximum(seen * (1 - seen), 1 / batch) / (batch * BESIDE))
    best = int(np.argmax(held - seen - error))
    if held[best] - seen[best] < max(CLEARLY, error[best]):
        return ""
    return (
        f"At step {evals.step[best]:,} the evaluation is answered right in {held[best]:.0%}, the training "
        f"beside it in {seen[best]:.0%}"
    )


def _cheaper(case: Case) -> str:
    evals, train = (case.run.series(f"{part}/loss").finite() for part in ("eval", "train"))
    if len(evals) < ROW or len(train) < BESIDE or loss_kind(case.run) is not LossKind.CROSS_ENTROPY:
        return ""  # of a regression single rows may cost as much as all others
    ratio = evals.value / np.maximum(_beside(evals.step, train.step, train.value), 1e-12)
    in_a_row = [float(ratio[i : i + ROW].max()) for i in range(len(ratio) - ROW + 1)]
    if min(in_a_row) > LOWER:
        return ""
    return (
        f"One evaluation after another costs {min(in_a_row):.2f} x what the training beside it does"
    )


def _beside(steps: np.ndarray, at: np.ndarray, value: FloatArray) -> FloatArray:
    """Return for each of `steps` the mean of the values about it."""
    sums = np.r_[0.0, np.cumsum(value)]
    first = np.clip(np.searchsorted(at, steps) - BESIDE // 2, 0, len(value) - BESIDE)
    return np.asarray((sums[first + BESIDE] - sums[first]) / BESIDE)
