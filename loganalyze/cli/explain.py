"""``loganalyze explain``: what a finding or a cause means."""

from __future__ import annotations

import dataclasses
from difflib import get_close_matches

import click

from loganalyze.cli.completion import all_ids
from loganalyze.cli.language import chosen, lang_option
from loganalyze.cli.options import project_table
from loganalyze.errors import UsageError
from loganalyze.lang import ENGLISH
from loganalyze.lang.explanations import explained
from loganalyze.lang.translation import label, translate
from loganalyze.report.sheet import wrap

WIDTH = 110  # columns; no line of the documentation in the source is longer


@click.command("explain", epilog="Example: loganalyze explain loss-spike")
@click.argument("identifier", metavar="[ID]", required=False, shell_complete=all_ids)
@lang_option
@click.option("--debug", is_flag=True, help="Show a traceback on an internal error.")
def command(identifier: str | None, lang: str | None, debug: bool) -> int:
    """Tell what a finding or a cause means: its rule, its traps, its fix.

    Without an ID, list all of them.
    """
    told = chosen(lang, project_table)
    text = _listing(told) if identifier is None else explanation(identifier, told)
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()))
        click.echo("\n".join(wrap(line.lstrip(), WIDTH, indent, indent)))
    return 0


def explanation(identifier: str, lang: str = ENGLISH) -> str:
    """Return the documentation of a finding or a cause.

    Raises
    ------
    UsageError
        If there is no such id; the message names the nearest.
    """
    from loganalyze.causes import hypotheses
    from loganalyze.detect import detectors

    for detector in detectors():
        if detector.id == identifier:
            text = explained("finding", identifier, detector.explanation, lang)
            return f"{label(f'{identifier} (finding)', lang)}\n\n{text}{_settings(detector, lang)}"
    for hypothesis in hypotheses():
        if hypothesis.id == identifier:
            explains = ", ".join(hypothesis.explains)
            text = explained("cause", identifier, hypothesis.explanation, lang)
            end = label(f"Can explain: {explains}", lang)
            return f"{label(f'{identifier} (cause)', lang)}\n\n{text}\n\n{end}"
    known = [*(item.id for item in detectors()), *(item.id for item in hypotheses())]
    near = get_close_matches(identifier, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"no finding or cause is called {identifier!r}{hint}")


def _settings(detector: object, lang: str) -> str:
    from loganalyze.detect.detector import Detector

    assert isinstance(detector, Detector)  # noqa: S101 - narrows the type, cannot fail
    lines = []
    for field in dataclasses.fields(detector.settings):
        name = f"{detector.group}.{field.name}"
        unit, source = (translate(field.metadata[key], lang) for key in ("unit", "source"))
        lines.append(f"  {name} = {field.default}  ({unit}; {source})")
    return f"\n\n{label('Change with --set:', lang)}\n" + "\n".join(lines) if lines else ""


def _listing(lang: str) -> str:
    from loganalyze.causes import hypotheses
    from loganalyze.detect import detectors

    lines = [label("Findings: what can be seen in a log", lang)]
    lines += [f"  {item.id:<22} {translate(item.failed, lang)}" for item in detectors()]
    lines += ["", label("Causes: what can explain it", lang)]
    lines += [f"  {item.id:<26} {translate(item.title, lang)}" for item in hypotheses()]
    return "\n".join(lines)
