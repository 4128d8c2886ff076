"""``loganalyze scan``: every run below some places, ranked by what is wrong with it."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loganalyze.cli.options import Common, common_options, language, settings_of
from loganalyze.cli.output import Output, write
from loganalyze.cli.progress import counting
from loganalyze.cli.report import HTML_MARK, JSON_MARK, file_stem
from loganalyze.cli.terminal import put_document, terminal
from loganalyze.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from loganalyze.fleet.found import Scan

AGES = {"h": 3600.0, "d": 86_400.0, "w": 604_800.0}  # seconds
PARQUET_MARK = b"PAR1"
CSV_MARK = b"name,path,run,level,"
LEVELS = {"critical": ("critical",), "warning": ("critical", "warning")}


@click.command("scan", epilog="Example: loganalyze scan runs/ -o index.html")
@click.argument("roots", metavar="ROOT...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="OUT.html",
              help="Where to write the index page  [default: NAME-scan.html, here].")  # fmt: skip
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text",
              show_default=True, help="What to print.")  # fmt: skip
@click.option("--json", "json_path", metavar="OUT.json", help="Write the scan as JSON too.")
@click.option(
    "--table", metavar="OUT.parquet|csv", help="Write a table with a row for each run too."
)
@click.option(
    "--reports", metavar="FOLDER", help="Write the postmortem of each run too, and link it."
)
@click.option("--workers", type=click.IntRange(min=1), metavar="N",
              help="Processes  [default: one for each processor].")  # fmt: skip
@click.option("--memory", type=click.IntRange(min=200), metavar="MB",
              help="What each process may use  [default: its share of what is free].")  # fmt: skip
@click.option("--dask", metavar="ADDRESS", help="Work on this Dask cluster (extra `fleet`).")
@click.option(
    "--since", metavar="AGE|DATE", help="Only runs written to since then: 12h, 7d, 2026-01-31."
)
@click.option("--newest", type=click.IntRange(min=1), metavar="N", help="Only the newest N runs.")
@click.option("--index", metavar="FILE",
              help="What earlier scans found  [default: OUT.html.index, beside the page].")  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite a file that loganalyze did not write.")
@common_options
def command(
    roots: tuple[str, ...],
    output: str | None,
    style: str,
    json_path: str | None,
    table: str | None,
    reports: str | None,
    workers: int | None,
    memory: int | None,
    dask: str | None,
    since: str | None,
    newest: int | None,
    index: str | None,
    force: bool,
    common: Common,
) -> int:
    """Rank all runs below ROOT by what is wrong with them.

    ROOT is a directory, a `mlflow.db`, the address of an MLflow server (`mlflow:URI`), or the URL of a
    folder in an object store (`s3://`, `gs://`; extra `fleet`). There may be several.

    What was read is remembered in the index beside the page: a run that has not changed is not read again.
    """
    from loganalyze.fleet.plan import Plan
    from loganalyze.fleet.scan import scan

    page = output or f"{file_stem(roots[0].rstrip('/'))}-scan.html"
    _check(common, table)
    plan = Plan(
        settings=settings_of(common),
        index=Path(index or f"{page}.index"),
        dask=dask or "",
        workers=workers or 0,
        memory=(memory or 0) * 1_000_000,
        since=_when(since) if since else 0.0,
        newest=newest or 0,
        reports=reports or "",
        lang=language(common),
    )
    for path in (plan.index, Path(plan.reports)) if plan.reports else (plan.index,):
        _keep_out(path, roots, force=force)
    with counting(quiet=common.quiet, lang=plan.lang) as progress:
        found = scan(*roots, plan=plan, progress=progress)
    _print(found, style, common)
    outputs = _outputs(found, page, json_path, table, plan.lang)
    write(outputs, force=force, runs=roots, lang=plan.lang)
    limit = LEVELS.get(common.fail_on or "", ())
    return int(any(found.counts[level] for level in limit))


def _check(common: Common, table: str | None) -> None:
    """Refuse what makes no sense before anything is read."""
    if common.run is not None:
        raise UsageError(
            "scan reads all runs: --run goes with report, diagnose, inspect and export"
        )
    if table is not None and Path(table).suffix.lower() not in _TABLES:
        raise UsageError(f"{table}: the file name must end in {', '.join(_TABLES)}")


def _when(text: str) -> float:
    """Return the UNIX seconds of an age (12h, 7d, 2w) or a date.

    Raises
    ------
    UsageError
        If it is neither.
    """
    age = re.fullmatch(r"(\d+)([hdw])", text)
    if age:
        return time.time() - int(age[1]) * AGES[age[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise UsageError(
            f"--since {text}: give an age (12h, 7d, 2w) or a date (2026-01-31)"
        ) from None


def _keep_out(path: Path | None, roots: tuple[str, ...], *, force: bool) -> None:
    """Refuse to keep anything among the runs."""
    inside = [
        root for root in roots if path and path.resolve().is_relative_to(Path(root).resolve())
    ]
    if inside and not force:
        raise UsageError(
            f"{path} lies inside {inside[0]}, which is never written to; "
            "choose another place with -o, --index or --reports, or insist with --force"
        )


def _print(found: Scan, style: str, common: Common) -> None:
    if style == "json":
        from loganalyze.report.scan_json import render

        put_document(render(found))
        return
    from loganalyze.report.scan_text import render as render_text

    shown = terminal(common.color, language(common))
    text = render_text(found, verbose=common.verbose, quiet=common.quiet, **shown)
    click.echo(text, nl=False, color=True)


def _outputs(
    found: Scan, page: str, json_path: str | None, table: str | None, lang: str
) -> list[Output]:
    from loganalyze.report.scan_html import render
    from loganalyze.report.scan_json import render as render_json
    from loganalyze.report.scan_json import table as rows_of

    html = render(found, beside=str(Path(page).parent), lang=lang)
    outputs = [Output(page, html.encode("utf-8", "replace"), lambda head: HTML_MARK in head)]
    if json_path is not None:
        document = render_json(found).encode("utf-8")
        outputs.append(Output(json_path, document, lambda head: JSON_MARK in head))
    if table is not None:
        ending = Path(table).suffix.lower()
        mark = _MARKS[ending]
        outputs.append(Output(table, _TABLES[ending](rows_of(found)), lambda h: h.startswith(mark)))
    return outputs


def _parquet(rows: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    rows.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _csv(rows: pd.DataFrame) -> bytes:
    return rows.to_csv(index=False, lineterminator="\n").encode("utf-8", "replace")


_TABLES: dict[str, Callable[[pd.DataFrame], bytes]] = {".parquet": _parquet, ".csv": _csv}
_MARKS = {".parquet": PARQUET_MARK, ".csv": CSV_MARK}
