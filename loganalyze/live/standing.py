"""Which findings stand from one look at a run to the next: those that appear, hold, and clear.

One look proves little, because a log may end in the middle of something: a finding counts as confirmed when
it was there at several looks in a row, each with new points of the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from loganalyze.finding import Finding, Severity

CONFIRM = 2  # looks in a row; the second has points that the first did not have
RECOVER = 2  # looks in a row without it, for the same reason
_CHANGES = ("appeared", "confirmed", "recovered")


@dataclass(frozen=True, slots=True)
class Held:
    """One finding over several looks.

    Attributes
    ----------
    times
        Looks in a row at which it was at least this severe.
    missed
        Looks in a row, up to the last one, at which it was not there.
    told
        The severity at which it was confirmed last; None before that.
    """

    finding: Finding
    times: int = 1
    missed: int = 0
    told: Severity | None = None


@dataclass(frozen=True)
class Standing:
    """What stands: finding id -> how long; `points` is the size of the log at the last look."""

    held: Mapping[str, Held] = field(default_factory=dict)
    points: int = -1

    def doubtful(self, level: Severity) -> bool:
        """Tell whether a finding of this severity is there and not confirmed yet."""
        return any(
            not entry.missed and entry.finding.severity.rank >= level.rank and entry.times < CONFIRM
            for entry in self.held.values()
        )


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look brought; `confirmed` holds those confirmed for the first time at their severity."""

    appeared: tuple[Finding, ...] = ()
    confirmed: tuple[Finding, ...] = ()
    recovered: tuple[Finding, ...] = ()


def look(before: Standing, findings: Iterable[Finding], points: int) -> tuple[Standing, Changes]:
    """Take in the findings of one look at a log of so many points.

    A look without new points proves nothing: it replaces the findings and confirms none.
    """
    is_new = points != before.points
    worst = _worst(findings)
    held: dict[str, Held] = {}
    appeared, confirmed, recovered = [], [], []
    for identifier, finding in worst.items():
        entry = _seen(before.held.get(identifier), finding, is_new=is_new)
        if identifier not in before.held:
            appeared.append(finding)
        if entry.times >= CONFIRM and _rank(entry.told) < finding.severity.rank:
            entry = replace(entry, told=finding.severity)
            confirmed.append(finding)
        held[identifier] = entry
    for identifier, entry in before.held.items():
        if identifier in worst:
            continue
        missed = entry.missed + is_new
        if missed < RECOVER and entry.told is not None:
            held[identifier] = replace(entry, missed=missed, times=0)
        elif entry.told is not None:
            recovered.append(entry.finding)
    changes = Changes(tuple(appeared), tuple(confirmed), tuple(recovered))
    return Standing(held, points), changes


def last_look(before: Standing, findings: Iterable[Finding]) -> tuple[Standing, Changes]:
    """Take in the findings of a run that is over: nothing more will come, and what is found now stands."""
    findings = tuple(findings)
    looks = []
    standing = before
    for number in range(max(CONFIRM, RECOVER)):
        standing, changes = look(standing, findings, -2 - number)
        looks.append(changes)
    return standing, Changes(
        *(tuple(f for changes in looks for f in getattr(changes, name)) for name in _CHANGES)
    )


def _seen(before: Held | None, finding: Finding, *, is_new: bool) -> Held:
    if before is None:
        return Held(finding)
    if finding.severity.rank > before.finding.severity.rank:
        return Held(finding, 1, 0, before.told)
    return Held(finding, before.times + is_new, 0, before.told)


def _worst(findings: Iterable[Finding]) -> dict[str, Finding]:
    """Return one finding for each id: the most severe, which comes first."""
    worst: dict[str, Finding] = {}
    for finding in findings:
        known = worst.get(finding.id)
        if known is None or finding.severity.rank > known.severity.rank:
            worst[finding.id] = finding
    return worst


def _rank(severity: Severity | None) -> int:
    return -1 if severity is None else severity.rank
