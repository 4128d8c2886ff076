"""What a detector is: an id, two titles, the metrics it needs and one pure function."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from loganalyze.finding import Finding, NotApplicable
from loganalyze.run import Run

S = TypeVar("S")

Detected: TypeAlias = Sequence[Finding] | NotApplicable


@dataclass(frozen=True)
class Detector(Generic[S]):
    """One check.

    Attributes
    ----------
    id
        The finding's public id, as in the JSON output.
    group
        Name of its settings in ``--set group.name=value``.
    passed, failed
        Titles that read as facts: "No loss spike" / "The loss spikes".
    requires
        Canonical metrics without which the check is *not applicable*; the reason is made
        automatically ("no train/grad_norm was logged").
    settings
        Frozen dataclass with the thresholds (`NoSettings` if there are none).
    detect
        ``(run, settings) -> findings`` (empty: passed) or `NotApplicable`. Pure.
    """

    id: str
    group: str
    passed: str
    failed: str
    requires: tuple[str, ...]
    settings: type[S]
    detect: Callable[[Run, S], Detected]

    def found(self, run: Run, settings: S) -> Detected:
        """Return what it finds, worked out once for each run and settings: checks ask others."""
        name = f"{self.id} {settings!r}"
        if name not in run.facts:
            run.facts[name] = self.detect(run, settings)
        result: Detected = run.facts[name]
        return result

    @property
    def explanation(self) -> str:
        """The module's documentation: what ``loganalyze explain ID`` prints."""
        return inspect.getdoc(sys.modules[self.detect.__module__]) or ""
