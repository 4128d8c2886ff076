"""Whether what stands is reason enough to end a training.

To end a healthy training costs more than to go on with a sick one for a few points. So a finding must be
confirmed, its method must be sure, and it must be about something that went wrong and stays so: what has
only not happened yet (nothing was learned so far, the loss has not come down so far) may still happen, and
counts in the second half of the plan only; a loss that went up and comes down again mends itself; one that
is up for a short time, and not as high as it began, may be in a bad phase.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loganalyze.live.standing import CONFIRM

if TYPE_CHECKING:
    from loganalyze.finding import Finding, Severity
    from loganalyze.live.standing import Standing
    from loganalyze.run import Run

SURE = 0.8  # confidence; below it the method itself names a doubt
LATE = 0.5  # share of the planned steps after which what did not happen will not
NOT_YET = frozenset(
    {
        "eval-at-chance",
        "initial-loss-high",  # a bad start; training may mend it
        "loss-at-chance",
        "loss-plateau",
        "slow-convergence",
    }
)
MENDABLE = frozenset({"loss-divergence", "loss-spike"})
POINTS = 9  # log points since it began, from which a way down can be told from noise: three thirds of three
DOWN = 0.9  # the last third of them lies below so much of the first
PHASE = 0.2  # share of the log points: what lasts longer is no phase


def reason_to_stop(standing: Standing, level: Severity, run: Run) -> Finding | None:
    """Return a finding of at least this severity for which a training should end now, or None."""
    planned, last = run.planned_steps, run.last_step
    is_late = planned is not None and last is not None and last >= LATE * planned
    for entry in standing.held.values():
        finding = entry.finding
        holds = entry.times >= CONFIRM and not entry.missed
        severe = finding.severity.rank >= level.rank and finding.confidence >= SURE
        may_pass = (finding.id in NOT_YET and not is_late) or (
            _is_mending(finding, run) or _is_phase(finding, run)
        )
        if holds and severe and not may_pass:
            return finding
    return None


def _is_mending(finding: Finding, run: Run) -> bool:
    """Tell whether the loss has been coming down since it went up."""
    import numpy as np

    if finding.id not in MENDABLE or finding.steps is None:
        return False
    loss = run.series("train/loss").finite()
    since = loss.value[loss.step >= finding.steps[0]]
    if len(since) < POINTS:
        return False
    third = len(since) // 3
    return bool(np.median(since[-third:]) < DOWN * np.median(since[:third]))


def _is_phase(finding: Finding, run: Run) -> bool:
    """Tell whether the loss went up a short time ago and keeps a part of what was learned."""
    end, start = (finding.evidence.get(name) for name in ("final_loss", "initial_loss"))
    if finding.steps is None or not isinstance(end, float) or not isinstance(start, float):
        return False
    step = run.series("train/loss").step
    return end < start and int((step >= finding.steps[0]).sum()) < PHASE * len(step)
