"""The drawn points as numbers: for the crosshair of the page, and for the table under each figure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loganalyze.report.labels import shown

if TYPE_CHECKING:
    from loganalyze.finding import Finding
    from loganalyze.report.curves import Curve
    from loganalyze.report.figure import Chart
    from loganalyze.run import Series

CITED = 12  # rows of a figure's table
DIGITS = 9  # significant, of a value that is no 32-bit number


@dataclass(frozen=True, slots=True)
class Cited:
    """A point that a finding rests on."""

    metric: str
    step: int
    value: float
    where: str
    why: str


def cited_points(curves: Sequence[Curve], findings: Iterable[Finding]) -> tuple[Cited, ...]:
    """Return the points that findings cite: where they begin and end, and the extremes between."""
    rows: dict[tuple[str, int], Cited] = {}
    for finding in findings:
        for one in curves:
            for index, why in _of_finding(one.series, finding):
                step, value = int(one.series.step[index]), float(one.series.value[index])
                where = "" if one.series.derived else str(one.series.where(index))
                rows.setdefault(
                    (one.label, step), Cited(one.label, step, value, where, f"{finding.id}, {why}")
                )
    return tuple(sorted(list(rows.values())[:CITED], key=lambda row: (row.step, row.metric)))


def _of_finding(series: Series, finding: Finding) -> list[tuple[int, str]]:
    import numpy as np

    if finding.steps is None or not len(series):
        return []
    begin = int(np.searchsorted(series.step, finding.steps[0]))
    end = int(np.searchsorted(series.step, finding.steps[1], side="right")) - 1
    if begin > end:
        return []
    part = series.value[begin : end + 1]
    found = [(begin, "first"), (end, "last")] if end > begin else [(begin, "the point")]
    finite = np.flatnonzero(np.isfinite(part))
    if len(finite) > 1:
        found.append((begin + int(finite[part[finite].argmax()]), "highest"))
        found.append((begin + int(finite[part[finite].argmin()]), "lowest"))
    broken = np.flatnonzero(~np.isfinite(part))
    if len(broken):
        found.append((begin + int(broken[0]), "first not finite"))
    return found


class Store:
    """The points of all figures of a page, those of one name together."""

    def __init__(self) -> None:
        self._points: dict[str, dict[int, float]] = {}

    def keys(self, chart: Chart) -> str:
        """Take in a figure; return the numbers of its curves, for the script to find them."""
        for one in chart.curves:
            known = self._points.setdefault(one.label, {})
            known.update(zip(one.step.tolist(), one.value.tolist(), strict=True))
        order = list(self._points)
        return " ".join(str(order.index(one.label)) for one in chart.curves)

    def document(self) -> list[list[Any]]:
        """Return ``[name, steps, values]`` for each curve; values that are no numbers as text."""
        return [
            [
                shown(label),
                sorted(points),
                [logged(points[step]) for step in sorted(points)],
            ]
            for label, points in self._points.items()
        ]


def logged(value: float) -> float | str:
    """Return a value with the digits it was logged with: no more than its 32 bits hold, if it has 32."""
    import numpy as np

    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    with np.errstate(over="ignore"):
        single = np.float32(value)
    return float(str(single)) if float(single) == value else float(f"{value:.{DIGITS}g}")
