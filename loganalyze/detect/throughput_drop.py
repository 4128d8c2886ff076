"""The run became slower for good.

What it does
------------
Seconds per step (logged, or from the times of the log; or the inverse of a logged throughput) are averaged by
medians over a tenth of the run. The finding holds if the last `tail` takes `slower` times as long as the
fastest stretch before it, and stays so. If the fastest tenth of the steps since is not as slow, the machine
is shared, as its steps are fast whenever a neighbour rests: a note. So is a drop of steps below `seconds`,
where a neighbour shows in all of them, by less than a factor of 4, and so is what costs less than `lost` in
all the steps planned. A run that spends the share `waits` of a step waiting for data from its start has never
been fast; the same holds for what that costs.

Why it matters
--------------
Heat, a neighbour on the machine, a data source that ran out of cache, or a leak that swaps cost the rest of
the run.

Not to be confused with
-----------------------
Slow first steps (compilation, caches). Single gaps (stall). Longer samples by plan (a curriculum, sorting by
length), which come back with each epoch.

Settings
--------
`slower`, `tail`, `seconds`, `waits`, `lost`, `points`, `fewest`.

Fix
---
Log the time spent on data beside the step; watch clocks, temperature and disk of the machine.

References
----------
insightface#1624: the speed changes in a step with an unaffected loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run, Series
from loganalyze.settings import setting
from loganalyze.signals.robust import FloatArray
from loganalyze.signals.smooth import block_medians


@dataclass(frozen=True)
class ThroughputSettings:
    """Thresholds of the check."""

    slower: float = setting(
        1.5, unit="ratio of step times", source="beyond what clocks and batches do"
    )
    tail: float = setting(0.3, unit="share of the run", source="sustained, no pause")
    seconds: float = setting(
        0.01, unit="seconds per step", source="a scheduler's time slice: below it neighbours show"
    )
    waits: float = setting(0.5, unit="share of a step", source="more than the computing itself")
    lost: float = setting(60.0, unit="seconds", source="less than a minute is not worth a look")
    points: int = setting(30, unit="log points", source="ten stretches of three")
    fewest: int = setting(8, unit="log points", source="five before the drop and three after")


FEWEST_BEFORE = 5  # log points that tell what is usual
FEWEST_AFTER = 3  # log points that last
FEWEST_WAITS = 5  # log points, the first one left out
SLOWER_SHORT = 2.0  # ratio of step times in a short log
FAR = 4.0  # ratio of step times that no neighbour on the machine causes
FASTEST = 0.1  # quantile of the step times
STRETCHES = 10
RATES = ("perf/tokens_per_second", "perf/samples_per_second")


def detect(run: Run, settings: ThroughputSettings) -> Detected:
    """Compare the end with the best stretch before, and the time on data with that of the step."""
    drop, waits = _drop(run, settings), _waits(run, settings)
    if isinstance(drop, NotApplicable) or not drop:
        return waits or drop
    is_graver = bool(waits) and waits[0].severity.rank > drop[0].severity.rank
    return waits if is_graver else drop


def _drop(run: Run, settings: ThroughputSettings) -> Detected:
    series = _seconds(run)
    if len(series) < settings.fewest:
        return NotApplicable(f"{len(series)} times of steps are too few, {settings.fewest} needed")
    short = len(series) < settings.points
    if short and not _halves(series.value, settings):
        return ()
    # A short log has its points for stretches.
    blocks = (
        np.interp(np.linspace(0, len(series) - 1, STRETCHES), np.arange(len(series)), series.value)
        if short
        else block_medians(series.value, STRETCHES)
    )
    split = _split(blocks, settings)
    if split is None:
        return ()
    usual, after = float(np.median(blocks[:split])), blocks[split:]
    index = int(len(series) * split / STRETCHES)
    at = int(series.step[index])
    ratio = float(np.median(after)) / usual
    is_steady = _is_steady(series.value, index, settings)
    per_step = series.metric not in RATES
    is_short = per_step and blocks[-1] < settings.seconds and ratio < FAR
    if is_short and not is_steady:
        return ()
    is_cheap = per_step and _cost(run, series, at, float(np.median(after)) - usual) < settings.lost
    return (
        Finding(
            id="throughput-drop",
            severity=Severity.WARNING
            if is_steady and not is_short and not is_cheap
            else Severity.INFO,
            confidence=0.5 if short or not is_steady else 0.75,
            title=f"Steps take {ratio:.1f} x as long as before",
            summary=(
                f"A step took {usual:.3g} s until about step {at:,} and takes "
                f"{np.median(after):.3g} s since, "
                f"{ratio:.1f} x as long, to the end of the log."
            ),
            steps=(at, int(series.step[-1])),
            metrics=(series.metric,),
            evidence={
                "before_s": usual,
                "after_s": float(np.median(after)),
                "ratio": ratio,
                "step": at,
            },
            where=(series.where(index),),
            fix=(
                "Log the time spent on data; look at clocks, temperature and other users of the machine",
            ),
        ),
    )


def _cost(run: Run, series: Series, since: int, seconds: float) -> float:
    """Return what so many seconds in each step cost from a step on, to the end of the plan."""
    return seconds * (max(run.planned_steps or 0, int(series.step[-1])) - since)


def _is_steady(value: FloatArray, index: int, settings: ThroughputSettings) -> bool:
    """Tell whether the fastest steps since are slower, too, than the usual ones before."""
    fastest = float(np.quantile(value[index:], FASTEST))
    return fastest >= settings.slower * float(np.median(value[:index]))


def _waits(run: Run, settings: ThroughputSettings) -> tuple[Finding, ...]:
    """Find a run of which the greater part is spent waiting for data, from the start."""
    data, step = (run.series(name).finite() for name in ("perf/data_seconds", "perf/step_seconds"))
    if len(data) < FEWEST_WAITS or not np.array_equal(data.step, step.step):
        return ()
    # Filling the queue for the first batch is no habit.
    waited, spent = data.value[1:], step.value[1:]
    share = float(np.median(waited / np.maximum(spent, 1e-12)))
    is_cheap = _cost(run, data, int(data.step[0]), float(np.median(waited))) < settings.lost
    if not settings.waits <= share <= 1 or float(np.median(spent)) < settings.seconds:
        return ()
    return (
        Finding(
            id="throughput-drop",
            severity=Severity.INFO if is_cheap else Severity.WARNING,
            confidence=0.7,
            title=f"{share:.0%} of a step is spent waiting for data",
            summary=(
                f"A step takes {np.median(spent):.3g} s, of which {np.median(waited):.3g} s are spent on "
                f"data, at the median of {len(waited)} log points."
            ),
            steps=(int(data.step[0]), int(data.step[-1])),
            metrics=("perf/data_seconds", "perf/step_seconds"),
            evidence={"share_waiting": share, "step_s": float(np.median(spent))},
            where=(data.where(1),),
            fix=("More workers, pinned memory, data closer to the machine",),
        ),
    )


def _halves(value: FloatArray, settings: ThroughputSettings) -> bool:
    """Tell whether from some point on a short log is twice as slow as all before it."""
    least = max(FEWEST_AFTER, round(settings.tail * len(value)))
    for last in range(least, len(value) - FEWEST_BEFORE + 1):
        before, after = value[:-last], value[-last:]
        slower = float(after.min()) > settings.slower * float(before.max())
        if slower and float(np.median(after)) > SLOWER_SHORT * float(np.median(before)):
            return True
    return False


def _split(blocks: FloatArray, settings: ThroughputSettings) -> int | None:
    """Return the stretch from which all are slower than all before it, by the ratio, or None."""
    for split in range(2, STRETCHES - max(1, round(settings.tail * STRETCHES)) + 1):
        before, after = blocks[:split], blocks[split:]
        # Against the slowest before: a run that was as slow once shows its own pattern.
        if (
            float(before.max()) < float(after.min())
            and float(after.min()) >= settings.slower * float(np.median(before)) > 0
        ):
            return split
    return None


def _seconds(run: Run) -> Series:
    """Return seconds per step, or per sample or token where only a throughput was logged."""
    for name in RATES:
        rate = run.series(name).finite()
        rate = rate.take(rate.value > 0)
        if len(rate) >= STRETCHES:
            return rate.measuring(name, 1.0 / rate.value)
    return run.series("perf/step_seconds").finite()


DETECTOR = Detector(
    id="throughput-drop",
    group="throughput",
    passed="The run kept its speed",
    failed="The run became slower for good",
    requires=(),
    settings=ThroughputSettings,
    detect=detect,
)
