"""What two sources have in common: the points at which both state a metric, and how many agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from loganalyze.ingest.ingester import Table

if TYPE_CHECKING:
    from loganalyze.run import FloatArray, IntArray

AGREEMENT = 0.9  # share of common points that must be equal for two stores to hold one run
CONFLICT = (
    0.5  # share of common points that must be equal for two logs not to contradict each other
)
FEWEST = 3  # common points, below which nothing is said about two sources
ROUNDED_TOLERANCE = 2e-3  # relative; what a log prints with 3 to 4 digits
LATE = 2  # logging intervals after which a first step is no beginning

Points: TypeAlias = "dict[str, tuple[IntArray, FloatArray]]"


class Common(NamedTuple):
    """Number of common points of two sources, and of those that are equal."""

    shared: int
    equal: int


def points(tables: Iterable[Table]) -> Points:
    """Return for each canonical metric its steps, each once and in order, and their values."""
    import numpy as np

    parts: dict[str, list[tuple[IntArray, FloatArray]]] = {}
    for table in tables:
        code = table.frame["metric"].cat.codes.to_numpy()
        step, value = (table.frame[name].to_numpy() for name in ("step", "value"))
        for index, metric in enumerate(table.frame["metric"].cat.categories):
            chosen = np.flatnonzero((code == index) & (step >= 0)) if "/" in metric else ()
            if len(chosen):
                parts.setdefault(str(metric), []).append((step[chosen], value[chosen]))
    return {metric: _last_of_each(found) for metric, found in parts.items()}


def _last_of_each(found: list[tuple[IntArray, FloatArray]]) -> tuple[IntArray, FloatArray]:
    import numpy as np

    step = np.concatenate([part[0] for part in found])
    value = np.concatenate([part[1] for part in found])
    order = np.argsort(step, kind="stable")
    step, value = step[order], value[order]
    last = np.r_[step[1:] != step[:-1], True]
    return step[last], value[last]


def agreement(one: Points, two: Points) -> Common:
    """Count the common (metric, step) points of two sources, and the equal ones."""
    import numpy as np

    shared = equal = 0
    for metric in one.keys() & two.keys():
        (step, value), (other, theirs) = one[metric], two[metric]
        _, mine, at = np.intersect1d(step, other, assume_unique=True, return_indices=True)
        shared += len(mine)
        same = np.isclose(value[mine], theirs[at], rtol=ROUNDED_TOLERANCE, equal_nan=True)
        equal += int(same.sum())
    return Common(shared, equal)


def contradict(one: Points, two: Points) -> bool:
    """Tell whether two logs cannot be of one run: other values for the same steps.

    A log that begins late, where the other was under way, is a restart: its values may differ.
    """
    shared, equal = agreement(one, two)
    if shared < FEWEST or equal >= CONFLICT * shared:
        return False
    return not (_begins_late(one, two) or _begins_late(two, one))


def continues(later: Points, earlier: Points) -> bool:
    """Tell whether one log goes on where another one stopped, perhaps some steps before its end."""
    metric = _common_metric(later, earlier)
    if metric is None or not _begins_late(later, earlier):
        return False
    shared, equal = agreement(later, earlier)
    goes_further = bool(later[metric][0][-1] > earlier[metric][0][-1])
    return goes_further or (shared >= FEWEST and equal < AGREEMENT * shared)


def _begins_late(later: Points, earlier: Points) -> bool:
    import numpy as np

    metric = _common_metric(later, earlier)
    if metric is None:
        return False
    step = later[metric][0]
    if len(step) == 1:
        return bool(step[0] > earlier[metric][0][-1])
    interval = float(np.median(np.diff(step)))
    return bool(step[0] > earlier[metric][0][0] and step[0] > LATE * interval)


def _common_metric(one: Mapping[str, object], two: Mapping[str, object]) -> str | None:
    both = one.keys() & two.keys()
    return "train/loss" if "train/loss" in both else min(both, default=None)
