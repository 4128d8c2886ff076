"""Divergence that a train loss alone does not tell: of the values of actions, and of the evaluations."""

from __future__ import annotations

import re

import numpy as np

from loganalyze.run import Run, Series
from loganalyze.signals.robust import FloatArray, mad_sigma
from loganalyze.signals.smooth import block_medians

POINTS = 20  # log points of a loss whose growth is judged
BLOCKS = 10
GROWTH = 10.0  # times the first tenth; errors grow with the values, and those with what is earned
STEADY = 0.9  # rank correlation of the blocks with time: no phase, a growth
NOISE = 3.0  # robust standard deviations of a block of returns: a lesser gain is chance
EVALUATIONS = 5
RISEN = 2.0  # times the first evaluation, of each later one
FIRST = 3  # log points at least that tell the start
# Settings of quantised codes: how far the codes spread is a term of the loss, and grows at first.
CODEBOOK = ("codebook_size", "commitment_cost", "commitment_weight")
_ERROR = re.compile(r"(?:^|[/_])(?:critic|value|v|vf|q|qf\d?|td)_?loss$", re.I)
_RETURN = re.compile(
    r"(?:^|[/_])(?:mean_|avg_|ep_|episode_|episodic_)?(?:rew(?:ard)?s?|scores?|returns?)(?:_mean|/mean)?$",
    re.I,
)


def values_diverge(run: Run) -> Series | None:
    """Return the error of the values that grows all along while no more is earned, or None.

    Values that feed on their own overestimates grow without bound. Errors of a policy that earns more grow as
    well, with the values: without a return in the log the two look alike.
    """
    names = [str(name) for name in run.metrics["metric"].cat.categories]
    earned = [run.series(name).finite() for name in names if _RETURN.search(name)]
    earned = [series for series in earned if len(series) >= POINTS]
    if not earned or any(_gained(series.value) for series in earned):
        return None
    for name in ("train/loss", *(name for name in names if _ERROR.search(name))):
        series = run.series(name).finite()
        if len(series) < POINTS or not (series.value > 0).all():
            continue
        blocks = block_medians(series.value, BLOCKS)
        order = np.argsort(np.argsort(blocks))
        steady = float(np.corrcoef(order, np.arange(len(blocks)))[0, 1])
        if blocks[-1] >= GROWTH * blocks[0] and steady >= STEADY:
            return series
    return None


def _gained(returns: FloatArray) -> bool:
    """Tell whether more was ever earned than at first, beyond chance."""
    blocks = block_medians(returns, BLOCKS)
    noise = mad_sigma(np.diff(blocks, 2)) / np.sqrt(6.0)
    return bool(blocks[1:].max() > blocks[0] + NOISE * noise)


def evaluations_diverge(run: Run, train: Series) -> Series | None:
    """Return the evaluation loss if each later one is far above the first and training has not fallen.

    A train loss that swings by factors hides in its noise that the model only gets worse. One that falls
    meanwhile is another matter: what is learned does not hold.
    """
    series = run.series("eval/loss").finite()
    if len(series) < EVALUATIONS or len(train) < POINTS or series.value[0] <= 0:
        return None
    if float(series.value[1:].min()) < RISEN * float(series.value[0]):
        return None
    start = float(np.median(train.value[: max(FIRST, len(train) // BLOCKS)]))
    return series if float(np.median(train.value[len(train) // 2 :])) >= start else None


def spreads_codes(run: Run) -> bool:
    """Tell whether the loss has a term that grows as the codes of a codebook spread."""
    return any(run.setting(key) is not None for key in CODEBOOK)
