"""``loganalyze probe``: short experiments on the live model, which confirm or rule out causes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loganalyze.cli.language import chosen, lang_option
from loganalyze.cli.options import project_table
from loganalyze.cli.output import Output, write
from loganalyze.cli.terminal import terminal
from loganalyze.errors import LogAnalyzeError, UsageError
from loganalyze.lang.translation import label

if TYPE_CHECKING:
    from loganalyze.finding import Diagnosis
    from loganalyze.probe.target import ProbeTarget
    from loganalyze.probed import Probed, ProbeResult

HTML_MARK = b'name="generator" content="loganalyze'
JSON_MARK = b'"kind": "probe"'
ALL, RECOMMENDED = "all", "recommended"


@dataclass(frozen=True)
class Given:
    """The options of the command."""

    run: str | None
    hf: str | None
    data: str | None
    device: str | None
    classes: int | None
    max_seconds: float | None
    output: str | None
    json_path: str | None
    force: bool
    quiet: bool
    color: str
    lang: str


@click.command(
    "probe", epilog="Example: loganalyze probe recommended train.py:probe_target --run runs/my-run"
)
@click.argument("check", metavar="CHECK|all|recommended")
@click.argument("target", metavar="[TARGET]", required=False)
@click.option(
    "--run",
    metavar="RUN",
    help="The run whose causes are asked about; its settings are those of the training.",
)
@click.option(
    "--hf",
    metavar="MODEL_DIR",
    help="Instead of TARGET: a model of Hugging Face in a folder; nothing is downloaded.",
)
@click.option("--data", metavar="FILE.jsonl|csv|parquet", help="The data for --hf.")
@click.option(
    "--device",
    metavar="DEVICE",
    help="Where to run: cpu, cuda:1  [default: where the model is, or the first GPU].",
)
@click.option(
    "--classes",
    type=click.IntRange(min=2),
    metavar="C",
    help="Number of classes (or the vocabulary size): C of log(C).",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="Bound of all checks together  [default: 120 for each].",
)
@click.option(
    "-o",
    "--output",
    metavar="OUT.html",
    help="Where to write the page  [default: probe.html, or NAME-probe.html of --run].",
)
@click.option(
    "--json",
    "json_path",
    metavar="OUT.json",
    help="Where to write the results  [default: beside the page, .json].",
)
@click.option("--force", is_flag=True, help="Overwrite a file that loganalyze did not write.")
@click.option("-q", "--quiet", is_flag=True, help="One line for each check.")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colour in the terminal.",
)
@lang_option
@click.option("--debug", is_flag=True, help="Show a traceback on an internal error.")
def command(
    check: str,
    target: str | None,
    run: str | None,
    hf: str | None,
    data: str | None,
    device: str | None,
    classes: int | None,
    max_seconds: float | None,
    output: str | None,
    json_path: str | None,
    force: bool,
    quiet: bool,
    color: str,
    lang: str | None,
    debug: bool,
) -> int:
    """Find out on the live model what the log can only suggest.

    CHECK is one of init, gradients, overfit, nan, data, lr, batch, memory, precision, throughput, several
    with commas between them, `all`, or `recommended`: those that the causes of --run ask for.

    TARGET is `path/to/file.py:function` or `package.module:function`; the function returns a
    `ProbeTarget(model, batches, loss=...)`. `loganalyze probe init`, without a TARGET, writes an example file
    to fill in; `loganalyze probe init TARGET` makes the check of the initial loss.

    Nothing is changed: model, optimizer, random generators and the rest are put back bit for bit after each
    check, and the proof is shown. The next report weighs the results: `loganalyze report RUN --probe
    OUT.json`.
    """
    told = chosen(lang, project_table)
    given = Given(
        run, hf, data, device, classes, max_seconds, output, json_path, force, quiet, color, told
    )
    if target is None and hf is None:
        if check == "init":
            return _write_template(output, force=force, lang=told)
        raise UsageError(
            "name the model and the data to probe: TARGET is file.py:function, or --hf MODEL_DIR --data "
            "FILE; `loganalyze probe init` writes an example file"
        )
    return _probe(check, target, given)  # fmt: skip


def _write_template(output: str | None, *, force: bool, lang: str) -> int:
    from loganalyze.probe.template import NAME, TEXT

    path = output or NAME
    if Path(path).exists() and not force:
        raise UsageError(
            f"{path} exists; name another file with -o, or overwrite it with --force "
            "(the check of this name takes a target: loganalyze probe init TARGET)"
        )
    write([Output(path, TEXT.encode(), lambda head: False)], force=force, runs=(), lang=lang)
    click.echo(label(f"Next: loganalyze probe all {path}:target", lang), err=True)
    return 0


def _probe(check: str, named: str | None, given: Given) -> int:
    from loganalyze.probe.runner import probe, require_torch, subject_of
    from loganalyze.probed import Probed

    require_torch()
    diagnosis = _diagnosed(given)
    checks = _checks(check, diagnosis)
    target = _target(named, given)
    done: list[ProbeResult] = []
    try:
        with _progress(quiet=given.quiet) as progress:
            probed = probe(
                target, checks, seconds=given.max_seconds, device=given.device,
                run=diagnosis.run if diagnosis else None, progress=progress, finished=done.append,
            )  # fmt: skip
    except KeyboardInterrupt:
        if done:  # what was there already is not lost
            device = given.device or str(target.device or "")
            run = diagnosis.run if diagnosis else None
            names = (run.name, run.path) if run else ("", "")
            _tell(Probed(subject_of(target, device), tuple(done), *names), given)
        text = "interrupted; everything was put back as it was"
        click.echo(f"loganalyze: {label(text, given.lang)}", err=True)
        raise
    return _tell(probed, given)


def _diagnosed(given: Given) -> Diagnosis | None:
    """Return the diagnosis of the run whose causes are asked about."""
    if given.run is None:
        return None
    from loganalyze.diagnosis import diagnose
    from loganalyze.ingest import load

    return diagnose(load(given.run))


def _checks(wanted: str, diagnosis: Diagnosis | None) -> list[str]:
    """Return the ids of the checks to make."""
    from loganalyze.probe import PROBES
    from loganalyze.probe.recommended import recommended

    if wanted == ALL:
        return [one.id for one in PROBES]
    if wanted != RECOMMENDED:
        return [part.strip() for part in wanted.split(",") if part.strip()]
    if diagnosis is None:
        raise UsageError(
            "`recommended` takes the checks that a run's causes ask for: add --run RUN"
        )
    return recommended(diagnosis.causes)


def _target(named: str | None, given: Given) -> ProbeTarget:
    import dataclasses

    if named is not None and given.hf is not None:
        raise UsageError("name either a TARGET or --hf MODEL_DIR, not both")
    if given.hf is not None:
        if given.data is None:
            raise UsageError("--hf needs the data: add --data FILE.jsonl|csv|parquet")
        from loganalyze.probe.hf_folder import from_folder

        found = from_folder(Path(given.hf), Path(given.data))
    else:
        from loganalyze.probe.locate import located

        found = located(str(named))
    return dataclasses.replace(found, num_classes=given.classes or found.num_classes)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], None] | None]:
    """Show which check is at work and how far it is, on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from loganalyze.probe import PROBES

    asked = {one.id: f"{one.id}: {one.question}" for one in PROBES}
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as display:
        task = display.add_task("", total=None)

        def report(check: str, done: int, total: int) -> None:
            display.update(task, description=asked[check], completed=done, total=total)

        yield report


def _tell(probed: Probed, given: Given) -> int:
    """Print the results and write the files; 2 if anything could not be put back."""
    import orjson

    from loganalyze import __version__
    from loganalyze.cli.report import file_stem
    from loganalyze.probe_file import document
    from loganalyze.report.json import plain
    from loganalyze.report.probe_page import render as render_page
    from loganalyze.report.probe_text import render

    text = render(probed, quiet=given.quiet, **terminal(given.color, given.lang))
    click.echo(text, nl=False, color=True)
    stem = f"{file_stem(probed.run_name)}-probe" if probed.run_name else "probe"
    page_path = given.output or f"{stem}.html"
    json_path = given.json_path or str(Path(page_path).with_suffix(".json"))
    page = render_page(probed, lang=given.lang).encode("utf-8", "replace")
    content = orjson.dumps(
        plain(document(probed, __version__)), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )
    outputs = [
        Output(json_path, content, lambda head: JSON_MARK in head),
        Output(page_path, page, lambda head: HTML_MARK in head),
    ]
    write(outputs, force=given.force, runs=(given.run,) if given.run else (), lang=given.lang)
    if given.run is not None and not given.quiet:
        click.echo(
            label(f"Next: loganalyze report {given.run} --probe {json_path}", given.lang), err=True
        )
    lost = [name for result in probed.results for name in result.restored.changed]
    if lost:
        raise LogAnalyzeError(
            f"{len(lost)} things could not be put back as they were: {', '.join(lost[:5])}. "
            "This is a bug in loganalyze"
        )
    return 0
