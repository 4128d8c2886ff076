"""The diagnosis for a ticket or a chat: Markdown of at most 25 lines that needs no picture."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

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
FINDINGS = 6
# What Markdown, HTML in it, or a formula would act on; what makes an address a link.
_ACTIVE = re.compile(r"[\\`*_\[\]<>#|~$&]|:(?=//)|(?<=\bwww)\.")
_MENTION = re.compile(r"@(?=\w)")


def render(diagnosis: Diagnosis, *, lang: str = ENGLISH) -> str:
    """Return verdict, causes, fix and findings, each in a line or two."""
    diagnosis = localized(diagnosis, lang)
    level = diagnosis.verdict.level
    mark = f"{LEVEL_SHAPES[level][0]} {label(level.value, lang).upper()}"
    lines = [
        f"**{mark}** {_text(diagnosis.verdict.headline)}",
        "",
        f"_{_text(describe(diagnosis.run, lang))}_",
    ]
    lost = cost(diagnosis)
    if lost is not None:
        lines += ["", _text(translate(lost.sentence, lang))]
    if diagnosis.causes:
        lines += ["", "**Most likely causes**", ""]
        for rank, cause in enumerate(diagnosis.causes[:CAUSES], start=1):
            lines += _cause(cause, rank)
    if diagnosis.findings:
        lines += ["", "**Findings**", ""]
        shown = diagnosis.findings[:FINDINGS]
        lines += [_finding(finding) for finding in shown]
        if len(shown) < len(diagnosis.findings):
            lines.append(f"- and {len(diagnosis.findings) - len(shown)} more")
    return "\n".join(label(line, lang) for line in lines[:LINES]) + "\n"


def _cause(cause: Cause, rank: int) -> list[str]:
    line = f"{rank}. {_text(cause.title)} (`{cause.id}`, {cause.probability:.0%})"
    if rank > 1:
        return [line]
    clues = [*cause.evidence_for[:CLUES], *cause.evidence_against[:1]]
    lines = [
        line,
        *(f"   - {'for' if c.weight > 0 else 'against'}: {_text(c.text)}" for c in clues),
    ]
    if cause.fix:
        lines.append(f"   - fix: {_code(cause.fix[0])}")
    if cause.confirm:
        lines.append(f"   - to make sure: {_text(cause.confirm)}")
    return lines


def _finding(finding: Finding) -> str:
    where = f" ({_code(str(finding.where[0]))})" if finding.where else ""
    return f"- {SHAPES[finding.severity][0]} `{finding.id}`{where}: {_text(finding.summary)}"


def _text(text: str) -> str:
    """Return text from a log as one line that Markdown shows as it is."""
    flat = " ".join(visible(redact(text)).split())
    # A backslash does not keep a name from being called; an invisible space in it does.
    return _MENTION.sub("@\u200b", _ACTIVE.sub(r"\\\g<0>", flat))


def _code(text: str) -> str:
    """Return text as a code span; it may hold backticks itself."""
    flat = " ".join(visible(redact(text)).split())
    fence = "`" * (max((len(run) for run in re.findall("`+", flat)), default=0) + 1)
    pad = " " if "`" in flat else ""
    return f"{fence}{pad}{flat}{pad}{fence}"
