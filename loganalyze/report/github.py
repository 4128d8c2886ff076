"""Annotations for GitHub's log of a workflow, one per finding, the most severe first.

GitHub shows at most ten annotations of a step. The whole diagnosis goes to the step's summary, if the
environment names a file for it (`write_summary`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loganalyze.finding import Severity
from loganalyze.lang import ENGLISH
from loganalyze.lang.localized import localized
from loganalyze.report.redact import redact, visible

if TYPE_CHECKING:
    from loganalyze.finding import Diagnosis, Finding
    from loganalyze.run import Where

COMMANDS = {Severity.CRITICAL: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
SUMMARY_LIMIT = 1_000_000  # bytes; GitHub takes no more than 1 MiB of one step


def render(diagnosis: Diagnosis, *, lang: str = ENGLISH) -> str:
    """Return a workflow command for each finding; one notice for a run without any."""
    diagnosis = localized(diagnosis, lang)
    if not diagnosis.findings:
        return f"::notice title=loganalyze::{_message(diagnosis.verdict.headline)}\n"
    return "".join(_annotation(finding, diagnosis.run.path) for finding in diagnosis.findings)


def write_summary(diagnosis: Diagnosis, path: Path, *, lang: str = ENGLISH) -> None:
    """Append the diagnosis as Markdown to the file of the step's summary."""
    from loganalyze.report.markdown import render as markdown

    text = f"### loganalyze: {visible(redact(diagnosis.run.name))}\n\n{markdown(diagnosis, lang=lang)}\n"
    with path.open("a", encoding="utf-8") as file:
        file.write(text[:SUMMARY_LIMIT])


def _annotation(finding: Finding, path: str) -> str:
    place = _place(finding.where[0], path) if finding.where else ""
    title = f"title={_property(f'{finding.id}: {finding.title}')}"
    return f"::{COMMANDS[finding.severity]} {place}{title}::{_message(finding.summary)}\n"


def _place(where: Where, path: str) -> str:
    """Return the file and the line; a run that is one file is that file."""
    root = Path(path)
    file = path if root.name == where.source else (root / where.source).as_posix()
    line = f"line={where.row}," if where.row is not None else ""
    return f"file={_property(file)},{line}"


def _message(text: str) -> str:
    return visible(redact(text)).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
