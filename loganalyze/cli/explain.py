"""``loganalyze explain``: what a finding or a cause means."""

from __future__ import annotations

import dataclasses
from difflib import get_close_matches

import click

from loganalyze.cli.completion import all_ids
from loganalyze.errors import UsageError


@click.command("explain", epilog="Example: loganalyze explain loss-spike")
@click.argument("identifier", metavar="[ID]", required=False, shell_complete=all_ids)
@click.option("--debug", is_flag=True, help="Show a traceback on an internal error.")
def command(identifier: str | None, debug: bool) -> int:
    """Tell what a finding or a cause means: its rule, its traps, its fix.

    Without an ID, list all of them.
    """
    click.echo(_listing() if identifier is None else explanation(identifier))
    return 0


def explanation(identifier: str) -> str:
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
            return f"{identifier} (finding)\n\n{detector.explanation}{_settings(detector)}"
    for hypothesis in hypotheses():
        if hypothesis.id == identifier:
            explains = ", ".join(hypothesis.explains)
            return f"{identifier} (cause)\n\n{hypothesis.explanation}\n\nCan explain: {explains}"
    known = [*(item.id for item in detectors()), *(item.id for item in hypotheses())]
    near = get_close_matches(identifier, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"no finding or cause is called {identifier!r}{hint}")


def _settings(detector: object) -> str:
    from loganalyze.detect.detector import Detector

    assert isinstance(detector, Detector)  # noqa: S101 - narrows the type, cannot fail
    lines = [
        f"  {detector.group}.{field.name} = {field.default}  "
        f"({field.metadata['unit']}; {field.metadata['source']})"
        for field in dataclasses.fields(detector.settings)
    ]
    return "\n\nChange with --set:\n" + "\n".join(lines) if lines else ""


def _listing() -> str:
    from loganalyze.causes import hypotheses
    from loganalyze.detect import detectors

    lines = ["Findings: what can be seen in a log"]
    lines += [f"  {item.id:<22} {item.failed}" for item in detectors()]
    lines += ["", "Causes: what can explain it"]
    lines += [f"  {item.id:<26} {item.title}" for item in hypotheses()]
    return "\n".join(lines)
