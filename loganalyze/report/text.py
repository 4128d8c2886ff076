"""The diagnosis for a terminal: verdict, causes and findings in about 24 lines."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from loganalyze.finding import Level, Outcome, Severity
from loganalyze.lang import ENGLISH
from loganalyze.lang.localized import localized
from loganalyze.lang.translation import label, translate
from loganalyze.report.cost import cost
from loganalyze.report.redact import redact, visible
from loganalyze.report.sparkline import sparkline
from loganalyze.report.wrap import wrap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loganalyze.finding import Cause, Diagnosis, Finding
    from loganalyze.run import Run

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
STYLES = {
    "critical": "\x1b[1;31m",
    "warning": "\x1b[1;33m",
    "info": "\x1b[36m",
    "healthy": "\x1b[1;32m",
    "insufficient": "\x1b[1;36m",
    "bold": "\x1b[1m",
    "faint": "\x1b[2m",
}
RESET = "\x1b[0m"
CAUSES_SHOWN = 2
FINDINGS_SHOWN = 8
CURVES = ("train/loss", "eval/loss", "train/grad_norm")
NAME_WIDTH = 17  # columns of a curve's name, and of its first and last value
ENDS_WIDTH = 22


class Page:
    """Lines of text for a given width, with or without colour and Unicode, in one language."""

    def __init__(self, *, width: int, color: bool, unicode: bool, lang: str) -> None:
        self.width = max(width, 40)
        self.color = color
        self.unicode = unicode
        self.lang = lang
        self.lines: list[str] = []

    def style(self, text: str, name: str) -> str:
        """Return `text` in a colour, or as it is where colour is off."""
        return f"{STYLES[name]}{text}{RESET}" if self.color else text

    def shape(self, shapes: tuple[str, str]) -> str:
        """Return the Unicode or the ASCII form of a severity mark."""
        return shapes[0] if self.unicode else shapes[1]

    def put(self, text: str, *, indent: str = "", hang: str = "", style: str = "") -> None:
        """Add `text`, wrapped, its own words in the page's language."""
        told = visible(label(text, self.lang))
        wrapped = wrap(told, self.width, indent=indent, hang=hang or indent)
        for line in wrapped or [""]:
            line = line if self.unicode else line.encode("ascii", "replace").decode()
            self.lines.append(self.style(line, style) if style else line)

    def gap(self) -> None:
        """Add an empty line, unless there is one."""
        if self.lines and self.lines[-1]:
            self.lines.append("")


def render(
    diagnosis: Diagnosis,
    *,
    width: int = 80,
    color: bool = False,
    unicode: bool = True,
    verbose: bool = False,
    quiet: bool = False,
    lang: str = ENGLISH,
) -> str:
    """Return the diagnosis as text; `quiet` gives the verdict only, `verbose` everything."""
    page = Page(width=width, color=color, unicode=unicode, lang=lang)
    diagnosis = localized(diagnosis, lang)
    _verdict(page, diagnosis)
    if not quiet:
        _curves(page, diagnosis)
        _causes(page, diagnosis, verbose=verbose)
        _findings(page, diagnosis, verbose=verbose)
        _checks(page, diagnosis, verbose=verbose)
    return "\n".join(page.lines).rstrip() + "\n"


def describe(run: Run, lang: str = ENGLISH) -> str:
    """Return the one line that says which run this is and how far it got."""
    parts = [run.name]
    if run.framework != "unknown":
        parts.append(run.framework)
    if run.last_step is not None:
        planned = f" of {run.planned_steps:,}" if run.planned_steps else ""
        parts.append(label(f"steps {run.first_step:,} to {run.last_step:,}{planned}", lang))
    if run.status.value != "unknown":
        parts.append(label(run.status.value, lang))
    return ", ".join(parts)


def _verdict(page: Page, diagnosis: Diagnosis) -> None:
    level = diagnosis.verdict.level
    mark = f"{page.shape(LEVEL_SHAPES[level])} {label(level.value, page.lang).upper()}"
    page.put(f"{mark}  {redact(diagnosis.verdict.headline)}", hang="  ", style=level.value)
    page.put(describe(diagnosis.run, page.lang), indent="  ", style="faint")
    lost = cost(diagnosis)
    if lost is not None:
        page.put(redact(translate(lost.sentence, page.lang)), indent="  ", hang="  ")


def _curves(page: Page, diagnosis: Diagnosis) -> None:
    """Draw the main curves, where the terminal can."""
    width = page.width - 2 - NAME_WIDTH - ENDS_WIDTH
    drawn = [s for name in CURVES if len((s := diagnosis.run.series(name)).finite()) > 2]
    if not page.unicode or not drawn:
        return
    steps = (min(int(s.step[0]) for s in drawn), max(int(s.step[-1]) for s in drawn))
    for series in drawn:
        bars = f"{sparkline(series, width, steps):<{width}}"
        ends = " to ".join(f"{series.value[i]:.3g}".replace("nan", "NaN") for i in (0, -1))
        ends = translate(ends, page.lang)
        page.lines.append(f"  {series.metric:<{NAME_WIDTH}}{page.style(bars, 'info')}  {ends}")


def _causes(page: Page, diagnosis: Diagnosis, *, verbose: bool) -> None:
    if not diagnosis.causes:
        return
    page.gap()
    page.put("Most likely causes", style="bold")
    shown = diagnosis.causes if verbose else diagnosis.causes[:CAUSES_SHOWN]
    for rank, cause in enumerate(shown):
        page.put(f"{cause.probability:4.0%}  {cause.title} ({cause.id})", hang=" " * 6)
        for line in _clues(cause, verbose=verbose) if verbose or rank == 0 else ():
            page.put(line, indent=" " * 6, hang=" " * 8)
        if cause.fix and (verbose or rank == 0):
            page.put(f"fix: {redact(cause.fix[0])}", indent=" " * 6, hang=" " * 11)
            for line in cause.fix[1:] if verbose else ():
                page.put(redact(line), indent=" " * 11)
        if cause.undecided and (verbose or rank == 0):
            page.put(f"? {redact(cause.undecided)}", indent=" " * 6, hang=" " * 8)
        elif cause.confirm and (verbose or rank == 0):
            page.put(f"confirm: {cause.confirm}", indent=" " * 6, hang=" " * 15)
    hidden = diagnosis.causes[len(shown) :]
    if hidden:
        rest = ", ".join(f"{cause.id} {cause.probability:.0%}" for cause in hidden)
        page.put(f"then {rest}", indent=" " * 6, style="faint")


def _clues(cause: Cause, *, verbose: bool) -> Iterator[str]:
    for clue in cause.evidence_for[: None if verbose else 1]:
        yield f"+ {redact(clue.text)}"
    for clue in cause.evidence_against[: None if verbose else 1]:
        yield f"- {redact(clue.text)}"


def _findings(page: Page, diagnosis: Diagnosis, *, verbose: bool) -> None:
    if not diagnosis.findings:
        return
    page.gap()
    shown = diagnosis.findings if verbose else diagnosis.findings[:FINDINGS_SHOWN]
    for finding in shown:
        _finding(page, finding, verbose=verbose)
    if len(diagnosis.findings) > len(shown):
        page.put(
            f"and {len(diagnosis.findings) - len(shown)} more: --verbose shows them", indent="  "
        )


def _finding(page: Page, finding: Finding, *, verbose: bool) -> None:
    """Give a line to a finding; in full, also the numbers that it rests on."""
    shape = page.shape(SHAPES[finding.severity])
    begin = len(page.lines)
    where = f"  {finding.where[0]}" if finding.where else ""
    page.put(f"{shape} {finding.id}  {redact(finding.title)}{where}", hang="  ")
    marked = page.style(shape, finding.severity.value)
    page.lines[begin] = page.lines[begin].replace(shape, marked, 1)
    if not verbose:
        return
    steps = f" (steps {finding.steps[0]:,} to {finding.steps[1]:,})" if finding.steps else ""
    page.put(redact(finding.summary) + label(steps, page.lang), indent="  ")
    for key, value in finding.evidence.items():
        shown = redact(value) if isinstance(value, str) else f"{value:.6g}"
        page.put(f"{key} = {shown}", indent="    ", hang="      ")
    for line in finding.fix:
        page.put(f"fix: {redact(line)}", indent="    ", hang="         ")


def _checks(page: Page, diagnosis: Diagnosis, *, verbose: bool) -> None:
    if verbose or not diagnosis.findings:
        page.gap()
    count = Counter(check.outcome for check in diagnosis.checks)
    parts = [
        f"{count[Outcome.FOUND]} found something",
        f"{count[Outcome.PASSED]} passed",
        f"{count[Outcome.NOT_APPLICABLE]} not applicable",
    ]
    if count[Outcome.ERROR]:
        parts.append(f"{count[Outcome.ERROR]} could not run")
    page.put(f"{len(diagnosis.checks)} checks: {', '.join(parts)}", style="faint")
    for check in diagnosis.checks if verbose else ():
        if check.outcome is Outcome.PASSED:
            page.put(f"passed          {check.id}: {check.title}", indent="  ", hang=" " * 18)
        elif check.outcome is not Outcome.FOUND:
            page.put(
                f"{check.outcome.value:<15} {check.id}: {redact(check.reason)}",
                indent="  ",
                hang=" " * 18,
            )
    for check in () if verbose else diagnosis.checks:
        if check.outcome is Outcome.ERROR:
            page.put(f"could not run {check.id}: {redact(check.reason)}", indent="  ")
    others = diagnosis.run.others
    if others:
        listed = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        page.put(
            f"{len(others)} more runs are here ({listed}); pick one with --run NAME", style="faint"
        )
