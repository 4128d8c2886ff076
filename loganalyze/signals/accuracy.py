"""Accuracies: as shares, and whether that of the training is no better than a guess."""

from __future__ import annotations

import numpy as np

from loganalyze.run import Run
from loganalyze.signals.loss_kind import chance

FEWEST = 10  # log points; an accuracy of one batch says little
NEAR = 1.5  # times 1 / C; above it more than a guess
MANY = 3  # classes; with two, a guess is as near to an accuracy that is learned


def share(accuracy: np.ndarray) -> np.ndarray:
    """Return accuracies as shares, also where they were logged in percent."""
    return accuracy / 100 if len(accuracy) and accuracy.max() > 1 else accuracy


def guessed_accuracy(run: Run) -> float | None:
    """Return the train accuracy over the last third, as a share, where it is that of a guess; else None."""
    values = share(run.series("train/accuracy").finite().value)
    guess = chance(run)
    if guess is None or guess.classes < MANY or len(values) < FEWEST:
        return None
    level = float(values[-(len(values) // 3) :].mean())
    return level if level * guess.classes < NEAR else None


def beats_guess(run: Run) -> bool:
    """Tell whether the evaluation got clearly more right than a guess does."""
    values = share(run.series("eval/accuracy").finite().value)
    guess = chance(run)
    return guess is not None and len(values) > 0 and float(values[-1]) * guess.classes > 2 * NEAR
