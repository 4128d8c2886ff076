"""What the runs of a scan have in common: causes, findings, and which settings went with which verdicts.

Counts, no more: a setting that goes with a verdict need not be its cause, since settings change together, and
among many settings some go with a verdict by chance.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loganalyze.fleet.row import Row

LEVELS = ("critical", "warning", "insufficient", "healthy")
FEWEST_RUNS = 8  # runs that state a setting, below which no table is made of it
FEWEST_IN_ROW = 3  # runs with one value, below which its row says so; two values must have as many
MOST_VALUES = 6  # values of a setting in its table; numbers beyond it are put into ranges
MOST_TABLES = 12  # settings of which a table is shown, those that part the verdicts most
# What differs between any two runs and says nothing of how they train.
NAMES = frozenset(
    {"seed", "data_seed", "run_name", "name", "output_dir", "logging_dir", "run_id", "id", "save_dir",
     "log_dir", "timestamp", "date", "host", "hostname", "user", "port", "pid", "path", "dir", "job_id",
     "hub_token", "experiment", "experiment_name", "resume_from_checkpoint", "world_size_file"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shared:
    """Runs that have their first cause, or a finding, in common.

    Attributes
    ----------
    rows
        Names of the runs, the worst first.
    low, high
        Range of the cause's probability over them; both 1 for a finding.
    """

    id: str
    title: str
    rows: tuple[str, ...]
    low: float = 1.0
    high: float = 1.0


def shared_causes(rows: Sequence[Row]) -> list[Shared]:
    """Group the sick runs by their first cause, the commonest first."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.sick and row.cause is not None:
            found[row.cause[0]].append(row)
    groups = []
    for identifier, members in found.items():
        sure = [row.cause[2] for row in members if row.cause is not None]
        title = Counter(row.cause[1] for row in members if row.cause).most_common(1)[0][0]
        names = tuple(row.name for row in members)
        groups.append(Shared(identifier, title, names, min(sure), max(sure)))
    return sorted(groups, key=lambda group: (-len(group.rows), group.id))


def finding_counts(rows: Sequence[Row]) -> list[tuple[str, str, int]]:
    """Return id, severity and number of runs of each finding; critical ones first, then the commonest."""
    severities: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        for identifier, severity in {f[0]: f[1] for f in reversed(row.findings)}.items():
            severities[identifier][severity] += 1
    order = {"critical": 0, "warning": 1, "info": 2}
    found = [
        (identifier, min(counts, key=lambda name: order.get(name, 3)), counts.total())
        for identifier, counts in severities.items()
    ]
    return sorted(found, key=lambda item: (order.get(item[1], 3), -item[2], item[0]))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A setting, and how the runs with each of its values ended.

    Attributes
    ----------
    values
        Value (or range) -> number of runs of each of `LEVELS`.
    association
        Cramer's V between value and sick or not: 0 for none, 1 where the value tells it.
    also
        Other settings that part the runs in the very same way: the counts cannot tell which matters.
    """

    setting: str
    values: tuple[tuple[str, tuple[int, ...]], ...]
    association: float
    also: tuple[str, ...] = ()

    @property
    def runs(self) -> int:
        """Number of runs that state it."""
        return sum(sum(counts) for _, counts in self.values)


def outcomes(rows: Sequence[Row]) -> tuple[list[Outcome], int]:
    """Return the settings that part the verdicts most, and how many settings were looked at."""
    judged = [row for row in rows if row.level in LEVELS]
    stated: dict[str, dict[int, Any]] = defaultdict(dict)
    for index, row in enumerate(judged):
        for key, value in row.config.items():
            if key not in NAMES:
                stated[key][index] = value
    tables: dict[tuple[Any, ...], list[Outcome]] = defaultdict(list)
    looked_at = 0
    for key in sorted(stated):
        labels = _labels(stated[key])
        often = [count for count in Counter(labels.values()).values() if count >= FEWEST_IN_ROW]
        if len(stated[key]) < FEWEST_RUNS or len(often) < 2:
            continue
        looked_at += 1
        outcome = _outcome(key, labels, judged)
        places: dict[str, int] = {}
        parts = tuple((i, places.setdefault(labels[i], len(places))) for i in sorted(labels))
        tables[parts].append(outcome)
    found = []
    for same in tables.values():
        first = min(same, key=lambda outcome: (len(outcome.setting), outcome.setting))
        also = tuple(o.setting for o in same if o is not first)
        found.append(Outcome(first.setting, first.values, first.association, also))
    found.sort(key=lambda outcome: (-outcome.association, -outcome.runs, outcome.setting))
    return [outcome for outcome in found[:MOST_TABLES] if outcome.association > 0], looked_at


def _outcome(key: str, labels: Mapping[int, str], rows: Sequence[Row]) -> Outcome:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for index, label in labels.items():
        counts[label][rows[index].level] += 1
    table = tuple(
        (label, tuple(counts[label][level] for level in LEVELS)) for label in _in_order(counts)
    )
    return Outcome(key, table, _association([(c[0] + c[1], sum(c[2:])) for _, c in table]))


def _in_order(labels: Mapping[str, object]) -> list[str]:
    def key(label: str) -> tuple[bool, float, str]:
        number = number_of(label.split(" to ")[0])
        return number is None, number or 0.0, label

    return sorted(labels, key=key)


def _labels(values: Mapping[int, Any]) -> dict[int, str]:
    """Return each value as text; where there are too many numbers, as ranges that hold equally many runs."""
    texts = {index: _text(value) for index, value in values.items()}
    if len(set(texts.values())) <= MOST_VALUES:
        return texts
    numbers = {
        index: number for index, value in values.items() if (number := number_of(value)) is not None
    }
    if len(numbers) < len(values):
        return {}
    ordered = sorted(numbers.values())
    edges = sorted({ordered[len(ordered) * part // MOST_VALUES] for part in range(1, MOST_VALUES)})
    parts: dict[int, list[int]] = defaultdict(list)
    for index, number in numbers.items():
        parts[sum(number >= edge for edge in edges)].append(index)
    labels: dict[int, str] = {}
    for members in parts.values():
        low, high = (f"{pick(numbers[i] for i in members):.4g}" for pick in (min, max))
        labels |= dict.fromkeys(members, low if low == high else f"{low} to {high}")
    return labels


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def number_of(value: Any) -> float | None:
    """Return a value as a finite number; None for what is none."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _association(table: Sequence[tuple[int, int]]) -> float:
    """Return Cramer's V of a table with two columns (Cramer 1946, Mathematical Methods)."""
    total = sum(map(sum, table))
    columns = [sum(row[side] for row in table) for side in (0, 1)]
    if not total or not all(columns):
        return 0.0
    chi = sum(
        (row[side] - sum(row) * columns[side] / total) ** 2 / (sum(row) * columns[side] / total)
        for row in table
        for side in (0, 1)
        if sum(row)
    )
    return math.sqrt(chi / total)
