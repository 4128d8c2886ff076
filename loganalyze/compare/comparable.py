"""Whether two runs learned the same thing, so that their losses mean the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from loganalyze.compare.scale import MetricRole, role_of
from loganalyze.compare.settings import same
from loganalyze.signals.loss_kind import LossKind, loss_kind

if TYPE_CHECKING:
    from loganalyze.run import Run

TASK = ("task", "problem_type", "dataset", "dataset_name", "dataset_path", "data_name", "env", "env_id",
        "env_name", "environment")  # fmt: skip
MODEL = (
    "model",
    "model_type",
    "model_name",
    "model_name_or_path",
    "arch",
    "architecture",
    "architectures",
)
CLASSES = ("num_classes", "vocab_size")
FAR = 1.5  # times the first loss of the other: no seed and no rate does that before an update
ALIKE = 0.5  # share of metrics of either that both log; runs of one script log the same
FIRST = 3  # log points that tell where a loss begins
UNTOLD = (LossKind.UNKNOWN, LossKind.OTHER, LossKind.UNBOUNDED)


@dataclass(frozen=True, slots=True)
class Comparability:
    """Why two runs cannot be compared, and what must be kept in mind where they can."""

    reasons: tuple[str, ...]
    reservations: tuple[str, ...]


def comparability(a: Run, b: Run) -> Comparability:
    """Judge whether the losses of two runs mean the same."""
    reasons, reservations = [*_kinds(a, b), *_tasks(a, b)], list[str]()
    model = _differing(a, b, MODEL)
    classes = _classes(a, b)
    if classes and model:
        reasons += [classes, _told(model)]
    elif classes:
        reservations += [classes, "The loss of a guess is another one in each."]
    if not reasons and not _told_apart(a, b) and (level := _levels(a, b)):
        reasons.append(level)
    return Comparability(tuple(reasons), tuple(reservations))


def _kinds(a: Run, b: Run) -> list[str]:
    kinds = loss_kind(a), loss_kind(b)
    if kinds[0] is kinds[1] or any(kind in UNTOLD for kind in kinds):
        return []
    one, two = (kind.value for kind in kinds)
    return [f"The loss of A is of the kind {one}, that of B of the kind {two}."]


def _tasks(a: Run, b: Run) -> list[str]:
    found = _differing(a, b, TASK)
    return [_told(found)] if found else []


def _differing(a: Run, b: Run, names: tuple[str, ...]) -> tuple[str, object, object] | None:
    """Return the first of these settings that both runs have and that differs."""
    for name in names:
        ours, theirs = a.setting(name), b.setting(name)
        if ours is not None and theirs is not None and not same(ours.value, theirs.value):
            return name, ours.value, theirs.value
    return None


def _told(found: tuple[str, object, object]) -> str:
    key, value, expected = found
    return f"The setting {key} is {value} in A and {expected} in B."


def _classes(a: Run, b: Run) -> str:
    """Say that the number of classes is another, or that one run has classes, the other a vocabulary."""
    found = _differing(a, b, CLASSES)
    if found:
        return _told(found)
    counts = [next((n for n in CLASSES if run.number(n)), "") for run in (a, b)]
    if all(counts) and counts[0] != counts[1]:
        key, name = counts
        return f"A tells a {key}, B a {name}."
    return ""


def _told_apart(a: Run, b: Run) -> bool:
    """Tell whether the settings of both say what is learned by what."""
    names = (*TASK, *MODEL, *CLASSES)
    return all(any(run.setting(name) is not None for name in names) for run in (a, b))


def _levels(a: Run, b: Run) -> str:
    """Compare where the losses begin and what else is logged, where no settings tell."""
    first = [run.series("train/loss").finite().value[:FIRST] for run in (a, b)]
    if min(map(len, first)) < FIRST:
        return ""
    levels = [float(np.median(values)) for values in first]
    if min(levels) <= 0 or max(levels) < FAR * min(levels):
        return ""
    logged = [set(_outcomes(run)) for run in (a, b)]
    if len(logged[0] & logged[1]) >= ALIKE * max(len(logged[0] | logged[1]), 1):
        return ""
    return (
        f"The losses begin at {levels[0]:.3g} and {levels[1]:.3g}, and most metrics are logged by one of the "
        "runs only."
    )


def _outcomes(run: Run) -> list[str]:
    names = [str(name) for name in run.metrics["metric"].cat.categories]
    return [name for name in names if role_of(name) is not MetricRole.SYSTEM]
