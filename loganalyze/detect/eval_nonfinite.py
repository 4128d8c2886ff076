"""A metric of the evaluation is NaN or infinite.

What it does
------------
Counts values of evaluation metrics that are no finite numbers. The evaluation loss weighs more than any other
metric; a value of another metric counts if finite ones of the same metric were logged too, or none ever was.

Why it matters
--------------
The training may look healthy, and no checkpoint can be chosen.

Not to be confused with
-----------------------
A metric that is not defined for an empty class (info). A train loss that is NaN as well: then the evaluation
only shows it (info).

Settings
--------
None.

Fix
---
Evaluate the checkpoint in fp32, one batch at a time, and stop at the first value that is not finite.

References
----------
LLaMA-Factory#3474: only long evaluation inputs overflow fp16.
"""

from __future__ import annotations

import numpy as np

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Run, Series
from loganalyze.settings import NoSettings

LOSS = "eval/loss"


def detect(run: Run, settings: NoSettings) -> Detected:
    """Look through the metrics of the evaluation."""
    names = [
        str(name) for name in run.metrics["metric"].cat.categories if str(name).startswith("eval/")
    ]
    if not names:
        return NotApplicable("no metric of an evaluation was logged")
    bad = {name: series for name in names if len(series := run.series(name)) and _any_bad(series)}
    if not bad:
        return ()
    name = (
        LOSS if LOSS in bad else max(bad, key=lambda key: int((~np.isfinite(bad[key].value)).sum()))
    )
    series = bad[name]
    mask = ~np.isfinite(series.value)
    first = int(np.argmax(mask))
    train = run.series("train/loss").value
    is_loss = name == LOSS and bool(len(train)) and bool(np.isfinite(train).all())
    also = f", as are {len(bad) - 1} other metrics" if len(bad) > 1 else ""
    return (
        Finding(
            id="eval-nonfinite",
            severity=Severity.WARNING if is_loss else Severity.INFO,
            confidence=1.0,
            title=f"{name} is not finite",
            summary=(
                f"{name} is {series.value[first]} at step {series.step[first]:,}; {int(mask.sum()):,} of "
                f"{len(series):,} values are not finite{also}."
            ),
            steps=(int(series.step[first]), int(series.step[np.flatnonzero(mask)[-1]])),
            metrics=(name,),
            evidence={
                "metric": name,
                "first_step": int(series.step[first]),
                "count": int(mask.sum()),
                "share": float(mask.mean()),
                "metrics": len(bad),
            },
            where=(series.where(first),),
            fix=("Evaluate batch by batch in fp32 and stop at the first value that is not finite",),
        ),
    )


def _any_bad(series: Series) -> bool:
    return not bool(np.isfinite(series.value).all())


DETECTOR = Detector(
    id="eval-nonfinite",
    group="eval_nonfinite",
    passed="Every metric of the evaluation is finite",
    failed="A metric of the evaluation is NaN or infinite",
    requires=(),
    settings=NoSettings,
    detect=detect,
)
