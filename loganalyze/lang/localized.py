"""A diagnosis in another language: every sentence translated, every id and number as it was."""

from __future__ import annotations

from dataclasses import replace

from loganalyze.diagnosis import LONGEST_HEADLINE, decided_by_probe, shorten
from loganalyze.finding import Cause, Check, Diagnosis, Finding, Verdict
from loganalyze.lang import ENGLISH
from loganalyze.lang.explanations import section
from loganalyze.lang.translation import translate


def localized(diagnosis: Diagnosis, lang: str) -> Diagnosis:
    """Return the diagnosis for a reader of `lang`; JSON is made of the one it was made from.

    What is to be drawn stays English: the font that lays figures out has no other letters. They are
    translated when they are drawn (`loganalyze.report.translated`).
    """
    if lang == ENGLISH:
        return diagnosis
    return replace(
        diagnosis,
        findings=tuple(_finding(finding, lang) for finding in diagnosis.findings),
        checks=tuple(_check(check, lang) for check in diagnosis.checks),
        causes=tuple(_cause(cause, lang) for cause in diagnosis.causes),
        verdict=_verdict(diagnosis, lang),
    )


def _verdict(diagnosis: Diagnosis, lang: str) -> Verdict:
    """Translate the headline; one that was shortened is shortened after its translation."""
    decided = decided_by_probe(diagnosis.causes)
    said = diagnosis.verdict.headline.removesuffix(decided)
    room = LONGEST_HEADLINE - len(decided)
    whole = next((f.summary for f in diagnosis.findings if shorten(f.summary, room) == said), said)
    told = translate(decided.strip(), lang) if decided else ""
    headline = shorten(translate(whole, lang), room) + (f" {told}" if told else "")
    return replace(diagnosis.verdict, headline=headline)


def _finding(finding: Finding, lang: str) -> Finding:
    return replace(
        finding,
        title=translate(finding.title, lang),
        summary=translate(finding.summary, lang),
        evidence={
            name: translate(value, lang) if isinstance(value, str) else value
            for name, value in finding.evidence.items()
        },
        fix=tuple(translate(line, lang) for line in finding.fix),
    )


def _check(check: Check, lang: str) -> Check:
    return replace(check, title=translate(check.title, lang), reason=translate(check.reason, lang))


def _cause(cause: Cause, lang: str) -> Cause:
    confirm = section("cause", cause.id, "How to confirm", cause.confirm, lang)
    return replace(
        cause,
        title=translate(cause.title, lang),
        clues=tuple(replace(clue, text=translate(clue.text, lang)) for clue in cause.clues),
        fix=tuple(translate(line, lang) for line in cause.fix),
        confirm=confirm,
        undecided=_undecided(cause, confirm, lang),
    )


def _undecided(cause: Cause, confirm: str, lang: str) -> str:
    """Translate what the log does not separate; it may end with the experiment that would."""
    text = cause.undecided
    if not cause.confirm or not text.endswith(cause.confirm):
        return translate(text, lang)
    return translate(text.removesuffix(cause.confirm), lang) + confirm
