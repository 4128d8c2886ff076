"""The results of a probe as one self-contained page in the report's style."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loganalyze import __version__
from loganalyze.finding import Outcome
from loganalyze.lang import ENGLISH
from loganalyze.lang.translation import label, translate
from loganalyze.probed import Drawn, Evidence, Picture, Probed, ProbeResult, ProbeTable
from loganalyze.report.fixes import Fix, fixes
from loganalyze.report.html import format_number
from loganalyze.report.policy import plain_script, policy
from loganalyze.report.probe_chart import drawn
from loganalyze.report.probe_text import described, proven
from loganalyze.report.templates import environment, ours, text

if TYPE_CHECKING:
    from markupsafe import Markup

LEVELS = {
    Outcome.FOUND: "critical",
    Outcome.PASSED: "healthy",
    Outcome.NOT_APPLICABLE: "info",
    Outcome.ERROR: "warning",
}
SHAPES = {"critical": "\u25b2", "warning": "\u25a0", "info": "\u25cf", "healthy": "\u25cf"}
ROWS = 200  # of a table that the page shows; the rest is in the JSON


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure of the page: drawn, or pictures."""

    title: str
    svg: Markup | None
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class ResultView:
    """One check as the page shows it."""

    result: ProbeResult
    level: str
    word: str
    summary: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    fixes: tuple[Fix, ...]
    drawings: tuple[Drawing, ...]
    tables: tuple[tuple[ProbeTable, int], ...]


def render(probed: Probed, *, lang: str = ENGLISH) -> str:
    """Return the complete page."""
    theme, script = (plain_script(text(name)) for name in ("theme.js", "report.js"))
    views = tuple(_view(result, lang) for result in probed.results)
    found = [view for view in views if view.result.outcome is Outcome.FOUND]
    page = environment(lang).get_template("probe.html.j2")
    return page.render(
        probed=probed,
        described=f"{label('Probe', lang)}: {label(described(probed), lang)}",
        proven=label(proven([view.result.restored for view in views]), lang) if views else "",
        remarks=tuple(dict.fromkeys(r for view in views for r in view.result.restored.remarks)),
        identical=all(view.result.restored.identical for view in views),
        views=views,
        found=found,
        level="critical" if found else "healthy",
        shapes=SHAPES,
        headline=_headline(views, lang),
        number=format_number,
        version=__version__,
        theme=ours(theme),
        scripts=[ours(script)],
        at=label("at step", lang),
        kind="probe",
        style=ours(text("style.css")),
        policy=ours(policy([theme, script])),
    )


def _headline(views: tuple[ResultView, ...], lang: str) -> str:
    """Say in a sentence what the checks came to."""
    found = [view.result.check for view in views if view.result.outcome is Outcome.FOUND]
    if found:
        return label(
            f"{len(found)} of {len(views)} checks found something: {', '.join(found)}", lang
        )
    passed = sum(view.result.outcome is Outcome.PASSED for view in views)
    return label(f"{passed} of {len(views)} checks are in order, none found anything", lang)


def _view(result: ProbeResult, lang: str) -> ResultView:
    words = {
        Outcome.FOUND: "Found",
        Outcome.PASSED: "In order",
        Outcome.NOT_APPLICABLE: "Not applicable",
        Outcome.ERROR: "Could not run",
    }
    figures = tuple(
        Drawing(
            label(figure.title, lang),
            None
            if figure.drawn is Drawn.PICTURES
            else ours(drawn(figure, f"p-{result.check}-{number}")),
            figure.pictures,
        )
        for number, figure in enumerate(result.figures)
    )
    return ResultView(
        result, LEVELS[result.outcome], label(words[result.outcome], lang),
        translate(result.summary, lang),
        tuple(translate(line, lang) for line in result.problems if line != result.summary),
        tuple(translate(line, lang) for line in result.notes),
        tuple(sorted(result.evidence, key=lambda e: -e.weight)),
        fixes(tuple(translate(line, lang) for line in result.fix)), figures,
        tuple((table, max(len(table.rows) - ROWS, 0)) for table in result.tables),
    )  # fmt: skip
