"""What an alert says: one line for the phone's screen, then the numbers, and where the report is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loganalyze.report.redact import redact, visible

if TYPE_CHECKING:
    from loganalyze.finding import Diagnosis, Finding

MOST_NUMBERS = 6  # of a finding's evidence
MOST_FIXES = 2
LONGEST = 1500  # characters; Discord takes 2,000


@dataclass(frozen=True, slots=True)
class Message:
    """One alert.

    Attributes
    ----------
    kind
        What the pause between alerts counts by: ``"start"``, ``"critical loss-spike"``, ...
    level
        ``"info"``, ``"success"``, ``"warning"`` or ``"failure"``.
    """

    kind: str
    title: str
    body: str
    level: str = "info"


def started(run: str, planned: int | None) -> Message:
    """Say that a run began."""
    plan = f", {planned:,} steps planned" if planned else ""
    return _message("start", f"{run}: training started", f"Training started{plan}.", "info")


def found(run: str, step: int | None, finding: Finding, report: Path | str | None) -> Message:
    """Say what was found, with its numbers."""
    severity = finding.severity.value
    at = "" if step is None else f" at step {step:,}"
    numbers = [f"{key} = {_figure(value)}" for key, value in finding.evidence.items()]
    lines = [finding.summary, *numbers[:MOST_NUMBERS]]
    lines += [f"fix: {fix}" for fix in finding.fix[:MOST_FIXES]]
    if report is not None:
        lines.append(f"run: {report}")
    level = "failure" if severity == "critical" else "warning"
    title = f"{run}: {severity} {finding.id}{at}"
    return _message(f"{severity} {finding.id}", title, "\n".join(lines), level)


def recovered(run: str, step: int | None, finding: Finding) -> Message:
    """Say that a finding is there no more."""
    at = "" if step is None else f" at step {step:,}"
    title = f"{run}: recovered from {finding.id}{at}"
    body = f"No longer found: {finding.title}."
    return _message(f"recovered {finding.id}", title, body, "success")


def ended(
    run: str, step: int | None, status: str, diagnosis: Diagnosis | None, report: Path | str | None
) -> Message:
    """Say how a run ended, and what is wrong with it."""
    at = "" if step is None else f" at step {step:,}"
    lines = []
    if diagnosis is not None:
        lines.append(diagnosis.verdict.headline)
        lines += [
            f"{f.severity.value} {f.id}: {f.title}" for f in diagnosis.findings[:MOST_NUMBERS]
        ]
        lines += [f"{c.probability:.0%} {c.id}: {c.title}" for c in diagnosis.causes[:MOST_FIXES]]
    if report is not None:
        lines.append(f"report: {report}")
    level = "success" if status == "completed" else "failure"
    return _message("complete", f"{run}: training {status}{at}", "\n".join(lines), level)


def _message(kind: str, title: str, body: str, level: str) -> Message:
    return Message(kind, _safe(title), _safe(body), level)


def _safe(text: str) -> str:
    """Return text from a log without secrets and without characters that act on the reader."""
    shown = "\n".join(visible(line) for line in redact(text).split("\n"))
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]} ..."


def _figure(value: float | str) -> str:
    return value[:200] if isinstance(value, str) else f"{value:.6g}"
