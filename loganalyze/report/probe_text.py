"""The results of a probe for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from loganalyze.finding import Outcome
from loganalyze.lang import ENGLISH
from loganalyze.lang.translation import translate
from loganalyze.report.redact import redact
from loganalyze.report.sheet import Sheet

if TYPE_CHECKING:
    from loganalyze.probed import Evidence, Probed, ProbeResult, Restored

SHAPES = {
    Outcome.FOUND: ("▲", "x"),
    Outcome.PASSED: ("●", "ok"),
    Outcome.NOT_APPLICABLE: ("◆", "?"),
    Outcome.ERROR: ("■", "!"),
}
STYLES = {
    Outcome.FOUND: "critical",
    Outcome.PASSED: "healthy",
    Outcome.NOT_APPLICABLE: "insufficient",
    Outcome.ERROR: "warning",
}


def render(
    probed: Probed,
    *,
    width: int = 80,
    color: bool = False,
    unicode: bool = True,
    quiet: bool = False,
    lang: str = ENGLISH,
) -> str:
    """Return the results as text; `quiet` gives one line for each check."""
    sheet = Sheet(width, color, unicode, lang)
    if not quiet:
        sheet.put(redact(described(probed)), style="faint")
    for result in probed.results:
        _result(sheet, result, quiet=quiet)
    if probed.results:
        sheet.put(proven([result.restored for result in probed.results]), style="faint")
        for remark in dict.fromkeys(r for one in probed.results for r in one.restored.remarks):
            sheet.put(translate(remark, sheet.lang), indent="  ")
    return "\n".join(sheet.lines).rstrip() + "\n"


def described(probed: Probed) -> str:
    """Say what was probed."""
    subject = probed.subject
    return (
        f"{subject.name}: {subject.model}, {subject.parameters:,} parameters, {subject.trainable:,} "
        f"trainable, on {subject.device}"
    )


def proven(restored: list[Restored]) -> str:
    """Say whether everything is as it was, and how much that was."""
    changed = [name for one in restored for name in one.changed]
    if changed:
        return f"NOT put back as it was: {', '.join(changed[:5])}"
    most = max(restored, key=lambda one: one.tensors)
    return (
        f"Everything is as it was, bit for bit: {most.tensors:,} tensors, {most.objects:,} objects, "
        f"{most.generators:,} generators and switches compared after each check"
    )


def _result(sheet: Sheet, result: ProbeResult, *, quiet: bool) -> None:
    if not quiet:
        sheet.gap()
    mark = sheet.shape(SHAPES[result.outcome])
    begin = len(sheet.lines)
    sheet.put(f"{mark} {result.check}  {redact(translate(result.summary, sheet.lang))}", hang="  ")
    sheet.lines[begin] = sheet.lines[begin].replace(
        mark, sheet.style(mark, STYLES[result.outcome]), 1
    )
    if quiet:
        return
    for problem in result.problems:
        if problem != result.summary:
            sheet.put(redact(translate(problem, sheet.lang)), indent="    ", hang="    ")
    for note in result.notes:
        sheet.put(redact(translate(note, sheet.lang)), indent="    ", hang="    ", style="faint")
    for line in result.fix:
        sheet.put(f"fix: {redact(translate(line, sheet.lang))}", indent="    ", hang="         ")
    if result.evidence:
        sheet.put(
            f"weighs: {weighed(result.evidence)}", indent="    ", hang="            ", style="faint"
        )


def weighed(evidence: Sequence[Evidence]) -> str:
    """Say what a result means for the causes, in log-odds: ``head-init-scale +3.0, lr-too-high -0.9``."""
    total: dict[str, float] = {}
    for one in evidence:
        total[one.cause] = total.get(one.cause, 0.0) + one.weight
    ranked = sorted(total.items(), key=lambda item: -item[1])
    return ", ".join(f"{cause} {weight:+.1f}" for cause, weight in ranked)
