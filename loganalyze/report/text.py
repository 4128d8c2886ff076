"""The diagnosis for a terminal: verdict, causes and findings in 24 lines."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from loganalyze.finding import Level, Outcome, Severity
from loganalyze.lang import ENGLISH
from loganalyze.lang.localized import localized
from loganalyze.lang.translation import label, translate
from loganalyze.report.cost import cost
from loganalyze.report.json import number
from loganalyze.report.redact import redact
from loganalyze.report.sheet import Sheet
from loganalyze.report.sparkline import sparkline

if TYPE_CHECKING:
    from loganalyze.finding import Cause, Diagnosis, Finding
    from loganalyze.run import Run, Series

SHAPES = {
    Severity.CRITICAL: ("▲", "x"),
    Severity.WARNING: ("■", "!"),
    Severity.INFO: ("●", "-"),
}
LEVEL_SHAPES = {
    Level.CRITICAL: ("▲", "x"),
    Level.WARNING: ("■", "!"),
    Level.HEALTHY: ("●", "ok"),
    Level.INSUFFICIENT: ("◆", "?"),
}
LINES, COLUMNS = 24, 80  # a terminal that nobody has enlarged
CAUSES_SHOWN = 2
NAMED = 3  # findings, and causes of the same finding and of others, that are only named
FINDINGS_SHOWN = 8
PLACES_SHOWN = 5  # of one finding, with --verbose
LONGEST_NAME = 100  # characters of a run's name; a store takes names of any length
CURVES = ("train/loss", "eval/loss", "train/grad_norm")
NAME_WIDTH = 17  # columns of a curve's name
FEWEST_BARS = 24  # columns; a narrower curve goes without its first and last value


def render(
    diagnosis: Diagnosis,
    *,
    width: int = COLUMNS,
    color: bool = False,
    unicode: bool = True,
    verbose: bool = False,
    quiet: bool = False,
    lang: str = ENGLISH,
) -> str:
    """Return the diagnosis as text; `quiet` gives the verdict only, `verbose` everything."""
    sheet = Sheet(width, color, unicode, lang)
    diagnosis = localized(diagnosis, lang)
    _verdict(sheet, diagnosis)
    if verbose:
        _everything(sheet, diagnosis)
    elif not quiet:
        _overview(sheet, diagnosis)
    return "\n".join(sheet.lines).rstrip() + "\n"


def _everything(sheet: Sheet, diagnosis: Diagnosis) -> None:
    sheet.lines += _curves(sheet, diagnosis.run)
    if diagnosis.causes:
        _heading(sheet, diagnosis)
    for cause in diagnosis.causes:
        _cause(sheet, cause, clues=None)
    sheet.gap()
    for finding in diagnosis.findings:
        _finding(sheet, finding)
        _proof(sheet, finding)
    sheet.gap()
    _count(sheet, diagnosis)
    _checks(sheet, diagnosis, *Outcome)
    _others(sheet, diagnosis.run)


def _overview(sheet: Sheet, diagnosis: Diagnosis) -> None:
    """Lay out what fits a terminal: curves and the lesser findings give way to the causes."""
    room = LINES * COLUMNS // min(sheet.width, COLUMNS) - len(sheet.lines)
    foot = sheet.blank()
    _count(foot, diagnosis)
    _checks(foot, diagnosis, Outcome.ERROR)
    _others(foot, diagnosis.run)
    room -= len(foot.lines)
    curves = _curves(sheet, diagnosis.run)
    least = len(curves[:1]) + len(_findings(sheet, diagnosis.findings[:NAMED], LINES))
    causes = sheet.blank()
    for shown in range(CAUSES_SHOWN, 0, -1):
        causes = sheet.blank()
        _causes(causes, diagnosis, shown)
        if len(causes.lines) + least < room:
            break
    room -= len(causes.lines)
    findings = _findings(sheet, diagnosis.findings, room - len(curves[:1]))
    room -= len(findings)
    sheet.lines += curves[: max(room, 0)]
    sheet.lines += causes.lines
    sheet.lines += findings
    if not diagnosis.findings:
        sheet.gap()
    sheet.lines += foot.lines


def describe(run: Run, lang: str = ENGLISH) -> str:
    """Return the one line that says which run this is and how far it got."""
    parts = [run.name if len(run.name) <= LONGEST_NAME else f"{run.name[:LONGEST_NAME]}..."]
    if run.framework != "unknown":
        parts.append(run.framework)
    if run.last_step is not None:
        planned = f" of {run.planned_steps:,}" if run.planned_steps else ""
        parts.append(label(f"steps {run.first_step:,} to {run.last_step:,}{planned}", lang))
    if run.status.value != "unknown":
        parts.append(label(run.status.value, lang))
    return ", ".join(parts)


def _verdict(sheet: Sheet, diagnosis: Diagnosis) -> None:
    level = diagnosis.verdict.level
    mark = f"{sheet.shape(LEVEL_SHAPES[level])} {label(level.value, sheet.lang).upper()}"
    sheet.put(f"{mark}  {redact(diagnosis.verdict.headline)}", hang="  ", style=level.value)
    sheet.put(redact(describe(diagnosis.run, sheet.lang)), indent="  ", style="faint")
    lost = cost(diagnosis)
    if lost is not None:
        sheet.put(redact(translate(lost.sentence, sheet.lang)), indent="  ")


def _curves(sheet: Sheet, run: Run) -> list[str]:
    """Return the main curves, a line each, where the terminal can show them."""
    drawn = curves(run, sheet.width - 2, sheet.lang) if sheet.unicode else []
    return [f"  {line[:NAME_WIDTH]}{sheet.style(line[NAME_WIDTH:], 'info')}" for line in drawn]


def curves(run: Run, width: int, lang: str = ENGLISH) -> list[str]:
    """Return the main curves, a line each: name, bars, and the first and the last value where they fit."""
    drawn = [s for name in CURVES if len((s := run.series(name)).finite()) > 2]
    if not drawn:
        return []
    steps = (min(int(s.step[0]) for s in drawn), max(int(s.step[-1]) for s in drawn))
    ends = [f"  {translate(_ends(series), lang)}" for series in drawn]
    room = width - NAME_WIDTH
    bars = room - max(map(len, ends))
    if bars < FEWEST_BARS:
        bars, ends = room, [""] * len(drawn)
    return [
        f"{series.metric:<{NAME_WIDTH}}{sparkline(series, bars, steps):<{bars}}{told}".rstrip()
        for series, told in zip(drawn, ends, strict=True)
    ]


def _ends(series: Series) -> str:
    """Return the first and the last value of a curve."""
    return " to ".join(f"{series.value[at]:.3g}".replace("nan", "NaN") for at in (0, -1))


def _heading(sheet: Sheet, diagnosis: Diagnosis) -> None:
    sound = diagnosis.verdict.level is Level.HEALTHY  # notes have causes, too
    sheet.lines.append("")
    sheet.put("If it is not as it should be" if sound else "Most likely causes", style="bold")


def _causes(sheet: Sheet, diagnosis: Diagnosis, shown: int) -> None:
    """Put the first cause with its strongest clues and its fix, the next in a line, the rest by name."""
    causes = diagnosis.causes
    if not causes:
        return
    _heading(sheet, diagnosis)
    _cause(sheet, causes[0], clues=1)
    for cause in causes[1:shown]:
        _title(sheet, cause)
    rest = causes[shown:]
    rivals = [c for c in rest if set(c.explains) & set(causes[0].explains)][:NAMED]
    apart = [c for c in rest if not set(c.explains) & set(causes[0].explains)][:NAMED]
    named = [label(f"then {_named(rivals)}", sheet.lang)] if rivals else []
    named += [label(f"also {_named(apart)}", sheet.lang)] if apart else []
    if named:
        sheet.put("; ".join(named), indent=" " * 6, style="faint")


def _named(causes: list[Cause]) -> str:
    return ", ".join(f"{cause.id} {cause.probability:.0%}" for cause in causes)


def _title(sheet: Sheet, cause: Cause) -> None:
    decided = label(f", {cause.probed} by probe", sheet.lang) if cause.probed else ""
    sheet.put(f"{cause.probability:4.0%}  {cause.title} ({cause.id}){decided}", hang=" " * 6)


def _cause(sheet: Sheet, cause: Cause, *, clues: int | None) -> None:
    """Put a cause with at most so many `clues` for and against, and of its fix (None: all)."""
    _title(sheet, cause)
    for clue in cause.evidence_for[:clues]:
        sheet.put(f"+ {redact(clue.text)}", indent=" " * 6, hang=" " * 8)
    for clue in cause.evidence_against[:clues]:
        sheet.put(f"- {redact(clue.text)}", indent=" " * 6, hang=" " * 8)
    for line in cause.fix[:clues]:
        sheet.put(f"fix: {redact(line)}", indent=" " * 6, hang=" " * 11)
    if cause.undecided and clues is None:  # in short, the names and shares below say as much
        sheet.put(f"? {redact(cause.undecided)}", indent=" " * 6, hang=" " * 8)
    elif cause.confirm:
        sheet.put(f"confirm: {cause.confirm}", indent=" " * 6, hang=" " * 15)


def _findings(sheet: Sheet, findings: tuple[Finding, ...], room: int) -> list[str]:
    """Return an empty line and the findings that fit into `room` lines, at least the first."""
    blocks, lines = [], list[str]()
    for finding in findings[:FINDINGS_SHOWN]:
        block = sheet.blank()
        _finding(block, finding)
        blocks.append(block.lines)
    for shown in range(len(blocks), -1, -1):
        lines = [line for block in blocks[:shown] for line in block]
        lines += _unshown(sheet, findings[shown:])
        if shown <= 1 or 1 + len(lines) <= room:
            break
    return ["", *lines] if lines else []


def _unshown(sheet: Sheet, findings: tuple[Finding, ...]) -> list[str]:
    """Name findings that have no line of their own, the first few of many."""
    if not findings:
        return []
    names = ", ".join(finding.id for finding in findings[:NAMED])
    more = f" and {len(findings) - NAMED} more" if len(findings) > NAMED else ""
    part = sheet.blank()
    part.put(f"and {names}{more}: --verbose shows them", indent="  ")
    return part.lines


def _finding(sheet: Sheet, finding: Finding) -> None:
    """Give a line to a finding."""
    shape = sheet.shape(SHAPES[finding.severity])
    begin = len(sheet.lines)
    where = f"  {finding.where[0]}" if finding.where else ""
    sheet.put(f"{shape} {finding.id}  {redact(finding.title)}{where}", hang="  ")
    marked = sheet.style(shape, finding.severity.value)
    sheet.lines[begin] = sheet.lines[begin].replace(shape, marked, 1)


def _proof(sheet: Sheet, finding: Finding) -> None:
    """Put the numbers that a finding rests on."""
    steps = f" (steps {finding.steps[0]:,} to {finding.steps[1]:,})" if finding.steps else ""
    sheet.put(redact(finding.summary) + label(steps, sheet.lang), indent="  ")
    if len(finding.where) > 1:
        places = ", ".join(map(str, finding.where[1:PLACES_SHOWN]))
        sheet.put(f"also {places}", indent="    ", hang="      ")
    for key, value in finding.evidence.items():
        sheet.put(f"{key} = {redact(figure(value))}", indent="    ", hang="      ")
    for line in finding.fix:
        sheet.put(f"fix: {redact(line)}", indent="    ", hang="         ")


def figure(value: float | str) -> str:
    """Return a number to six digits, one that is not finite by its name in JSON; text as it is."""
    if isinstance(value, str):
        return value
    return f"{value:.6g}" if math.isfinite(value) else str(number(value))


def _count(sheet: Sheet, diagnosis: Diagnosis) -> None:
    sheet.put(counted(diagnosis), style="faint")


def counted(diagnosis: Diagnosis) -> str:
    """Say how many checks came to what."""
    count = Counter(check.outcome for check in diagnosis.checks)
    parts = [
        f"{count[Outcome.FOUND]} found something",
        f"{count[Outcome.PASSED]} passed",
        f"{count[Outcome.NOT_APPLICABLE]} not applicable",
    ]
    if count[Outcome.ERROR]:
        parts.append(f"{count[Outcome.ERROR]} could not run")
    return f"{len(diagnosis.checks)} checks: {', '.join(parts)}"


def _checks(sheet: Sheet, diagnosis: Diagnosis, *outcomes: Outcome) -> None:
    """Put the checks that came to one of `outcomes`; what they found stands elsewhere."""
    words = {
        Outcome.PASSED: "passed",
        Outcome.NOT_APPLICABLE: "not applicable",
        Outcome.ERROR: "could not run",
    }
    for check in diagnosis.checks:
        if check.outcome in outcomes and check.outcome in words:
            said = redact(check.reason) or check.title
            word = label(words[check.outcome], sheet.lang)
            sheet.put(f"{word}: {check.id}: {said}", indent="  ", hang=" " * 4)


def _others(sheet: Sheet, run: Run) -> None:
    if run.others:
        listed = ", ".join(run.others[:3]) + (", ..." if len(run.others) > 3 else "")
        count = f"{len(run.others):,} more run{'s are' if len(run.others) > 1 else ' is'} here"
        sheet.put(f"{count} ({redact(listed)}); pick one with --run NAME", style="faint")
