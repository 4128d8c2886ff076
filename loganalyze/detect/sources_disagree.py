"""Two sources report different values for one metric at the same steps.

What it does
------------
Compares, metric by metric, the source that analysis uses with every other one at their common
steps. What rounding explains (the digits that a source prints) is no difference. Where the numbers
show a reason (one source averages, counts from another first step, or prints percent), it is named.

Why it matters
--------------
One of the sources is not what it seems: a mean over a window or over ranks, another axis, another
run's file. Conclusions drawn from it are wrong.

Not to be confused with
-----------------------
Rounding in printed logs; averages over ``logging_steps`` beside single values (told as such).

Settings
--------
``disagree.share``: share of common points that must differ.
``disagree.relative``: relative difference that counts, beside rounding.
``disagree.points``: fewest common points.

Fix
---
Log one reduction everywhere; remove files of other runs from the directory.

References
----------
Half a unit in the last printed place is the largest error of rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run, Where
from loganalyze.settings import setting

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from loganalyze.run import FloatArray

MOST_DIGITS = 8  # decimals beyond which a number is not a printed one


@dataclass(frozen=True)
class DisagreeSettings:
    """When two sources disagree."""

    share: float = setting(
        0.1, unit="share of common points", source="restarts repeat a few points"
    )
    relative: float = setting(
        0.02, unit="ratio", source="single precision and rounding stay below 1 %"
    )
    points: int = setting(5, unit="points", source="fewer may be chance")


@dataclass(frozen=True)
class _Pair:
    """Two sources of one metric at their common steps."""

    metric: str
    step: NDArray[np.int64]
    ours: FloatArray
    theirs: FloatArray
    other: str
    their_row: int
    differ: NDArray[np.bool_]


def detect(run: Run, settings: DisagreeSettings) -> Detected:
    """Compare the sources of every metric."""
    pairs = [
        pair
        for metric, sources in run.preferred.items()
        for pair in _pairs(run, metric, sources, settings)
    ]
    if not pairs:
        return NotApplicable("no metric was logged at the same steps by two sources")
    return tuple(
        _finding(run, pair, settings) for pair in pairs if pair.differ.mean() >= settings.share
    )


def _pairs(
    run: Run, metric: str, sources: tuple[str, ...], settings: DisagreeSettings
) -> list[_Pair]:
    metrics = run.metrics
    if len(run.sources) < 2 or set(metrics["source"].cat.categories) <= set(sources):
        return []
    rows = metrics[(metrics["metric"] == metric) & (metrics["step"] >= 0)]
    others = [str(name) for name in rows["source"].unique() if name not in sources]
    if not others:
        return []
    ours = _by_step(rows[rows["source"].isin(sources)])
    found = []
    for other in others:
        theirs = _by_step(rows[rows["source"] == other]).add_suffix("_theirs")
        both = ours.join(theirs, how="inner")
        if len(both) >= settings.points:
            found.append(_pair(metric, other, both, settings))
    return found


def _by_step(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.groupby("step")[["value", "row"]].last()


def _pair(metric: str, other: str, both: pd.DataFrame, settings: DisagreeSettings) -> _Pair:
    import numpy as np

    ours, theirs = both["value"].to_numpy(), both["value_theirs"].to_numpy()
    rounding = max(_rounding(ours), _rounding(theirs))
    same = np.isclose(ours, theirs, rtol=settings.relative, atol=rounding, equal_nan=True)
    at = int(np.argmax(~same))
    return _Pair(
        metric,
        both.index.to_numpy(np.int64),
        ours,
        theirs,
        other,
        int(both["row_theirs"].iloc[at]),
        ~same,
    )


def _rounding(values: FloatArray) -> float:
    """Return half a unit in the last place that all of `values` are printed to."""
    import numpy as np

    finite = values[np.isfinite(values)]
    for digits in range(MOST_DIGITS):
        if np.allclose(np.round(finite, digits), finite, rtol=0, atol=1e-12):
            return 0.5 * 10.0**-digits
    return 0.0


def _finding(run: Run, pair: _Pair, settings: DisagreeSettings) -> Finding:
    import numpy as np

    reason = _reason(pair, settings)
    gap = np.abs(pair.ours - pair.theirs)
    largest = int(np.argmax(np.where(np.isfinite(gap), gap, -1.0)))
    ours = run.series(pair.metric)
    ours_at = ours.where(int(np.searchsorted(ours.step, pair.step[int(np.argmax(pair.differ))])))
    count = int(pair.differ.sum())
    return Finding(
        id="sources-disagree",
        severity=Severity.INFO if reason else Severity.WARNING,
        confidence=0.9,
        title=f"{pair.other} gives other values of {pair.metric}",
        summary=(
            f"{count:,} of {len(pair.step):,} common steps differ; at step {pair.step[largest]:,} it is "
            f"{pair.ours[largest]:.5g} in {ours_at.source} and {pair.theirs[largest]:.5g} in {pair.other}. "
            + (reason or "Nothing in the numbers explains it.")
        ),
        steps=(int(pair.step[pair.differ][0]), int(pair.step[pair.differ][-1])),
        metrics=(pair.metric,),
        evidence={
            "points_compared": float(len(pair.step)),
            "points_that_differ": float(count),
            "largest_difference": float(gap[largest]),
            "likely_reason": reason or "unknown",
        },
        where=(ours_at, Where(pair.other, pair.their_row)),
        fix=("Log one reduction everywhere, and keep one run to a directory",),
    )


def _reason(pair: _Pair, settings: DisagreeSettings) -> str:
    """Return the sentence that explains the difference, if the numbers show one."""
    import numpy as np

    ours, theirs = pair.ours, pair.theirs
    for factor, words in ((100.0, "percent"), (0.01, "a fraction")):
        if np.isclose(theirs, ours * factor, rtol=settings.relative).mean() > 1 - settings.share:
            return f"It is printed as {words} there."
    for shift in (1, -1):
        one = ours[shift:] if shift > 0 else ours[:shift]
        two = theirs[:-shift] if shift > 0 else theirs[-shift:]
        if len(one) and np.isclose(one, two, rtol=settings.relative).mean() > 1 - settings.share:
            return "Its steps are counted from another first step: the curves are shifted by one point."
    rough, smooth = _roughness(ours), _roughness(theirs)
    if max(rough, smooth) > 2 * min(rough, smooth):
        averaged = pair.other if smooth < rough else "the analysed source"
        return f"The values of {averaged} are averages: they vary less than half as much."
    return ""


def _roughness(values: FloatArray) -> float:
    """Return the median distance of neighbours: what averaging makes smaller."""
    import numpy as np

    finite = values[np.isfinite(values)]
    return float(np.median(np.abs(np.diff(finite)))) if len(finite) > 1 else 0.0


DETECTOR = Detector(
    id="sources-disagree",
    group="disagree",
    passed="The sources agree where they meet",
    failed="Two sources report different values",
    requires=(),
    settings=DisagreeSettings,
    detect=detect,
)
