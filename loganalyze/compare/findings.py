"""What became of each finding from one run to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loganalyze.compare.values import Fate, FindingChange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loganalyze.finding import Finding

ORDER = (Fate.NEW, Fate.WORSE, Fate.FIXED, Fate.BETTER, Fate.PERSISTS)


def compare_findings(a: Sequence[Finding], b: Sequence[Finding]) -> tuple[FindingChange, ...]:
    """Pair the findings of two runs by id, then by the overlap of their steps; the new ones first.

    A finding is better or worse where its severity is another one.
    """
    left = list(b)
    changes = []
    for one in a:
        other = _nearest(one, [finding for finding in left if finding.id == one.id])
        if other is not None:
            left.remove(other)
        changes.append(FindingChange(one.id, _fate(one, other), one, other))
    changes += [FindingChange(one.id, Fate.NEW, None, one) for one in left]
    return tuple(sorted(changes, key=lambda c: (ORDER.index(c.fate), -c.finding.severity.rank)))


def _fate(a: Finding, b: Finding | None) -> Fate:
    if b is None:
        return Fate.FIXED
    step = b.severity.rank - a.severity.rank
    return Fate.WORSE if step > 0 else Fate.BETTER if step < 0 else Fate.PERSISTS


def _nearest(one: Finding, others: Sequence[Finding]) -> Finding | None:
    return max(others, key=lambda other: _overlap(one, other), default=None)


def _overlap(a: Finding, b: Finding) -> float:
    """Return how much two findings share of the steps that they span: 1 all, 0 none, less for a gap."""
    if a.steps is None or b.steps is None:
        return 0.0
    shared = min(a.steps[1], b.steps[1]) - max(a.steps[0], b.steps[0]) + 1
    span = max(a.steps[1], b.steps[1]) - min(a.steps[0], b.steps[0]) + 1
    return shared / span
