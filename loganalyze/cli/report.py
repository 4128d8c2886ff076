"""``loganalyze report``: the HTML postmortem, with the verdict in the terminal."""

from __future__ import annotations

import re
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loganalyze.cli.options import (
    Common,
    analyse,
    common_options,
    exit_code,
    language,
    run_argument,
)
from loganalyze.cli.output import Output, write
from loganalyze.cli.terminal import terminal
from loganalyze.lang.translation import label

if TYPE_CHECKING:
    from loganalyze.finding import Diagnosis

HTML_MARK = b'name="generator" content="loganalyze'
JSON_MARK = b'"name": "loganalyze"'


@click.command("report", epilog="Example: loganalyze report runs/my-run -o postmortem.html")
@run_argument
@click.option("-o", "--output", metavar="OUT.html",
              help="Where to write it  [default: NAME-postmortem.html, here].")  # fmt: skip
@click.option("--json", "json_path", metavar="OUT.json", help="Write the diagnosis as JSON too.")
@click.option("--interactive", is_flag=True,
              help="Add a section with zoom and every metric, 1.4 MB (extra `interactive`).")  # fmt: skip
@click.option("--log-to-mlflow", "to_mlflow", is_flag=True,
              help="Attach report, JSON and verdict to the run on MLflow; RUN is its address.")  # fmt: skip
@click.option("--open", "shows", is_flag=True, help="Open the report in a browser.")
@click.option("--force", is_flag=True, help="Overwrite a file that loganalyze did not write.")
@common_options
def command(
    path: str,
    output: str | None,
    json_path: str | None,
    interactive: bool,
    to_mlflow: bool,
    shows: bool,
    force: bool,
    common: Common,
) -> int:
    """Write a self-contained HTML postmortem of RUN.

    RUN is a run directory, one log or event file, a `mlflow.db`, the address of a run on MLflow
    (`mlflow:URI#RUN_ID`), or - for standard input.

    `--log-to-mlflow` is the only option that changes anything where the run is kept: it adds two artifacts
    and some tags to the run at the address.
    """
    from loganalyze.report.html import render as render_html
    from loganalyze.report.interactive import explorer
    from loganalyze.report.text import render as render_text

    if to_mlflow:
        _check_address(path)
    diagnosis = analyse(path, common)
    lang = language(common)
    shown = terminal(common.color, lang)
    text = render_text(diagnosis, verbose=common.verbose, quiet=common.quiet, **shown)
    click.echo(text, nl=False, color=True)
    target = output or f"{file_stem(diagnosis.run.name)}-postmortem.html"
    page = render_html(
        diagnosis, explorer(diagnosis, lang=lang) if interactive else None, lang=lang
    )
    outputs = [Output(target, page.encode("utf-8", "replace"), lambda head: HTML_MARK in head)]
    if json_path is not None:
        document = diagnosis.to_json().encode("utf-8")
        outputs.append(Output(json_path, document, lambda head: JSON_MARK in head))
    write(outputs, force=force, runs=(path,), lang=lang)
    if to_mlflow:
        _attach(diagnosis, path, page, lang)
    if diagnosis.causes and not common.quiet:
        click.echo(label(f"Next: loganalyze explain {diagnosis.causes[0].id}", lang), err=True)
    if shows and not webbrowser.open(Path(target).resolve().as_uri()):
        click.echo(label(f"No browser was found; the report is {target}", lang), err=True)
    return exit_code(diagnosis, common.fail_on)


def file_stem(name: str) -> str:
    """Return a run's name as a harmless file name."""
    stem = re.sub(r"[^\w.-]+", "-", Path(name).name, flags=re.ASCII).strip("-.")
    return stem[:80] or "run"


def _check_address(path: str) -> None:
    """Refuse what nothing can be attached to before anything is read."""
    from loganalyze.report.attach import attachable

    attachable(path)


def _attach(diagnosis: Diagnosis, path: str, page: str, lang: str) -> None:
    from loganalyze.report.attach import attach, attachable

    target = attach(diagnosis, attachable(path), page)
    click.echo(label(f"Attached to {target}", lang), err=True)
