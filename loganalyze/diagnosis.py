"""From a run to its diagnosis: detect, rank causes, and say it in one sentence."""

from __future__ import annotations

from loganalyze.causes.rank import rank
from loganalyze.detect import run_detectors
from loganalyze.finding import Cause, Check, Diagnosis, Finding, Level, Outcome, Severity, Verdict
from loganalyze.run import Run
from loganalyze.settings import Settings

LONGEST_HEADLINE = 200  # characters


def diagnose(run: Run, settings: Settings | None = None) -> Diagnosis:
    """Make every check on `run`, rank what can explain the findings, and word a verdict."""
    settings = settings or Settings()
    if settings.given:
        run = run.with_config(settings.given)
    findings, checks = run_detectors(run, settings)
    causes = rank(run, findings)
    return Diagnosis(
        run=run,
        findings=findings,
        checks=checks,
        causes=causes,
        verdict=verdict(findings, checks, causes),
        settings=dict(settings.changed),
    )


def verdict(
    findings: tuple[Finding, ...], checks: tuple[Check, ...], causes: tuple[Cause, ...]
) -> Verdict:
    """Word the verdict: the worst finding, or what was checked and found in order."""
    worst = findings[0] if findings else None
    if worst is not None and worst.severity is not Severity.INFO:
        level = Level.CRITICAL if worst.severity is Severity.CRITICAL else Level.WARNING
        return Verdict(level, shorten(worst.summary))
    lacking = next((finding for finding in findings if finding.id == "insufficient-data"), None)
    if lacking is not None:
        return Verdict(Level.INSUFFICIENT, shorten(lacking.summary))
    judged = sum(check.outcome in (Outcome.PASSED, Outcome.FOUND) for check in checks)
    rest = [check for check in checks if check.outcome is Outcome.NOT_APPLICABLE]
    text = f"No problem found in {judged} checks"
    if rest:
        text += f"; {len(rest)} could not be judged (for example {rest[0].id}: {rest[0].reason})"
    return Verdict(Level.HEALTHY, shorten(text + "."))


def shorten(text: str) -> str:
    """Return a headline of at most `LONGEST_HEADLINE` characters, cut between words."""
    if len(text) <= LONGEST_HEADLINE:
        return text
    return text[: LONGEST_HEADLINE - 3].rsplit(" ", 1)[0] + " ..."
