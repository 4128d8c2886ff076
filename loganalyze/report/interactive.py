"""The section to explore: every metric of every source and start, with zoom, drawn by Bokeh in the page.

Bokeh (the extra ``interactive``) is put into the page as it is; its two scripts and ours are allowed by their
hashes, so that the page still makes no request.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loganalyze.errors import UsageError
from loganalyze.lang import ENGLISH
from loganalyze.report.envelope import envelope
from loganalyze.report.html import Explorer, format_number
from loganalyze.report.points import logged
from loganalyze.report.policy import plain_script
from loganalyze.report.templates import environment, harmless, text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loganalyze.finding import Diagnosis
    from loganalyze.run import Run

LIBRARY = 2  # scripts of Bokeh; what follows them sets the level of the browser's log
CURVES = 400  # more are not found in a list
POINTS = 120_000  # of all curves together: about 2 MB
FEWEST, MOST = 60, 1_500  # buckets of one curve, two points each
FIRST_SHOWN = ("train/loss", "eval/loss")
LONGEST = 120  # characters of a name
INSTALL = "--interactive needs Bokeh: pip install 'loganalyze[interactive]'"


@dataclass(frozen=True, slots=True)
class Logged:
    """What one source logged of one metric in one start, in the order of the steps."""

    metric: str
    source: str
    segment: int
    step: NDArray[np.int64]
    value: NDArray[np.float64]


def explorer(diagnosis: Diagnosis, *, lang: str = ENGLISH) -> Explorer:
    """Make the section for a page.

    Raises
    ------
    UsageError
        If Bokeh is not installed.
    """
    try:
        from bokeh.resources import Resources
    except ImportError:
        raise UsageError(INSTALL) from None
    every = list(every_curve(diagnosis.run))
    shown = every[:CURVES]
    buckets = min(max(POINTS // (2 * max(len(shown), 1)), FEWEST), MOST)
    curves = [_document(one, buckets) for one in shown]
    markup = environment(lang).get_template("parts/explorer.html.j2")
    bokeh = Resources(mode="inline", components=["bokeh", "bokeh-api"])
    # An end tag in a string of theirs would end the element.
    library = [script.replace("</script", "<\\/script") for script in bokeh.js_raw[:LIBRARY]]
    fields = ("name", "steps", "values", "shown")
    return Explorer(
        markup.render(
            curves=curves, more=len(every) - len(shown), buckets=buckets, number=format_number
        ),
        (*library, plain_script(text("explorer.js"))),
        {
            "curves": [{name: one[name] for name in fields} for one in curves],
            "bands": _bands(diagnosis),
        },
    )


def every_curve(run: Run) -> Iterator[Logged]:
    """Return every metric of every source and start, those that a restart superseded too."""
    import numpy as np

    frame = run.metrics[run.metrics["step"].to_numpy() >= 0]
    metric, source = frame["metric"].cat, frame["source"].cat
    keys = np.column_stack([metric.codes, source.codes, frame["segment"].to_numpy()])
    kinds, kind = np.unique(keys, axis=0, return_inverse=True)
    order = np.lexsort((frame["step"].to_numpy(), kind.ravel()))
    step, value = frame["step"].to_numpy()[order], frame["value"].to_numpy()[order]
    borders = np.flatnonzero(np.diff(kind.ravel()[order])) + 1
    parts = zip(kinds.tolist(), np.split(step, borders), np.split(value, borders), strict=True)
    curves = [
        Logged(str(metric.categories[m]), str(source.categories[s]), int(segment), steps, values)
        for (m, s, segment), steps, values in (parts if len(frame) else ())
    ]
    yield from sorted(
        curves, key=lambda one: (_rank(one.metric), one.metric, one.source, one.segment)
    )


def _rank(metric: str) -> int:
    return FIRST_SHOWN.index(metric) if metric in FIRST_SHOWN else len(FIRST_SHOWN)


def _document(one: Logged, buckets: int) -> dict[str, Any]:
    kept = envelope(one.value, buckets)
    return {
        # Two dollar signs would be read as a formula.
        "name": harmless(one.metric[:LONGEST]).replace("$$", "$ $"),
        "source": one.source[:LONGEST],
        "start": one.segment + 1,
        "total": len(one.step),
        "steps": one.step[kept].tolist(),
        "values": [logged(value) for value in one.value[kept].tolist()],
        "shown": one.metric in FIRST_SHOWN,
    }


def _bands(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    return [
        {"severity": f.severity.value, "first": f.steps[0], "last": f.steps[1]}
        for f in diagnosis.findings
        if f.steps is not None
    ]
