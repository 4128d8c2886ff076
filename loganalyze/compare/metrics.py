"""Each metric that both runs logged: where its curves part, and how far apart they end."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from loganalyze.compare.axis import align, placed
from loganalyze.compare.between import between, jitter
from loganalyze.compare.level import level_at_end, levels
from loganalyze.compare.noise import Blocks, blocks_of
from loganalyze.compare.parting import LEVEL, Window, holm, windows
from loganalyze.compare.place import break_in, clipped
from loganalyze.compare.prefix import equal_until
from loganalyze.compare.scale import MetricRole, in_one_unit, scale_of
from loganalyze.compare.values import Axis, Curves, Level, Metric, Parting
from loganalyze.signals.loss_kind import LossKind, loss_kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loganalyze.compare.axis import Aligned
    from loganalyze.run import FloatArray, Run, Series

MEANINGLESS = (LossKind.REINFORCEMENT, LossKind.ADVERSARIAL)  # their losses need not fall
ROUNDING = 1e-3  # relative: a schedule whose values differ by more is another one
BEFORE = 1.0  # times the length of a window: how far before it a break is looked for
FIRST = ("eval/loss", "train/loss", "eval/accuracy", "train/accuracy")
ENDS = 2  # the level at the end is tested beside the windows, of which one may be there, too
BROKEN = 0.5  # share of values that are no numbers, from which a curve has broken down


def compare_metrics(a: Run, b: Run, axis: Axis) -> tuple[Metric, ...]:
    """Compare every metric that both runs logged; outcomes come first, of those the evaluation's."""
    noise = {form: min(jitter(run, logarithmic=form) for run in (a, b)) for form in (True, False)}
    meaningless = any(loss_kind(run) in MEANINGLESS for run in (a, b))
    names = sorted(_names(a) & _names(b), key=lambda n: (FIRST.index(n) if n in FIRST else 9, n))
    found = [_compare(name, (a, b), axis, noise, meaningless=meaningless) for name in names]
    order = list(MetricRole)
    found.sort(key=lambda metric: order.index(metric.scale.role))
    return _judged(found)


def _names(run: Run) -> set[str]:
    return {str(n) for n in run.metrics["metric"].cat.categories if run.has(str(n))}


def _compare(
    name: str,
    runs: tuple[Run, Run],
    axis: Axis,
    noises: Mapping[bool, float],
    *,
    meaningless: bool,
) -> Metric:
    series = in_one_unit(runs[0].series(name), runs[1].series(name))
    scale = scale_of(series[0].finite(), series[1].finite(), meaningless=meaningless)
    noise = noises[scale.logarithmic]
    bare = Metric(name, scale, (len(series[0]), len(series[1])), series, None, False, None, (), 0)
    points = [placed(run, one, axis) for run, one in zip(runs, series, strict=True)]
    broken = _broken(series)
    if points[0] is None or points[1] is None:
        note = "no finite value on this axis in one of the runs"
        return replace(bare, note=note) if broken is None else _breaks(bare, *broken)
    aligned = align(points[0], points[1])
    if aligned is None:
        return replace(bare, note="the runs have no part of the axis in common")
    equal = equal_until(aligned)
    identical = equal == len(aligned.at) and broken is None
    gap = scale.of(aligned.b) - scale.of(aligned.a)
    blocks = blocks_of(gap)
    seed = between(aligned, blocks, scale, evaluated=name.startswith("eval/"), noise=noise)
    drawn = _curves(aligned, blocks, seed)
    if identical:
        return replace(bare, curves=drawn, identical=True)
    if scale.role is MetricRole.SCHEDULE:
        return replace(bare, curves=drawn, parting=_schedules_part(aligned, axis))
    if scale.role is MetricRole.SYSTEM:
        level = level_at_end(aligned, blocks, seed, scale, axis)
        return replace(bare, curves=drawn, levels=(level,) if level else ())
    parting = _parting(aligned, gap, blocks, seed, equal)
    ends = levels(runs, series, scale, axis, noise)
    found = replace(bare, curves=drawn, parting=parting, levels=ends)
    return found if broken is None else _breaks(found, *broken)


def _curves(aligned: Aligned, blocks: Blocks, seed: FloatArray) -> Curves:
    edges = blocks.first
    parts = pairwise(edges)
    middle = np.array([float(np.mean(aligned.at[i:j])) for i, j in parts])
    error = np.hypot(blocks.error, seed)
    return Curves(aligned.at, aligned.a, aligned.b, middle, blocks.mean, error)


def _schedules_part(aligned: Aligned, axis: Axis) -> Parting | None:
    """Return where two schedules part: they have no noise, so the first difference counts.

    One writer logs the rate of the step that was taken, another that of the next: on the axis of steps those
    that agree when one is moved by a step are the same.
    """
    shifts = (0, 1, -1) if axis is Axis.STEP else (0,)
    apart = [_apart(aligned, shift) for shift in shifts]
    if not all(found.any() for found in apart):
        return None
    first = int(np.argmax(apart[0]))
    start = float(aligned.at[max(first - 1, 0)])
    at = float(aligned.at[first])
    return Parting(at, (start, at), None, exact=first > 0, p=0.0, significant=True)


def _apart(aligned: Aligned, shift: int) -> np.ndarray:
    """Tell at which places schedules differ if B is read `shift` steps later; those beyond its end do not."""
    moved = aligned.at + shift
    b = np.interp(moved, aligned.at, aligned.b)
    inside = (moved >= aligned.at[0]) & (moved <= aligned.at[-1])
    size = np.maximum(np.abs(aligned.a), np.abs(b))
    # A rate that falls to nothing is compared with its peak at the end.
    far = np.abs(b - aligned.a) > ROUNDING * np.maximum(size, 0.01 * size.max())
    return np.asarray(far & inside)


def _parting(
    aligned: Aligned, gap: FloatArray, blocks: Blocks, seed: FloatArray, equal: int
) -> Parting | None:
    """Return where the curves part: after the points that are equal, else where a window stands out."""
    at = aligned.at
    chosen = next(iter(windows(blocks, seed)), None)
    chance = chosen.p if chosen is not None else float("nan")
    until = _until(at, blocks, chosen)
    if 0 < equal < len(at):
        return Parting(
            float(at[equal]), (float(at[equal - 1]), float(at[equal])), until, True, chance
        )
    if chosen is None:
        return None
    if chosen.first == 0:
        return Parting(
            float(at[0]), (float(at[0]), float(at[blocks.first[1] - 1])), until, p=chance
        )
    begin, end = _around(blocks, chosen)
    place = break_in(clipped(gap), begin, end, 2.0)
    return Parting(
        float(at[place.index]),
        (float(at[max(place.low - 1, 0)]), float(at[place.high])),
        until,
        p=chance,
    )


def _around(blocks: Blocks, window: Window) -> tuple[int, int]:
    """Return the points in which the break before a window is looked for."""
    size = window.last - window.first + 1
    begin = max(window.first - max(round(BEFORE * size), 4), 0)
    return blocks.first[begin], blocks.first[window.last + 1]


def _until(at: FloatArray, blocks: Blocks, window: Window | None) -> float | None:
    """Return where curves that parted meet again."""
    if window is None or window.last + 1 >= len(blocks):
        return None
    return float(at[blocks.first[window.last + 1]])


def _broken(series: tuple[Series, Series]) -> tuple[int, int] | None:
    """Return which run's curve ends in values that are no numbers, and since when; None if both or none."""
    ends: list[int | None] = []
    for one in series:
        bad = np.flatnonzero(~np.isfinite(one.value))
        late = len(bad) and np.mean(~np.isfinite(one.value[bad[0] :])) > BROKEN
        ends.append(int(one.step[bad[0]]) if late and not np.isfinite(one.value[-1]) else None)
    if (ends[0] is None) == (ends[1] is None):
        return None
    return (0, ends[0]) if ends[0] is not None else (1, ends[1] or 0)


def _breaks(metric: Metric, which: int, step: int) -> Metric:
    """Say that a curve is no number from a step on, which no noise does."""
    name = ("A", "B")[which]
    before = metric.series[which]
    last = float(before.step[max(int(np.searchsorted(before.step, step)) - 1, 0)])
    verdict = (1 if which == 0 else -1) if metric.scale.role is MetricRole.OUTCOME else 0
    return replace(
        metric, parting=Parting(float(step), (last, float(step)), None, False, 0.0, True), verdict=verdict,
        note=f"{name} is NaN or infinite from step {step:,}",
    )  # fmt: skip


def _judged(metrics: Sequence[Metric]) -> tuple[Metric, ...]:
    """Correct for the number of metrics, outcomes and the others apart: the verdict rests on the former."""
    kept = {metric.name: metric for metric in metrics}
    for role in (MetricRole.OUTCOME, MetricRole.TRAINING):
        tested = [
            m for m in metrics if m.scale.role is role and m.curves is not None and not m.note
        ]
        for metric, rejected in zip(tested, holm([_chance(m) for m in tested]), strict=True):
            kept[metric.name] = _told(metric, rejected=rejected)
    return tuple(kept.values())


def _chance(metric: Metric) -> float:
    """Return the chance of the more telling of both tests of a metric."""
    chances = [metric.parting.p] if metric.parting is not None else []
    chances += [ENDS * metric.end.p] if metric.end is not None else []
    return min((p for p in chances if not isnan(p)), default=1.0)


def _told(metric: Metric, *, rejected: bool) -> Metric:
    parting, end = metric.parting, metric.end
    if parting is not None and rejected and parting.p <= LEVEL:
        parting = replace(parting, significant=True)
    elif parting is not None and not parting.exact:
        parting = None
    elif parting is not None:
        parting = replace(parting, until=None)
    apart = rejected and end is not None and end.p <= LEVEL
    return replace(metric, parting=parting, verdict=_side(metric, end) if apart and end else 0)


def _side(metric: Metric, end: Level) -> int:
    if metric.scale.role is not MetricRole.OUTCOME:
        return 0
    return metric.scale.better * (1 if end.change > 0 else -1)
