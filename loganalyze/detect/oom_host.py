"""The host ran out of memory.

What it does
------------
Reads the host's out-of-memory errors in the text: a failed CPU allocation, a killed process or
data-loader worker, the kernel's or the scheduler's oom-kill.

Why it matters
--------------
The kernel kills without a traceback: the log just ends, and the last lines mislead.

Not to be confused with
-----------------------
The accelerator's memory (oom-gpu). A shared-memory error of the data loader (``Bus error``).

Settings
--------
None.

Fix
---
Fewer data-loader workers, memory-mapped data, no growing lists of tensors.

References
----------
pytorch#13246: memory of data-loader workers grows by copy-on-write.
"""

from __future__ import annotations

from loganalyze.detect.detector import Detected, Detector
from loganalyze.detect.oom_gpu import ended_with
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import EventKind, Run
from loganalyze.settings import NoSettings

GIB = 2.0**30


def detect(run: Run, settings: NoSettings) -> Detected:
    """Report the first out-of-memory error of the host."""
    if not any(source.format == "text" for source in run.sources):
        return NotApplicable("no log of stdout was given")
    events = run.events_of(EventKind.OOM_HOST)
    if not events:
        return ()
    last = events[-1]
    ended = ended_with(run, last)
    tried = last.data.get("tried")
    size = f" asking for {float(tried) / GIB:,.1f} GiB" if tried is not None else ""
    step = f"after step {last.step:,}" if last.step is not None else "before the first logged step"
    return (
        Finding(
            id="oom-host",
            severity=Severity.CRITICAL if ended else Severity.WARNING,
            confidence=0.95,
            title="The host ran out of memory",
            summary=f"Out of host memory {step}{size}: {last.text.strip().splitlines()[-1][:160]}",
            steps=(last.step, last.step) if last.step is not None else None,
            metrics=("host/memory_rss",),
            evidence={
                "errors": len(events),
                **({"tried_gib": float(tried) / GIB} if tried is not None else {}),
            },
            where=tuple(event.where for event in events[:5]),
            fix=(
                "dataloader_num_workers -> 0 for one epoch: tells whether the workers hold the memory",
            ),
        ),
    )


DETECTOR = Detector(
    id="oom-host",
    group="oom_host",
    passed="No out-of-memory error of the host in the log",
    failed="The host ran out of memory",
    requires=(),
    settings=NoSettings,
    detect=detect,
)
