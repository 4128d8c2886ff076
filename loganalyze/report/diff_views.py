"""What the page of a diff shows: tables with a column for each run, each a value that a template lays out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loganalyze.compare.scale import MetricRole
from loganalyze.compare.values import Change, Fate, FindingChange, Metric, Outcome, Setting
from loganalyze.compare.verdict import place
from loganalyze.lang.translation import label, translate
from loganalyze.report import diff_words as words

if TYPE_CHECKING:
    from loganalyze.compare.comparison import Diff, Pair
    from loganalyze.compare.values import Attribution, Axis
    from loganalyze.finding import Diagnosis

METRICS = 60  # rows of the table of metrics


@dataclass(frozen=True, slots=True)
class RunView:
    """One of the compared runs."""

    letter: str
    diagnosis: Diagnosis


@dataclass(frozen=True, slots=True)
class PairView:
    """What one comparison comes to, and the lines beside it."""

    letter: str
    pair: Pair
    style: str
    shape: str
    lines: tuple[str, ...]
    speed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting with a value for each run."""

    key: str
    kind: str
    cells: tuple[str, ...]
    explains: tuple[str, ...]
    where: str


@dataclass(frozen=True, slots=True)
class MetricCell:
    """One run's level, and how it stands beside the base."""

    level: str
    change: str
    interval: str
    parts: str
    style: str


@dataclass(frozen=True, slots=True)
class MetricRow:
    """A metric with the base's level and a cell for each further run."""

    name: str
    role: str
    base: str
    cells: tuple[MetricCell | None, ...]


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """Levels where both had spent the same, by an axis that is not the one of the table above."""

    letter: str
    metric: str
    place: str
    a: str
    b: str
    change: str
    interval: str


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding and what became of it, in one comparison."""

    letter: str
    change: FindingChange
    fate: str
    style: str


def runs(diff: Diff) -> tuple[RunView, ...]:
    """Return the runs with their letters."""
    every = [diff.a, *(pair.b for pair in diff.pairs)]
    return tuple(RunView(letter, one) for letter, one in zip(words.LETTERS, every, strict=False))


def pair_views(diff: Diff, lang: str) -> tuple[PairView, ...]:
    """Return the comparisons, each with its verdict in words."""
    views = []
    for letter, pair in zip(words.LETTERS[1:], diff.pairs, strict=False):
        style = words.STYLE[pair.verdict.outcome]
        told = [words.faster(speed, letter) for speed in pair.speeds]
        told += [words.pace(pair.throughput, letter)] if pair.throughput is not None else []
        views.append(
            PairView(
                letter, pair, style, words.SHAPES[style][0],
                tuple(translate(line, lang) for line in pair.verdict.details),
                tuple(translate(line, lang) for line in told),
            )
        )  # fmt: skip
    return tuple(views)


def settings(diff: Diff, lang: str) -> tuple[list[SettingRow], list[SettingRow]]:
    """Return the settings that differ in any run, the most relevant first, and the others."""
    found: dict[str, list[Setting | None]] = {}
    for index, pair in enumerate(diff.pairs):
        for setting in pair.settings:
            found.setdefault(setting.key, [None] * len(diff.pairs))[index] = setting
    changed: list[SettingRow] = []
    same: list[SettingRow] = []
    for key, row in found.items():
        known = [setting for setting in row if setting is not None]
        cells = [words.value(known[0], "a")]
        cells += [words.value(one, "b") if one is not None else cells[0] for one in row]
        explains = tuple(dict.fromkeys(about for one in known for about in one.explains))
        differs = any(one.change is not Change.SAME for one in known)
        made = SettingRow(
            key, label(known[0].kind, lang), tuple(label(cell, lang) for cell in cells), explains,
            known[0].where_a or known[0].where_b,
        )  # fmt: skip
        (changed if differs else same).append(made)
    return changed, same


def metrics(diff: Diff, lang: str) -> list[MetricRow]:
    """Return the metrics that the base and any other run logged."""
    names = list(dict.fromkeys(metric.name for pair in diff.pairs for metric in pair.metrics))
    rows = []
    for name in names[:METRICS]:
        found = [pair.metric(name) for pair in diff.pairs]
        first = next(metric for metric in found if metric is not None)
        base = next((words.level(m.end.a) for m in found if m is not None and m.end), "")
        cells = tuple(
            _cell(metric, pair, lang) if metric is not None else None
            for metric, pair in zip(found, diff.pairs, strict=True)
        )
        rows.append(MetricRow(name, label(first.scale.role.value, lang), base, cells))
    return rows


def _cell(metric: Metric, pair: Pair, lang: str) -> MetricCell:
    style = {1: "healthy", -1: "critical"}.get(metric.verdict, "")
    if pair.verdict.outcome is Outcome.INCOMPARABLE:
        return MetricCell("", "", "", label("not compared", lang), "")
    parts = translate(metric.note, lang) or words.parts_at(metric, pair.axis, lang)
    end = metric.end
    if end is None:
        return MetricCell("", "", "", parts, style)
    if (
        metric.scale.role is MetricRole.SYSTEM
    ):  # no seed changes it: its interval is that of the throughput
        return MetricCell(words.level(end.b), words.change(end, metric), "", "", style)
    return MetricCell(
        words.level(end.b), words.change(end, metric), translate(words.interval(end, metric), lang),
        parts, style,
    )  # fmt: skip


def budgets(diff: Diff, lang: str) -> list[BudgetRow]:
    """Return the levels at equal budgets on the other axes, of the outcomes."""
    rows = []
    for letter, pair in zip(words.LETTERS[1:], diff.pairs, strict=False):
        for metric in pair.metrics:
            if metric.scale.role is MetricRole.OUTCOME:
                rows += [
                    _budget(letter, metric, index, lang) for index in range(len(metric.levels))
                ]
    return rows


def _budget(letter: str, metric: Metric, index: int, lang: str) -> BudgetRow:
    found = metric.levels[index]
    return BudgetRow(
        letter, metric.name, translate(place(found.at, found.budget), lang), words.level(found.a),
        words.level(found.b), words.change(found, metric), translate(words.interval(found, metric), lang),
    )  # fmt: skip


def findings(diff: Diff, lang: str) -> list[FindingRow]:
    """Return what became of each finding, comparison by comparison."""
    styles = {Fate.NEW: "critical", Fate.WORSE: "critical", Fate.FIXED: "healthy",
              Fate.BETTER: "healthy", Fate.PERSISTS: ""}  # fmt: skip
    return [
        FindingRow(letter, change, label(change.fate.value, lang), styles[change.fate])
        for letter, pair in zip(words.LETTERS[1:], diff.pairs, strict=False)
        for change in pair.findings
    ]


def explained(pair: Pair) -> tuple[list[Attribution], list[str]]:
    """Return what could explain each change, and what limits all of that."""
    limits = dict.fromkeys(limit for one in pair.attributions for limit in one.limits)
    return list(pair.attributions), list(limits)


def axis_word(axis: Axis) -> str:
    """Return what the crosshair puts before a place: ``at step``."""
    return f"at {axis.value}"
