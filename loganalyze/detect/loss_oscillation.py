"""The loss swings around its level, more than the noise of this run explains.

What it does
------------
Over the last `tail` of the run the log loss is averaged in blocks, and the monotone curve that lies nearest
is taken away (isotonic regression): a loss may fall in any way. If the blocks scatter by more than `excess`
times what the point-to-point noise leaves in a mean, by `amplitude` at least, and keep crossing their
level, the loss swings. A period is reported where the autocorrelation of the blocks shows one. A course
that comes back, with each epoch or at another period, is a swing from `course` on: a note below
`course_warning`. Evaluation losses whose median change is a factor of e^`wild`, up and down, count as well.
So does a loss that leaps at once from what had been learned to another level, and is learned anew, twice or
more: kinds of samples come one after the other.

Why it matters
--------------
The batches are not alike (sorted data), or the steps are so long that they jump from one side of the valley
to the other.

Not to be confused with
-----------------------
Noise of small batches, which averages out; the same batches in a fixed order, which differ from one to the
next and not for stretches. Steps between epochs (epoch-sawtooth). Cyclic learning rates. What changes by a
plan of its own, where the loss may be a sum or follow a target: the weight of a term that goes up and down, a
frozen copy that is renewed every so many steps (a note). Adversarial and reinforcement losses.

Settings
--------
`tail`, `excess`, `amplitude`, `course`, `course_warning`, `wild`, `points`.

Fix
---
Shuffle; halve the learning rate: a swing of the steps gets smaller, one of the data does not.

References
----------
Bottou, "Stochastic Gradient Descent Tricks" (2012). Fu et al., "Cyclical Annealing Schedule" (2019). Mnih et
al., "Human-level control" (2015): the target network is renewed every so many steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect import epoch_sawtooth
from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run, Series
from loganalyze.settings import setting
from loganalyze.signals.batch_order import changes_of_kind
from loganalyze.signals.cycle import Cycle, beside_monotone, cycle
from loganalyze.signals.loss_kind import LossKind, loss_kind
from loganalyze.signals.lr import restarts
from loganalyze.signals.robust import FloatArray, mad_sigma, noise_sigma


@dataclass(frozen=True)
class OscillationSettings:
    """Thresholds of the check."""

    tail: float = setting(0.6, unit="share of the run", source="without the first fall")
    excess: float = setting(5.0, unit="ratio to the noise of a block mean", source="noise makes 1")
    amplitude: float = setting(0.25, unit="standard deviation of the log loss", source="visible")
    course: float = setting(
        0.03, unit="standard deviation of the log loss", source="less is lost in the curve's noise"
    )
    course_warning: float = setting(
        0.1, unit="standard deviation of the log loss", source="a tenth up and down, each epoch"
    )
    wild: float = setting(1.0, unit="log ratio of neighbours", source="a factor of e, up and down")
    points: int = setting(60, unit="log points", source="a swing needs points on both sides")


FEWEST = 6  # evaluations
HIGH = 1e-3  # of the highest: below it the loss is near 0, where factors are noise
BLOCKS = 40
BY_PLAN = 6  # cycles in a run; the weight of a term goes up and down four times (Fu et al., 2019)
CROSSINGS = 0.15  # share of neighbouring blocks on different sides of the level
PERIODIC = 0.5  # autocorrelation of the blocks at their period
FEWEST_KINDS = 2  # leaps; a run that breaks down late makes one
UNJUDGED = (LossKind.REINFORCEMENT, LossKind.ADVERSARIAL, LossKind.UNBOUNDED)


def detect(run: Run, settings: OscillationSettings) -> Detected:
    """Look for a swing that averaging does not remove."""
    kind = loss_kind(run)
    if kind in UNJUDGED:
        return NotApplicable(f"swings are ordinary for {kind.value}")
    if found := _kinds(run):
        return found
    if len(restarts(run)) > 1:
        return NotApplicable("the learning rate itself goes up and down")
    series = run.series("train/loss").finite()
    wild = _wild_evaluations(run, settings)
    if wild:
        return wild
    if len(series) < settings.points:
        return NotApplicable(f"{len(series)} losses are too few, {settings.points} needed")
    if not (series.value > 0).all():
        return NotApplicable("the loss is not positive")
    found = _course(run, series, settings)
    if found:
        return found
    tail = series.take(slice(int((1 - settings.tail) * len(series)), None))
    curve = np.log(tail.value)
    blocks = _blocks(curve)
    width = len(curve) / len(blocks)
    rest = beside_monotone(blocks)
    spread = mad_sigma(rest)  # a few odd blocks are spikes
    noise = noise_sigma(curve) / np.sqrt(width)
    side = np.sign(rest)
    crossings = float(np.mean(side[1:] != side[:-1]))
    if spread < settings.amplitude or spread < settings.excess * noise or crossings < CROSSINGS:
        return ()
    period = _period(rest)
    steps = int((tail.step[-1] - tail.step[0]) / len(blocks) * period) if period else None
    how = f" with a period of about {steps:,} steps" if steps else ""
    return (
        Finding(
            id="loss-oscillation",
            severity=Severity.WARNING,
            confidence=0.75 if period else 0.65,
            title="The loss swings around its level",
            summary=(
                f"From step {tail.step[0]:,} the train loss swings by a factor of "
                f"{np.exp(2 * spread):.1f}{how}; "
                f"averaged over {width:.0f} log points, noise would leave {np.expm1(noise):.1%}."
            ),
            steps=(int(tail.step[0]), int(tail.step[-1])),
            metrics=("train/loss",),
            evidence={
                "amplitude_log": spread,
                "excess": spread / max(noise, 1e-12),
                "crossings": crossings,
                "periodic": "yes" if period else "no",
                **({"period_steps": steps} if steps else {}),
            },
            where=(tail.where(0), tail.where(len(tail) - 1)),
            fix=("Shuffle the data; if they are, halve the learning rate",),
        ),
    )


def _kinds(run: Run) -> tuple[Finding, ...]:
    """Judge samples that come kind by kind: each costs many times as much when it begins, and is learned."""
    leaps = changes_of_kind(run)
    if len(leaps) < FEWEST_KINDS:
        return ()
    loss = run.series("train/loss").finite()
    at = ", ".join(f"{step:,}" for step in leaps[:3])
    return (
        Finding(
            id="loss-oscillation",
            severity=Severity.WARNING,
            confidence=0.7,
            title="The loss leaps and is learned anew",
            summary=(
                f"At step {at} the train loss leaps at once from what had been learned to another level "
                f"({len(leaps)} times in all), and is learned anew."
            ),
            steps=(leaps[0], int(loss.step[-1])),
            metrics=("train/loss",),
            evidence={"leaps": len(leaps), "periodic": "not known"},
            where=(loss.where(0), loss.where(len(loss) - 1)),
            fix=("Shuffle the data anew for each epoch",),
        ),
    )


def _course(run: Run, series: Series, settings: OscillationSettings) -> tuple[Finding, ...]:
    """Judge a course of the loss that comes back."""
    value = series.value
    found = cycle(series, np.log(np.maximum(value, HIGH * value.max())))
    if found is None or found.amplitude < settings.course:
        return ()
    stepped = epoch_sawtooth.detect(run, epoch_sawtooth.SawtoothSettings())
    if stepped and not isinstance(stepped, NotApplicable):
        return ()  # that says it
    steps = round(found.points * float(np.median(np.diff(series.step))))
    few = len(series) <= BY_PLAN * found.points
    unsure = loss_kind(run) in (LossKind.OTHER, LossKind.UNKNOWN) and not found.is_epoch
    by_plan = unsure and (few or found.amplitude < settings.amplitude)
    return (_recurring(series, found, steps, settings, may_be_planned=by_plan),)


def _recurring(
    series: Series, found: Cycle, steps: int, settings: OscillationSettings, *, may_be_planned: bool
) -> Finding:
    what = "with each epoch" if found.is_epoch else f"every {steps:,} steps"
    grave = found.amplitude >= settings.course_warning and not may_be_planned
    return Finding(
        id="loss-oscillation",
        severity=Severity.WARNING if grave else Severity.INFO,
        confidence=0.8,
        title=f"The loss swings {what}",
        summary=(
            f"The train loss takes the same course {what}, up and down by {found.amplitude:.0%} "
            f"(standard deviation); each course is like the one before (correlation {found.alike:.2f})."
        ),
        steps=(int(series.step[0]), int(series.step[-1])),
        metrics=("train/loss",),
        evidence={
            "amplitude_log": found.amplitude,
            "alike": found.alike,
            "periodic": "yes",
            "period_steps": steps,
            "period_is_epoch": "yes" if found.is_epoch else "not known",
        },
        where=(series.where(0), series.where(len(series) - 1)),
        fix=("Shuffle the data anew for each epoch",),
    )


def _wild_evaluations(run: Run, settings: OscillationSettings) -> tuple[Finding, ...]:
    """Judge evaluations, which have no noise of batches: factors up and down between them."""
    series = run.series("eval/loss").finite()
    value = series.value
    if len(value) < FEWEST or not (value > 0).all():
        return ()
    moves = np.diff(np.log(value))
    both_ways = min(int((moves > settings.wild).sum()), int((moves < -settings.wild).sum())) >= 2
    typical = float(np.median(np.abs(moves)))
    if typical < settings.wild or not both_ways or np.median(value) < HIGH * value.max():
        return ()
    return (
        Finding(
            id="loss-oscillation",
            severity=Severity.WARNING,
            confidence=0.6,
            title="The evaluation loss jumps up and down by factors",
            summary=(
                f"From one evaluation to the next the loss changes by a factor of {np.exp(typical):.1f} "
                f"(median of {len(moves)}), between {value.min():.4g} and {value.max():.4g}."
            ),
            steps=(int(series.step[0]), int(series.step[-1])),
            metrics=("eval/loss",),
            evidence={
                "amplitude_log": typical,
                "low": float(value.min()),
                "high": float(value.max()),
                "periodic": "no",
            },
            where=(series.where(int(np.argmax(value))), series.where(len(series) - 1)),
            fix=("Standardise inputs and targets; then halve the learning rate",),
        ),
    )


def _blocks(curve: FloatArray) -> FloatArray:
    parts = np.array_split(curve, min(BLOCKS, len(curve) // 2))
    return np.array([part.mean() for part in parts])


def _period(rest: FloatArray) -> int | None:
    """Return the lag, in blocks, at which the swing repeats, or None."""
    centred = rest - rest.mean()
    power = float(centred @ centred)
    if power <= 0:
        return None
    lags = np.arange(1, len(rest) // 2)
    auto = np.array([float(centred[lag:] @ centred[:-lag]) for lag in lags]) / power
    below = np.flatnonzero(auto < 0)
    if not len(below):
        return None
    later = auto[below[0] :]
    best = int(np.argmax(later)) + int(below[0])
    return int(lags[best]) if auto[best] * len(rest) / (len(rest) - lags[best]) > PERIODIC else None


DETECTOR = Detector(
    id="loss-oscillation",
    group="oscillation",
    passed="The loss does not swing",
    failed="The loss swings around its level",
    requires=("train/loss",),
    settings=OscillationSettings,
    detect=detect,
)
