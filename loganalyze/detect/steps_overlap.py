"""A restart logged steps again that an earlier start had logged.

What it does
------------
Follows the training loss, in each source that has it, over all starts of the run and counts the
steps that were trained again after each restart, what they cost, and whether the repeated losses
agree. The later start is kept for analysis, the earlier points stay in the data with their segment.

Why it matters
--------------
Repeated steps are paid twice. Where the repeated losses differ, the restart did not bring back all
of the state (random numbers, data order), or other settings were used.

Not to be confused with
-----------------------
Several files that one start wrote. A restart that goes on exactly where the last one stopped. A run
started anew from its first step in an old folder: said so, and no more than a note.

Settings
--------
`share`.

Fix
---
Save checkpoints more often; write each new attempt into a folder of its own.

References
----------
TensorBoard drops superseded events in the same way (``purge_step`` of its summary writers).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run, Series
from loganalyze.series import every_start, families
from loganalyze.settings import setting

LOSS = "train/loss"
SAME = 1e-3  # relative difference below which repeated losses agree; logs print 4 digits
MOST_STARTS = 100  # of one run; nobody starts it more often
SHOWN = 5  # restarts listed in the evidence


@dataclass(frozen=True)
class OverlapSettings:
    """Thresholds of the check."""

    share: float = setting(
        0.2,
        unit="share of all steps trained",
        source="more frequent checkpoints pay off well before a fifth of the work is lost",
    )


@dataclass(frozen=True, slots=True)
class Repeat:
    """What one restart did again.

    Attributes
    ----------
    first, last
        Steps between which it repeats, both inclusive.
    steps
        Steps trained again: from the one that it resumed at.
    seconds
        Wall time of the repeated steps when they were trained first; NaN where unknown.
    differences
        Relative differences of the losses logged twice.
    """

    first: int
    last: int
    steps: int
    seconds: float
    differences: np.ndarray
    from_scratch: bool
    at: int  # index of its first point


def detect(run: Run, settings: OverlapSettings) -> Detected:
    """Find the restarts that repeat steps, in the sources that show most of them.

    A resumed Trainer's state holds nothing of what was lost; its event files may.
    """
    found = []
    for sources in families(run).get(LOSS, ()):
        points = every_start(run.columns, LOSS, sources)
        starts = len(np.unique(points.segment))
        if starts > MOST_STARTS:
            return NotApplicable(f"{starts:,} starts in one log: several runs seem to share it")
        found.append((points, list(_repeats(points))))
    points, repeats = max(found, key=lambda item: sum(repeat.steps for repeat in item[1]))
    return (_finding(points, repeats, settings),) if repeats else ()


def _repeats(points: Series) -> list[Repeat]:
    """Follow the starts in order; the earlier points that a start goes back behind are repeated."""
    found: list[Repeat] = []
    if not len(points):
        return found
    live = np.flatnonzero(points.segment == points.segment[0])
    for number in np.unique(points.segment)[1:].tolist():
        new = np.flatnonzero(points.segment == number)
        first = int(points.step[new].min())
        lost = live[points.step[live] >= first]
        kept = live[points.step[live] < first]
        if len(lost):
            found.append(_repeat(points, new, lost, kept))
        live = np.r_[kept, new]
    return found


def _repeat(points: Series, new: np.ndarray, lost: np.ndarray, kept: np.ndarray) -> Repeat:
    first, last = int(points.step[new].min()), int(points.step[lost].max())
    gaps = np.diff(np.unique(points.step[lost]))
    interval = int(np.median(gaps)) if len(gaps) else 1
    resumed = int(points.step[kept].max()) if len(kept) else max(first - interval, -1)
    _, again, before = np.intersect1d(points.step[new], points.step[lost], return_indices=True)
    one, two = points.value[new[again]], points.value[lost[before]]
    scale = np.maximum(np.maximum(np.abs(one), np.abs(two)), 1e-12)
    with np.errstate(all="ignore"):
        differences = np.abs(one - two) / scale
    before_it = kept[points.step[kept].argmax()] if len(kept) else lost[0]
    return Repeat(
        first=first,
        last=last,
        steps=last - resumed,
        seconds=float(points.time[lost].max() - points.time[before_it]),
        differences=differences[np.isfinite(differences)],
        from_scratch=not len(kept),
        at=int(new[0]),
    )


def _finding(points: Series, repeats: list[Repeat], settings: OverlapSettings) -> Finding:
    steps = sum(repeat.steps for repeat in repeats)
    resumed = sum(repeat.steps for repeat in repeats if not repeat.from_scratch)
    seconds = sum(repeat.seconds for repeat in repeats)
    share = resumed / max(int(points.step.max()) + steps, 1)
    worst = max(repeats, key=lambda repeat: repeat.steps)
    evidence: dict[str, float | str] = {
        "restarts": len(repeats),
        "steps_repeated": steps,
        "share_of_steps": steps / max(int(points.step.max()) + steps, 1),
        **({"seconds_repeated": seconds} if np.isfinite(seconds) else {}),
        **{f"restart_{i}": _sentence(r) for i, r in enumerate(repeats[:SHOWN], 1)},
    }
    differences = np.concatenate([repeat.differences for repeat in repeats])
    if len(differences):
        evidence["losses_compared"] = len(differences)
        evidence["median_relative_difference"] = float(np.median(differences))
    cost = f", {_duration(seconds)} of training" if np.isfinite(seconds) and seconds > 0 else ""
    count = "A restart" if len(repeats) == 1 else f"{len(repeats)} restarts"
    largest = "" if len(repeats) == 1 else f" (most: {worst.first:,} to {worst.last:,})"
    span = f" ({worst.first:,} to {worst.last:,})" if len(repeats) == 1 else largest
    return Finding(
        id="steps-overlap",
        severity=Severity.WARNING if share > settings.share else Severity.INFO,
        confidence=0.95,
        title=f"{count} repeated {steps:,} steps",
        summary=(
            f"{count} logged {steps:,} steps again{span}{cost}; {_agreement(differences)}. "
            "The latest start is analysed."
        ),
        steps=(min(r.first for r in repeats), max(r.last for r in repeats)),
        metrics=(LOSS,),
        evidence=evidence,
        where=tuple(points.where(repeat.at) for repeat in repeats[:SHOWN]),
        fix=("Save checkpoints more often: every restart repeats what was not saved",)
        if resumed
        else ("Write each new attempt into a folder of its own",),
    )


def _sentence(repeat: Repeat) -> str:
    begin = "from the first step" if repeat.from_scratch else f"at step {repeat.first:,}"
    return (
        f"{begin}: {repeat.steps:,} steps up to {repeat.last:,}; {_agreement(repeat.differences)}"
    )


def _agreement(differences: np.ndarray) -> str:
    if not len(differences):
        return "no loss was logged twice at one step"
    same = int((differences <= SAME).sum())
    if same == len(differences):
        return f"the {len(differences):,} repeated losses agree"
    return (
        f"{len(differences) - same:,} of {len(differences):,} repeated losses differ, "
        f"by {np.median(differences):.2%} in the median"
    )


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


DETECTOR = Detector(
    id="steps-overlap",
    group="overlap",
    passed="No restart repeats steps",
    failed="A restart repeats steps that were logged before",
    requires=(LOSS,),
    settings=OverlapSettings,
    detect=detect,
)
