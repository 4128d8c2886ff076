"""Whether what stands is reason enough to end a training.

To end a healthy training costs more than to go on with a sick one for a few points. So a finding must be
confirmed, its method must be sure, and it must be about something that went wrong: what has only not
happened yet (nothing was learned so far, the loss has not come down so far) may still happen, and counts in
the second half of the plan only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loganalyze.live.standing import CONFIRM

if TYPE_CHECKING:
    from loganalyze.finding import Finding, Severity
    from loganalyze.live.standing import Standing

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


def reason_to_stop(
    standing: Standing, level: Severity, step: int, planned: int | None
) -> Finding | None:
    """Return a finding of at least this severity for which a training should end at `step`, or None."""
    is_late = planned is not None and step >= LATE * planned
    for entry in standing.held.values():
        finding = entry.finding
        holds = entry.times >= CONFIRM and not entry.missed
        severe = finding.severity.rank >= level.rank and finding.confidence >= SURE
        if holds and severe and (is_late or finding.id not in NOT_YET):
            return finding
    return None
