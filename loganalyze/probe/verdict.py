"""Sentences and evidence, as a check concludes from its measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from loganalyze.finding import Outcome
from loganalyze.probed import Evidence, ProbeFigure, ProbeResult, ProbeTable


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check has to say.

    Attributes
    ----------
    problems
        What is wrong; the first is the summary.
    notes
        What is worth knowing and no fault.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    fix: list[str] = field(default_factory=list)

    def says(self, weight: float, text: str, *causes: str) -> None:
        """Add the same evidence to several causes."""
        self.evidence.extend(Evidence(cause, weight, text) for cause in causes)

    def finds(self, text: str, weight: float, *causes: str, fix: str = "") -> None:
        """Add a problem, and with it evidence for causes."""
        self.problems.append(text)
        self.says(weight, text, *causes)
        if fix:
            self.fix.append(fix)

    def result(
        self,
        in_order: str,
        measurements: Mapping[str, float | str],
        figures: Sequence[ProbeFigure] = (),
        tables: Sequence[ProbeTable] = (),
    ) -> ProbeResult:
        """Return the result: the gravest problem, or `in_order` where there is none."""
        return ProbeResult(
            Outcome.FOUND if self.problems else Outcome.PASSED,
            self.problems[0] if self.problems else in_order,
            tuple(self.problems), tuple(self.notes), measurements, tuple(self.evidence),
            tuple(dict.fromkeys(self.fix)), tuple(figures), tuple(tables),
        )  # fmt: skip
