"""The level of a uniform guess, told by the settings or inferred from what was logged."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from loganalyze.run import Run
from loganalyze.signals.loss_kind import LossKind, chance, loss_kind

MOST_INFERRED = 100_000  # classes
NEAR = 0.01  # relative distance of a loss to log(C) for an integer C to be taken from it
NEAR_ACCURACY = 0.15  # relative distance of an accuracy to 1 / C
HALF = 0.01  # distance of an area under the curve to that of a coin
_AREA = re.compile(r"(?:^|[/_-])(?:roc_?)?auc(?:$|[/_-])|auroc", re.I)


STANDING = 5  # equal losses in a row; batches differ, so that only a constant answer gives them
MOST_CONSTANT = 100  # classes: of more, the logarithms lie too close to tell
DIGIT = 6e-5  # half of the last digit that logs print, and a little


@dataclass(frozen=True, slots=True)
class Guess:
    """The loss of a uniform guess over `classes`, and how they are known.

    ``unchanged`` is the number of equal accuracies that stand in a row at the end.
    """

    classes: int
    inferred: bool
    because: str = ""
    unchanged: int = 0

    @property
    def log_c(self) -> float:
        """The cross-entropy of a uniform guess."""
        return math.log(self.classes)

    @property
    def label(self) -> str:
        """Name it for charts and sentences: ``ln(280) = 5.63``."""
        return f"ln({self.classes:,}) = {self.log_c:.2f}"


def guess_level(run: Run, level: float) -> Guess | None:
    """Return the guess that a loss at `level` is to be compared with, or None where C is unknown."""
    if loss_kind(run) is LossKind.PREFERENCE:
        return _preference(run)
    known = chance(run)
    if known is not None:
        return Guess(known.classes, inferred=False)
    return _inferred(run, level)


def _preference(run: Run) -> Guess | None:
    """Two answers; while policy and reference are the same, all rewards are exactly 0."""
    value = run.series("rewards/margins").finite().value
    if not len(value) or value.any():
        return None
    return Guess(2, inferred=True, because=" and every reward margin exactly 0", unchanged=10)


def _inferred(run: Run, level: float) -> Guess | None:
    if not 0.5 < level < math.log(MOST_INFERRED):
        return None
    classes = round(math.exp(level))
    if classes < 2 or abs(level / math.log(classes) - 1) > NEAR:
        return None
    for name in map(str, run.metrics["metric"].cat.categories):
        is_area = bool(_AREA.search(name)) and classes == 2
        if not is_area and name not in ("train/accuracy", "eval/accuracy"):
            continue
        value = run.series(name).finite().value
        if not len(value):
            continue
        value = value / 100 if value.max() > 1 else value
        last = float(np.median(value[-5:]))
        near = abs(last - 0.5) < HALF if is_area else abs(last * classes - 1) < NEAR_ACCURACY
        if near:
            because = f" and {name} at {last:.3g}"
            return Guess(classes, inferred=True, because=because, unchanged=_unchanged(value))
    return _constant(run, level)


def _constant(run: Run, level: float) -> Guess | None:
    """Infer the classes from a loss that stands at the logarithm of a small number, digit for digit."""
    value = run.series("train/loss").finite().value[-STANDING:]
    classes = round(math.exp(level))
    exact = abs(level - math.log(classes)) < DIGIT
    if len(value) < STANDING or np.ptp(value) > 0 or classes > MOST_CONSTANT or not exact:
        return None
    because = f", the same {STANDING} times and more"
    return Guess(classes, inferred=True, because=because, unchanged=STANDING)


def _unchanged(value: np.ndarray) -> int:
    other = np.flatnonzero(value != value[-1])
    return len(value) - (int(other[-1]) + 1 if len(other) else 0)
