"""For each sick run the healthy one that is set up most like it: the baseline to compare it with.

The distance between two runs is the share of settings in which they differ, of those that either states; a
number that differs counts by how far it is off, up to a factor of ten.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loganalyze.fleet.patterns import NAMES, number_of
from loganalyze.fleet.row import Row

MOST_BASELINES = 400  # healthy runs with settings of their own that are compared, the newest
MOST_SICK = 20_000  # sick runs that get a baseline
FEWEST = 3  # settings that both must state
DIFFERENCES = 6  # settings in which the two differ that are kept


@dataclass(frozen=True, slots=True)
class Baseline:
    """A healthy run, and in what the sick one differs: setting, value here, value there."""

    name: str
    path: str
    run: str | None
    distance: float
    differences: tuple[tuple[str, str, str], ...]


def baselines(rows: Sequence[Row]) -> dict[str, Baseline]:
    """Return the nearest healthy run of each sick one, by its name."""
    healthy = _distinct([row for row in rows if row.level == "healthy"])
    found = {}
    remembered: dict[tuple[Any, ...], Baseline | None] = {}
    for row in [row for row in rows if row.sick][:MOST_SICK]:
        key = _key(row)
        if key not in remembered:
            remembered[key] = _nearest(row, healthy)
        if (nearest := remembered[key]) is not None:
            found[row.name] = nearest
    return found


def _distinct(rows: Sequence[Row]) -> list[tuple[Row, dict[str, Any]]]:
    """Return the newest run of each set of settings."""
    seen: dict[tuple[Any, ...], Row] = {}
    for row in sorted(rows, key=lambda row: -row.modified):
        seen.setdefault(_key(row), row)
    return [(row, _compared(row.config)) for row in list(seen.values())[:MOST_BASELINES]]


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(sorted((key, str(value)) for key, value in _compared(row.config).items()))


def _compared(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in NAMES}


def _nearest(row: Row, healthy: Sequence[tuple[Row, dict[str, Any]]]) -> Baseline | None:
    mine = _compared(row.config)
    best: tuple[float, Row, dict[str, Any]] | None = None
    for other, theirs in healthy:
        if len(mine.keys() & theirs.keys()) < FEWEST:
            continue
        distance = _distance(mine, theirs)
        if best is None or distance < best[0]:
            best = distance, other, theirs
    if best is None:
        return None
    distance, other, theirs = best
    differing = sorted(
        (key for key in mine.keys() | theirs.keys() if _gap(mine.get(key), theirs.get(key))),
        key=lambda key: (key not in mine or key not in theirs, key),
    )
    return Baseline(
        other.name,
        other.path,
        other.run,
        round(distance, 4),
        tuple((k, _shown(mine.get(k)), _shown(theirs.get(k))) for k in differing[:DIFFERENCES]),
    )


def _shown(value: Any) -> str:
    return "not stated" if value is None else str(value)


def _distance(one: Mapping[str, Any], two: Mapping[str, Any]) -> float:
    keys = one.keys() | two.keys()
    return sum(_gap(one.get(key), two.get(key)) for key in keys) / len(keys)


def _gap(one: Any, two: Any) -> float:
    """Return 0 for the same value, up to 1 for another."""
    if one == two or str(one) == str(two):
        return 0.0
    a, b = number_of(one), number_of(two)
    if a is None or b is None or a * b <= 0:
        return 0.0 if a is not None and a == b else 1.0
    return min(abs(math.log10(a / b)), 1.0)
