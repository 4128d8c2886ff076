"""``loganalyze report``: the HTML postmortem, with the verdict in the terminal."""

from __future__ import annotations

import re
from pathlib import Path

import click

from loganalyze.cli.options import (
    Common,
    analyse,
    common_options,
    exit_code,
    language,
    run_argument,
    terminal,
    write_output,
)

HTML_MARK = b'name="generator" content="loganalyze'
JSON_MARK = b'"name": "loganalyze"'


@click.command("report", epilog="Example: loganalyze report runs/my-run -o postmortem.html")
@run_argument
@click.option("-o", "--output", metavar="OUT.html",
              help="Where to write it  [default: NAME-postmortem.html, here].")  # fmt: skip
@click.option("--json", "json_path", metavar="OUT.json", help="Write the diagnosis as JSON too.")
@click.option("--force", is_flag=True, help="Overwrite a file that loganalyze did not write.")
@common_options
def command(
    path: str, output: str | None, json_path: str | None, force: bool, common: Common
) -> int:
    """Write a self-contained HTML postmortem of RUN.

    RUN is a run directory, one log or event file, a `mlflow.db`, the address of a run on an MLflow
    server (`mlflow:URI#RUN_ID`), or - for standard input.
    """
    from loganalyze.report.html import render as render_html
    from loganalyze.report.text import render as render_text

    diagnosis = analyse(path, common)
    text = render_text(diagnosis, verbose=common.verbose, quiet=common.quiet, **terminal(common))
    click.echo(text, nl=False, color=True)
    target = output or f"{file_stem(diagnosis.run.name)}-postmortem.html"
    lang = language(common)
    page = render_html(diagnosis, lang=lang).encode("utf-8")
    write_output(
        target, page, force=force, is_ours=lambda head: HTML_MARK in head, run=path, lang=lang
    )
    if json_path is not None:
        document = diagnosis.to_json().encode("utf-8")
        write_output(
            json_path,
            document,
            force=force,
            is_ours=lambda head: JSON_MARK in head,
            run=path,
            lang=lang,
        )
    return exit_code(diagnosis, common.fail_on)


def file_stem(name: str) -> str:
    """Return a run's name as a harmless file name."""
    stem = re.sub(r"[^\w.-]+", "-", Path(name).name, flags=re.ASCII).strip("-.")
    return stem[:80] or "run"
