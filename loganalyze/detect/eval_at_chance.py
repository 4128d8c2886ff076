"""The evaluation stays at chance while the training learns.

What it does
------------
The train loss is lower than log(C) by `learned` (or the train accuracy far above that of a guess), yet the
evaluation accuracy stays within `near` of 1 / C, but no more than `beside` (the median of the last
evaluations), or the evaluation loss at or above log(C), in each of them (`evaluations` at least). Where C is
not known, an accuracy that stands near 1 / C from the first evaluation on tells it.

Why it matters
--------------
Overfitting makes an evaluation worse than it was, not as bad as a guess: the evaluation does something else
than the training.

Not to be confused with
-----------------------
A metric that does not fit the task: an accuracy far below a guess over few classes. A training that learned
nothing either (loss-at-chance). Two classes: an accuracy of one half is not far from a poor model, so both
loss and accuracy must be at chance.

Settings
--------
`learned`, `near`, `beside`, `evaluations`.

Fix
---
Run the evaluation on training samples: labels, preprocessing and mode of both must agree.

References
----------
pytorch/examples#377, #550; timm#1081: 94 % in training and 0.1 % = 1 / C in evaluation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run
from loganalyze.settings import setting
from loganalyze.signals.accuracy import share
from loganalyze.signals.loss_kind import Chance, chance
from loganalyze.signals.trend import change


@dataclass(frozen=True)
class EvalChanceSettings:
    """Thresholds of the check."""

    learned: float = setting(0.3, unit="share of log(C)", source="clearly more than nothing")
    near: float = setting(0.5, unit="relative distance to 1 / C", source="noise of a small set")
    beside: float = setting(
        0.05,
        unit="accuracy",
        source="two standard errors of 400 samples; few classes reach it first",
    )
    evaluations: int = setting(3, unit="evaluations", source="one may be early")


UNMOVED = 4  # equal accuracies: with samples of several classes no chance hit
STANDING = 8  # evaluations; fewer may stand by chance
SURE = 3.0  # standard errors of a trend
MOSTLY = 0.8  # train accuracy of a model that has learned its task
ROUNDED = 0.02  # relative distance to 1 / C; classes of a set are about as frequent
FAR = 0.9  # times log(C): an evaluation loss below it is better than a guess
BETTER = (
    0.95  # times log(C): a train loss above it is no better than a guess, whatever else is said
)
FEW = 50  # classes up to which an evaluation has enough samples of each to get some right by chance
MANY = 3  # classes from which an accuracy alone tells
NOTHING = 0.002  # accuracy: below a guess among 500 classes
HALF = 0.5  # train accuracy of a model that knows what is asked for


def detect(run: Run, settings: EvalChanceSettings) -> Detected:
    """Compare the evaluation with a guess."""
    guess = chance(run) or _unmoved(run) or _standing(run, settings)
    if found := _nothing_right(run, settings):
        return found
    if guess is None:
        return NotApplicable("the number of classes is not known: tell it with --classes")
    if not np.isfinite(run.series("train/loss").value[-3:]).all():
        return NotApplicable("the train loss is not finite at the end")
    norm = run.series("train/grad_norm").value
    if len(norm) and not np.isfinite(norm[-settings.evaluations :]).any():
        # The loss is no number either, whatever was printed for it.
        return NotApplicable("the gradient is not finite at the end")
    train = run.series("train/loss").finite().value
    accuracy, loss = (run.series(name).finite() for name in ("eval/accuracy", "eval/loss"))
    most = max(len(accuracy), len(loss))
    if len(train) < 4 or most < settings.evaluations:
        return NotApplicable(f"{most} evaluations are too few, {settings.evaluations} needed")
    if not _learned(run, train, guess, settings):
        return ()
    count = settings.evaluations
    by_accuracy = len(accuracy) >= count and _guesses(
        share(accuracy.value[-count:]), guess.classes, settings
    )
    by_loss = len(loss) >= count and bool((loss.value[-count:] > FAR * guess.log_c).all())
    if len(accuracy) >= count and (not by_accuracy or (guess.classes < MANY and not by_loss)):
        return ()
    if len(accuracy) < count and not (by_loss and bool(np.ptp(loss.value) < 0.1 * guess.log_c)):
        return ()
    shown = accuracy if len(accuracy) >= count else loss
    level = float(np.median(shown.value[-count:]))
    expected = f"1 / {guess.classes:,}" if shown is accuracy else guess.label
    return (
        Finding(
            id="eval-at-chance",
            severity=Severity.CRITICAL,
            confidence=0.85,
            title="The evaluation stays at chance while the training learns",
            summary=(
                f"The train loss fell from {train[0]:.4g} to {train[-1]:.4g}, but {shown.metric} is "
                f"{level:.3g} "
                f"at the end: a guess gives {expected}."
            ),
            steps=(int(shown.step[0]), int(shown.step[-1])),
            metrics=(shown.metric, "train/loss"),
            evidence={
                "metric": shown.metric,
                "level": level,
                "classes": guess.classes,
                "log_c": guess.log_c,
                "train_first": float(train[0]),
                "train_last": float(train[-1]),
                "evaluations": len(shown),
            },
            where=(shown.where(len(shown) - 1),),
            fix=("Run the evaluation on training samples: it should be as good as training",),
        ),
    )


def _nothing_right(run: Run, settings: EvalChanceSettings) -> tuple[Finding, ...]:
    """Find evaluations without a right answer beside a training that is mostly right.

    However many classes there are, that is no better than a guess.
    """
    evals, train = (run.series(f"{s}/accuracy").finite() for s in ("eval", "train"))
    held, seen = share(evals.value), share(train.value)
    if len(held) < settings.evaluations or len(seen) < settings.evaluations:
        return ()
    last = float(np.median(seen[-settings.evaluations :]))
    if last < HALF or float(np.median(held)) > NOTHING or held[-1] > last / 4:
        return ()
    return (
        Finding(
            id="eval-at-chance",
            severity=Severity.CRITICAL,
            confidence=0.8,
            title="The evaluation gets nothing right while the training learns",
            summary=(
                f"The training is right in {last:.0%}, the evaluation in {float(np.median(held)):.1%}: no "
                "better than a guess, however many classes there are."
            ),
            steps=(int(evals.step[0]), int(evals.step[-1])),
            metrics=(evals.metric, train.metric),
            evidence={
                "metric": evals.metric,
                "level": float(np.median(held)),
                "train_accuracy": last,
                "evaluations": len(evals),
            },
            where=(evals.where(len(evals) - 1),),
            fix=("Look which classes the evaluation set holds, and whether training has them all",),
        ),
    )


def _unmoved(run: Run) -> Chance | None:
    """Infer the classes from an accuracy that never changes: all samples are given to one class."""
    accuracy, train = (share(run.series(f"{s}/accuracy").finite().value) for s in ("eval", "train"))
    if len(accuracy) < UNMOVED or not len(train) or np.ptp(accuracy) > 0 or accuracy[0] <= 0:
        return None
    classes = round(1 / float(accuracy[0]))
    if classes < 2 or abs(float(accuracy[0]) * classes - 1) > ROUNDED:
        return None
    return Chance(classes, math.log(classes), "an accuracy that never changes")


def _standing(run: Run, settings: EvalChanceSettings) -> Chance | None:
    """Infer the classes from an accuracy that stands from the first evaluation on, with a loss above a guess.

    The training gets most of its answers right, so that the two are not of one task.
    """
    accuracy, train = (share(run.series(f"{s}/accuracy").finite().value) for s in ("eval", "train"))
    loss = run.series("eval/loss").finite().value
    if min(len(accuracy), len(loss)) < STANDING or not len(train):
        return None
    level = float(np.median(accuracy))
    moved, error = change(accuracy)
    trend = abs(moved) > max(SURE * error, settings.near * level)
    if trend or level <= 0 or np.abs(accuracy - level).max() > settings.near * level:
        return None
    classes = round(1 / level)
    known = 2 <= classes <= FEW and abs(level * classes - 1) < settings.beside
    apart = float(np.median(train[-STANDING:])) > max(MOSTLY, 2 * level)
    if not known or not apart or float(loss.min()) < FAR * math.log(classes):
        return None
    return Chance(classes, math.log(classes), "an accuracy that stands at a guess")


def _guesses(accuracy: np.ndarray, classes: int, settings: EvalChanceSettings) -> bool:
    """Tell whether accuracies are those of a guess; few classes are not missed so far by chance."""
    near = min(settings.near / classes, settings.beside)
    low = (1 - settings.near) / classes if classes <= FEW else 0.0
    level = float(np.median(accuracy))
    # The least of several may lie lower by chance; only a metric of something else stays there.
    return low < level < 1 / classes + near and bool((accuracy > low / 2).all())


def _learned(run: Run, train: np.ndarray, guess: Chance, settings: EvalChanceSettings) -> bool:
    """Tell whether the training is clearly better than a guess."""
    last = float(np.median(train[-max(5, len(train) // 10) :]))
    # Below 0 a loss is no cross-entropy: its fall says nothing of what was learned.
    if 0 <= last < (1 - settings.learned) * guess.log_c:
        return True
    accuracy = share(run.series("train/accuracy").finite().value)
    above = len(accuracy) and float(np.median(accuracy[-5:])) > 2.0 / guess.classes + 0.1
    return bool(above) and last < BETTER * guess.log_c


DETECTOR = Detector(
    id="eval-at-chance",
    group="eval_chance",
    passed="The evaluation is better than a guess",
    failed="The evaluation stays at chance while the training learns",
    requires=("train/loss",),
    settings=EvalChanceSettings,
    detect=detect,
)
