"""Cheap looks at every logged number, which say that something is odd and judge nothing.

Each costs the same however long the run is. One that trips makes the monitor call the detectors now instead
of at the next regular look; they decide. It rests until that look, so that a noisy run does not call them
all the time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from loganalyze.settings import setting

LOSS, NORM, EVAL = "train/loss", "train/grad_norm", "eval/loss"
WATCHED = (LOSS, NORM, EVAL)
FEWEST = 5  # points before a mean means something


@dataclass(frozen=True)
class WireSettings:
    """Where the wires are."""

    spike: float = setting(
        2.0, unit="ratio to the moving average", source="twice the average is a spike"
    )
    z: float = setting(
        5.0, unit="standard deviations", source="a window of 50 points holds no such by chance"
    )
    huge: float = setting(1e6, unit="loss", source="no ordinary loss is so large")
    rise: float = setting(
        1.2, unit="ratio to the lowest average", source="more than noise moves an average"
    )
    explosion: float = setting(5.0, unit="ratio to the moving average", source="alpha 5 to 10")
    high: float = setting(100.0, unit="gradient norm", source="0.1 to 10 is the ordinary range")
    vanishing: float = setting(1e-7, unit="gradient norm", source="updates round to nothing")
    fall: float = setting(
        0.01, unit="ratio to 100 points before", source="a hundredth within 100 points"
    )
    plateau: float = setting(0.001, unit="share", source="0.1 % between two points 200 apart")
    patience: int = setting(
        3, unit="evaluations", source="three in a row without a new best are a turn"
    )


SLOW, FAST, WINDOW = 0.99, 0.9, 0.98  # decay of averages over about 100, 10 and 50 points
BACK = 100  # points between two norms that are compared
APART = 200  # points between two losses that are compared
IN_A_ROW = 5  # such pairs


@dataclass
class Average:
    """An exponential moving average, corrected for its start: ``m_t = b m_(t-1) + (1 - b) x_t``."""

    decay: float
    _sum: float = 0.0
    _weight: float = 0.0

    def add(self, value: float) -> None:
        """Take in a value."""
        self._sum = self.decay * self._sum + (1.0 - self.decay) * value
        self._weight = self.decay * self._weight + (1.0 - self.decay)

    @property
    def value(self) -> float:
        """The average so far; NaN without any value."""
        return self._sum / self._weight if self._weight else math.nan


@dataclass
class LossWire:
    """Watches the training loss."""

    settings: WireSettings
    count: int = 0
    lowest: float = math.inf  # of the fast average
    risen: float = 0.0  # to where it had risen when it was told last; 0 while it is low
    flat: int = 0
    slow: Average = field(default_factory=lambda: Average(SLOW))
    fast: Average = field(default_factory=lambda: Average(FAST))
    mean: Average = field(default_factory=lambda: Average(WINDOW))
    square: Average = field(default_factory=lambda: Average(WINDOW))
    past: deque[float] = field(default_factory=lambda: deque(maxlen=APART))

    def trips(self, value: float) -> Iterator[str]:
        """Take in a loss; yield the name of each wire that it trips."""
        told = self.settings
        if not math.isfinite(value):
            yield "nonfinite"
            return
        if abs(value) > told.huge:
            yield "huge"
        if self.count and value == self.past[-1]:
            yield "same"
        if self.count >= FEWEST:
            yield from self._against_averages(value)
        yield from self._against_past(value)
        for average in (self.slow, self.fast, self.mean):
            average.add(value)
        self.square.add(value * value)
        self.past.append(value)
        self.count += 1

    def _against_averages(self, value: float) -> Iterator[str]:
        told, mean = self.settings, self.mean.value
        deviation = math.sqrt(max(self.square.value - mean * mean, 0.0))
        if value - mean > told.z * deviation and deviation > 0:
            yield "z"
        if value > told.spike * self.slow.value > 0:
            yield "spike"
        level = self.fast.value
        if level <= told.rise * self.lowest:
            self.risen = 0.0
        elif (
            level > told.rise * self.risen and level > 0
        ):  # and again when it has risen as far once more
            self.risen = level
            yield "rise"
        self.lowest = min(self.lowest, level)

    def _against_past(self, value: float) -> Iterator[str]:
        if len(self.past) < APART:
            return
        before = self.past[0]
        is_flat = abs(value - before) < self.settings.plateau * abs(before)
        self.flat = self.flat + 1 if is_flat else 0
        if self.flat == IN_A_ROW:
            yield "plateau"


@dataclass
class NormWire:
    """Watches the gradient norm."""

    settings: WireSettings
    count: int = 0
    slow: Average = field(default_factory=lambda: Average(SLOW))
    past: deque[float] = field(default_factory=lambda: deque(maxlen=BACK))

    def trips(self, value: float) -> Iterator[str]:
        """Take in a norm; yield the name of each wire that it trips."""
        told = self.settings
        if not math.isfinite(value):
            yield "nonfinite norm"
            return
        if value < told.vanishing:
            yield "vanishing"
        if value > told.high:
            yield "high"
        if self.count >= FEWEST and value > told.explosion * self.slow.value:
            yield "explosion"
        if len(self.past) == BACK and value < told.fall * self.past[0]:
            yield "fall"
        self.slow.add(value)
        self.past.append(value)
        self.count += 1


@dataclass
class EvalWire:
    """Watches the loss of evaluations."""

    settings: WireSettings
    best: float = math.inf
    worse: int = 0

    def trips(self, value: float) -> Iterator[str]:
        """Take in a loss of an evaluation; yield the name of each wire that it trips."""
        if not math.isfinite(value):
            yield "nonfinite evaluation"
        elif value < self.best:
            self.best, self.worse = value, 0
        else:
            self.worse += 1
            if self.worse % self.settings.patience == 0:
                yield "overfit"


class Tripwires:
    """All wires of one run, and which of them rest."""

    def __init__(self, settings: WireSettings | None = None) -> None:
        settings = settings or WireSettings()
        self.loss, self.norm = LossWire(settings), NormWire(settings)
        self.eval = EvalWire(settings)
        self._resting: set[str] = set()

    def feel(self, values: Mapping[str, float]) -> bool:
        """Take in the numbers of one log point, by their canonical names; tell whether a wire trips."""
        tripped: set[str] = set()
        if LOSS in values:
            tripped.update(self.loss.trips(values[LOSS]))
        if NORM in values:
            tripped.update(self.norm.trips(values[NORM]))
        if EVAL in values:
            tripped.update(self.eval.trips(values[EVAL]))
        fresh = tripped - self._resting
        self._resting |= tripped
        return bool(fresh)

    def rearm(self) -> None:
        """Let all wires trip again."""
        self._resting.clear()
