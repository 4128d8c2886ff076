"""The diff for a terminal: what it comes to, the curves, settings, findings, and what could explain them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loganalyze.compare.scale import MetricRole
from loganalyze.compare.values import Change, Fate
from loganalyze.lang import ENGLISH
from loganalyze.lang.translation import label, translate
from loganalyze.report import diff_words as words
from loganalyze.report.redact import redact
from loganalyze.report.sheet import Sheet
from loganalyze.report.sparkline import sparkline
from loganalyze.report.text import COLUMNS, SHAPES, describe

if TYPE_CHECKING:
    from loganalyze.compare.comparison import Diff, Pair
    from loganalyze.compare.values import Attribution, FindingChange, Metric, Setting

SETTINGS_SHOWN = 8
METRICS_SHOWN = 6
CURVES_SHOWN = 2
FINDINGS_SHOWN = 6
ATTRIBUTED = 3
NAME = 18  # columns of the name of a metric or a setting
MARKS = {Fate.NEW: "+", Fate.WORSE: ">", Fate.FIXED: "-", Fate.BETTER: "<", Fate.PERSISTS: "="}


def render(
    diff: Diff,
    *,
    width: int = COLUMNS,
    color: bool = False,
    unicode: bool = True,
    verbose: bool = False,
    quiet: bool = False,
    lang: str = ENGLISH,
) -> str:
    """Return the diff as text; `quiet` gives the verdicts only, `verbose` every setting and metric."""
    sheet = Sheet(width, color, unicode, lang)
    several = len(diff.pairs) > 1
    for letter, pair in zip(words.LETTERS[1:], diff.pairs, strict=False):
        _verdict(sheet, diff, pair, letter if several else "")
        if not quiet:
            _parts(sheet, pair, letter, verbose=verbose)
        sheet.gap()
    return "\n".join(sheet.lines).rstrip() + "\n"


def _verdict(sheet: Sheet, diff: Diff, pair: Pair, letter: str) -> None:
    style = words.STYLE[pair.verdict.outcome]
    shape = sheet.shape(words.SHAPES[style])
    told = translate(pair.verdict.headline, sheet.lang)
    name = f"{letter}: " if letter else ""
    sheet.put(f"{shape} {name}{redact(told)}", hang="  ", style=style)
    for line in pair.verdict.details:
        sheet.put(redact(translate(line, sheet.lang)), indent="  ")
    for mark, one in (("A", diff.a), (letter or "B", pair.b)):
        text = redact(describe(one.run, sheet.lang))
        sheet.put(f"{mark}  {text}", indent="  ", hang=" " * 5, style="faint")


def _parts(sheet: Sheet, pair: Pair, letter: str, *, verbose: bool) -> None:
    _curves(sheet, pair, letter)
    _metrics(sheet, pair, letter, verbose=verbose)
    _settings(sheet, pair, verbose=verbose)
    _findings(sheet, pair, verbose=verbose)
    _explained(sheet, pair, verbose=verbose)


def _curves(sheet: Sheet, pair: Pair, letter: str) -> None:
    """Draw the main curves of both runs, one over the other."""
    drawn = [m for m in pair.metrics if m.scale.role is MetricRole.OUTCOME and m.curves is not None]
    if not sheet.unicode or not drawn:
        return
    sheet.gap()
    for metric in drawn[:CURVES_SHOWN]:
        ends = [series.finite() for series in metric.series]
        steps = (min(int(s.step[0]) for s in ends), max(int(s.step[-1]) for s in ends))
        for name, series in zip(("A", letter), ends, strict=True):
            ends_at = f"{series.value[0]:.3g} to {series.value[-1]:.3g}"
            tail = f"  {translate(ends_at, sheet.lang)}"
            room = sheet.width - NAME - 6 - len(tail)
            bars = sparkline(series, max(room, 8), steps)
            title = metric.name if name == "A" else ""
            sheet.lines.append(
                f"  {title[:NAME]:<{NAME}} {name} {sheet.style(f'{bars:<{max(room, 8)}}', 'info')}{tail}"
            )


def _heading(sheet: Sheet, title: str, rest: str = "") -> None:
    sheet.gap()
    begin = label(title, sheet.lang)
    sheet.put(f"{begin}  {label(rest, sheet.lang)}" if rest else begin, style="bold")


def _more(sheet: Sheet, count: int) -> None:
    sheet.put(f"and {count:,} more: --verbose shows them", indent="  ")


def _metrics(sheet: Sheet, pair: Pair, letter: str, *, verbose: bool) -> None:
    told = [
        m
        for m in pair.metrics
        if verbose or m.scale.role in (MetricRole.OUTCOME, MetricRole.TRAINING)
    ]
    told = told if verbose else [m for m in told if m.end is not None or m.note or m.identical]
    if told:
        _heading(sheet, "Metrics", "at the end of what both logged")
    shown = told if verbose else told[:METRICS_SHOWN]
    for metric in shown:
        sheet.put(_metric(metric, pair, sheet.lang), indent="  ", hang=" " * (NAME + 3))
    if len(told) > len(shown):
        _more(sheet, len(told) - len(shown))
    if pair.only_a:
        sheet.put(f"only in A: {', '.join(pair.only_a)}", indent="  ", hang="    ", style="faint")
    if pair.only_b:
        sheet.put(f"only in B: {', '.join(pair.only_b)}", indent="  ", hang="    ", style="faint")
    for speed in pair.speeds[:1] if not verbose else pair.speeds:
        sheet.put(translate(words.faster(speed, letter), sheet.lang), indent="  ", hang="    ")
    if pair.throughput is not None:
        sheet.put(
            translate(words.pace(pair.throughput, letter), sheet.lang), indent="  ", hang="    "
        )


def _metric(metric: Metric, pair: Pair, lang: str) -> str:
    parts = words.parts_at(metric, pair.axis, lang)
    if metric.note:
        return f"{metric.name:<{NAME}} {translate(metric.note, lang)}"
    if metric.end is None:
        return f"{metric.name:<{NAME}} {parts}"
    end = metric.end
    amount, span = words.change(end, metric), words.interval(end, metric)
    levels = f"{words.level(end.a)} -> {words.level(end.b)}"
    told = f"{metric.name:<{NAME}} {levels}  {amount} ({translate(span, lang)})"
    parted = label(f"parts: {parts}", lang)
    return told if metric.parting is None else f"{told}  {parted}"


def _settings(sheet: Sheet, pair: Pair, *, verbose: bool) -> None:
    if not pair.settings:
        return
    _heading(sheet, "Settings", words.counted(pair))
    changed = [s for s in pair.settings if s.change is not Change.SAME]
    shown = list(pair.settings) if verbose else changed[:SETTINGS_SHOWN]
    for setting in shown:
        _setting(sheet, setting)
    if not verbose and len(changed) > len(shown):
        _more(sheet, len(changed) - len(shown))


def _setting(sheet: Sheet, setting: Setting) -> None:
    mark = words.MARKS[setting.change]
    a, b = (label(words.value(setting, side), sheet.lang) for side in "ab")
    text = f"{mark} {setting.key}  {a}" + (f" -> {b}" if setting.change is not Change.SAME else "")
    if setting.explains:
        about = ", ".join(setting.explains)
        told = label(f"could explain {about}", sheet.lang)
        text = f"{text}  {told}"
    sheet.put(text, indent="  ", hang="      ")


def _findings(sheet: Sheet, pair: Pair, *, verbose: bool) -> None:
    if not pair.findings:
        return
    _heading(sheet, "Findings")
    shown = pair.findings if verbose else pair.findings[:FINDINGS_SHOWN]
    for change in shown:
        _finding(sheet, change)
    if len(pair.findings) > len(shown):
        _more(sheet, len(pair.findings) - len(shown))


def _finding(sheet: Sheet, change: FindingChange) -> None:
    finding = change.finding
    shape = sheet.shape(SHAPES[finding.severity])
    fate = label(change.fate.value, sheet.lang)
    title = redact(translate(finding.title, sheet.lang))
    steps = f"  {finding.steps[0]:,}-{finding.steps[1]:,}" if finding.steps else ""
    begin = len(sheet.lines)
    sheet.put(
        f"{MARKS[change.fate]} {fate}  {shape} {change.id}  {title}{steps}",
        indent="  ",
        hang="      ",
    )
    marked = sheet.style(shape, finding.severity.value)
    sheet.lines[begin] = sheet.lines[begin].replace(f" {shape} ", f" {marked} ", 1)


def _explained(sheet: Sheet, pair: Pair, *, verbose: bool) -> None:
    if not pair.attributions:
        return
    _heading(sheet, "What could explain it")
    shown = pair.attributions if verbose else pair.attributions[:ATTRIBUTED]
    for one in shown:
        _attribution(sheet, one)
    for limit in dict.fromkeys(limit for one in shown for limit in one.limits):
        sheet.put(translate(limit, sheet.lang), indent="  ", style="faint")


def _attribution(sheet: Sheet, one: Attribution) -> None:
    if not one.candidates:
        sheet.put(f"{one.about}: {label('no setting that changed', sheet.lang)}", indent="  ")
        return
    named = "; ".join(
        f"{c.text} ({', '.join(c.causes)})" if c.causes else c.text for c in one.candidates
    )
    sheet.put(redact(f"{one.about}: {named}"), indent="  ", hang="    ")
