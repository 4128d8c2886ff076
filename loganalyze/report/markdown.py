"""The diagnosis for a ticket or a chat: Markdown of at most 25 lines that needs no picture."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loganalyze.finding import Level
from loganalyze.lang import ENGLISH
from loganalyze.lang.localized import localized
from loganalyze.lang.translation import label, translate
from loganalyze.report.cost import cost
from loganalyze.report.redact import redact, visible
from loganalyze.report.text import LEVEL_SHAPES, SHAPES, describe

if TYPE_CHECKING:
    from loganalyze.finding import Cause, Diagnosis, Finding

LINES = 25
CAUSES = 3
CLUES = 2
FINDINGS = 7
# What Markdown, HTML in it, or a formula would act on; what makes an address a link.
_ACTIVE = re.compile(r"[\\`*_\[\]<>#|~$&]|:(?=//)|(?<=\bwww)\.")
_MENTION = re.compile(r"@(?=\w)|#(?=\d)")


def render(diagnosis: Diagnosis, *, lang: str = ENGLISH) -> str:
    """Return verdict, causes, fix and findings, each in a line or two."""
    diagnosis = localized(diagnosis, lang)
    lines = _head(diagnosis, lang)
    findings, shown = diagnosis.findings, _shown(diagnosis, len(lines))
    if findings:
        lines += ["", "**Findings**", "", *map(_finding, findings[:shown])]
    if shown < len(findings):
        lines.append(f"- and {len(findings) - shown} more")
    return "\n".join(label(line, lang) for line in lines) + "\n"


def rest(diagnosis: Diagnosis, *, lang: str = ENGLISH) -> str:
    """Return the findings that `render` only counts, a line each; empty where it shows them all."""
    diagnosis = localized(diagnosis, lang)
    shown = _shown(diagnosis, len(_head(diagnosis, lang)))
    return "".join(f"{_finding(finding)}\n" for finding in diagnosis.findings[shown:])


def _head(diagnosis: Diagnosis, lang: str) -> list[str]:
    """Return the lines above the findings."""
    level = diagnosis.verdict.level
    mark = f"{LEVEL_SHAPES[level][0]} {label(level.value, lang).upper()}"
    lines = [
        f"**{mark}** {literal(diagnosis.verdict.headline)}",
        "",
        f"_{literal(describe(diagnosis.run, lang))}_",
    ]
    lost = cost(diagnosis)
    if lost is not None:
        lines += ["", literal(translate(lost.sentence, lang))]
    if diagnosis.causes:
        sound = diagnosis.verdict.level is Level.HEALTHY
        heading = "**If it is not as it should be**" if sound else "**Most likely causes**"
        lines += ["", heading, ""]
        for rank, cause in enumerate(diagnosis.causes[:CAUSES], start=1):
            lines += _cause(cause, rank)
    return lines


def _shown(diagnosis: Diagnosis, used: int) -> int:
    """Return how many findings fit below so many lines, with their title and a count of the others."""
    room = min(LINES - used - 3, FINDINGS)
    count = len(diagnosis.findings)
    return count if count <= room else room - 1


def _cause(cause: Cause, rank: int) -> list[str]:
    line = f"{rank}. {literal(cause.title)} (`{cause.id}`, {cause.probability:.0%})"
    if rank > 1:
        return [line]
    clues = [*cause.evidence_for[:CLUES], *cause.evidence_against[:1]]
    lines = [
        line,
        *(f"   - {'for' if c.weight > 0 else 'against'}: {literal(c.text)}" for c in clues),
    ]
    if cause.fix:
        lines.append(f"   - fix: {_code(cause.fix[0])}")
    if cause.undecided:
        lines.append(f"   - not decided: {literal(cause.undecided)}")
    elif cause.confirm:
        lines.append(f"   - to make sure: {literal(cause.confirm)}")
    return lines


def _finding(finding: Finding) -> str:
    """Return a finding as a line of a list."""
    where = f" ({_code(str(finding.where[0]))})" if finding.where else ""
    return f"- {SHAPES[finding.severity][0]} `{finding.id}`{where}: {literal(finding.summary)}"


def literal(text: str) -> str:
    """Return text from a log as one line that Markdown shows as it is."""
    flat = " ".join(visible(redact(text)).split())
    # A backslash does not keep a person from being called or a ticket from being linked; an invisible
    # space after the mark does.
    return _ACTIVE.sub(r"\\\g<0>", _MENTION.sub("\\g<0>\u200b", flat))


def _code(text: str) -> str:
    """Return text as a code span; it may hold backticks itself."""
    flat = " ".join(visible(redact(text)).split())
    fence = "`" * (max((len(run) for run in re.findall("`+", flat)), default=0) + 1)
    pad = " " if "`" in flat else ""
    return f"{fence}{pad}{flat}{pad}{fence}"
