"""``loganalyze export``: the unified metrics as a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loganalyze.cli.language import chosen, lang_option
from loganalyze.cli.options import project_table, run_argument, run_option
from loganalyze.cli.output import Output, write
from loganalyze.cli.progress import reading
from loganalyze.errors import UsageError
from loganalyze.frame import METRIC_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

CSV_MARK = ",".join(METRIC_COLUMNS).encode()
JSONL_MARK = b'{"metric":'
PARQUET_MARK = b"PAR1"


@click.command("export", epilog="Example: loganalyze export runs/my-run -o metrics.parquet")
@run_argument
@click.option("-o", "--output", required=True, metavar="FILE.parquet|csv|jsonl",
              help="Where to write; the ending names the format.")  # fmt: skip
@run_option
@click.option("--force", is_flag=True, help="Overwrite a file that loganalyze did not write.")
@lang_option
@click.option("--debug", is_flag=True, help="Show a traceback on an internal error.")
def command(
    path: str, output: str, run: str | None, force: bool, lang: str | None, debug: bool
) -> int:
    """Write every number that was read from RUN, one row each."""
    from loganalyze.ingest import load

    ending = Path(output).suffix.lower()
    if ending not in _WRITERS:
        raise UsageError(f"{output}: the file name must end in {', '.join(_WRITERS)}")
    told = chosen(lang, project_table)
    with reading(quiet=False, lang=told) as opened:
        metrics = load(path, run=run, opened=opened).metrics
    written = Output(output, _WRITERS[ending](metrics), _MARKS[ending])
    write([written], force=force, runs=(path,), lang=told)
    return 0


def _parquet(metrics: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    metrics.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _csv(metrics: pd.DataFrame) -> bytes:
    return metrics.to_csv(index=False, na_rep="NaN", lineterminator="\n").encode("utf-8")


def _jsonl(metrics: pd.DataFrame) -> bytes:
    import orjson

    from loganalyze.report.json import plain

    rows = metrics.astype({"metric": str, "source": str, "name": str}).to_dict("records")
    return b"".join(orjson.dumps(plain(row)) + b"\n" for row in rows)


_WRITERS = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl}
_MARKS = {
    ".parquet": lambda head: head.startswith(PARQUET_MARK),
    ".csv": lambda head: head.startswith(CSV_MARK),
    ".jsonl": lambda head: head.startswith(JSONL_MARK),
}
