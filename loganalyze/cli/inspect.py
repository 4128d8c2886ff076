"""``loganalyze inspect``: what was found and read, before any judgement."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loganalyze.cli.options import run_argument
from loganalyze.errors import NothingReadable
from loganalyze.report.json import plain
from loganalyze.report.redact import redact, redact_value, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loganalyze.run import Run

_EMBEDDED = re.compile(
    rb'<script type="application/json" id="loganalyze-diagnosis">(.*?)</script>', re.DOTALL
)


@click.command("inspect", epilog="Example: loganalyze inspect runs/my-run")
@run_argument
@click.option("--run", metavar="NAME", help="Which run, where the path holds several.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text",
              show_default=True, help="What to print.")  # fmt: skip
@click.option("--debug", is_flag=True, help="Show a traceback on an internal error.")
def command(path: str, run: str | None, style: str, debug: bool) -> int:
    """Show what was found and read in RUN, before any judgement.

    RUN may also be a report written by `loganalyze report`: its diagnosis is printed as JSON.
    """
    import orjson

    if path.lower().endswith((".html", ".htm")):
        document = embedded(Path(path))
        click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
        return 0
    from loganalyze.ingest import load

    found = load(path, run=run)
    if style == "json":
        click.echo(orjson.dumps(plain(summary(found)), option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo("\n".join(visible(line) for line in _lines(found)))
    return 0


def embedded(path: Path) -> Any:
    """Return the diagnosis that a report carries.

    Raises
    ------
    NothingReadable
        If the file cannot be read or is no report of this tool.
    """
    import orjson

    try:
        found = _EMBEDDED.search(path.read_bytes())
        if found:
            return orjson.loads(found[1])
    except (OSError, orjson.JSONDecodeError) as error:
        raise NothingReadable(f"cannot read a report from {path}: {error}") from None
    raise NothingReadable(f"{path} is no report written by loganalyze")


def summary(run: Run) -> dict[str, Any]:
    """Return what was read as plain values: sources, metrics, config, events, other runs."""
    return {
        "name": run.name,
        "path": run.path,
        "framework": run.framework,
        "status": run.status.value,
        "planned_steps": run.planned_steps,
        "others": list(run.others),
        "sources": [
            {
                "path": source.path,
                "format": source.format,
                "rows": source.rows,
                "first_step": source.first_step,
                "last_step": source.last_step,
                "problems": [_problem(p.text, p.row) for p in source.problems],
            }
            for source in run.sources
        ],
        "metrics": list(_metrics(run)),
        "config": {
            key: {"value": redact_value(key, item.value), "where": item.where}
            for key, item in sorted(run.config.items())
        },
        "events": [
            {
                "kind": event.kind.value,
                "step": event.step,
                "where": str(event.where),
                "text": redact(event.text.strip().splitlines()[-1] if event.text.strip() else ""),
            }
            for event in run.events
        ],
    }


def _metrics(run: Run) -> Iterator[dict[str, Any]]:
    for metric in sorted(str(name) for name in run.metrics["metric"].unique()):
        rows = int((run.metrics["metric"] == metric).sum())
        series = run.series(metric)
        entry: dict[str, Any] = {"metric": metric, "rows": rows, "analysed": len(series)}
        if len(series):
            entry |= {
                "source": str(series.where(0)).rsplit(":", 1)[0],
                "first_step": int(series.step[0]),
                "last_step": int(series.step[-1]),
                "first": float(series.value[0]),
                "last": float(series.value[-1]),
            }
        yield entry


def _problem(text: str, row: int | None) -> str:
    return redact(text) if row is None else f"row {row}: {redact(text)}"


def _lines(run: Run) -> Iterator[str]:
    from loganalyze.report.text import describe

    data = summary(run)
    yield describe(run)
    yield ""
    yield f"Sources ({len(data['sources'])})"
    for source in data["sources"]:
        span = (
            f", steps {source['first_step']:,} to {source['last_step']:,}"
            if (source["first_step"] is not None)
            else ""
        )
        yield f"  {source['path']}  [{source['format']}]  {source['rows']:,} rows{span}"
        for problem in source["problems"]:
            yield f"    ! {problem}"
    yield ""
    yield f"Metrics ({len(data['metrics'])})"
    width = max((len(item["metric"]) for item in data["metrics"]), default=0)
    for item in data["metrics"]:
        line = f"  {item['metric']:<{min(width, 40)}}  {item['rows']:>9,} rows"
        if item["analysed"]:
            line += (
                f"  steps {item['first_step']:,} to {item['last_step']:,}"
                f"  {item['first']:.5g} -> {item['last']:.5g}"
            )
        yield line
    if data["config"]:
        yield ""
        yield f"Configuration ({len(data['config'])})"
        for key, item in data["config"].items():
            yield f"  {key} = {str(item['value'])[:100]}  ({item['where']})"
    if data["events"]:
        yield ""
        yield f"Events ({len(data['events'])})"
        for event in data["events"][:EVENTS_SHOWN]:
            step = "" if event["step"] is None else f"  after step {event['step']:,}"
            yield f"  {event['kind']}{step}  {event['where']}  {event['text'][:120]}"
        if len(data["events"]) > EVENTS_SHOWN:
            yield f"  and {len(data['events']) - EVENTS_SHOWN} more: --format json has them all"
    if data["others"]:
        yield ""
        yield f"Other runs here ({len(data['others'])}): {', '.join(data['others'])}"


EVENTS_SHOWN = 20
