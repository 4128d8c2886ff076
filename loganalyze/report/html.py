"""The HTML postmortem: one file, no request to anywhere, complete without JavaScript."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loganalyze import __version__
from loganalyze.finding import Check, Diagnosis, Finding, Outcome
from loganalyze.lang import ENGLISH
from loganalyze.lang.explanations import section
from loganalyze.lang.localized import localized
from loganalyze.lang.translation import label
from loganalyze.report.json import to_dict
from loganalyze.report.redact import redact, redact_value, visible
from loganalyze.report.templates import environment, text
from loganalyze.report.text import describe
from loganalyze.report.translated import translated

if TYPE_CHECKING:
    from markupsafe import Markup

    from loganalyze.report.charts import Chart

EXCERPT_LINES = 30  # of a traceback; the rest is in the log
EXCERPT_WIDTH = 300  # characters of one line
SEVERITIES = ("info", "warning", "critical")
LOOK_ALIKES = "Not to be confused with"  # section of a check's documentation
FIGURES = 24  # of findings; a page with more is not read
WORDS = {"critical": "Critical", "warning": "Warning", "info": "Note", "healthy": "Healthy",
         "insufficient": "Too little to judge"}  # fmt: skip
SHAPES = {"critical": "\u25b2", "warning": "\u25a0", "info": "\u25cf", "healthy": "\u25cf",
          "insufficient": "\u25c6"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FindingView:
    """A finding with what the page shows beside it."""

    anchor: str
    finding: Finding
    charts: Sequence[Chart]
    excerpt: str
    not_confused: str


def render(diagnosis: Diagnosis, *, lang: str = ENGLISH) -> str:
    """Return the complete page; the JSON in it is English in every language."""
    script = text("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment(lang).get_template("report.html.j2")
    return page.render(
        **_context(localized(diagnosis, lang), lang),
        style=_markup(text("style.css")),
        script=_markup(script),
        script_hash=digest,
        embedded=_markup(script_safe(to_dict(diagnosis))),
    )


def render_fragment(diagnosis: Diagnosis, *, lang: str = ENGLISH) -> str:
    """Return verdict, causes and findings for a notebook cell."""
    page = environment(lang).get_template("fragment.html.j2")
    return page.render(**_context(localized(diagnosis, lang), lang, figures=False))


def script_safe(document: dict[str, Any]) -> str:
    """Return JSON that can stand inside a script element: no ``<``, ``>``, ``&``, line separators."""
    import orjson

    dumped = orjson.dumps(document).decode()
    for mark in "<>&":
        dumped = dumped.replace(mark, f"\\u{ord(mark):04x}")
    return visible(dumped)  # its escapes are those of JSON


def _context(diagnosis: Diagnosis, lang: str, *, figures: bool = True) -> dict[str, Any]:
    run = diagnosis.run
    views = _findings(diagnosis, lang, figures=figures)
    charts: list[Chart] = []
    if figures:
        from loganalyze.report.charts import overview

        charts = [translated(chart, lang) for chart in overview(diagnosis)]
    return {
        "version": __version__,
        "diagnosis": diagnosis,
        "level": diagnosis.verdict.level.value,
        "headline": _clean(diagnosis.verdict.headline),
        "run": run,
        "described": _clean(describe(run, lang)),
        "causes": diagnosis.causes,
        "findings": views,
        "anchors": {view.finding.id: view.anchor for view in reversed(views)},
        "charts": charts,
        "passed": _checks(diagnosis, Outcome.PASSED),
        "not_applicable": _checks(diagnosis, Outcome.NOT_APPLICABLE),
        "errors": _checks(diagnosis, Outcome.ERROR),
        "config": [
            (key, _clean(str(redact_value(key, item.value))[:300]), item.where)
            for key, item in sorted(run.config.items())
        ],
        "marks": _marks(diagnosis),
        "settings": sorted(diagnosis.settings.items()),
        "words": {name: label(word, lang) for name, word in WORDS.items()},
        "shapes": SHAPES,
        "number": format_number,
        "clean": _clean,
        "markup": _markup,
    }


def _markup(value: str) -> Markup:
    """Mark our own SVG, style, script and escaped JSON as safe; nothing from a log comes here."""
    from markupsafe import Markup

    return Markup(value)  # noqa: S704 - see the docstring


def _clean(value: object) -> str:
    """Return text from a log without secrets and without characters that act on the reader."""
    return visible(redact(str(value)))


def _checks(diagnosis: Diagnosis, outcome: Outcome) -> list[Check]:
    return [check for check in diagnosis.checks if check.outcome is outcome]


def _findings(diagnosis: Diagnosis, lang: str, *, figures: bool) -> list[FindingView]:
    from loganalyze.causes.rank import section as section_of
    from loganalyze.detect import detectors

    documents = {detector.id: detector.explanation for detector in detectors()}
    views: list[FindingView] = []
    for finding in diagnosis.findings:
        same = sum(view.finding.id == finding.id for view in views)
        anchor = f"f-{finding.id}-{same + 1}"
        charts: list[Chart] = []
        if figures and len(views) < FIGURES:
            from loganalyze.report.charts import of_finding

            charts = [
                translated(chart, lang) for chart in of_finding(diagnosis, finding, f"{anchor}-c")
            ]
        explained = section_of(documents.get(finding.id, ""), LOOK_ALIKES)
        explained = section("finding", finding.id, LOOK_ALIKES, explained, lang)
        views.append(FindingView(anchor, finding, charts, _excerpt(diagnosis, finding), explained))
    return views


def _excerpt(diagnosis: Diagnosis, finding: Finding) -> str:
    """Return the text of the event that a finding cites: redacted, cut, harmless."""
    cited = {(where.source, where.row) for where in finding.where}
    for event in diagnosis.run.events:
        if (event.where.source, event.where.row) in cited and event.text.strip():
            lines = event.text.splitlines()
            if len(lines) > EXCERPT_LINES:
                head = EXCERPT_LINES // 3
                gap = f"... {len(lines) - EXCERPT_LINES} lines ..."
                lines = [*lines[:head], gap, *lines[head - EXCERPT_LINES :]]
            return "\n".join(_clean(line[:EXCERPT_WIDTH]) for line in lines)
    return ""


def _marks(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    """Place findings on the strip of the whole run, in percent of the steps."""
    run = diagnosis.run
    first, last = run.first_step, max(run.last_step or 0, run.planned_steps or 0)
    if first is None or last <= first:
        return []
    marks = []
    for view in _findings(diagnosis, ENGLISH, figures=False):
        if view.finding.steps is None:
            continue
        left, right = (100 * (step - first) / (last - first) for step in view.finding.steps)
        marks.append(
            {
                "anchor": view.anchor,
                "id": view.finding.id,
                "severity": view.finding.severity.value,
                "left": round(min(max(left, 0), 99.2), 2),
                "width": round(max(min(right, 100) - left, 0.8), 2),
            }
        )
    # The most severe last: it lies on top.
    return sorted(marks, key=lambda mark: SEVERITIES.index(mark["severity"]))


def format_number(value: object) -> str:
    """Return a number as people read it: thousands separated, six digits."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return _clean(value)
    if isinstance(value, int) or (value == value and abs(value) < 1e15 and value == int(value)):
        return f"{int(value):,}"
    return re.sub(r"e([+-])0*(\d)", r"e\1\2", f"{value:.6g}")
