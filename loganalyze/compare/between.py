"""What two runs of one config differ by because of their seed.

The noise within a curve does not tell it: another initialisation and another order of the data move the
whole curve, and one pair of runs cannot tell by how much. It was measured on pairs of runs that differ in
their seed only (`benchmarks/pairs`, the tasks for development), in shares of what a run does itself, so
that it fits curves of any height and steepness:

* its level: a share of the way that the curve has come by then, and a share of the noise of single training
  losses, for what one batch does to a step, the order of all batches does to the run;
* its pace: a curve runs a little ahead or behind, by its own slope over a share of the steps so far;
* its start: what happened before the first point was not logged, and there a curve is steepest.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from loganalyze.signals.robust import noise_sigma

if TYPE_CHECKING:
    from loganalyze.compare.axis import Aligned
    from loganalyze.compare.noise import Blocks
    from loganalyze.compare.scale import Scale
    from loganalyze.run import FloatArray, Run

# Standard deviations of one run, measured as the docstring says.
LEVEL = 0.02  # of a training curve's level, as a share of its range
LEVEL_EVAL = 0.04  # of an evaluation's: it is not averaged over many batches
JITTER = 0.1  # of a training loss's level, as a share of the noise of a single loss
JITTER_EVAL = 0.3  # of an evaluation loss's level, in the same unit: overfitting widens it
SCORE_EVAL = 0.05  # of an evaluation score's level, as a share of its range
LEAST = 0.005  # of the level itself, however calm a run is
EARLY = 0.25  # of the range of a curve at its first point, less later as one over the steps
PACE = 0.08  # of the logarithm of the steps that a level takes
UNKNOWN = 0.15  # of the level of what is no loss and no score: norms, weights, whatever was logged
NEAR = 0.4  # of the logarithm of the axis: over less, noise makes the slope
TRAINER = "hf-trainer"  # logs the mean loss of the steps since the last line
FEWEST = 8  # training losses that tell how noisy one is


def jitter(run: Run, *, logarithmic: bool) -> float:
    """Return the noise of a single training loss in the later half of a run, as a share of it or as it is."""
    values = run.series("train/loss").finite().value
    late = values[len(values) // 2 :]
    if len(late) < FEWEST or (logarithmic and float(late.min()) <= 0):
        return 0.0
    noise = noise_sigma(np.log(late) if logarithmic else late)
    return float(noise * np.sqrt(_averaged(run)))


def _averaged(run: Run) -> float:
    """Return how many steps a logged loss is the mean of: those since the last one, with the Trainer."""
    if run.framework != TRAINER:
        return 1.0
    return max(float(np.median(np.diff(run.series("train/loss").step))), 1.0)


def between(
    aligned: Aligned, blocks: Blocks, scale: Scale, *, evaluated: bool, noise: float
) -> FloatArray:
    """Return the standard deviation of each block's difference that another seed explains.

    Parameters
    ----------
    evaluated
        Whether the metric is one of the evaluation.
    noise
        Of a single training loss (`jitter`), the calmer run's.
    """
    curves = [_medians(scale.of(values), blocks) for values in (aligned.a, aligned.b)]
    way = np.min([_way(curve) for curve in curves], axis=0)
    if scale.better > 0:
        shares = (SCORE_EVAL if evaluated else LEVEL, 0.0)
    else:
        shares = (LEVEL_EVAL, JITTER_EVAL) if evaluated else (LEVEL, JITTER)
    # Of the level itself: on a logarithmic scale that is a plain number.
    unit = 1.0 if scale.logarithmic else max(float(np.median(np.abs(c))) for c in curves)
    least = unit * (LEAST if scale.better else UNKNOWN)
    level = (shares[0] * way) ** 2 + (shares[1] * noise) ** 2 + least**2
    at = _medians(aligned.at, blocks)
    # What both do is their pace; what one does alone is what they part by.
    pace = PACE * np.min([_slope(at, curve) for curve in curves], axis=0)
    start = EARLY * way[-1] * _unlogged(aligned.at, at)
    return np.asarray(np.sqrt(2.0 * (level + pace**2 + start**2)))


def _way(curve: FloatArray) -> FloatArray:
    """Return the range of a curve up to the block after each: how far it had come by then."""
    reached = np.r_[curve[1:], curve[-1:]]
    high = np.maximum(np.maximum.accumulate(reached), curve[0])
    return np.asarray(high - np.minimum(np.minimum.accumulate(reached), curve[0]))


def _unlogged(points: FloatArray, at: FloatArray) -> FloatArray:
    """Return the share of the way to each block that lies before the first point."""
    if len(points) < 2 or points[0] < 0.5 * float(np.median(np.diff(points))):
        return np.zeros(len(at))  # the first step was logged
    return np.asarray(np.clip(points[0] / np.maximum(at, 1e-12), 0.0, 1.0))


def _medians(values: FloatArray, blocks: Blocks) -> FloatArray:
    edges = blocks.first
    parts = pairwise(edges)
    return np.array([float(np.median(values[a:b])) for a, b in parts])


def _slope(at: FloatArray, curve: FloatArray) -> FloatArray:
    """Return how steep a curve is around each block, over the logarithm of its axis: the steepest near."""
    if len(curve) < 2:
        return np.zeros(len(curve))
    place = np.log(np.maximum(at, 1e-12))
    around = np.abs(place[:, None] - place[None, :]) <= NEAR
    around |= np.abs(np.subtract.outer(np.arange(len(place)), np.arange(len(place)))) <= 1
    slopes = np.zeros(len(place))
    for index, near in enumerate(around):
        x = place[near] - place[near].mean()
        slopes[index] = abs(float(x @ curve[near] / max(float(x @ x), 1e-12)))
    return np.array([slopes[near].max() for near in around])
