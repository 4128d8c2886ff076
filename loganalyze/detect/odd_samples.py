"""Spikes that one odd sample explains: it is part of a mean over a batch, and gone with it."""

from __future__ import annotations

import numpy as np

from loganalyze.run import Run, Series

FIRST = 8  # log points that tell the level of the start
KNOWN = 0.05  # share of the first losses, below which nearly all samples are answered right
WRONG_SAMPLE = 10.0  # nats: what an answer costs that was given a chance of 1 in 22,000
BACK = 2.0  # times the level before: below it the loss is back


def are_single_samples(
    run: Run, series: Series, spikes: list[tuple[int, int]], level: np.ndarray
) -> bool:
    """Tell whether one sample a batch, of which the model knows nearly all, explains every spike.

    Then the loss is near 0 but for the batch with a sample that is answered wrong, and that alone. What one
    sample adds to the mean is its own loss over the size of the batch.

    Parameters
    ----------
    spikes
        First and last index of each.
    level
        Of the loss before each point.
    """
    batch = (run.number("train_batch_size") or np.inf) * (
        run.number("gradient_accumulation_steps") or 1
    )
    known = KNOWN * float(np.median(series.value[:FIRST]))
    return all(
        last < len(series) - 1
        and level[first] < known
        and float(series.value[first : last + 1].max()) < known + WRONG_SAMPLE / batch
        for first, last in spikes
    )


def are_odd_targets(series: Series, spikes: list[tuple[int, int]], level: np.ndarray) -> bool:
    """Tell whether each spike is one point, gone at the next.

    The square of an error has no bound: one target far out makes one batch many times as bad as the rest.
    """
    return all(
        first == last < len(series) - 1 and series.value[first + 1] <= BACK * level[first]
        for first, last in spikes
    )
