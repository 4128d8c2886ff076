"""Single steps took far longer than all others.

What it does
------------
Seconds per step are compared with their median. Steps beyond `factor` times the median and `seconds` stand
out, and shorter ones beyond `short`, if they are `factor_short` times the median; those at an evaluation,
at a checkpoint, the first ones, and those that come at regular intervals are what a run does. The finding
holds if the others cost `cost` of the whole time, from `note` on as a note; one or two that cost less than
`waited` are no more than a note.

Why it matters
--------------
The accelerator waited: for data, for a network file system, for another process.

Not to be confused with
-----------------------
Evaluations and checkpoints. Compilation in the first steps. A restart. Pauses below `seconds` of steps of a
few milliseconds: a busy machine makes them (a note).

Settings
--------
`factor`, `seconds`, `factor_short`, `short`, `cost`, `note`, `waited`, `points`.

Fix
---
Log the time spent on data; look at the queue of the loader and at the file system at those times.

References
----------
pytorch/examples#164: 67.6 s for one batch among batches of 0.15 s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import EventKind, Run, Series
from loganalyze.settings import setting
from loganalyze.signals.robust import groups


@dataclass(frozen=True)
class StallSettings:
    """Thresholds of the check."""

    factor: float = setting(
        10.0, unit="ratio to the median step", source="no batch is ten times as large"
    )
    seconds: float = setting(2.0, unit="seconds", source="shorter ones nobody notices")
    factor_short: float = setting(
        50.0, unit="ratio to the median step", source="no pause of an interpreter is so long"
    )
    short: float = setting(
        0.3, unit="seconds", source="garbage collection and the scheduler take a tenth at most"
    )
    cost: float = setting(0.2, unit="share of the whole time", source="worth a look")
    note: float = setting(0.1, unit="share of the whole time", source="visible in the bill")
    waited: float = setting(
        5.0, unit="seconds", source="one pause that costs less is the machine's, not the run's"
    )
    points: int = setting(6, unit="log points", source="a median needs them")


FIRST = 0.02  # share of the points that may be slow at the start
SLICE = 0.01  # seconds; a scheduler's time slice
OFTEN = 3  # pauses; they come back
AS_A_RULE = 0.3  # share of the evaluations that are slow; fewer slow ones met something else
NEAR = 1  # log points around an evaluation or a checkpoint
SPARSE = 5.0  # log points between evaluations
REGULAR = 0.1  # relative scatter of intervals that are a plan


def detect(run: Run, settings: StallSettings) -> Detected:
    """Look for steps that stand out."""
    series = run.series("perf/step_seconds").finite()
    if len(series) < settings.points:
        return NotApplicable(f"{len(series)} times of steps are too few, {settings.points} needed")
    usual = float(np.median(series.value))
    slow = (series.value > settings.factor * usual) & (series.value > settings.seconds)
    slow |= (series.value > settings.factor_short * usual) & (series.value > settings.short)
    slow[: max(1, int(FIRST * len(series)))] = False
    slow &= ~_planned(run, series, slow)
    hits = groups(slow)
    if not hits or _is_regular(series, hits):
        return ()
    width = (
        np.diff(series.step, prepend=series.step[0] - 1) if series.derived else np.ones(len(series))
    )
    lost = float(((series.value - usual) * width)[slow].sum())
    total = float((series.value * width).sum())
    if lost < settings.note * total:
        return ()
    worst = int(np.argmax(np.where(slow, series.value, 0)))
    costly = lost >= settings.cost * total and (len(hits) >= OFTEN or lost >= settings.waited)
    # Of steps shorter than its time slices a busy machine makes such pauses by itself.
    costly &= usual >= SLICE or float(series.value[worst]) >= settings.seconds
    return (
        Finding(
            id="stall",
            severity=Severity.WARNING if costly else Severity.INFO,
            confidence=0.75,
            title=f"{len(hits)} stall{'s' if len(hits) > 1 else ''} took {lost / total:.0%} of the time",
            summary=(
                f"A step takes {usual:.3g} s; at step {series.step[worst]:,} it took "
                f"{series.value[worst]:.3g} s. "
                f"{len(hits)} such gaps cost {lost:.0f} s, {lost / total:.0%} of the logged time."
            ),
            steps=(int(series.step[hits[0][0]]), int(series.step[hits[-1][1]])),
            metrics=("perf/step_seconds",),
            evidence={
                "usual_s": usual,
                "worst_s": float(series.value[worst]),
                "count": len(hits),
                "lost_s": lost,
                "share": lost / total,
            },
            where=tuple(series.where(first) for first, _ in hits[:5]),
            fix=(
                "Log the time spent on data; look at the loader's queue and the file system at those steps",
            ),
        ),
    )


def _planned(run: Run, series: Series, slow: np.ndarray) -> np.ndarray:
    """Mark the points beside an evaluation, a checkpoint or a restart, if those are slow as a rule."""
    evaluated = np.union1d(run.series("eval/loss").step, run.series("eval/accuracy").step)
    saved, resumed = (
        np.unique([e.step for e in run.events_of(kind) if e.step is not None]).astype(np.int64)
        for kind in (EventKind.CHECKPOINT, EventKind.RESUME)
    )
    out = np.zeros(len(series), dtype=bool)
    for marks in (evaluated, saved, resumed):
        at = np.searchsorted(series.step, marks)
        near = np.clip(at[:, None] + np.arange(-NEAR, NEAR + 1), 0, len(series) - 1)
        if len(marks) and slow[near].any(axis=1).mean() >= AS_A_RULE:
            out[near] = True
    out[1:] |= np.diff(series.segment) > 0
    return out


def _is_regular(series: Series, hits: list[tuple[int, int]]) -> bool:
    """Tell whether the gaps come at one interval: evaluations that nobody logged."""
    at = series.step[[first for first, _ in hits]]
    if len(at) < 3:
        return False
    if float(np.diff([first for first, _ in hits]).mean()) < SPARSE:
        return False  # nobody evaluates so often
    gaps = np.diff(at)
    return float(np.std(gaps)) < REGULAR * float(np.mean(gaps))


DETECTOR = Detector(
    id="stall",
    group="stall",
    passed="No step took far longer than the others",
    failed="Single steps took far longer than the others",
    requires=(),
    settings=StallSettings,
    detect=detect,
)
