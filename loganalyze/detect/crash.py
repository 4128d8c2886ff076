"""A traceback or a fatal signal ended the run.

What it does
------------
Takes the last traceback, time-out or signal after which no training step was logged, and states
exception, message and the innermost frame of the user's own code. A run that its tracker marks as
failed counts too.

Why it matters
--------------
It says where the run ended, and often why.

Not to be confused with
-----------------------
An out-of-memory error (oom-gpu, oom-host), which is said there. An interrupt by hand (info). A
guard that stopped the training at a NaN: loss-nonfinite is the finding (info here). An exception that was
caught: training went on.

Settings
--------
None.

Fix
---
Read the innermost frame of your own code first; of many ranks, read the one that failed first.

References
----------
Python documentation, traceback.
"""

from __future__ import annotations

from loganalyze.detect.detector import Detected, Detector
from loganalyze.detect.loss_nonfinite import GUARD
from loganalyze.detect.oom_gpu import ended_with
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Event, EventKind, Run, Status
from loganalyze.settings import NoSettings

BY_HAND = ("KeyboardInterrupt", "SystemExit")
MEMORY = (EventKind.OOM_GPU, EventKind.OOM_HOST)
FATAL = (EventKind.TRACEBACK, EventKind.NCCL_TIMEOUT, EventKind.SIGNAL, EventKind.SYSTEM)


def detect(run: Run, settings: NoSettings) -> Detected:
    """Report what ended the run."""
    has_text = any(source.format == "text" for source in run.sources)
    fatal = [event for event in run.events_of(*FATAL) if ended_with(run, event)]
    if run.status is Status.COMPLETED or (not fatal and run.status is not Status.CRASHED):
        if not has_text and run.status is Status.UNKNOWN:
            return NotApplicable("no log of stdout was given, and nothing else says how it ended")
        return ()
    if any(ended_with(run, event) for event in run.events_of(*MEMORY)):
        return NotApplicable("it ended for want of memory: see the out-of-memory check")
    if not fatal:
        return (_marked(run),)
    return (_finding(run, _root(fatal)),)


def _root(fatal: list[Event]) -> Event:
    """The first traceback of the last step: later ones of other ranks, and signals, are its wake."""
    step = fatal[-1].step
    last = [event for event in fatal if event.step == step]
    tracebacks = [event for event in last if event.kind is EventKind.TRACEBACK]
    return (tracebacks or last)[0]


def _finding(run: Run, event: Event) -> Finding:
    exception = str(event.data.get("exception", event.kind.value))
    message = str(event.data.get("message", "")) or event.text.strip().splitlines()[0][:160]
    frame = str(event.data.get("frame", ""))
    step = (
        f"after step {event.step:,}" if event.step is not None else "before the first logged step"
    )
    at = f" at {frame}" if frame else ""
    by_hand = exception in BY_HAND
    guarded = bool(GUARD.search(f"{exception}: {message}"))
    what = "was stopped by hand" if by_hand else f"ended with {exception}"
    return Finding(
        id="crash",
        severity=Severity.INFO if by_hand or guarded else Severity.CRITICAL,
        confidence=0.97,
        title="The run was stopped by hand" if by_hand else f"The run ended with {exception}",
        summary=f"The run {what} {step}{at}" + (f": {message[:200]}" if message else "."),
        steps=(event.step, event.step) if event.step is not None else None,
        metrics=(),
        evidence={"exception": exception, "message": message[:300], "frame": frame,
                  "kind": event.kind.value},
        where=(event.where,),
        fix=(f"Start reading at {frame}",) if frame and not by_hand else (),
    )  # fmt: skip


def _marked(run: Run) -> Finding:
    return Finding(
        id="crash",
        severity=Severity.WARNING,
        confidence=0.8,
        title="The run is marked as failed",
        summary="The tracker marks the run as failed or killed; no log that was given says why.",
        metrics=(),
        evidence={"exception": "unknown", "status": run.status.value},
        fix=("Keep the run's stdout beside it: the last lines would say why",),
    )


DETECTOR = Detector(
    id="crash",
    group="crash",
    passed="Nothing says that the run crashed",
    failed="The run crashed",
    requires=(),
    settings=NoSettings,
    detect=detect,
)
