"""No progress over a long window although the learning rate is alive.

What it does
------------
Over the last `tail` of the run the change of the loss along a robust line is estimated with its
error. It is flat if even the optimistic end (two standard errors) improves by less than `change`, or by
less than `hidden` where no fall is resolved at all and the loss still stands where it stood (noise hides
more). A flat tail is noted if the loss has fallen by less than `learned` since the start (or by no more than
two standard errors of the start), or stands above `high` times log(C), over at least `points` points. Of a
policy no level tells; it stands still where its loss left its start and has no noise any more.
Evaluations tell more than the noisy train loss: if theirs spans less than `evaluated` and no fall of the
train loss is resolved, that is a plateau as well; so are losses that repeat from pass to pass. A log of
`fewest` or more points is flat if all of them lie within `spread`, which is said with little confidence. A
short log of the first `steps` steps, the first `share` of a plan and a log in which the rate only rises show
the start and are not judged. Whether that is
wrong the loss alone does not tell: a flat loss at log(C) (loss-at-chance), losses that repeat, and a gradient
that is 0 are findings of their own.

Why it matters
--------------
Steps that change nothing are paid for.

Not to be confused with
-----------------------
A converged run: it has learned and is flat (passed). A run so noisy that the slope is not
resolved (not applicable). A learning rate already annealed to nothing. A loss at its floor.
Pretrained models that start near their optimum: that is why this is a note.

Settings
--------
`tail`, `change`, `hidden`, `chance`, `learned`, `evaluated`, `high`, `points`, `fewest`, `spread`,
`steps`, `share`.

Fix
---
Overfit one batch of 8 samples; if that fails, follow the gradient from the loss to the first layer.

References
----------
The plain rule: a change below 0.001 over 200 steps, five times in a row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from loganalyze.detect import loss_repeats
from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run, Series
from loganalyze.settings import setting
from loganalyze.signals.loss_kind import Chance, LossKind, chance, loss_kind
from loganalyze.signals.lr import is_alive, was_alive
from loganalyze.signals.movement import movement
from loganalyze.signals.robust import mad_sigma, noise_sigma
from loganalyze.signals.saturation import saturation
from loganalyze.signals.trend import change


@dataclass(frozen=True)
class PlateauSettings:
    """Thresholds of the check."""

    tail: float = setting(0.6, unit="share of the run", source="five windows of the plain rule")
    change: float = setting(
        0.01, unit="share of the loss", source="0.1 % per window of 200 steps, over several windows"
    )
    hidden: float = setting(
        0.1, unit="share of the loss", source="more would be seen by eye through the noise"
    )
    chance: float = setting(
        0.03,
        unit="relative distance to log(C)",
        source="label noise and smoothing move it by 1 to 2 %",
    )
    evaluated: float = setting(
        0.05, unit="share of the first evaluation", source="has no noise of batches; less is little"
    )
    learned: float = setting(0.03, unit="share of the first losses", source="less is no learning")
    high: float = setting(0.65, unit="ratio to log(C)", source="little better than a guess")
    points: int = setting(20, unit="log points", source="a slope over fewer is not resolved")
    fewest: int = setting(4, unit="log points", source="fewer show no level")
    spread: float = setting(
        0.015, unit="share of the loss", source="all values of a short log; noise alone is larger"
    )
    steps: int = setting(
        100, unit="steps", source="every training starts flat: a short log's least"
    )
    share: float = setting(0.01, unit="share of the plan", source="nothing to be seen so soon")


MOST_CLASSES = 2_000  # beyond it the targets are tokens, whose entropy is a floor
MEDIAN_ERROR = 1.25  # standard error of a median over that of a mean, for normal noise
FROZEN_POINTS = 20  # log points of a policy's loss
FROZEN_TAIL = 0.6  # of the run
FROZEN_MOVED = 0.5  # of the level: the first loss was elsewhere
FROZEN = 0.01  # of the level; the losses of a policy scatter by a tenth and more
FROZEN_EDGE = 0.025  # of the level, up or down: nine tenths of the losses
TINY = 1e-9  # a loss of no unit in use
FLOOR = 0.05  # a loss below this is at its floor, whatever it was at the start


def detect(run: Run, settings: PlateauSettings) -> Detected:
    """Look for a flat tail of a loss that never fell."""
    kind = loss_kind(run)
    if kind is LossKind.REINFORCEMENT and (frozen := _frozen(run)) is not None:
        return (frozen,)
    if kind in (LossKind.REINFORCEMENT, LossKind.ADVERSARIAL, LossKind.UNBOUNDED):
        return NotApplicable(f"a flat loss means nothing for {kind.value}")
    series = run.series("train/loss").finite()
    if (certain := saturation(run)) is not None and certain.from_start:
        return (_saturated(run, series),)
    if len(series) < settings.fewest:
        return NotApplicable(f"{len(series)} losses are too few, {settings.fewest} needed")
    if _only_begins(run, series, settings):
        return NotApplicable("the log shows the start of the training only")
    if len(series) < settings.points:
        return _in_short_log(run, series, settings)
    tail = series.take(slice(int((1 - settings.tail) * len(series)), None))
    level = float(np.median(tail.value))
    first = series.value[: max(3, len(series) // 20)]
    start = float(np.median(first))
    if _is_at_floor(kind, level):
        return ()
    drop = (start - level) / abs(start)
    guess = chance(run)
    if guess is not None and abs(level / guess.log_c - 1) < settings.chance:
        return ()  # loss-at-chance says it
    moved, error = change(tail.value)
    error_of_start = MEDIAN_ERROR * noise_sigma(series.value) / np.sqrt(len(first))
    learned = drop >= settings.learned and start - level > 2 * error_of_start
    if not _evaluation_stands(run, series, settings) and not _repeats(run):
        if learned and not _stands_high(guess, level, settings):
            return ()
        unresolved = moved + 2 * error > 0
        if moved - 2 * error < -(settings.hidden if unresolved else settings.change) * level:
            if moved + 2 * error > 0:
                return NotApplicable("the loss is too noisy: its slope is not resolved")
            return ()
    # What fell first may stand because the rate came to nothing; what never fell had its time.
    alive = is_alive(run, int(tail.step[len(tail) // 2])) if learned else was_alive(run)
    if alive is False:
        return ()
    return (_finding(run, series, tail, level, moved, drop),)


def _repeats(run: Run) -> bool:
    """Tell whether each pass has the losses of the one before: what goes up and down in it is no noise."""
    found = loss_repeats.detect(run, loss_repeats.RepeatSettings())
    return not isinstance(found, NotApplicable) and bool(found)


def _is_at_floor(kind: LossKind, level: float) -> bool:
    """Tell whether a loss that never fell has nothing to lose: a squared error may have any unit."""
    return abs(level) < (TINY if kind is LossKind.REGRESSION else FLOOR)


def _only_begins(run: Run, series: Series, settings: PlateauSettings) -> bool:
    """Tell whether the log ends where no loss has fallen yet."""
    last = int(series.step[-1])
    by_epoch = np.array_equal(series.step, series.epoch)
    if len(series) < settings.points and last < settings.steps and not by_epoch:
        return True
    if run.planned_steps and last < settings.share * run.planned_steps:
        return True
    rate = run.series("train/learning_rate").finite().value
    return bool(
        len(rate) > 1
        and np.all(np.diff(rate) >= 0)
        and rate[-1] > rate[0]
        and rate[-1] > np.median(rate)
    )


def _in_short_log(run: Run, series: Series, settings: PlateauSettings) -> tuple[Finding, ...]:
    """Judge a log too short for a slope: all its losses are nearly the same."""
    level = float(np.median(series.value))
    if _is_at_floor(loss_kind(run), level) or float(np.ptp(series.value)) >= settings.spread * abs(
        level
    ):
        return ()
    guess = chance(run)
    if guess is not None and abs(level / guess.log_c - 1) < settings.chance:
        return ()  # loss-at-chance says it
    drop = float(series.value[0] - series.value[-1]) / abs(level)
    found = _finding(run, series, series, level, -drop * level, drop)
    return (replace(found, confidence=0.4),)


def _frozen(run: Run) -> Finding | None:
    """Report the loss of a policy that has no noise any more: no answer is worth more than another.

    Batches of different answers make a loss that scatters; what is left then is a penalty. A loss of 0 may
    be what the method has by its formula.
    """
    series = run.series("train/loss").finite()
    tail = series.value[len(series) - int(FROZEN_TAIL * len(series)) :]
    if len(series) < FROZEN_POINTS or not (level := float(np.median(tail))):
        return None
    moved = abs(float(series.value[0]) - level) > FROZEN_MOVED * abs(level)
    low, high = np.quantile(tail, [0.05, 0.95])
    still = mad_sigma(tail) < FROZEN * abs(level) and high - low < 2 * FROZEN_EDGE * abs(level)
    if not moved or not still or is_alive(run, int(series.step[len(series) // 2])) is False:
        return None
    found = _finding(run, series, series.take(slice(-len(tail), None)), level, 0.0, 0.0)
    summary = (
        f"From step {series.step[-len(tail)]:,} on the loss stands at {level:.4g}, to "
        f"{mad_sigma(tail) / abs(level):.1%}, far from where it began: answers that differ would make "
        "it scatter."
    )
    return replace(found, severity=Severity.WARNING, title="The loss stands still", summary=summary)


def _saturated(run: Run, series: Series) -> Finding:
    """Report a loss that cannot fall: the model is certain of all answers, and no gradient passes."""
    level = float(np.median(series.value))
    drop = float(series.value[0] - series.value[-1]) / level
    found = _finding(run, series, series, level, -drop * level, drop)
    return replace(found, severity=Severity.WARNING, confidence=0.9)


def _evaluation_stands(run: Run, series: Series, settings: PlateauSettings) -> bool:
    """Tell whether the evaluation loss stays where it was, and the train loss may well do so."""
    course = movement(run)
    if course is None or course.span >= settings.evaluated:
        return False
    moved, error = change(series.value)
    return moved + 2 * error > -settings.learned * abs(float(np.median(series.value)))


def _stands_high(guess: Chance | None, level: float, settings: PlateauSettings) -> bool:
    """Tell whether nearly all that there is to learn is still to learn."""
    return (
        guess is not None and guess.classes <= MOST_CLASSES and level > settings.high * guess.log_c
    )


def _finding(
    run: Run, series: Series, tail: Series, level: float, moved: float, drop: float
) -> Finding:
    guess = chance(run)
    evidence: dict[str, float | str] = {
        "level": level,
        "change": moved / level,
        "total_drop": drop,
        "steps": int(tail.step[-1] - tail.step[0]),
        "points": len(tail),
    }
    if guess is not None:
        evidence["ratio_to_log_c"] = level / guess.log_c
    return Finding(
        id="loss-plateau",
        severity=Severity.INFO,
        confidence=0.6,
        title="The loss does not fall",
        summary=(
            f"From step {tail.step[0]:,} to {tail.step[-1]:,} the train loss stays at {level:.4g}; since the "
            f"start it fell by {max(drop, 0):.1%}."
        ),
        steps=(int(tail.step[0]), int(tail.step[-1])),
        metrics=("train/loss",),
        evidence=evidence,
        where=(series.where(0), tail.where(0), tail.where(len(tail) - 1)),
        fix=("Overfit one batch of 8 samples for 100 steps: a sound model reaches a loss near 0",),
        levels={guess.label: guess.log_c} if guess is not None else {},
    )


DETECTOR = Detector(
    id="loss-plateau",
    group="plateau",
    passed="The loss made progress",
    failed="The loss does not fall",
    requires=("train/loss",),
    settings=PlateauSettings,
    detect=detect,
)
