"""Annotations for GitHub's log of a workflow, one per finding, the most severe first.

GitHub shows at most ten annotations of a kind and step. The whole diagnosis goes to the step's summary, if
the environment names a file for it (`write_summary`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loganalyze.finding import Severity
from loganalyze.lang import ENGLISH
from loganalyze.lang.localized import localized
from loganalyze.lang.translation import label
from loganalyze.report.markdown import literal, rest
from loganalyze.report.markdown import render as markdown
from loganalyze.report.redact import redact, visible

if TYPE_CHECKING:
    from loganalyze.finding import Diagnosis, Finding
    from loganalyze.run import Run, Where

COMMANDS = {Severity.CRITICAL: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
LINED = frozenset({"text", "csv"})  # formats whose places are lines; those of others are records
ANNOTATIONS = 10  # what GitHub shows of a step
SUMMARY_LIMIT = 1_000_000  # bytes; GitHub takes no more than 1 MiB of one step


def render(diagnosis: Diagnosis, *, lang: str = ENGLISH) -> str:
    """Return a workflow command for each finding that is shown; one notice for a run without any."""
    diagnosis = localized(diagnosis, lang)
    if not diagnosis.findings:
        return f"::notice title=loganalyze::{_message(diagnosis.verdict.headline)}\n"
    shown = diagnosis.findings[:ANNOTATIONS]
    lines = [_annotation(finding, diagnosis.run) for finding in shown]
    if len(shown) < len(diagnosis.findings):
        more = f"{len(diagnosis.findings) - len(shown)} more findings are in the summary."
        lines.append(f"{label(more, lang)}\n")
    return "".join(lines)


def write_summary(diagnosis: Diagnosis, path: Path, *, lang: str = ENGLISH) -> None:
    """Append the diagnosis as Markdown, with every finding, to the file of the step's summary."""
    text = f"### loganalyze: {literal(diagnosis.run.name)}\n\n{markdown(diagnosis, lang=lang)}\n"
    more = rest(diagnosis, lang=lang)
    if more:
        text += f"{label('**The other findings**', lang)}\n\n{more}\n"
    with path.open("ab") as file:
        room = max(SUMMARY_LIMIT - file.tell(), 0)
        file.write(text.encode("utf-8", "replace")[:room].decode("utf-8", "ignore").encode())


def _annotation(finding: Finding, run: Run) -> str:
    place = _place(finding.where[0], run) if finding.where else ""
    title = f"title={_property(f'{finding.id}: {finding.title}')}"
    return f"::{COMMANDS[finding.severity]} {place}{title}::{_message(finding.summary)}\n"


def _place(where: Where, run: Run) -> str:
    """Return the file, and the line where a place in it is one; a run that is one file is that file."""
    root = Path(run.path)
    file = run.path if root.name == where.source else (root / where.source).as_posix()
    lined = {source.path for source in run.sources if source.format in LINED}
    line = f"line={where.row}," if where.row is not None and where.source in lined else ""
    return f"file={_property(file)},{line}"


def _message(text: str) -> str:
    return visible(redact(text)).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
