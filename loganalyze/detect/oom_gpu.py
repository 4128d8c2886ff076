"""The accelerator ran out of memory.

What it does
------------
Reads the out-of-memory errors in the text, with their sizes: tried, allocated, reserved, free,
capacity. Reserved far above allocated (more than `fragmented` of the capacity) means
fragmentation. It is critical if the run ended there.

Why it matters
--------------
The run is over, and which of batch, sequence, fragmentation or evaluation was too much decides
what to change.

Not to be confused with
-----------------------
An error that was caught and after which the training went on (warning). The host's memory
(oom-host).

Settings
--------
`fragmented`.

Fix
---
Halve the batch and double the accumulation; gradient checkpointing; shorter sequences.

References
----------
PyTorch documentation, CUDA semantics: memory management, ``expandable_segments``.
"""

from __future__ import annotations

from dataclasses import dataclass

from loganalyze.detect.detector import Detected, Detector
from loganalyze.finding import Finding, NotApplicable, Severity
from loganalyze.run import Event, EventKind, Run, Status
from loganalyze.settings import setting

GIB = 2.0**30
EVALUATION = ("evaluate", "evaluation_loop", "prediction_step", "nested_concat", "validate")


@dataclass(frozen=True)
class OomSettings:
    """Thresholds of the check."""

    fragmented: float = setting(
        0.2, unit="share of the capacity", source="unfragmented pools hold a few percent"
    )


def detect(run: Run, settings: OomSettings) -> Detected:
    """Report the first out-of-memory error and how the run went on."""
    if not any(source.format == "text" for source in run.sources):
        return NotApplicable("no log of stdout was given")
    events = run.events_of(EventKind.OOM_GPU)
    if not events:
        return ()
    last = events[-1]
    sizes = {
        f"{name}_gib": float(value) / GIB
        for name, value in last.data.items()
        if isinstance(value, (int, float))
    }
    ended = ended_with(run, last)
    step = f"after step {last.step:,}" if last.step is not None else "before the first logged step"
    tried = f" asking for {sizes['tried_gib']:.2f} GiB" if "tried_gib" in sizes else ""
    room = (
        f" ({sizes['allocated_gib']:.1f} of {sizes['capacity_gib']:.1f} GiB allocated)"
        if {"allocated_gib", "capacity_gib"} <= sizes.keys()
        else ""
    )
    end = "" if ended else "; training went on"
    return (
        Finding(
            id="oom-gpu",
            severity=Severity.CRITICAL if ended else Severity.WARNING,
            confidence=0.99,
            title="The accelerator ran out of memory",
            summary=f"Out of accelerator memory {step}{tried}{room}{end}.",
            steps=(last.step, last.step) if last.step is not None else None,
            metrics=("gpu/memory_allocated",),
            evidence={**sizes, **_context(last, sizes, settings), "errors": len(events)},
            where=tuple(event.where for event in events[:5]),
            fix=batch_fix(run),
        ),
    )


def ended_with(run: Run, event: Event) -> bool:
    """Tell whether the run ended with `event`: no training step was logged after it."""
    series = run.series("train/loss")
    last = int(series.step[-1]) if len(series) else None
    return event.step is None or last is None or event.step >= last or _is_last_word(run, event)


def _is_last_word(run: Run, event: Event) -> bool:
    """Tell whether the plan was not reached, and its source holds no number after `event`.

    Another source may be ahead of the one that holds the error: the steps in its lines are counted.
    """
    last = run.last_step
    if run.status is Status.COMPLETED or not run.planned_steps or (last or 0) >= run.planned_steps:
        return False
    own = run.metrics["row"].to_numpy()[(run.metrics["source"] == event.where.source).to_numpy()]
    others = len(own) < len(run.metrics)
    return others and not bool((own > (event.where.row or 0)).any())


def _context(event: Event, sizes: dict[str, float], settings: OomSettings) -> dict[str, str]:
    context = {}
    if {"reserved_gib", "allocated_gib", "capacity_gib"} <= sizes.keys():
        spare = (sizes["reserved_gib"] - sizes["allocated_gib"]) / sizes["capacity_gib"]
        context["fragmentation"] = "likely" if spare > settings.fragmented else "no"
    if any(word in event.text for word in EVALUATION):
        context["phase"] = "evaluation"
    return context


def batch_fix(run: Run) -> tuple[str, ...]:
    """Halve the micro-batch and double the accumulation: the effective batch stays."""
    batch, accumulation = run.number("train_batch_size"), run.number("gradient_accumulation_steps")
    if batch is None or batch < 2:
        return ("Halve the batch and double the gradient accumulation: the effective batch stays",)
    steps = int(accumulation or 1)
    return (
        f"per_device_train_batch_size {int(batch)} -> {int(batch) // 2}, "
        f"gradient_accumulation_steps {steps} -> {steps * 2}: the same effective batch",
    )


DETECTOR = Detector(
    id="oom-gpu",
    group="oom",
    passed="No out-of-memory error of an accelerator in the log",
    failed="The accelerator ran out of memory",
    requires=(),
    settings=OomSettings,
    detect=detect,
)
