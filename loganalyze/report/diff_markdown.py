"""The diff for a ticket or a chat: Markdown of a screen that needs no picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loganalyze.compare.scale import MetricRole
from loganalyze.compare.values import Change, Fate
from loganalyze.lang import ENGLISH
from loganalyze.lang.translation import label, translate
from loganalyze.report import diff_words as words
from loganalyze.report.markdown import literal
from loganalyze.report.text import SHAPES, describe

if TYPE_CHECKING:
    from loganalyze.compare.comparison import Diff, Pair
    from loganalyze.compare.values import Metric

SETTINGS = 8
METRICS = 6
FINDINGS = 6


def render(diff: Diff, *, lang: str = ENGLISH) -> str:
    """Return each pair: verdict, metrics, settings that changed, findings, what could explain them."""
    blocks = [
        "\n".join(_pair(diff, pair, letter, lang))
        for letter, pair in zip(words.LETTERS[1:], diff.pairs, strict=False)
    ]
    return "\n\n".join(blocks) + "\n"


def _pair(diff: Diff, pair: Pair, letter: str, lang: str) -> list[str]:
    shape = words.SHAPES[words.STYLE[pair.verdict.outcome]][0]
    lines = [f"**{shape} {literal(translate(pair.verdict.headline, lang))}**", ""]
    lines += [f"{literal(translate(line, lang))}  " for line in pair.verdict.details]
    lines += [f"_A: {literal(describe(diff.a.run, lang))}_  "]
    lines += [f"_{letter}: {literal(describe(pair.b.run, lang))}_"]
    return [*lines, *_metrics(pair, lang), *_settings(pair, lang), *_findings(pair, lang),
            *_explained(pair, lang)]  # fmt: skip


def _metrics(pair: Pair, lang: str) -> list[str]:
    told = [m for m in pair.metrics if m.scale.role is MetricRole.OUTCOME or m.differs]
    if not told:
        return []
    head = [
        label(word, lang) for word in ("Metric", "A", "B", "Change", "95% interval", "Parts at")
    ]
    lines = ["", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return lines + [f"| {' | '.join(_row(metric, pair, lang))} |" for metric in told[:METRICS]]


def _row(metric: Metric, pair: Pair, lang: str) -> list[str]:
    end = metric.end
    numbers = (
        [words.level(end.a), words.level(end.b), words.change(end, metric),
         translate(words.interval(end, metric), lang)]
        if end is not None else ["", "", "", ""]
    )  # fmt: skip
    parted = translate(metric.note, lang) or words.parts_at(metric, pair.axis, lang)
    return [literal(metric.name), *numbers, literal(parted)]


def _settings(pair: Pair, lang: str) -> list[str]:
    changed = [s for s in pair.settings if s.change is not Change.SAME]
    if not changed:
        return []
    head = [label(word, lang) for word in ("Setting", "A", "B", "Could explain")]
    lines = ["", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for setting in changed[:SETTINGS]:
        a, b = (literal(label(words.value(setting, side), lang)) for side in "ab")
        lines.append(
            f"| {literal(setting.key)} | {a} | {b} | {literal(', '.join(setting.explains))} |"
        )
    more = len(changed) - SETTINGS
    return [*lines, "", label(f"and {more:,} more", lang)] if more > 0 else lines


def _findings(pair: Pair, lang: str) -> list[str]:
    told = [change for change in pair.findings if change.fate is not Fate.PERSISTS][:FINDINGS]
    lines = [
        f"- {label(c.fate.value, lang)}: {SHAPES[c.finding.severity][0]} `{c.id}` "
        f"{literal(translate(c.finding.summary, lang))}"
        for c in told
    ]
    return ["", *lines] if lines else []


def _explained(pair: Pair, lang: str) -> list[str]:
    if not pair.attributions:
        return []
    lines = ["", f"**{label('What could explain it', lang)}**", ""]
    for one in pair.attributions[:FINDINGS]:
        named = "; ".join(literal(c.text) for c in one.candidates)
        lines.append(f"- {literal(one.about)}: {named or label('no setting that changed', lang)}")
    limits = dict.fromkeys(limit for one in pair.attributions for limit in one.limits)
    return [*lines, "", *(f"{literal(translate(limit, lang))}  " for limit in limits)]
