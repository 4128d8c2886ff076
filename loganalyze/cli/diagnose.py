"""``loganalyze diagnose``: the diagnosis on stdout, for people, programs and CI servers."""

from __future__ import annotations

import os
from importlib import import_module
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
from loganalyze.cli.terminal import put_document, terminal
from loganalyze.errors import UsageError
from loganalyze.report import FORMATS

if TYPE_CHECKING:
    from loganalyze.finding import Diagnosis

SUMMARY_FILE = "GITHUB_STEP_SUMMARY"  # set by GitHub for each step of a workflow


@click.command("diagnose", epilog="Example: loganalyze diagnose runs/my-run --format json")
@run_argument
@click.option("--format", "style", type=click.Choice(FORMATS), default="text",
              show_default=True, help="What to print.")  # fmt: skip
@common_options
def command(path: str, style: str, common: Common) -> int:
    """Print what is wrong with RUN, and why.

    RUN is a run directory, one log or event file, a `mlflow.db`, the address of a run on an MLflow
    server (`mlflow:URI#RUN_ID`), or - for standard input.

    `--format markdown` fits a ticket, `github` annotates a workflow and fills the step's summary, `junit` is
    read by any CI server.
    """
    diagnosis = analyse(path, common)
    lang = language(common)
    if style == "text":
        from loganalyze.report.text import render

        shown = terminal(common.color, lang)
        text = render(diagnosis, verbose=common.verbose, quiet=common.quiet, **shown)
        click.echo(text, nl=False, color=True)
    else:
        renderer = import_module(f"loganalyze.report.{style}")
        # Programs read the JSON: it is English in every language.
        spoken = {} if style == "json" else {"lang": lang}
        put_document(renderer.render(diagnosis, **spoken))
    if style == "github" and os.environ.get(SUMMARY_FILE):
        _summarise(diagnosis, Path(os.environ[SUMMARY_FILE]), lang)
    return exit_code(diagnosis, common.fail_on)


def _summarise(diagnosis: Diagnosis, path: Path, lang: str) -> None:
    from loganalyze.report.github import write_summary

    try:
        write_summary(diagnosis, path, lang=lang)
    except OSError as error:
        raise UsageError(f"cannot write the summary to {path}: {error.strerror or error}") from None
