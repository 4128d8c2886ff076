"""What `loganalyze.monitor` writes: the numbers, a journal of what happened, and statistics of layers.

All are JSON lines that begin with a record such as ``{"loganalyze": "numbers"}``. The journal holds the
settings of the run, how it started and ended, and the error that ended it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from loganalyze.ingest import json_columns, json_history
from loganalyze.ingest.axes import wide_table
from loganalyze.ingest.config_file import flatten
from loganalyze.ingest.ingester import Facts, Ingester, Table, relative
from loganalyze.ingest.json_columns import Records
from loganalyze.ingest.wide import long_frame
from loganalyze.run import ConfigValue, Event, EventKind, Problem, Status, Where

NUMBERS, JOURNAL, LAYERS = "numbers", "journal", "layers"  # what the first record calls the file
MAX_BYTES = json_history.MAX_BYTES
MAX_EVENTS = 1_000  # of a journal; restarts and errors are few
MAX_TEXT = 20_000  # characters of an error
_HEAD = re.compile(rb'\{"loganalyze":\s?"(numbers|journal|layers)"[^\n]*\n')
_STATES = {"completed": Status.COMPLETED, "stopped": Status.COMPLETED, "crashed": Status.CRASHED}


def claims(path: Path, head: bytes) -> bool:
    """Tell whether this is a file of the monitor, by its first record."""
    return bool(_HEAD.match(head))


def read(path: Path, root: Path) -> list[Table]:
    """Read one file into one table.

    Raises
    ------
    ValueError
        If it is too large.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES:,} bytes: not read as a file of the monitor")
    data = path.read_bytes()
    head = _HEAD.match(data)
    kind = head[1].decode() if head else ""
    if kind == NUMBERS:
        return json_history.tables(_below_head(data), path, root)
    run = relative(path.parent, root) if path != root else "."
    reader = _layers if kind == LAYERS else journal
    return [reader(data, relative(path, root), run)]


def _below_head(data: bytes) -> Records:
    """Read the records below the first line, numbered as lines of the file."""
    found = json_columns.from_lines(data.partition(b"\n")[2])
    problems = [replace(problem, row=(problem.row or 0) + 1) for problem in found.problems]
    return replace(found, row=found.row + 1, problems=problems)


def journal(data: bytes, source: str, run: str) -> Table:
    """Read a journal: settings, how it went and how it ended."""
    problems: list[Problem] = []
    config: dict[str, ConfigValue] = {}
    events: list[Event] = []
    facts: dict[str, Any] = {}
    starts = 0
    for row, record in _records(data, problems):
        kind, where = record.get("event"), Where(source, row)
        if kind == "start":
            starts += 1
            config.update(_config(record, source))
            facts.update(_facts(record, facts))
            if starts > 1:
                events.append(
                    _event(EventKind.RESUME, "the monitor was started again", where, record)
                )
        elif kind == "exception":
            events.append(_exception(record, where))
        elif kind == "end":
            facts["status"] = _STATES.get(str(record.get("status")))
            facts["ended"] = _number(record.get("time"))
            if facts["status"] is Status.COMPLETED:
                said = f"the monitor saw the training end: {str(record.get('status'))[:20]}"
                events.append(_event(EventKind.TRAIN_END, said, where, record))
    return Table(
        source=source,
        format=JOURNAL,
        run=run,
        config=config,
        events=tuple(events[:MAX_EVENTS]),
        problems=tuple(problems),
        facts=Facts(**facts),
    )


def _layers(data: bytes, source: str, run: str) -> Table:
    """Read the statistics of layers: a metric for each layer, under its short name."""
    found = _below_head(data)
    wide = wide_table(found.columns, row=found.row, part=found.row * 0, held_out=found.held_out)
    metrics, remarks = long_frame(wide, source)
    told = (*found.problems, *remarks)
    return Table(source=source, format=LAYERS, run=run, metrics=metrics, problems=told)


def _records(data: bytes, problems: list[Problem]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import orjson

    whole, _, last = data.rpartition(b"\n")
    for row, line in enumerate((*whole.split(b"\n"), last), start=1):
        if not line.strip():
            continue
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            problems.append(Problem("no JSON object: line left out", row, lossy=line is not last))
            continue
        if isinstance(record, dict):
            yield row, record


def _config(record: Mapping[str, Any], source: str) -> dict[str, ConfigValue]:
    told = record.get("config")
    flat = flatten(told) if isinstance(told, dict) else {}
    return {key: ConfigValue(value, f"{source}: {key}") for key, value in flat.items()}


def _facts(record: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a start says of the run as a whole; a later one says how long it is to go on."""
    planned, framework = _number(record.get("planned_steps")), record.get("framework")
    return {
        "planned_steps": int(planned) if planned and planned > 0 else before.get("planned_steps"),
        "started": before.get("started", _number(record.get("time"))),
        "framework": str(framework)[:100] if framework else before.get("framework"),
        "status": None,  # it goes on
    }


def _exception(record: Mapping[str, Any], where: Where) -> Event:
    told = {key: str(record.get(key) or "")[:MAX_TEXT] for key in ("exception", "message", "frame")}
    text = str(record.get("traceback") or f"{told['exception']}: {told['message']}")[-MAX_TEXT:]
    event = _event(EventKind.TRACEBACK, text, where, record)
    return Event(event.kind, event.text, event.where, event.step, event.time, told)


def _event(kind: EventKind, text: str, where: Where, record: Mapping[str, Any]) -> Event:
    step, time = _number(record.get("step")), _number(record.get("time"))
    return Event(kind, text, where, None if step is None else int(step), time)


def _number(value: Any) -> float | None:
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if known and abs(value) < 2**53 else None


INGESTER = Ingester("monitor", claims, read)
