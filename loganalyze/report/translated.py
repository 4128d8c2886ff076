"""Figures in another language: what is written in and beside them, wherever it was drawn."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape, unescape
from typing import TYPE_CHECKING

from loganalyze.lang import ENGLISH
from loganalyze.lang.translation import label, translate

if TYPE_CHECKING:
    from loganalyze.report.figure import Chart

_WRITTEN = re.compile(r"(?<=>)[^<>]+(?=</(?:text|tspan|title|desc)>)")


def translated(chart: Chart, lang: str) -> Chart:
    """Return the figure with its heading, labels, notes and description in another language."""
    if lang == ENGLISH:
        return chart

    def written(found: re.Match[str]) -> str:
        return escape(translate(label(unescape(found[0]), lang), lang), quote=False)

    return replace(
        chart,
        title=translate(label(chart.title, lang), lang),
        svg=_WRITTEN.sub(written, chart.svg),
        notes=tuple(translate(note, lang) for note in chart.notes),
        description=translate(chart.description, lang),
        cited=tuple(
            replace(row, metric=label(row.metric, lang), why=_why(row.why, lang))
            for row in chart.cited
        ),
    )


def _why(why: str, lang: str) -> str:
    """Translate what a point is cited as: the id of a finding, and which of its points."""
    identifier, comma, point = why.partition(", ")
    return f"{identifier}{comma}{label(point, lang)}"
