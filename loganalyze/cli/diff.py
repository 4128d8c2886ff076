"""``loganalyze diff``: what changed between two runs, where they part, and what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loganalyze.cli.options import (
    Common,
    language,
    settings_of,
    shared_options,
)
from loganalyze.cli.output import Output, write
from loganalyze.cli.progress import reading
from loganalyze.cli.terminal import put_document, terminal
from loganalyze.errors import UsageError

if TYPE_CHECKING:
    from loganalyze.compare.comparison import Diff

FORMATS = ("text", "json", "markdown")
AXES = ("step", "epoch", "tokens", "time")
MOST = 12  # runs beside the first; more columns are not read
HTML_MARK = b'name="generator" content="loganalyze'
REGRESSION = "regression"


@click.command("diff", epilog="Example: loganalyze diff runs/last-week runs/today -o diff.html")
@click.argument("base", metavar="RUN_A", type=click.Path(path_type=str))
@click.argument(
    "paths", metavar="RUN_B...", nargs=-1, required=True, type=click.Path(path_type=str)
)
@click.option("-o", "--output", metavar="OUT.html", help="Write the comparison with its figures.")
@click.option("--align", type=click.Choice(AXES), default="step", show_default=True,
              help="What the curves are aligned on.")  # fmt: skip
@click.option("--format", "style", type=click.Choice(FORMATS), default="text",
              show_default=True, help="What to print.")  # fmt: skip
@click.option("--fail-on", "gate", type=click.Choice([REGRESSION]),
              help="Exit with 1 if B is worse beyond noise or has a new critical finding.")  # fmt: skip
@click.option("--metric", metavar="NAME",
              help="What a regression is told by  [default: eval/loss, else train/loss].")  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite a file that loganalyze did not write.")
@shared_options
def command(
    base: str,
    paths: tuple[str, ...],
    output: str | None,
    align: str,
    style: str,
    gate: str | None,
    metric: str | None,
    force: bool,
    common: Common,
) -> int:
    """Compare RUN_B, and further runs, with RUN_A: settings, curves, findings.

    A run is a directory, a log, an event file or a store; PATH#NAME is one of several runs at a path,
    PATH@1 its second start. It may also be what `loganalyze export` wrote, or a diagnosis as JSON or HTML.
    """
    from loganalyze.compare.address import parts
    from loganalyze.compare.regression import regressed

    if len(paths) > MOST:
        raise UsageError(
            f"{len(paths)} runs beside the first are too many; compare at most {MOST:,}"
        )
    if metric is not None and gate is None:
        raise UsageError("--metric tells what --fail-on regression goes by; give both")
    runs = (base, *paths)
    found = _compared(runs, align, common)
    lang = language(common)
    _put(found, style, common, lang)
    if output is not None:
        from loganalyze.report.diff_html import render

        page = render(found, lang=lang).encode("utf-8", "replace")
        written = Output(output, page, lambda head: HTML_MARK in head)
        write([written], force=force, runs=[parts(run)[0] for run in runs], lang=lang)
    return int(gate is not None and any(regressed(pair, metric) for pair in found.pairs))


def _compared(runs: tuple[str, ...], align: str, common: Common) -> Diff:
    from loganalyze.compare.address import opened
    from loganalyze.compare.diff import diff
    from loganalyze.diagnosis import diagnose
    from loganalyze.finding import Diagnosis

    if runs.count("-") > 1:
        raise UsageError("standard input is one run only; give the other by its path")
    settings = settings_of(common)
    found = []
    with reading(quiet=common.quiet, lang=language(common)) as told:
        for run in runs:
            one = opened(run, told=told)
            found.append(one if isinstance(one, Diagnosis) else diagnose(one, settings))
    return diff(*found, align=align)


def _put(found: Diff, style: str, common: Common, lang: str) -> None:
    """Print the diff; JSON is English in every language, for programs read it."""
    if style == "text":
        from loganalyze.report.diff_text import render

        shown = terminal(common.color, lang)
        text = render(found, verbose=common.verbose, quiet=common.quiet, **shown)
        click.echo(text, nl=False, color=True)
    elif style == "json":
        put_document(found.to_json())
    else:
        from loganalyze.report.diff_markdown import render as render_markdown

        put_document(render_markdown(found, lang=lang))
