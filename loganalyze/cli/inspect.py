"""``loganalyze inspect``: what was found and read, before any judgement."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loganalyze.cli.language import chosen, lang_option
from loganalyze.cli.options import no_redact_option, project_table, run_argument, run_option
from loganalyze.cli.progress import reading
from loganalyze.cli.terminal import put_document, terminal
from loganalyze.lang.translation import label
from loganalyze.report.json import plain
from loganalyze.report.redact import redact, redact_value, visible
from loganalyze.run import Where
from loganalyze.series import STEP_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loganalyze.run import Run

EVENTS_SHOWN = 20
RESTARTS_SHOWN = 20


@click.command("inspect", epilog="Example: loganalyze inspect runs/my-run")
@run_argument
@run_option
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text",
              show_default=True, help="What to print.")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="All evidence and checks of a report.")
@lang_option
@no_redact_option
@click.option("--debug", is_flag=True, help="Show a traceback on an internal error.")
def command(
    path: str, run: str | None, style: str, verbose: bool, lang: str | None, debug: bool
) -> int:
    """Show what was found and read in RUN, before any judgement.

    RUN may also be a report written by `loganalyze report`: its diagnosis is shown as `diagnose` shows
    it, without the curves, which are in the page.
    """
    told = chosen(lang, project_table)
    if path.lower().endswith((".html", ".htm")):
        _show_report(Path(path), style, verbose=verbose, lang=told)
        return 0
    from loganalyze.ingest import load

    with reading(quiet=False, lang=told) as opened:
        found = load(path, run=run, opened=opened)
    if style == "json":
        _put_json(plain(summary(found)))
    else:
        click.echo("\n".join(visible(label(line, told)) for line in _lines(found, told)))
    return 0


def _show_report(path: Path, style: str, *, verbose: bool, lang: str) -> None:
    from loganalyze.report.read_back import embedded, read_back
    from loganalyze.report.text import render

    document = embedded(path)
    if style == "json":
        _put_json(document)
    else:
        text = render(read_back(document), verbose=verbose, **terminal("auto", lang))
        click.echo(text, nl=False, color=True)


def _put_json(document: Any) -> None:
    import orjson

    put_document(
        orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
    )


def summary(run: Run) -> dict[str, Any]:
    """Return what was read as plain values: sources, restarts, metrics, config, events, other runs."""
    from loganalyze.ingest.ranks import members
    from loganalyze.signals.schedule import schedule

    followed = schedule(run)
    logs = members(source.path for source in run.sources if source.format == "text")
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
                "metrics": len(source.metrics),
                "first_step": source.first_step,
                "last_step": source.last_step,
                "rank": logs[source.path].rank if source.path in logs else None,
                "problems": [_problem(p.text, p.row) for p in source.problems],
            }
            for source in run.sources
        ],
        "restarts": list(_restarts(run)),
        "learning_rate_schedule": followed.label if followed is not None else None,
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


def _restarts(run: Run) -> Iterator[dict[str, Any]]:
    """Yield where each segment after the first begins in each source."""
    import numpy as np

    segment = run.metrics["segment"].to_numpy()
    if not segment.any():
        return
    codes = run.metrics["source"].cat.codes.to_numpy().astype(np.int64)
    width = int(segment.max()) + 1
    starts, first = np.unique(codes * width + segment, return_index=True)
    names = run.metrics["source"].cat.categories
    for start, index in zip(starts.tolist(), first.tolist(), strict=True):
        if start % width:
            place = Where(str(names[start // width]), int(run.metrics["row"].iloc[index]))
            step = int(run.metrics["step"].iloc[index])
            yield {"segment": start % width, "step": step, "where": str(place)}


def _metrics(run: Run) -> Iterator[dict[str, Any]]:
    """Yield each metric with the sources that analysis takes it from, the derived one too."""
    import numpy as np

    names = [str(name) for name in run.metrics["metric"].cat.categories]
    counts = np.bincount(run.metrics["metric"].cat.codes, minlength=len(names))
    rows = {name: int(count) for name, count in zip(names, counts, strict=True) if count}
    for metric in sorted({*rows, STEP_SECONDS} if run.has(STEP_SECONDS) else rows):
        series = run.series(metric)
        entry: dict[str, Any] = {
            "metric": metric,
            "rows": rows.get(metric, 0),
            "analysed": len(series),
            "derived": series.derived,
        }
        if len(series):
            used = list(dict.fromkeys(series.sources[i] for i in np.unique(series.origin).tolist()))
            entry |= {
                "source": series.where(0).source,
                "sources": used,
                "first_step": int(series.step[0]),
                "last_step": int(series.step[-1]),
                "first": float(series.value[0]),
                "last": float(series.value[-1]),
            }
        yield entry


def _problem(text: str, row: int | None) -> str:
    return redact(text) if row is None else f"row {row}: {redact(text)}"


def _lines(run: Run, lang: str) -> Iterator[str]:
    from loganalyze.report.text import describe

    data = summary(run)
    yield describe(run, lang)
    yield ""
    yield f"Sources ({len(data['sources'])})"
    for source in data["sources"]:
        yield from _source_lines(source)
    if data["restarts"]:
        yield ""
        yield f"Restarts ({len(data['restarts'])})"
        for start in data["restarts"][:RESTARTS_SHOWN]:
            yield f"  segment {start['segment']} from step {start['step']:,}  {start['where']}"
        yield from _more(data["restarts"], RESTARTS_SHOWN)
    yield ""
    yield f"Metrics ({len(data['metrics'])})"
    width = max((len(item["metric"]) for item in data["metrics"]), default=0)
    for item in data["metrics"]:
        yield _metric_line(item, min(width, 40))
    if data["learning_rate_schedule"]:
        yield ""
        yield f"Learning rate: {data['learning_rate_schedule']}"
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
        yield from _more(data["events"], EVENTS_SHOWN)
    if data["others"]:
        yield ""
        yield f"Other runs here ({len(data['others'])}): {', '.join(data['others'])}"


def _source_lines(source: dict[str, Any]) -> Iterator[str]:
    line = f"  {source['path']}  [{source['format']}]  {source['rows']:,} rows"
    if source["metrics"]:
        line += f", {source['metrics']} metric{'s' * (source['metrics'] > 1)}"
    if source["first_step"] is not None:
        line += f", steps {source['first_step']:,} to {source['last_step']:,}"
    if source["rank"] is not None:
        line += f", rank {source['rank']}"
    yield line
    for problem in source["problems"]:
        yield f"    ! {problem}"


def _metric_line(item: dict[str, Any], width: int) -> str:
    line = f"  {item['metric']:<{width}}  {item['rows']:>9,} rows"
    if item["derived"]:
        line = f"  {item['metric']:<{width}}  {'from times':>14}"
    if not item["analysed"]:
        return line
    more = f" and {len(item['sources']) - 1} more" if len(item["sources"]) > 1 else ""
    return (
        f"{line}  steps {item['first_step']:,} to {item['last_step']:,}"
        f"  {item['first']:.5g} -> {item['last']:.5g}  ({item['source']}{more})"
    )


def _more(items: list[Any], shown: int) -> Iterator[str]:
    if len(items) > shown:
        yield f"  and {len(items) - shown} more: --format json has them all"
