"""From a run to its diagnosis: detect, rank causes, and say it in one sentence."""

from __future__ import annotations

from loganalyze.causes.rank import rank
from loganalyze.detect import run_detectors
from loganalyze.finding import Cause, Check, Diagnosis, Finding, Level, Outcome, Severity, Verdict
from loganalyze.probed import Probed
from loganalyze.run import Run
from loganalyze.settings import Settings

LONGEST_HEADLINE = 200  # characters
DECIDED_NAMED = 2  # causes that the headline names as confirmed, and as ruled out


def diagnose(run: Run, settings: Settings | None = None, probe: Probed | None = None) -> Diagnosis:
    """Make every check on `run`, rank what can explain the findings, and word a verdict.

    `probe`, what experiments on the model measured (`loganalyze.probe_file.read`), weighs with the log.
    """
    settings = settings or Settings()
    if settings.given:
        run = run.with_config(settings.given)
    findings, checks = run_detectors(run, settings)
    causes = rank(run, findings, probe)
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
        decided = decided_by_probe(causes)
        room = LONGEST_HEADLINE - len(decided)
        return Verdict(level, shorten(worst.summary, room) + decided)
    lacking = next((finding for finding in findings if finding.id == "insufficient-data"), None)
    if lacking is not None:
        return Verdict(Level.INSUFFICIENT, shorten(lacking.summary))
    judged = sum(check.outcome in (Outcome.PASSED, Outcome.FOUND) for check in checks)
    rest = [check for check in checks if check.outcome is Outcome.NOT_APPLICABLE]
    text = f"No problem found in {judged} checks"
    if rest:
        text += f"; {len(rest)} could not be judged (for example {rest[0].id}: {rest[0].reason})"
    return Verdict(Level.HEALTHY, shorten(text + "."))


def decided_by_probe(causes: tuple[Cause, ...]) -> str:
    """Name what experiments on the model confirmed and ruled out, in a sentence after the headline."""
    found = {
        word: [cause.id for cause in causes if cause.probed == word][:DECIDED_NAMED]
        for word in ("confirmed", "ruled out")
    }
    parts = [
        f"{word.capitalize()} by probe: {', '.join(ids)}." for word, ids in found.items() if ids
    ]
    return "".join(f" {part}" for part in parts)


def shorten(text: str, longest: int = LONGEST_HEADLINE) -> str:
    """Return a headline of at most so many characters, cut between words."""
    if len(text) <= longest:
        return text
    return text[: longest - 3].rsplit(" ", 1)[0] + " ..."
