"""The loss swings around its level, more than the noise of this run explains.

What it does
------------
The log loss is detrended with a line over the last `tail` of the run and averaged in blocks. If the blocks
scatter by more than `excess` times what the point-to-point noise leaves in a mean, by `amplitude` at least,
and keep crossing their level, the loss swings. A period is reported where the autocorrelation of the blocks
shows one. Evaluation losses whose median change is a factor of e^`wild`,
up and down, count as well.

Why it matters
--------------
The batches are not alike (sorted data), or the steps are so long that they jump from one side of the valley
to the other.

Not to be confused with
-----------------------
Noise of small batches, which averages out. Cyclic learning rates. Adversarial and reinforcement losses.

Settings
--------
`tail`, `excess`, `amplitude`, `wild`, `points`.

Fix
---
Shuffle; halve the learning rate: a swing of the steps gets smaller, one of the data does not.

References
----------
Bottou, "Stochastic Gradient Descent Tricks" (2012).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run
from loganalyze.settings import setting
from loganalyze.signals.loss_kind import LossKind, loss_kind
from loganalyze.signals.lr import restarts
from loganalyze.signals.robust import FloatArray, noise_sigma


@dataclass(frozen=True)
class OscillationSettings:
    """Thresholds of the check."""

    tail: float = setting(0.6, unit="share of the run", source="without the first fall")
    excess: float = setting(5.0, unit="ratio to the noise of a block mean", source="noise makes 1")
    amplitude: float = setting(0.25, unit="standard deviation of the log loss", source="visible")
    wild: float = setting(1.0, unit="log ratio of neighbours", source="a factor of e, up and down")
    points: int = setting(60, unit="log points", source="a swing needs points on both sides")


FEWEST = 6  # evaluations
HIGH = 1e-3  # of the highest: below it the loss is near 0, where factors are noise
BLOCKS = 40
CROSSINGS = 0.15  # share of neighbouring blocks on different sides of the level
PERIODIC = 0.5  # autocorrelation of the blocks at their period
UNJUDGED = (LossKind.REINFORCEMENT, LossKind.ADVERSARIAL, LossKind.UNBOUNDED)


def detect(run: Run, settings: OscillationSettings) -> Detected:
    """Look for a swing that averaging does not remove."""
    kind = loss_kind(run)
    if kind in UNJUDGED:
        return NotApplicable(f"swings are ordinary for {kind.value}")
    if len(restarts(run)) > 1:
        return NotApplicable("the learning rate itself goes up and down")
    series = run.series("train/loss").finite()
    wild = _wild_evaluations(run, settings)
    if wild:
        return wild
    if len(series) < settings.points:
        return NotApplicable(f"{len(series)} losses are too few, {settings.points} needed")
    tail = series.take(slice(int((1 - settings.tail) * len(series)), None))
    if not (tail.value > 0).all():
        return NotApplicable("the loss is not positive")
    curve = np.log(tail.value)
    blocks = _blocks(curve)
    width = len(curve) / len(blocks)
    # A line through the tail is no swing, nor is a curve that bends once.
    rest = blocks - np.polyval(
        np.polyfit(np.arange(len(blocks)), blocks, 2), np.arange(len(blocks))
    )
    spread = float(np.std(rest))
    noise = noise_sigma(curve) / np.sqrt(width)
    side = np.sign(rest)
    crossings = float(np.mean(side[1:] != side[:-1]))
    if spread < settings.amplitude or spread < settings.excess * noise or crossings < CROSSINGS:
        return ()
    if float(np.median(np.abs(rest))) < settings.amplitude / 2:
        return ()  # a few odd blocks are spikes
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
