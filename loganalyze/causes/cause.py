"""What a hypothesis is: a cause that can explain findings, and how it weighs the evidence.

The probability of a cause is worked out in `loganalyze.causes.rank`; a hypothesis only says
which clues this run holds for and against it, each as a sentence with a weight in log-odds
(natural logarithm: 0.7 doubles the odds, 2.3 makes them ten times larger).
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loganalyze.finding import Clue, Finding
from loganalyze.run import Run

# The scale of the weights. A hypothesis uses these words, so that weights mean the same everywhere.
STATED = 5.0  # odds x 150: the log says so in words
DECISIVE = 3.0  # odds x 20: hardly anything else leaves this trace
STRONG = 1.6  # odds x 5
MODERATE = 0.9  # odds x 2.5
WEAK = 0.4  # odds x 1.5


@dataclass(frozen=True, slots=True)
class Case:
    """What a hypothesis may look at: the run and what was found in it."""

    run: Run
    findings: tuple[Finding, ...]

    def found(self, *ids: str) -> Finding | None:
        """Return the first finding with one of these ids, most severe first, or None."""
        hits = [finding for finding in self.findings if finding.id in ids]
        return max(hits, key=lambda f: f.severity.rank) if hits else None

    def number(self, finding_id: str, name: str) -> float | None:
        """Return a number from the evidence of a finding, or None."""
        finding = self.found(finding_id)
        value = finding.evidence.get(name) if finding else None
        return float(value) if isinstance(value, (int, float)) else None


@dataclass(frozen=True)
class Hypothesis:
    """One cause of the taxonomy.

    Attributes
    ----------
    prior
        Log-odds before any evidence, given that one of the findings it explains is there:
        how often, among runs with such a finding, this turned out to be the cause.
    explains
        Ids of the findings it can explain; without any of them it is not considered.
    weigh
        ``case -> clues``. Pure.
    fix
        ``case -> settings to change``, with this run's numbers, each "name before -> after".
    probe
        The two-minute experiment: a check of ``loganalyze probe`` (``"init"``, ``"overfit"``, ...).
    is_testable
        Whether an experiment on the model can tell; none shows what a scheduler or a disk did.
    """

    id: str
    title: str
    prior: float
    explains: tuple[str, ...]
    weigh: Callable[[Case], Sequence[Clue]]
    fix: Callable[[Case], Sequence[str]]
    probe: str
    is_testable: bool = True

    @property
    def explanation(self) -> str:
        """The module's documentation: what ``loganalyze explain ID`` prints."""
        return inspect.getdoc(sys.modules[self.weigh.__module__]) or ""
