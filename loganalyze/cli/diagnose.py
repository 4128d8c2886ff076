"""``loganalyze diagnose``: the diagnosis as text or JSON on stdout."""

from __future__ import annotations

import click

from loganalyze.cli.options import (
    Common,
    analyse,
    common_options,
    exit_code,
    run_argument,
    terminal,
)


@click.command("diagnose", epilog="Example: loganalyze diagnose runs/my-run --format json")
@run_argument
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text",
              show_default=True, help="What to print.")  # fmt: skip
@common_options
def command(path: str, style: str, common: Common) -> int:
    """Print what is wrong with RUN, and why.

    RUN is a run directory, one log or event file, a `mlflow.db`, the address of a run on an MLflow
    server (`mlflow:URI#RUN_ID`), or - for standard input.
    """
    diagnosis = analyse(path, common)
    if style == "json":
        click.echo(diagnosis.to_json(), nl=False)
    else:
        from loganalyze.report.text import render

        text = render(diagnosis, verbose=common.verbose, quiet=common.quiet, **terminal(common))
        click.echo(text, nl=False, color=True)
    return exit_code(diagnosis, common.fail_on)
