"""Gradients that are added up from step to step: nobody sets them to zero.

The sum of n gradients is n times as long where they are alike and sqrt(n) times where they are not, so that
the norm grows all along. A gradient that explodes takes the loss with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loganalyze.causes.cause import Case
from loganalyze.signals.movement import movement

POINTS = 10  # gradient norms
GROWN = 3.5  # times; from the first to the last tenth a sum of unlike gradients grows sqrt(19) = 4.4 times
RISES = 0.9  # rank correlation with the step; a norm that comes and goes has none
STANDS = 0.98  # share of the first losses; a gradient may grow where something is learned
MOVES = 1e-3  # share of the evaluation loss; the same weights have the same loss
STANDING = ("loss-at-chance", "loss-plateau", "slow-convergence")


@dataclass(frozen=True, slots=True)
class Uncleared:
    """A gradient norm that only grows.

    Attributes
    ----------
    times
        The last norms over the first ones.
    moves
        Whether the weights are changed all the same; None where no evaluation tells.
    """

    times: float
    moves: bool | None


def uncleared(case: Case) -> Uncleared | None:
    """Return how the gradient norm grew; None where it does not, all along, beside a loss that stands."""
    norm = case.run.series("train/grad_norm").finite().value
    if len(norm) < POINTS or not case.found(*STANDING):
        return None
    part = len(norm) // POINTS
    times = float(np.median(norm[-part:])) / max(float(np.median(norm[:part])), 1e-12)
    loss = case.run.series("train/loss").finite().value
    tenth = max(len(loss) // POINTS, 1)
    learned = np.median(loss[-tenth:]) < STANDS * np.median(loss[:tenth])
    if learned or times < GROWN or _rank_correlation(norm) < RISES:
        return None
    course = movement(case.run)
    if (
        course is not None
        and course.is_straight
        and MOVES * course.first < course.first - course.last
    ):
        return None  # it learns, however slowly
    return Uncleared(times, None if course is None else course.span > MOVES)


def _rank_correlation(value: NDArray[np.float64]) -> float:
    """Return Spearman's correlation of the values with their order."""
    ranks = np.argsort(np.argsort(value))
    return float(np.corrcoef(ranks, np.arange(len(value)))[0, 1])
