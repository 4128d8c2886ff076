"""From two runs to their `Diff`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from string import ascii_uppercase
from typing import TypeAlias

from loganalyze.compare.attribution import attributions, explained_by
from loganalyze.compare.axis import check_axis
from loganalyze.compare.comparable import comparability
from loganalyze.compare.comparison import Diff, Pair
from loganalyze.compare.findings import compare_findings
from loganalyze.compare.levers import CURVES
from loganalyze.compare.metrics import compare_metrics
from loganalyze.compare.settings import compare_settings
from loganalyze.compare.speed import speed_to_target, throughput, unresolved
from loganalyze.compare.values import (
    Attribution,
    Axis,
    Change,
    Metric,
    Outcome,
    Setting,
    SettingKind,
    Speed,
)
from loganalyze.compare.verdict import verdict
from loganalyze.diagnosis import diagnose
from loganalyze.errors import UsageError
from loganalyze.finding import Diagnosis
from loganalyze.run import Run
from loganalyze.settings import Settings

RunLike: TypeAlias = Run | Diagnosis | str | Path
SPEEDS = 3  # metrics of which it is told how soon a level was reached


def diff(
    a: RunLike,
    b: RunLike,
    *more: RunLike,
    align: str = "step",
    settings: Settings | None = None,
) -> Diff:
    """Compare runs with the first one.

    Parameters
    ----------
    a, b, more
        Runs, diagnoses, or addresses of runs as ``loganalyze diff`` takes them.
    align
        What curves are aligned on: ``"step"``, ``"epoch"``, ``"tokens"`` or ``"time"``.

    Raises
    ------
    UsageError
        If `align` is none of these, or a log does not say where its points lie on that axis.
    NothingReadable
        If there is no training log at an address.
    """
    if align not in {axis.value for axis in Axis}:
        raise UsageError(f"cannot align on {align!r}; there are: {', '.join(Axis)}")
    base = _diagnosis(a, settings)
    pairs = tuple(
        compare(base, _diagnosis(one, settings), Axis(align), letter)
        for letter, one in zip(letters(), (b, *more), strict=False)
    )
    return Diff(base, pairs, dict(settings.changed) if settings else {})


def _diagnosis(one: RunLike, settings: Settings | None) -> Diagnosis:
    from loganalyze.compare.address import opened

    if isinstance(one, Diagnosis):
        return one
    if isinstance(one, Run):
        return diagnose(one, settings)
    found = opened(str(one))
    return found if isinstance(found, Diagnosis) else diagnose(found, settings)


def letters() -> Iterator[str]:
    """Yield what the runs beside A are called: B to Z, then B2 and on."""
    yield from ascii_uppercase[1:]
    yield from (f"B{number}" for number in count(2))


def compare(a: Diagnosis, b: Diagnosis, axis: Axis = Axis.STEP, letter: str = "B") -> Pair:
    """Compare one run, called by a letter, with the base."""
    runs = a.run, b.run
    if len(a.run.metrics) and len(b.run.metrics):
        check_axis(a.run, b.run, axis)
    settings = compare_settings(*runs)
    metrics = compare_metrics(a.run, b.run, axis)
    able = comparability(*runs)
    findings = compare_findings(a.findings, b.findings)
    told = verdict(runs, metrics, able, axis, letter)
    same_task = told.outcome is not Outcome.INCOMPARABLE
    explained = attributions((a, b), settings, findings, metrics) if same_task else ()
    metrics = metrics if same_task else tuple(map(unjudged, metrics))
    return Pair(
        b=b, verdict=told, axis=axis, settings=_relevant(settings, explained),
        metrics=metrics, only_a=_only(*runs), only_b=_only(b.run, a.run),
        speeds=_speeds(runs, metrics, axis) if same_task else (), throughput=throughput(*runs),
        findings=findings, attributions=explained,
    )  # fmt: skip


def unjudged(metric: Metric) -> Metric:
    """Return a metric without what would be said of two runs that learn the same."""
    return replace(metric, parting=None, levels=(), verdict=0)


def _only(run: Run, other: Run) -> tuple[str, ...]:
    names = [str(name) for name in run.metrics["metric"].cat.categories]
    return tuple(n for n in sorted(names) if run.has(n) and not other.has(n))


def _relevant(settings: Sequence[Setting], explained: Sequence[Attribution]) -> tuple[Setting, ...]:
    """Order settings: those that could explain a change first, then those that move curves."""
    about = explained_by(explained)
    marked = [replace(setting, explains=about.get(setting.key, ())) for setting in settings]
    score: dict[str, float] = {}
    for attribution in explained:
        for candidate in attribution.candidates:
            score[candidate.setting] = max(score.get(candidate.setting, 0.0), candidate.score)

    def rank(setting: Setting) -> tuple[bool, float, int, int]:
        known = CURVES.index(setting.key) if setting.key in CURVES else len(CURVES)
        kinds = list(SettingKind)
        changed = setting.change is not Change.SAME
        return not changed, -score.get(setting.key, 0.0), kinds.index(setting.kind), known

    return tuple(sorted(marked, key=rank))


def _speeds(runs: tuple[Run, Run], metrics: Sequence[Metric], axis: Axis) -> tuple[Speed, ...]:
    told = [metric for metric in metrics if metric.scale.better and not metric.identical]
    found = [
        (metric, speed)
        for metric in told
        if (speed := speed_to_target(runs, metric.series, metric.scale, axis)) is not None
    ]
    return tuple(
        speed if metric.differs or metric.verdict else unresolved(speed)
        for metric, speed in found[:SPEEDS]
    )
