"""The figures of a diff: curves over each other, their difference beside noise, learning rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from loganalyze.compare.axis import placed
from loganalyze.compare.parting import quantile
from loganalyze.compare.scale import MetricRole
from loganalyze.compare.values import Axis
from loganalyze.report.curves import COLOURS, Curve, curve
from loganalyze.report.diff_words import LETTERS
from loganalyze.report.figure import Chart, draw
from loganalyze.report.layers import FOCUS, MIDDLE, TALL, Plot
from loganalyze.report.marks import Mark, MarkKind
from loganalyze.report.proof import Proof

if TYPE_CHECKING:
    from loganalyze.compare.comparison import Diff, Pair
    from loganalyze.compare.values import Metric
    from loganalyze.run import FloatArray, IntArray, Run, Series

METRICS = 6  # that are drawn; a page with more is not read
DECADES = 1.0  # that losses span before their later part, where runs differ, is pressed flat on a linear axis
LEARNING_RATE = "train/learning_rate"
EDGES = 0.01  # of the axis that is left free at either end


def figures(diff: Diff) -> list[tuple[Metric, list[Chart]]]:
    """Draw the most telling metrics of the first pair, with further runs beside them."""
    drawn = []
    for index, metric in enumerate(_chosen(diff.pairs[0])):
        key = f"d{index}"
        charts = [chart for chart in (_overlay(diff, metric.name, key),) if chart is not None]
        charts += [
            c for p in diff.pairs[:1] if (c := _difference(p, metric, f"{key}d")) is not None
        ]
        if charts:
            drawn.append((metric, charts))
    return drawn


def learning_rates(diff: Diff) -> Chart | None:
    """Draw the learning rates over each other; None where not both logged them."""
    return _overlay(diff, LEARNING_RATE, "lr")


def _chosen(pair: Pair) -> list[Metric]:
    """Return what is worth a figure: outcomes, then what differs of the rest."""
    known = [m for m in pair.metrics if m.curves is not None and len(m.curves.at) > 1]
    outcomes = [m for m in known if m.scale.role is MetricRole.OUTCOME]
    others = [m for m in known if m.scale.role is MetricRole.TRAINING]
    others.sort(key=lambda m: (not m.differs, m.name != "train/grad_norm"))
    return [*outcomes, *others][:METRICS]


def _overlay(diff: Diff, name: str, key: str) -> Chart | None:
    axis = diff.pairs[0].axis
    runs = [diff.a.run, *(pair.b.run for pair in diff.pairs)]
    lines = [
        curve(f"{name}, {letter}", one, FOCUS, ())
        for letter, run in zip(LETTERS, runs[: len(COLOURS)], strict=False)
        if (one := _on_axis(run, name, axis)) is not None
    ]
    limits = _limits(lines)
    if len(lines) < 2 or limits is None:
        return None
    plot = Plot(
        key, _title(name, diff), tuple(lines), limits, marks=_marks(diff, name),
        height=MIDDLE if name == LEARNING_RATE else TALL, averages=len(lines), axis=axis.value,
        decades=DECADES,
    )  # fmt: skip
    return draw(plot)


def _title(name: str, diff: Diff) -> str:
    letters = ", ".join(LETTERS[: 1 + len(diff.pairs)])
    return f"{name}: {letters}"


def _on_axis(run: Run, name: str, axis: Axis) -> Series | None:
    """Return a curve whose steps are places on the axis; None where it has none."""
    series = run.series(name)
    if not len(series) or axis is Axis.STEP:
        return series if len(series) else None
    points = placed(run, series, axis)
    if points is None:
        return None
    clean = series.finite()
    size = len(points)
    # Figures take any number for a step.
    at = cast("IntArray", points.at)
    return replace(clean.take(np.arange(size)), step=at, value=points.value)


def _limits(lines: Sequence[Curve]) -> tuple[float, float] | None:
    steps = [line.series.step for line in lines if len(line.series)]
    if not steps:
        return None
    first, last = float(min(s[0] for s in steps)), float(max(s[-1] for s in steps))
    room = EDGES * max(last - first, 1e-9)
    return first - room, last + room


def _marks(diff: Diff, name: str) -> tuple[Mark, ...]:
    """Return where the curves part; places that are no steps are marked all the same."""
    found = [metric for pair in diff.pairs if (metric := pair.metric(name)) is not None]
    places: list[Any] = [m.parting.at for m in found if m.parting is not None]
    return tuple(Mark(MarkKind.PARTING, at, "") for at in dict.fromkeys(places))


def _difference(pair: Pair, metric: Metric, key: str) -> Chart | None:
    """Draw B over A (or B less A), with the limits of what noise and another seed explain."""
    curves = metric.curves
    if curves is None or metric.identical or len(curves.at) < 3:
        return None
    gap = metric.scale.of(curves.b) - metric.scale.of(curves.a)
    label = "B / A" if metric.scale.logarithmic else "B - A"
    back = np.exp if metric.scale.logarithmic else np.asarray
    reach = quantile() * curves.sigma
    known = np.isfinite(reach)
    if not known.any():
        return None
    zero = 1.0 if metric.scale.logarithmic else 0.0
    line = _series(metric.series[0], f"{metric.name}, {label}", curves.at, back(gap))
    drawn = curve(f"{metric.name}, {label}", line, FOCUS, ())
    limits = {
        "most that noise and seed explain": (
            curves.blocks[known].tolist(),
            back(reach[known]).tolist(),
        ),
        "least that they explain": (curves.blocks[known].tolist(), back(-reach[known]).tolist()),
    }
    plot = Plot(
        key, f"{metric.name}: {label}", (drawn,), _limits((drawn,)) or (0.0, 1.0),
        marks=tuple(Mark(MarkKind.PARTING, cast("Any", p.at), "") for p in (metric.parting,) if p),
        proof=Proof({f"no difference: {zero:g}": zero}, limits), height=MIDDLE, axis=pair.axis.value,
    )  # fmt: skip
    return draw(plot)


def _series(like: Series, name: str, at: FloatArray, values: FloatArray) -> Series:
    from loganalyze.run import Series

    count = len(at)
    none = np.full(count, np.nan)
    zeros = np.zeros(count, dtype=np.int64)
    steps = cast("IntArray", at.astype(np.int64) if np.all(at == np.round(at)) else at)
    return Series(name, like.sources, steps, values, none, none, zeros, zeros, zeros, True)
