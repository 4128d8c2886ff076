"""The evaluation loss has turned up from its best while the train loss keeps falling.

What it does
------------
After its best value the evaluation loss stays above it for at least `patience` evaluations to the
end, by more than its own noise and by at least `rise`, while the train loss falls by at least
`train_falls`. The gap ratio is ``(eval - train) / train`` at the end. Two or three evaluations are judged
with little confidence: each must be worse than the one before (`rise_few` in all), and the last `gap_few`
times the train loss, which fell by `train_falls_few`.

Why it matters
--------------
From the best evaluation on, the model learns the training set instead of the task: the checkpoint
to keep is the best, and the compute after it is lost.

Not to be confused with
-----------------------
Noise in the evaluation. An evaluation loss above the train loss from the start but still falling. Train and
evaluation loss rising together, which is divergence. An evaluation that stands, but below the start of the
training: it had got better before it was first made; or at log(C), as bad as a guess: it was never better
(notes).

Settings
--------
`patience`, `rise`, `rise_warning`, `train_falls`, `rise_few`, `train_falls_few`, `train_falls_stands`,
`early`, `untrained`, `gap_few`, `noise`.

Fix
---
Keep the best checkpoint, stop early, train fewer epochs, regularise, or get more data.

References
----------
Prechelt, "Early Stopping, But When?" (1998). Evaluation above its best three times in a row is
the plain form of the rule.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.detect.score_turn import by_score
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run, Series
from loganalyze.settings import setting
from loganalyze.signals.loss_kind import LossKind, chance, loss_kind
from loganalyze.signals.robust import FloatArray, mad_sigma
from loganalyze.signals.smooth import block_medians
from loganalyze.signals.trend import change

FEWEST = 2  # evaluations that can show a turn
FALLS = 2.0  # standard errors of a level of the train loss; a fall is expected, and shown elsewhere
FEWEST_TREND = 10  # evaluations; a line through fewer knows little of their noise
FEWEST_NOISE = 6  # values whose second differences tell a scale
FIRST = 3  # train losses that tell the start
NEAR = 3  # evaluations at each side of the best that are its level
MEDIAN_ERROR = 1.2533  # sqrt(pi / 2): standard error of a median against that of a mean
AS_A_GUESS = 0.05  # relative distance to log(C)


@dataclass(frozen=True)
class OverfitSettings:
    """Thresholds of the check."""

    patience: int = setting(3, unit="evaluations", source="above the best three times in a row")
    rise: float = setting(0.05, unit="share of the best", source="less is evaluation noise")
    rise_warning: float = setting(0.15, unit="share of the best", source="a visible turn")
    train_falls: float = setting(0.03, unit="share of the train loss", source="still learning")
    rise_few: float = setting(0.02, unit="share of the first", source="with 2 or 3 evaluations")
    train_falls_few: float = setting(0.1, unit="share of the train loss", source="clearly falling")
    train_falls_stands: float = setting(
        0.4, unit="share of the train loss", source="far more than the evaluation moves"
    )
    early: float = setting(
        0.75, unit="share of the first train losses", source="less: it has learned a quarter"
    )
    untrained: float = setting(
        0.9, unit="share of the first train losses", source="what was learned is of no use there"
    )
    gap_few: float = setting(2.0, unit="ratio to the train loss", source="far apart already")
    noise: float = setting(3.0, unit="robust standard deviations", source="three sigma")


def detect(run: Run, settings: OverfitSettings) -> Detected:
    """Look for the turn of the evaluation loss."""
    if loss_kind(run) in (LossKind.REINFORCEMENT, LossKind.ADVERSARIAL, LossKind.UNBOUNDED):
        return NotApplicable("evaluation and train loss are not comparable for this kind of loss")
    evals, train = run.series("eval/loss").finite(), run.series("train/loss").finite()
    if not len(evals) and len(train) and (fallen := by_score(run, train)) is not None:
        return (fallen,)
    if not len(evals):
        return NotApplicable("no eval/loss was logged")
    if len(evals) < FEWEST or not len(train):
        return NotApplicable(f"{len(evals)} evaluations are too few, {FEWEST} needed")
    if len(evals) <= settings.patience:
        return _in_few(evals, train, settings)
    if float(evals.value.min()) <= 0:
        return NotApplicable("the evaluation loss is not positive")
    turned = _turned(evals, train, settings)
    parted = None if turned else _stands(run, evals, train, settings)
    return turned if parted is None else (parted,)


def _turned(evals: Series, train: Series, settings: OverfitSettings) -> tuple[Finding, ...]:
    """Judge an evaluation that got better first, and then worse."""
    best = int(np.argmin(evals.value))
    after = evals.take(slice(best + 1, None))
    low = float(evals.value[best])
    if len(after) < settings.patience or low <= 0:
        return ()
    last = float(np.median(after.value[-settings.patience :]))
    rise = last / low - 1
    climbs = _climbs(after.value, settings) or _stays_higher(evals.value, best, settings)
    if rise < settings.rise or (not climbs and last - low < _by_chance(evals.value, settings)):
        return ()
    if (after.value[-settings.patience :] <= low * (1 + settings.rise / 2)).any():
        return ()
    at_best, at_end = _train_levels(train, int(evals.step[best]))
    if at_end > at_best * (1 - settings.train_falls):
        return ()
    if at_best - at_end < FALLS * _level_error(train):
        return ()
    return (_finding(evals, best, last, rise, at_best, at_end, settings),)


def _climbs(after: FloatArray, settings: OverfitSettings) -> bool:
    """Tell whether the evaluations after the best one have a trend of their own, beyond their noise."""
    moved, error = change(after)
    return len(after) >= FEWEST_TREND and moved > settings.noise * error


def _stays_higher(value: FloatArray, best: int, settings: OverfitSettings) -> bool:
    """Tell whether the later half after the best lies above those about it, by more than medians scatter.

    The noise of an evaluation that has turned grows with it: logarithms are compared, and medians, of which
    one wild evaluation is no part.
    """
    about = np.log(value[max(best - NEAR, 0) : best + NEAR + 1])
    late = np.log(value[best + 1 + (len(value) - best) // 2 :])
    if min(len(about), len(late)) < FEWEST_NOISE:
        return False
    sigma = mad_sigma(np.diff(np.log(value), 2)) / np.sqrt(6.0)
    error = MEDIAN_ERROR * sigma * np.sqrt(1 / len(about) + 1 / len(late))
    return float(np.median(late) - np.median(about)) > settings.noise * float(error)


def _by_chance(value: FloatArray, settings: OverfitSettings) -> float:
    """Return how far the end may lie above the best by the noise of the evaluations alone.

    Second differences are blind to a fall and a rise. The least of n values lies ``sqrt(2 ln n)`` standard
    deviations low by chance.
    """
    if len(value) < FEWEST_NOISE:
        return 0.0
    sigma = mad_sigma(np.diff(value, 2)) / np.sqrt(6.0)
    return float(sigma * (settings.noise + np.sqrt(2 * np.log(len(value)))))


def _level_error(train: Series) -> float:
    """Return the standard error of a level of the train loss, from how levels beside each other differ."""
    levels = block_medians(train.value, len(train) // _width(train))
    half = levels[len(levels) // 2 :]  # the first fall is no noise
    return mad_sigma(np.diff(half, 2)) / np.sqrt(6.0) if len(half) >= FEWEST_NOISE else 0.0


def _width(train: Series) -> int:
    """Return the log points of which a level is the median; a steep fall must not be averaged in."""
    return max(1, min(len(train) // 20, 20))


def _in_few(evals: Series, train: Series, settings: OverfitSettings) -> tuple[Finding, ...]:
    """Judge two or three evaluations: each worse than the one before, far above a train loss that falls."""
    first, last = float(evals.value[0]), float(evals.value[-1])
    if not (np.diff(evals.value) > 0).all() or first <= 0:
        return ()
    at_first, at_end = _train_levels(train, int(evals.step[0]))
    rise = last / first - 1
    falls = at_end < at_first * (1 - settings.train_falls_few)
    if rise < settings.rise_few or not falls or last < settings.gap_few * at_end:
        return ()
    return (_finding(evals, 0, last, rise, at_first, at_end, settings),)


def _stands(run: Run, evals: Series, train: Series, settings: OverfitSettings) -> Finding | None:
    """Judge an evaluation that never got better while the train loss fell to half of it and less."""
    first, end = float(evals.value[0]), float(np.median(evals.value[-2:]))
    low = float(evals.value.min())
    moves = float(evals.value.max()) > low * (1 + settings.rise_warning)
    at_first, at_end = _train_levels(train, int(evals.step[0]))
    # As bad as the untrained model it may go up and down, by more than all that was learned: that is no
    # level of its own, which another loss or harder samples have.
    start = float(np.median(train.value[:FIRST]))
    first_losses = float(train.value[:FIRST].max())
    worse = low >= settings.untrained * first_losses and at_end < start
    untrained = worse and moves and float(np.ptp(evals.value)) > at_first - at_end
    if not untrained and (moves or low < first * (1 - settings.rise)):
        return None  # it does not stand
    if at_end <= 0 or end / first < 1 - (1 - at_end / max(at_first, 1e-12)) / 2:
        return None  # the train loss counts nothing; or the evaluation follows it on a scale of its own
    if at_first - at_end < settings.rise * end and not untrained:
        return None  # had all of it held, the evaluation would not show it
    if end < settings.gap_few * at_end or at_end > at_first * (1 - settings.train_falls_stands):
        return None
    if at_first - at_end < FALLS * _level_error(train):
        return None
    found = _finding(evals, 0, end, end / low - 1, at_first, at_end, settings)
    # What stands below the start of the training had got better before the first evaluation.
    was_better = first < settings.early * start
    # What stays as bad as a guess has learned nothing that it could lose.
    guess = chance(run)
    guesses = guess is not None and bool(np.all(np.abs(evals.value / guess.log_c - 1) < AS_A_GUESS))
    return replace(
        found,
        severity=Severity.INFO if was_better or guesses else Severity.WARNING,
        confidence=0.5,
        title="The evaluation loss stands while the train loss falls",
        summary=(
            f"From step {evals.step[0]:,} to {evals.step[-1]:,} the train loss fell from {at_first:.4g} to "
            f"{at_end:.4g}, the evaluation loss only from {first:.4g} to {end:.4g}: what is learned does "
            "not hold there."
        ),
    )


def _train_levels(train: Series, step: int) -> tuple[float, float]:
    """Return the train loss around `step` and at the end, as medians of a few points."""
    width = _width(train)
    at = int(np.searchsorted(train.step, step, side="right"))
    near = train.value[max(0, at - width) : max(at, 1)]
    return float(np.median(near)), float(np.median(train.value[-width:]))


def _finding(
    evals: Series, best: int, last: float, rise: float, at_best: float, at_end: float,
    settings: OverfitSettings,
) -> Finding:  # fmt: skip
    step, end = int(evals.step[best]), int(evals.step[-1])
    low = float(evals.value[best])
    gap = (last - at_end) / max(at_end, 1e-8)
    return Finding(
        id="overfit-gap",
        severity=Severity.WARNING
        if rise >= settings.rise_warning or len(evals) <= settings.patience
        else Severity.INFO,
        confidence=0.9 if len(evals) >= 6 else 0.75 if len(evals) > settings.patience else 0.5,
        title=f"The evaluation loss turned up after step {step:,}",
        summary=(
            f"The evaluation loss was best at step {step:,} ({low:.4g}) and rose to {last:.4g} "
            f"({rise:+.0%}) by step {end:,}, while the train loss fell from {at_best:.4g} to "
            f"{at_end:.4g}."
        ),
        steps=(step, end),
        metrics=("eval/loss", "train/loss"),
        evidence={
            "best_eval_loss": low,
            "best_step": step,
            "last_eval_loss": last,
            "rise": rise,
            "gap_ratio": gap,
            "train_at_best": at_best,
            "train_at_end": at_end,
            "evaluations_after_best": len(evals) - best - 1,
        },
        where=(evals.where(best), evals.where(len(evals) - 1)),
        fix=(
            f"Keep the checkpoint of step {step:,}; stop there: {end - step:,} of {end:,} steps were lost",
        ),
        levels={f"best {low:.4g}": low},
    )


DETECTOR = Detector(
    id="overfit-gap",
    group="overfit",
    passed="The evaluation loss has not turned up",
    failed="The evaluation loss turned up while the train loss fell",
    requires=("train/loss",),
    settings=OverfitSettings,
    detect=detect,
)
