"""The HTML postmortem: one file, no request to anywhere, complete without JavaScript."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loganalyze import __version__
from loganalyze.finding import Diagnosis, Outcome
from loganalyze.lang import ENGLISH
from loganalyze.lang.localized import localized
from loganalyze.lang.translation import label
from loganalyze.report import views
from loganalyze.report.json import SCHEMA_VERSION, to_dict
from loganalyze.report.marks import marks
from loganalyze.report.measured import measured
from loganalyze.report.points import Store
from loganalyze.report.policy import plain_script, policy
from loganalyze.report.redact import redact_value, visible
from loganalyze.report.strip import strip
from loganalyze.report.templates import environment, harmless, ours, text
from loganalyze.report.text import describe
from loganalyze.report.thresholds import thresholds
from loganalyze.report.translated import translated

if TYPE_CHECKING:
    from loganalyze.report.figure import Chart

WORDS = {"critical": "Critical", "warning": "Warning", "info": "Note", "healthy": "Healthy",
         "insufficient": "Too little to judge"}  # fmt: skip
SHAPES = {"critical": "\u25b2", "warning": "\u25a0", "info": "\u25cf", "healthy": "\u25cf",
          "insufficient": "\u25c6"}  # fmt: skip
LONGEST_EMBEDDED = 10_000  # characters of one string in the embedded JSON


@dataclass(frozen=True, slots=True)
class Explorer:
    """A section that another module adds to the page, with the scripts that it needs.

    Attributes
    ----------
    data
        JSON that the scripts read, from the element with id ``loganalyze-explorer``.
    """

    markup: str
    scripts: tuple[str, ...]
    data: Any


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with the numbers of its curves in the page's store of points."""

    chart: Chart
    curves: str


def render(diagnosis: Diagnosis, explorer: Explorer | None = None, *, lang: str = ENGLISH) -> str:
    """Return the complete page, with a section to explore every metric in if there is an `explorer`.

    The JSON in it is English in every language.
    """
    theme, script = (plain_script(text(name)) for name in ("theme.js", "report.js"))
    scripts = [theme, script, *(explorer.scripts if explorer else ())]
    page = environment(lang).get_template("report.html.j2")
    return page.render(
        **_context(localized(diagnosis, lang), lang),
        style=ours(text("style.css")),
        policy=ours(policy(scripts)),
        theme=ours(theme),
        scripts=[ours(script) for script in scripts[1:]],
        explorer=ours(explorer.markup) if explorer else None,
        explorer_data=ours(script_safe(explorer.data)) if explorer else None,
        embedded=ours(script_safe(to_dict(diagnosis))),
        embedded_id="loganalyze-diagnosis",
    )


def script_safe(document: Any) -> str:
    """Return JSON that can stand inside a script element: no ``<``, ``>``, ``&``, line separators."""
    import orjson

    dumped = orjson.dumps(_cut(document)).decode()
    for mark in "<>&":
        dumped = dumped.replace(mark, f"\\u{ord(mark):04x}")
    return visible(dumped)  # its escapes are those of JSON


def _cut(value: Any) -> Any:
    """Shorten endless strings: the page of a hostile log must open too."""
    if isinstance(value, dict):
        return {_cut(key): _cut(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cut(item) for item in value]
    if isinstance(value, str) and len(value) > LONGEST_EMBEDDED:
        return f"{value[:LONGEST_EMBEDDED]}\N{HORIZONTAL ELLIPSIS}"
    return value


def _base(diagnosis: Diagnosis, lang: str) -> dict[str, Any]:
    return {
        "version": __version__,
        "schema_version": SCHEMA_VERSION,
        "diagnosis": diagnosis,
        "run": diagnosis.run,
        "level": diagnosis.verdict.level.value,
        "headline": diagnosis.verdict.headline,
        "described": describe(diagnosis.run, lang),
        "causes": views.cause_views(diagnosis),
        "at": label("at step", lang),
        "kind": "report",
        "words": {name: label(word, lang) for name, word in WORDS.items()},
        "shapes": SHAPES,
        "number": format_number,
        "markup": ours,
    }


def _context(diagnosis: Diagnosis, lang: str) -> dict[str, Any]:
    from loganalyze.report.charts import overview

    run = diagnosis.run
    found = views.finding_views(diagnosis, lang)
    happened = marks(run)
    store = Store()
    metrics, more_metrics = views.metric_views(run)
    charts = [_figure(chart, store, lang) for chart in overview(diagnosis)]
    of_findings = {
        view.anchor: [_figure(chart, store, lang) for chart in view.charts] for view in found
    }
    return {
        **_base(diagnosis, lang),
        "facts": views.facts(diagnosis, lang),
        "findings": found,
        "figures": of_findings,
        "most_figures": views.FIGURES,
        "counts": views.counted(found),
        "anchors": {view.finding.id: view.anchor for view in reversed(found)},
        "charts": charts,
        "points": ours(
            script_safe([[label(name, lang), *rest] for name, *rest in store.document()])
        ),
        "strip": strip(run, [(view.anchor, view.finding) for view in found], happened),
        "marks": [mark for mark in happened if mark.anchor],
        "unlisted": sum(not mark.anchor for mark in happened),
        "passed": views.checks_of(diagnosis, Outcome.PASSED),
        "not_applicable": views.checks_of(diagnosis, Outcome.NOT_APPLICABLE),
        "errors": views.checks_of(diagnosis, Outcome.ERROR),
        "metrics": metrics,
        "more_metrics": more_metrics,
        "config": [
            (key, redact_value(key, item.value), item.where)
            for key, item in sorted(run.config.items())
        ],
        "last_lines": views.last_lines(run),
        "thresholds": thresholds(diagnosis),
        "settings": sorted(diagnosis.settings.items()),
        "measured": measured(),
        "command": f"loganalyze report {shlex.quote(run.path)}",
    }


def _figure(chart: Chart, store: Store, lang: str) -> Figure:
    return Figure(translated(chart, lang), store.keys(chart))


def format_number(value: object) -> str:
    """Return a number as people read it: thousands separated, six digits."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return harmless(str(value))
    if value != value:
        return "NaN"
    if isinstance(value, int) or (abs(value) < 1e15 and value == int(value)):
        return f"{int(value):,}"
    return re.sub(
        r"e([+-])0*(\d)", r"e\1\2", f"{value:,.6g}" if abs(value) < 1e15 else f"{value:.6g}"
    )
