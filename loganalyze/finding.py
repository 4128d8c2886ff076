"""Findings, causes and the `Diagnosis`: the one value that every output renders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loganalyze.run import Run, Where


DECIDED = 3.0  # log-odds, 20 to 1, of experiments together: they confirm a cause or rule it out


class Severity(StrEnum):
    """How much a finding matters; ordered by `rank`."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for critical."""
        return ("info", "warning", "critical").index(self.value)


class Outcome(StrEnum):
    """What became of a check."""

    FOUND = "found"
    PASSED = "passed"
    NOT_APPLICABLE = "not-applicable"
    ERROR = "error"


class Level(StrEnum):
    """The verdict on a whole run."""

    HEALTHY = "healthy"
    WARNING = "warning"
    CRITICAL = "critical"
    INSUFFICIENT = "insufficient"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something observable in the log, with the numbers that prove it.

    Attributes
    ----------
    confidence
        0..1: how sure the method is that this is no artefact of noise or of a short log.
    summary
        One sentence with this run's numbers.
    steps
        First and last step concerned, both inclusive.
    evidence
        Name -> number or text; names carry their unit (``ratio_to_log_c``, ``lr_at_end``).
    levels
        Reference values to draw as labelled lines on the chart of ``metrics[0]``:
        label -> value (``"ln(280) = 5.63" -> 5.63``). Not part of the JSON contract.
    what_if
        Curves to draw beside ``metrics[0]``, of what other settings would have done: label -> (steps,
        values). Not part of the JSON contract.
    """

    id: str
    severity: Severity
    confidence: float
    title: str
    summary: str
    steps: tuple[int, int] | None = None
    metrics: tuple[str, ...] = ()
    evidence: Mapping[str, float | str] = field(default_factory=dict)
    where: tuple[Where, ...] = ()
    fix: tuple[str, ...] = ()
    levels: Mapping[str, float] = field(default_factory=dict)
    what_if: Mapping[str, tuple[Sequence[float], Sequence[float]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """A check that could not be made, and why (reads on from "not applicable: ")."""

    reason: str


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the list of checks: what was looked at and what came of it.

    ``title`` is the detector's sentence for the outcome; ``reason`` is empty when passed.
    """

    id: str
    outcome: Outcome
    title: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Clue:
    """One piece of evidence: a sentence and its weight in log-odds (natural logarithm).

    Positive speaks for the cause, negative against it. ``check`` is the check of ``loganalyze probe`` that
    measured it on the live model; empty for what the log says.
    """

    text: str
    weight: float
    check: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """A ranked explanation of findings.

    Attributes
    ----------
    probe
        Command of the experiment that would confirm it.
    confirm
        The same in words.
    undecided
        Which other causes the log does not separate from it, and what would; empty where it stands alone.
    is_testable
        Whether an experiment on the model can confirm it at all.
    """

    id: str
    title: str
    probability: float
    explains: tuple[str, ...]
    clues: tuple[Clue, ...]
    fix: tuple[str, ...]
    probe: str
    confirm: str = ""
    undecided: str = ""
    is_testable: bool = True

    @property
    def probed(self) -> str:
        """``"confirmed"`` or ``"ruled out"`` where experiments on the model decided it, else empty."""
        weight = sum(clue.weight for clue in self.clues if clue.check)
        if abs(weight) < DECIDED:
            return ""
        return "confirmed" if weight > 0 else "ruled out"

    @property
    def evidence_for(self) -> tuple[Clue, ...]:
        """Clues that speak for this cause, strongest first."""
        return tuple(sorted((c for c in self.clues if c.weight > 0), key=lambda c: -c.weight))

    @property
    def evidence_against(self) -> tuple[Clue, ...]:
        """Clues that speak against this cause, strongest first."""
        return tuple(sorted((c for c in self.clues if c.weight < 0), key=lambda c: c.weight))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The level and the one sentence that stands at the top of every output."""

    level: Level
    headline: str


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """Run, findings, checks, ranked causes and verdict.

    ``print`` shows it as the command line does, a notebook as a card.
    """

    run: Run
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]
    causes: tuple[Cause, ...]
    verdict: Verdict
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"<Diagnosis of {self.run.name}: {self.verdict.level.value}, "
            f"{len(self.findings)} findings, {len(self.causes)} causes>"
        )

    def __str__(self) -> str:
        from loganalyze.report.text import render

        return render(self).rstrip("\n")

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as plain values, in the shape of schema_version 1."""
        from loganalyze.report.json import to_dict

        return to_dict(self)

    def to_json(self) -> str:
        """Return the diagnosis as strict JSON, schema_version 1."""
        from loganalyze.report.json import render

        return render(self)

    def to_html(self, path: str | Path, *, lang: str = "en") -> Path:
        """Write the self-contained HTML postmortem to `path`, in English or Korean (``"ko"``)."""
        from loganalyze.report.html import render

        target = Path(path)
        target.write_text(render(self, lang=lang), encoding="utf-8", errors="replace")
        return target

    def _repr_html_(self) -> str:
        from loganalyze.report.notebook import render

        return render(self)
