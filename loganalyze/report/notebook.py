"""The diagnosis as a notebook's cell shows it: no ids, no script, a style that keeps to itself.

Several of them stand in one notebook, in light and dark; a viewer that drops the style still shows the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loganalyze.lang import ENGLISH
from loganalyze.lang.localized import localized
from loganalyze.lang.translation import translate
from loganalyze.report.cost import cost
from loganalyze.report.redact import redact, visible
from loganalyze.report.templates import environment
from loganalyze.report.text import LEVEL_SHAPES, SHAPES, counted, curves, describe, figure

if TYPE_CHECKING:
    from loganalyze.finding import Diagnosis

CAUSES_SHOWN = 3
FINDINGS_SHOWN = 12
CURVE_WIDTH = 60  # columns of the curves with their names and values
LONGEST = 600  # characters of a text from the log


def render(diagnosis: Diagnosis, *, lang: str = ENGLISH) -> str:
    """Return verdict, curves, causes and findings as a piece of HTML."""
    diagnosis = localized(diagnosis, lang)
    level = diagnosis.verdict.level
    lost = cost(diagnosis)
    return (
        environment(lang)
        .get_template("notebook.html.j2")
        .render(
            level=level.value,
            shape=LEVEL_SHAPES[level][0],
            headline=_clean(diagnosis.verdict.headline),
            described=_clean(describe(diagnosis.run, lang)),
            cost=_clean(translate(lost.sentence, lang)) if lost is not None else "",
            curves=curves(diagnosis.run, CURVE_WIDTH, lang),
            causes=diagnosis.causes[:CAUSES_SHOWN],
            findings=diagnosis.findings[:FINDINGS_SHOWN],
            more=max(len(diagnosis.findings) - FINDINGS_SHOWN, 0),
            checks=counted(diagnosis),
            shapes={severity: shapes[0] for severity, shapes in SHAPES.items()},
            number=figure,
            clean=_clean,
        )
    )


def _clean(value: object) -> str:
    """Return text from a log as one that is shown as it is, and not at any length."""
    text = visible(redact(str(value)))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
