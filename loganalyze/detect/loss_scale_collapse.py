"""The fp16 loss scale falls again and again, or steps are skipped in a row.

What it does
------------
Reads the loss scale from its metric, or from the messages of the scaler. The finding holds if it ends at or
below `floor`, or if it was halved `halvings` times in a row at the end without growing again, after the
calibration of the first `calibration` steps. `streak` steps one after another that all halve it are noted
(info) from there on, too.

Why it matters
--------------
Each halving is a step without an update; at its floor the gradients are rounded to zero, or the run stops.

Not to be confused with
-----------------------
The calibration at the start: from 2^16 or 2^32 down to where it stays. Single halvings that it grows back
from.

Settings
--------
`floor`, `halvings`, `streak`, `calibration`.

Fix
---
bf16 in place of fp16; look at what came before the first halving.

References
----------
Micikevicius et al., "Mixed Precision Training" (2018); transformers#10362; fairseq#512.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Event, EventKind, Run
from loganalyze.settings import setting


@dataclass(frozen=True)
class ScaleSettings:
    """Thresholds of the check."""

    floor: float = setting(1.0, unit="loss scale", source="below it small gradients are lost")
    halvings: int = setting(8, unit="halvings in a row", source="a scaler needs a few to settle")
    streak: int = setting(3, unit="steps in a row", source="odd batches come one by one")
    calibration: int = setting(100, unit="steps", source="from 2^32 some dozen halvings")


MESSAGES = 15  # of the scaler, in a log without losses; its calibration needs a dozen


def detect(run: Run, settings: ScaleSettings) -> Detected:
    """Look at the course of the scale."""
    scale = run.series("train/loss_scale").finite()
    events = run.events_of(EventKind.LOSS_SCALE)
    if len(scale) < 3 and len(events) < 3:
        return NotApplicable("no loss scale was logged")
    values, steps = (scale.value, scale.step) if len(scale) >= 3 else _told(events)
    if len(values) < 3:
        return NotApplicable("the messages of the scaler tell no scale")
    down = np.flatnonzero(np.diff(values) >= 0)
    falling = values[down[-1] + 1 if len(down) else 0 :]
    halvings = int(np.log2(falling[0] / falling[-1])) if len(falling) > 1 and falling[-1] > 0 else 0
    at_floor = values[-1] <= settings.floor and values[-1] < values.max()
    late = steps[-1] > settings.calibration or (
        not run.has("train/loss") and len(events) >= MESSAGES
    )
    steady = len(falling) >= settings.streak and np.diff(steps[-settings.streak :]).max() <= 1
    if not at_floor and not (late and (halvings >= settings.halvings or steady)):
        return ()
    is_note = not at_floor and halvings < settings.halvings
    return (
        Finding(
            id="loss-scale-collapse",
            severity=Severity.CRITICAL
            if at_floor
            else Severity.INFO
            if is_note
            else Severity.WARNING,
            confidence=0.5 if is_note else 0.85,
            title=f"The loss scale fell to {values[-1]:.3g}",
            summary=(
                f"The loss scale fell from {values.max():.4g} to {values[-1]:.4g} ({halvings} "
                "halvings in a row at "
                "the end): every halving is a step that was skipped."
            ),
            steps=(int(steps[0]), int(steps[-1])),
            metrics=("train/loss_scale",),
            evidence={
                "highest": float(values.max()),
                "last": float(values[-1]),
                "halvings": halvings,
            },
            where=(scale.where(len(scale) - 1),) if len(scale) >= 3 else (events[-1].where,),
            fix=("fp16 true -> false, bf16 false -> true",),
        ),
    )


def _told(events: tuple[Event, ...]) -> tuple[np.ndarray, np.ndarray]:
    pairs = [
        (float(e.data["scale"]), e.step or 0)
        for e in events
        if isinstance(e.data.get("scale"), float)
    ]
    values, steps = zip(*pairs, strict=True) if pairs else ((), ())
    return np.array(values), np.array(steps, dtype=np.int64)


DETECTOR = Detector(
    id="loss-scale-collapse",
    group="loss_scale",
    passed="The loss scale settled",
    failed="The loss scale falls again and again",
    requires=(),
    settings=ScaleSettings,
    detect=detect,
)
