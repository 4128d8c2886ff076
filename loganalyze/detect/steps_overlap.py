"""A restart logged steps that an earlier start had logged.

What it does
------------
Looks, start by start, for training-loss points at or after the first step of a later start. Those
steps were done twice; analysis keeps the later ones.

Why it matters
--------------
Work was lost and repeated. Where the values of the same steps differ, the restart did not
continue the same run: other data order, lost optimizer state, or other settings.

Not to be confused with
-----------------------
Two runs that write into one directory at the same time: their starts interleave in time.

Settings
--------
None.

Fix
---
Save checkpoints more often; restore optimizer, scheduler, random states and the position in the data.

References
----------
Segments of the metrics table: one per start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, Severity
from loganalyze.run import Run, Where
from loganalyze.settings import NoSettings

if TYPE_CHECKING:
    import pandas as pd

LOSS = "train/loss"


def detect(run: Run, settings: NoSettings) -> Detected:
    """Find the steps that a later start logged again."""
    import numpy as np

    rows = _rows(run)
    segment, step = rows["segment"].to_numpy(), rows["step"].to_numpy()
    numbers = np.unique(segment)
    first = {int(number): int(step[segment == number].min()) for number in numbers}
    repeats: list[tuple[int, int, int]] = []  # segment, its first step, last step before it
    for number in numbers[1:].tolist():
        earlier = step[segment < number]
        if earlier.max() >= first[number]:
            repeats.append((number, first[number], int(earlier.max())))
    if not repeats:
        return ()
    lost = sum(last - start + 1 for _, start, last in repeats)
    share = lost / max(int(step.max()), 1)
    number, start, last = max(repeats, key=lambda item: item[2] - item[1])
    restart = rows[(rows["segment"] == number) & (rows["step"] == start)].iloc[0]
    compared = _compared(rows, number)
    agree = ""
    if len(compared):
        equal = int(np.isclose(compared["one"], compared["two"], rtol=1e-3, equal_nan=True).sum())
        agree = f"; {equal:,} of {len(compared):,} repeated values agree"
    return (
        Finding(
            id="steps-overlap",
            severity=Severity.INFO,
            confidence=1.0,
            title=f"{lost:,} steps were logged again by {len(repeats)} restart"
            + ("s" if len(repeats) > 1 else ""),
            summary=(
                f"The largest repeat runs from step {start:,} to {last:,} ({share:.1%} of the run in all)"
                f"{agree}. The later values are analysed."
            ),
            steps=(start, last),
            metrics=(LOSS,),
            evidence={
                "restarts": float(len(repeats)),
                "steps_repeated": float(lost),
                "share_of_run": share,
                "values_compared": float(len(compared)),
            },
            where=(Where(str(restart["source"]), int(restart["row"])),),
            fix=("Save checkpoints more often, and restore the place in the data with them",),
        ),
    )


def _rows(run: Run) -> pd.DataFrame:
    """Return the training loss of every start, from the sources that analysis uses."""
    metrics = run.metrics
    chosen = (metrics["metric"] == LOSS) & (metrics["step"] >= 0)
    return metrics[chosen & metrics["source"].isin(run.preferred.get(LOSS, ()))]


def _compared(rows: pd.DataFrame, number: int) -> pd.DataFrame:
    """Pair what the start `number` logged with what was logged for the same steps before it."""
    before = rows[rows["segment"] < number].groupby("step")["value"].last()
    again = rows[rows["segment"] == number].groupby("step")["value"].last()
    return before.to_frame("one").join(again.to_frame("two"), how="inner")


DETECTOR = Detector(
    id="steps-overlap",
    group="steps_overlap",
    passed="No step was logged by two starts",
    failed="A restart logged steps again",
    requires=(LOSS,),
    settings=NoSettings,
    detect=detect,
)
