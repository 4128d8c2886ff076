"""What the trouble cost: the steps and the time since the run was last in order, and where to go back to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loganalyze.finding import Diagnosis, Finding, Severity
from loganalyze.run import Run
from loganalyze.signals.checkpoints import Checkpoint, checkpoints

# Findings of an end: everything before it was in order.
ENDS = frozenset({"crash", "oom-gpu", "oom-host", "run-truncated", "stall"})
# Findings of a break: from their first step on the weights are of no use, or worse than the best ones.
BREAKS = {
    "loss-nonfinite": "first_step",
    "grad-nonfinite": "first_step",
    "eval-nonfinite": "first_step",
    "loss-zero": "first_step",
    "loss-divergence": "best_step",
    "overfit-gap": "best_step",
    "loss-jump-on-resume": "step",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What was lost.

    Attributes
    ----------
    good_until
        Last step at which the run was in order.
    last
        Last step of the run.
    seconds
        Wall time from the checkpoint, or from `good_until` without one, to the end; None if not logged.
    devices
        Number of accelerators, where the settings tell; else None.
    checkpoint
        The latest one at or before `good_until`.
    saves
        Whether any checkpoint is known of.
    """

    good_until: int
    last: int
    seconds: float | None
    devices: int | None
    checkpoint: Checkpoint | None
    saves: bool

    @property
    def steps(self) -> int:
        """Steps after the checkpoint, or after the last one in order."""
        return self.last - (self.checkpoint.step if self.checkpoint else self.good_until)

    @property
    def amount(self) -> str:
        """Steps and time in words."""
        parts = [f"{self.steps:,} step{'' if self.steps == 1 else 's'}"]
        if self.seconds:
            parts.append(duration(self.seconds))
            if self.devices and self.devices > 1:
                hours = self.seconds * self.devices / 3600
                parts.append(f"{hours:.3g} device hours on {self.devices} devices")
        return ", ".join(parts)

    @property
    def sentence(self) -> str:
        """The loss in words, with the checkpoint to go back to."""
        if self.checkpoint is not None:
            return f"Go back to {self.checkpoint.name}: {self.amount} lost since."
        where = "every checkpoint is later" if self.saves else "no checkpoint is known of"
        if self.good_until == self.last:
            return f"In order up to its last step, {self.last:,}; {where}."
        return f"In order up to step {self.good_until:,}: {self.amount} lost since; {where}."


def cost(diagnosis: Diagnosis) -> Cost | None:
    """Return what the trouble cost, or None for a run without any, or one that was never in order."""
    run, last = diagnosis.run, diagnosis.run.last_step
    if not len(run.metrics):  # a diagnosis that was read back from its report
        return None
    serious = [f for f in diagnosis.findings if f.severity is not Severity.INFO]
    ends = [step for f in serious if (step := _good_until(f, last)) is not None]
    first = run.first_step
    if not ends or last is None or first is None or min(ends) <= first:
        return None
    if any(f.severity is Severity.CRITICAL and _since_the_start(f, first) for f in serious):
        return None
    good = min(ends)
    saved = checkpoints(run)
    earlier = [one for one in saved if one.step <= good]
    back = earlier[-1] if earlier else None
    seconds = _seconds(run, back.step if back else good, last)
    return Cost(good, last, seconds, _devices(run), back, bool(saved))


def _since_the_start(finding: Finding, first: int) -> bool:
    known = finding.id in ENDS or finding.id in BREAKS
    return not known and finding.steps is not None and finding.steps[0] <= first


def _good_until(finding: Finding, last: int | None) -> int | None:
    if finding.id in ENDS:
        return last
    name = BREAKS.get(finding.id)
    step = finding.evidence.get(name) if name else None
    if finding.id == "loss-spike" and finding.severity is Severity.CRITICAL:
        step, name = finding.evidence.get("step"), "step"
    if not isinstance(step, (int, float)):
        return None
    return int(step) - (name != "best_step")


def _seconds(run: Run, since: int, last: int) -> float | None:
    """Return the wall time between two steps, by the times of the log or of its steps."""
    loss = run.series("train/loss")
    timed = loss.take(np.isfinite(loss.time))
    if len(timed) > 1:
        begin, end = np.searchsorted(timed.step, [since, last])
        last_index = len(timed) - 1
        return float(timed.time[min(end, last_index)] - timed.time[min(begin, last_index)])
    each = run.series("perf/step_seconds").finite().value
    return float(np.median(each)) * (last - since) if len(each) else None


def _devices(run: Run) -> int | None:
    count = run.number("world_size")
    return int(count) if count and count >= 1 else None


def duration(seconds: float) -> str:
    """Return a time as people say it: ``"3 h 12 min"``, ``"45 s"``."""
    if seconds < 90:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"
