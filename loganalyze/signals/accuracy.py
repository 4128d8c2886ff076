"""Accuracies: as shares, and whether that of the training is no better than a guess."""

from __future__ import annotations

import numpy as np

from loganalyze.run import Run
from loganalyze.signals.loss_kind import chance

FEWEST = 10  # log points; an accuracy of one batch says little
NEAR = 1.5  # times 1 / C; above it more than a guess
EVALUATIONS = 5  # fewer may agree by chance
SKIPPED = 5  # the first fifth of the evaluations: the model may still be leaving its start
FEW = 0.4  # different accuracies per evaluation; of 400 samples those of a guess scatter over about 10
MOST = 2.5  # times 1 / C; the share of the most frequent class
SURE = 0.5  # accuracy; a constant one below it is no task that is solved
MOSTLY = 0.9  # accuracy; of two classes one may be as frequent, and hardly ever is
LAST = 10  # train accuracies whose median is the level at the end
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


def one_answer(run: Run) -> bool:
    """Tell whether the model gives all samples of an evaluation one and the same answer.

    Its accuracy is then the share of that class, and takes few values however often it is evaluated. Weights
    that follow noise answer some samples otherwise each time.
    """
    values = share(run.series("eval/accuracy").finite().value)
    values = values[len(values) // SKIPPED :]
    guess = chance(run)
    if len(values) < EVALUATIONS:
        return False
    if len(np.unique(values)) == 1 and 0 < values[0] < (1 if guess is None else SURE):
        return True
    if guess is None:
        return False
    if float(values.max()) * guess.classes > MOST or float(values.max()) > MOSTLY:
        return False
    return len(np.unique(values)) <= max(FEW * len(values), 1)


def beats_guess(run: Run) -> bool:
    """Tell whether evaluation or training got clearly more right than a guess does."""
    guess = chance(run)
    if guess is None:
        return False
    ends = (
        share(run.series(f"{part}/accuracy").finite().value)[-LAST:] for part in ("eval", "train")
    )
    # Of an evaluation the last one counts: it is taken over many samples.
    last = [
        float(np.median(end[-1:] if index == 0 else end))
        for index, end in enumerate(ends)
        if len(end)
    ]
    return any(value * guess.classes > 2 * NEAR for value in last)
