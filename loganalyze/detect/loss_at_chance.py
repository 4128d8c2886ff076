"""The loss stays at log(C): the model learned nothing.

What it does
------------
The median of the last `tail` of the train loss lies within `near` of log(C), and a robust line through that
part does not fall by more than `change`, two standard errors allowed for (or no fall is resolved, and the
evaluations, which have no noise of batches, move by less than that and end within `near` as well). C is the
number of classes (or the vocabulary) from the settings; without it, it is inferred where an accuracy (or
area under the curve) stands at the level of a guess over the same C. For preference losses C is 2, and the
rewards must be exactly 0.

Why it matters
--------------
A guess needs no training. Labels, gradients or the learning rate do not reach the model.

Not to be confused with
-----------------------
The start of a long training, which leaves chance slowly (the slope is resolved, or the log is too short:
`steps`, of a plan that was fulfilled `brief`). A loss whose end is no longer within `near`. An accuracy above
chance. A learning rate already annealed to nothing.

Settings
--------
`tail`, `near`, `change`, `steps`, `brief`, `points`.

Fix
---
Overfit one batch of 8 samples; if that fails, follow the gradient from the loss to the first layer.

References
----------
Karpathy, "A Recipe for Training Neural Networks" (2019): verify the loss at initialisation. A uniform guess
over C classes has the cross-entropy log(C).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run
from loganalyze.settings import setting
from loganalyze.signals.guess import Guess, guess_level
from loganalyze.signals.loss_kind import LossKind, loss_kind
from loganalyze.signals.lr import was_alive
from loganalyze.signals.movement import movement
from loganalyze.signals.robust import FloatArray, mad_sigma
from loganalyze.signals.trend import change


@dataclass(frozen=True)
class ChanceSettings:
    """Thresholds of the check."""

    tail: float = setting(0.6, unit="share of the run", source="most of it, without the start")
    near: float = setting(
        0.05,
        unit="relative distance to log(C)",
        source="the frequencies of the classes alone move it by up to 5 %",
    )
    change: float = setting(
        0.05, unit="share of the loss", source="less does not lead away from it"
    )
    steps: int = setting(100, unit="steps", source="every training starts at chance")
    brief: int = setting(
        50, unit="steps", source="of a plan that was fulfilled: a trial of the code has fewer"
    )
    points: int = setting(4, unit="log points", source="fewer show no level")


FEWEST = 3  # log points, where something else that does not move at all stands beside them
ENDS = 4  # parts of the tail, of which the last one is its end
FINITE = 0.5  # share of the logged losses; what is left of a run of NaN shows no level
FINISHED = 0.9  # share of the plan
SURE = 20  # log points from which the slope of the tail is well known
MEDIAN_ERROR = 1.2533  # sqrt(pi / 2): standard error of a median against that of a mean
AHEAD = 1.5  # times the accuracy of a guess: something was learned
UNCHANGED = 10  # equal accuracies in a row that show as much as a long log
UNJUDGED = (
    LossKind.REINFORCEMENT, LossKind.ADVERSARIAL, LossKind.REGRESSION, LossKind.OTHER,
)  # fmt: skip


def detect(run: Run, settings: ChanceSettings) -> Detected:
    """Compare the level at the end with that of a guess."""
    kind = loss_kind(run)
    if kind in UNJUDGED:
        return NotApplicable(f"log(C) means nothing for {kind.value}")
    series = run.series("train/loss").finite()
    if len(series) < FEWEST:
        return NotApplicable(f"{len(series)} losses are too few, {settings.points} needed")
    if len(series) < FINITE * len(run.series("train/loss")):
        return NotApplicable("most losses are no numbers")
    tail = series.take(slice(int((1 - settings.tail) * len(series)), None))
    level = float(np.median(tail.value))
    guess = guess_level(run, level)
    if len(series) < settings.points and (guess is None or guess.unchanged < UNCHANGED):
        return NotApplicable(f"{len(series)} losses are too few, {settings.points} needed")
    if guess is None:
        return NotApplicable("the number of classes is not known: tell it with --classes")
    end = float(np.median(tail.value[-max(len(tail) // ENDS, 1) :]))
    if abs(level / guess.log_c - 1) >= settings.near or is_ahead(run, guess.classes):
        return ()
    if end < (1 - settings.near) * guess.log_c and len(tail) >= SURE:
        return ()  # it is about to leave
    by_epoch = len(series) > FEWEST and np.array_equal(series.step, series.epoch)
    finished = run.planned_steps and series.step[-1] >= FINISHED * run.planned_steps
    least = settings.brief if finished and len(series) >= SURE else settings.steps
    if int(series.step[-1]) < least and not by_epoch and guess.unchanged < UNCHANGED:
        return NotApplicable(
            f"{series.step[-1]:,} steps are too few: every training starts at chance"
        )
    moved, error = change(tail.value)
    unresolved = moved + 2 * error > 0
    stands = unresolved and _evaluation_stands(run, guess, settings)
    falls = moved - 2 * error < -settings.change * level
    if falls and not stands and guess.unchanged < UNCHANGED:
        # The noise hides a slope; where the level is known well enough, that tells.
        if unresolved and not _is_known(run, tail.value, end, guess, settings):
            return NotApplicable("the loss is too noisy: its slope is not resolved")
        if not unresolved:
            return ()
    if was_alive(run) is False:
        return ()
    sure = len(series) >= SURE and (int(series.step[-1]) >= settings.steps or by_epoch)
    return (
        Finding(
            id="loss-at-chance",
            severity=Severity.CRITICAL if sure else Severity.WARNING,
            confidence=0.9 if sure and not guess.inferred else 0.7,
            title="The loss stays at the level of a guess",
            summary=(
                f"From step {tail.step[0]:,} to {tail.step[-1]:,} the train loss stays at "
                f"{level:.4g}, that of "
                f"a guess ({guess.label}){guess.because}: nothing was learned."
            ),
            steps=(int(tail.step[0]), int(tail.step[-1])),
            metrics=("train/loss",),
            evidence={
                "level": level,
                "classes": guess.classes,
                "log_c": guess.log_c,
                "ratio_to_log_c": level / guess.log_c,
                "change": moved / level,
                "steps": int(tail.step[-1] - tail.step[0]),
                "points": len(tail),
            },
            where=(series.where(0), tail.where(len(tail) - 1)),
            fix=(
                "Overfit one batch of 8 samples for 100 steps: a sound model reaches a loss near 0",
            ),
            levels={guess.label: guess.log_c},
        ),
    )


def _is_known(
    run: Run, tail: FloatArray, end: float, guess: Guess, settings: ChanceSettings
) -> bool:
    """Tell whether the level is that of a guess to the end, and no chance of the noise."""
    evaluated = run.series("eval/loss").finite().value
    least = (1 - settings.near) * guess.log_c
    error = MEDIAN_ERROR * mad_sigma(tail) / np.sqrt(len(tail))
    learns = len(evaluated) > 0 and float(evaluated.min()) < least
    return bool(error < settings.near * guess.log_c and end > least and not learns)


def _evaluation_stands(run: Run, guess: Guess, settings: ChanceSettings) -> bool:
    """Tell whether the evaluations, which have no noise of batches, stay at the level of a guess."""
    course = movement(run)
    if course is None or course.span >= settings.change:
        return False
    return abs(course.last / guess.log_c - 1) < settings.near


def is_ahead(run: Run, classes: int) -> bool:
    """Tell whether a logged accuracy is well above that of a guess at the end."""
    for metric in ("train/accuracy", "eval/accuracy"):
        value = run.series(metric).finite().value
        if len(value):
            last = float(np.median(value[-5:]))
            return (last / 100 if last > 1 else last) > AHEAD / classes + 0.02
    return False


DETECTOR = Detector(
    id="loss-at-chance",
    group="chance",
    passed="The loss left the level of a guess",
    failed="The loss stays at the level of a guess",
    requires=("train/loss",),
    settings=ChanceSettings,
    detect=detect,
)
