"""What a probe is: one short experiment on the live model that answers one question."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loganalyze.finding import Outcome
from loganalyze.probed import ProbeResult

if TYPE_CHECKING:
    from loganalyze.probe.bench import Bench


@dataclass(frozen=True)
class Probe:
    """One check of ``loganalyze probe``.

    Attributes
    ----------
    question
        What it answers, in words.
    run
        ``bench -> result``. It may do to the target what it likes: everything is put back after it.
    judges_labels
        Whether it bears labels that are out of range; before the others they are looked for.
    """

    id: str
    question: str
    run: Callable[[Bench], ProbeResult]
    judges_labels: bool = False

    @property
    def explanation(self) -> str:
        """The module's documentation."""
        return inspect.getdoc(sys.modules[self.run.__module__]) or ""


def not_applicable(reason: str, *notes: str) -> ProbeResult:
    """Return the result of a check that could not be made, and why."""
    return ProbeResult(Outcome.NOT_APPLICABLE, reason, notes=notes)
