"""The page of a diff: one file in the style of the report, complete without JavaScript."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from loganalyze import __version__
from loganalyze.lang import ENGLISH
from loganalyze.lang.translation import label, translate
from loganalyze.report import diff_views as views
from loganalyze.report.diff_charts import figures, learning_rates
from loganalyze.report.diff_json import SCHEMA_VERSION, to_dict
from loganalyze.report.diff_words import SHAPES, STYLE, counted
from loganalyze.report.html import SHAPES as RUN_SHAPES
from loganalyze.report.html import WORDS as RUN_WORDS
from loganalyze.report.html import (
    Figure,
    format_number,
    script_safe,
)
from loganalyze.report.points import Store
from loganalyze.report.policy import plain_script, policy
from loganalyze.report.templates import environment, ours, text
from loganalyze.report.text import describe
from loganalyze.report.translated import translated

if TYPE_CHECKING:
    from loganalyze.compare.comparison import Diff
    from loganalyze.report.figure import Chart

NAMED = 6  # settings and findings in a notebook's card


def render(diff: Diff, *, lang: str = ENGLISH) -> str:
    """Return the complete page; the JSON in it is English in every language."""
    theme, script = (plain_script(text(name)) for name in ("theme.js", "report.js"))
    page = environment(lang).get_template("diff.html.j2")
    return page.render(
        **_context(diff, lang),
        style=ours(text("style.css")),
        policy=ours(policy([theme, script])),
        theme=ours(theme),
        scripts=[ours(script)],
        embedded=ours(script_safe(to_dict(diff))),
        embedded_id="loganalyze-diff",
    )


def card(diff: Diff, *, lang: str = ENGLISH) -> str:
    """Return what a notebook's cell shows: verdicts, settings and findings that changed."""
    pairs = views.pair_views(diff, lang)
    changed, _ = views.settings(diff, lang)
    return (
        environment(lang)
        .get_template("diff_card.html.j2")
        .render(
            pairs=pairs,
            headlines=_headlines(pairs, lang),
            runs=views.runs(diff),
            changed=changed[:NAMED],
            more=max(len(changed) - NAMED, 0),
            findings=views.findings(diff, lang)[:NAMED],
            told=lambda line: translate(line, lang),
        )
    )


def _headlines(pairs: tuple[views.PairView, ...], lang: str) -> dict[str, str]:
    return {view.letter: translate(view.pair.verdict.headline, lang) for view in pairs}


def _context(diff: Diff, lang: str) -> dict[str, Any]:
    pairs = views.pair_views(diff, lang)
    changed, same = views.settings(diff, lang)
    store = Store()
    drawn = [
        (metric.name, [_figure(chart, store, lang) for chart in charts])
        for metric, charts in figures(diff)
    ]
    rates = learning_rates(diff)
    axis = diff.pairs[0].axis
    return {
        "version": __version__,
        "schema_version": SCHEMA_VERSION,
        "diff": diff,
        "runs": views.runs(diff),
        "described": " | ".join(describe(view.diagnosis.run, lang) for view in views.runs(diff)),
        "pairs": pairs,
        "headlines": _headlines(pairs, lang),
        "counts": [label(counted(view.pair), lang) for view in pairs],
        "level": STYLE[diff.verdict.outcome],
        "changed": changed,
        "same": same,
        "metrics": views.metrics(diff, lang),
        "budgets": views.budgets(diff, lang),
        "findings": views.findings(diff, lang),
        "explained": [(view.letter, *views.explained(view.pair)) for view in pairs],
        "figures": drawn,
        "rates": _figure(rates, store, lang) if rates is not None else None,
        "points": ours(
            script_safe([[label(name, lang), *rest] for name, *rest in store.document()])
        ),
        "axis": axis.value,
        "at": label(views.axis_word(axis), lang),
        "kind": "diff",
        "shapes": {**RUN_SHAPES, **{name: shapes[0] for name, shapes in SHAPES.items()}},
        "words": {name: label(word, lang) for name, word in RUN_WORDS.items()},
        "number": format_number,
        "markup": ours,
        "command": shlex.join(
            ["loganalyze", "diff", diff.a.run.path, *(pair.b.run.path for pair in diff.pairs)]
        ),
    }


def _figure(chart: Chart, store: Store, lang: str) -> Figure:
    return Figure(translated(chart, lang), store.keys(chart))
