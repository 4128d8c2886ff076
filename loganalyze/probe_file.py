"""``probe.json``: what a probe found, written and read as strict JSON (``probe.schema.json``).

The file may lie beside a run, which is hostile input: everything is checked as it is read, and a number or
a text that is out of bounds makes the file unreadable, not the report.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loganalyze.errors import NothingReadable
from loganalyze.finding import Outcome
from loganalyze.probed import (
    Curve,
    Drawn,
    Evidence,
    Picture,
    Probed,
    ProbeFigure,
    ProbeResult,
    ProbeTable,
    Restored,
    Subject,
)

SCHEMA_VERSION = 1
LARGEST = 64_000_000  # bytes of a file that is read
LONGEST = 10_000  # characters of one text, but for a picture
MOST = 5_000  # elements of one list that is read
HEAVIEST = 12.0  # log-odds; beyond it the arithmetic says nothing more
_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def document(probed: Probed, version: str) -> dict[str, Any]:
    """Return the results as plain values, schema_version 1."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "loganalyze", "version": version},
        "kind": "probe",
        "subject": dataclasses.asdict(probed.subject),
        "run": {"name": probed.run_name, "path": probed.run_path} if probed.run_name else None,
        "results": [_result(result) for result in probed.results],
    }


def _result(result: ProbeResult) -> dict[str, Any]:
    return {
        "check": result.check,
        "outcome": result.outcome.value,
        "summary": result.summary,
        "problems": list(result.problems),
        "notes": list(result.notes),
        "measurements": dict(result.measurements),
        "evidence": [dataclasses.asdict(evidence) for evidence in result.evidence],
        "fix": list(result.fix),
        "figures": [dataclasses.asdict(figure) for figure in result.figures],
        "tables": [dataclasses.asdict(table) for table in result.tables],
        "seconds": result.seconds,
        "restored": {"identical": result.restored.identical, **dataclasses.asdict(result.restored)},
    }


def read(path: Path) -> Probed:
    """Return the results that a file holds.

    Raises
    ------
    NothingReadable
        If it cannot be read or is no such file; the message says where it is wrong.
    """
    import orjson

    try:
        if path.stat().st_size > LARGEST:
            raise NothingReadable(f"{path} is larger than any probe.json ({LARGEST:,} bytes)")
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise NothingReadable(f"cannot read probe results from {path}: {error}") from None
    try:
        return parsed(found)
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise NothingReadable(
            f"{path} holds no results of loganalyze probe: {error!r:.200}"
        ) from None


def parsed(found: Any) -> Probed:
    """Return the results in a document.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is no such document.
    """
    version = found["schema_version"]
    if found["kind"] != "probe" or version != SCHEMA_VERSION:
        raise ValueError(
            f"kind {found['kind']!r:.40}, schema_version {version!r:.40}; this reads kind 'probe', "
            f"schema_version {SCHEMA_VERSION}"
        )
    subject, run = found["subject"], found["run"]
    return Probed(
        Subject(
            name=_text(subject["name"]), model=_text(subject["model"]),
            parameters=_count(subject["parameters"]), trainable=_count(subject["trainable"]),
            device=_text(subject["device"]), torch=_text(subject["torch"]),
        ),
        _each(found["results"], _read_result),
        _text(run["name"]) if run else "",
        _text(run["path"]) if run else "",
    )  # fmt: skip


def _read_result(item: Any) -> ProbeResult:
    return ProbeResult(
        outcome=Outcome(item["outcome"]),
        summary=_text(item["summary"]),
        problems=_each(item["problems"], _text),
        notes=_each(item["notes"], _text),
        measurements=_named(item["measurements"], _cell),
        evidence=_each(item["evidence"], _read_evidence),
        fix=_each(item["fix"], _text),
        figures=_each(item["figures"], _read_figure),
        tables=_each(item["tables"], _read_table),
        check=_text(item["check"]),
        seconds=_number(item["seconds"]),
        restored=_read_restored(item["restored"]),
    )


def _read_evidence(item: Any) -> Evidence:
    weight = _number(item["weight"])
    if not abs(weight) <= HEAVIEST:
        raise ValueError(f"weight {weight} is beyond {HEAVIEST} log-odds")
    return Evidence(_text(item["cause"]), weight, _text(item["text"]))


def _read_restored(item: Any) -> Restored:
    return Restored(
        _count(item["tensors"]), _count(item["objects"]), _count(item["generators"]),
        _each(item["changed"], _text), _each(item["remarks"], _text),
    )  # fmt: skip


def _read_figure(item: Any) -> ProbeFigure:
    return ProbeFigure(
        title=_text(item["title"]),
        drawn=Drawn(item["drawn"]),
        curves=_each(item["curves"], _read_curve),
        x_label=_text(item["x_label"]),
        y_label=_text(item["y_label"]),
        log_x=item["log_x"] is True,
        log_y=item["log_y"] is True,
        names=_each(item["names"], _text),
        levels=_named(item["levels"], _number),
        places=_named(item["places"], _number),
        pictures=_each(item["pictures"], _read_picture),
    )


def _read_curve(item: Any) -> Curve:
    x, y = _each(item["x"], _number), _each(item["y"], _number)
    if len(x) != len(y):
        raise ValueError(f"a curve of {len(x)} places and {len(y)} values")
    return Curve(_text(item["label"]), x, y)


def _read_picture(item: Any) -> Picture:
    import base64

    png = str(item["png"])
    if not base64.b64decode(png, validate=True).startswith(b"\x89PNG\r\n\x1a\n"):
        raise ValueError("a picture that is no PNG")
    return Picture(_text(item["caption"]), png)


def _read_table(item: Any) -> ProbeTable:
    columns = _each(item["columns"], _text)
    rows = _each(item["rows"], lambda row: _each(row, _cell))
    if any(len(row) != len(columns) for row in rows):
        raise ValueError("a table with rows of different length")
    return ProbeTable(_text(item["title"]), columns, rows)


def _each(items: Any, read_one: Callable[[Any], Any]) -> tuple[Any, ...]:
    if not isinstance(items, list) or len(items) > MOST:
        raise TypeError(f"a {type(items).__name__} where a list of at most {MOST:,} is due")
    return tuple(read_one(item) for item in items)


def _named(items: Any, read_one: Callable[[Any], Any]) -> dict[str, Any]:
    if not isinstance(items, dict) or len(items) > MOST:
        raise TypeError(f"a {type(items).__name__} where names with values are due")
    return {_text(key): read_one(value) for key, value in items.items()}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__} where a text is due")
    return value[:LONGEST]


def _cell(value: Any) -> float | str:
    return _number(value) if not isinstance(value, str) or value in _NUMBERS else _text(value)


def _number(value: Any) -> float:
    if isinstance(value, str):
        return _NUMBERS[value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"a {type(value).__name__} where a number is due")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{value!r:.40} where a count is due")
    return value
