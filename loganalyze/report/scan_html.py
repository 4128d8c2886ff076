"""The index page of a scan: one file, no request to anywhere, complete without JavaScript."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from loganalyze import __version__
from loganalyze.fleet.patterns import FEWEST_IN_ROW, LEVELS, finding_counts, outcomes
from loganalyze.lang import ENGLISH
from loganalyze.lang.translation import label, translate
from loganalyze.report.cost import duration
from loganalyze.report.html import SHAPES, WORDS, format_number
from loganalyze.report.policy import plain_script, policy
from loganalyze.report.scan_text import headline
from loganalyze.report.scan_views import HEIGHT, WIDTH, group_views, run_views
from loganalyze.report.templates import environment, ours, text

if TYPE_CHECKING:
    from loganalyze.fleet.found import Scan

MOST_RUNS = 5_000  # rows of the page, the worst ones: some 1 kB each
_WORDS = {**WORDS, "unreadable": "Could not be read"}
_SHAPES = {**SHAPES, "unreadable": "\u25cb"}


def render(scan: Scan, *, beside: str = ".", lang: str = ENGLISH) -> str:
    """Return the complete page; links to postmortems are relative to the folder `beside`."""
    theme, script = (plain_script(text(name)) for name in ("theme.js", "scan.js"))
    page = environment(lang).get_template("scan.html.j2")
    runs = run_views(scan)[:MOST_RUNS]
    tables, looked_at = outcomes(scan.rows)
    counts = {level: count for level, count in scan.counts.items() if count}
    return page.render(
        style=ours(text("style.css") + text("scan.css")),
        policy=ours(policy([theme, script])),
        theme=ours(theme),
        scripts=[ours(script)],
        described=", ".join(scan.roots),
        at="",
        kind="scan",
        version=__version__,
        roots=scan.roots,
        level=next((level for level in counts if level != "unreadable"), "insufficient"),
        headline=translate(headline(scan), lang),
        counts=counts,
        runs=runs,
        total=len(scan.rows),
        links={view.row.name: _link(view.report, beside) for view in runs if view.report},
        groups=group_views(scan, runs),
        findings=finding_counts(scan.rows),
        jobs=scan.jobs,
        tables=tables,
        looked_at=looked_at,
        levels=LEVELS,
        few=FEWEST_IN_ROW,
        costs=scan.costs,
        empty=scan.empty,
        took=label(duration(scan.costs.seconds), lang),
        words={name: label(word, lang) for name, word in _WORDS.items()},
        shapes=_SHAPES,
        number=format_number,
        width=WIDTH,
        height=HEIGHT,
        command=f"loganalyze scan {' '.join(map(shlex.quote, scan.roots))}",
    )


def _link(report: str, beside: str) -> str:
    path = os.path.relpath(Path(report).resolve(), Path(beside).resolve())
    return quote(Path(path).as_posix())
