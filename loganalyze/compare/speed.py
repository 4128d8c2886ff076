"""How soon a level was reached, and how fast the steps went."""

from __future__ import annotations

from dataclasses import replace
from math import floor, log10
from typing import TYPE_CHECKING

import numpy as np

from loganalyze.compare.axis import Placed, placed
from loganalyze.compare.values import Axis, Speed, Throughput
from loganalyze.signals.smooth import centered_median

if TYPE_CHECKING:
    from loganalyze.compare.scale import Scale
    from loganalyze.run import FloatArray, Run, Series

SMOOTH = 1 / 15  # of the points, that a curve is smoothed over before it reaches anything
ENDS = 0.05  # share of the points at either end that tell how far a run came
PROGRESS = 0.25  # share of the way of the run that came less far, which makes reaching a level mean something
PACE = 0.25  # of the ratio: what another seed changes, at about two standard deviations
UNITS = ("perf/tokens_per_second", "perf/samples_per_second", "perf/step_seconds")
STEADY = 0.1  # of the ratio of speeds: what two runs on one machine differ by
FEWEST = 5  # points of a curve
Z = 1.96  # standard errors of a 95 % interval


def speed_to_target(
    runs: tuple[Run, Run], series: tuple[Series, Series], scale: Scale, axis: Axis
) -> Speed | None:
    """Return when each run reached the level that the one that came less far ended at.

    None where the metric has no better side, a run cannot be placed on the axis, or made no way to speak of.
    """
    if not scale.better:
        return None
    points = [placed(run, one, axis) for run, one in zip(runs, series, strict=True)]
    if any(one is None or len(one) < FEWEST for one in points):
        return None
    smooth = [Placed(p.at, _smooth(-scale.better * p.value)) for p in points if p is not None]
    start = max(float(p.value[: _few(p)].mean()) for p in smooth)
    ends = [float(np.median(p.value[-_few(p) :])) for p in smooth]
    reached = max(*ends, *(float(p.value.min()) for p in smooth))
    target = _rounded(reached, start, max(1e-12, float(np.ptp(smooth[0].value))))
    first = [_reaches(p, target) for p in smooth]
    if first[0] is None or first[1] is None or not first[0] or not first[1]:
        return None
    if start - target < PROGRESS * max(start - min(ends), 1e-12):
        return None
    ratio = first[0] / first[1]
    wide = 1 + PACE
    return Speed(
        series[0].metric, -scale.better * target, axis, first[0], first[1], ratio, ratio / wide, ratio * wide
    )  # fmt: skip


def unresolved(speed: Speed) -> Speed:
    """Return a speed of curves that do not differ beyond noise: equal speed lies in its interval."""
    return replace(speed, low=min(speed.low, 1.0), high=max(speed.high, 1.0))


def _few(points: Placed) -> int:
    return max(1, round(ENDS * len(points)))


def _smooth(values: FloatArray) -> FloatArray:
    return centered_median(values, max(1, round(SMOOTH * len(values))))


def _rounded(value: float, start: float, span: float) -> float:
    """Round a level towards the start, to a tenth of the way at most: 2.0 is easier to say than 1.97."""
    unit = 10.0 ** floor(log10(max(span / 10, 1e-12)))
    up = float(np.ceil(value / unit) * unit)
    return float(f"{up:.12g}") if up < start else value


def _reaches(points: Placed, target: float) -> float | None:
    """Return the place at which a smoothed curve first comes down to a level."""
    hits = np.flatnonzero(points.value <= target)
    return float(points.at[hits[0]]) if len(hits) else None


def throughput(a: Run, b: Run) -> Throughput | None:
    """Compare the speed of the steps: medians, with an interval from the spread of the points.

    None where not both logged speed or time in one unit.
    """
    for metric in UNITS:
        values = [run.series(metric).finite().value for run in (a, b)]
        values = [v[v > 0] for v in values]
        if min(map(len, values)) >= FEWEST:
            middle = [float(np.median(v)) for v in values]
            # The median of n points lies within 1.25 standard errors of the mean.
            error = np.hypot(*(1.25 * _log_sigma(v) / np.sqrt(len(v)) for v in values))
            change = float(np.log(middle[1] / middle[0]))
            change = -change if metric == "perf/step_seconds" else change
            reach = float(np.hypot(Z * error, STEADY))
            low, mid, high = (float(np.exp(change + d)) for d in (-reach, 0.0, reach))
            return Throughput(metric, middle[0], middle[1], mid, low, high)
    return None


def _log_sigma(values: FloatArray) -> float:
    low, high = np.quantile(np.log(values), (0.16, 0.84))
    return float(high - low) / 2
