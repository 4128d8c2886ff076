"""What the records of a ``.wandb`` file say: history, system samples, settings, how the run ended.

Field numbers are those of ``wandb/proto/wandb_internal.proto``. A number once given stays, so
that files of every version are read alike, and without the package that wrote them: it holds no
reader any more, and importing it makes folders and starts what only a live run needs.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from loganalyze.ingest.config_file import MAX_DEPTH
from loganalyze.ingest.protowire import BYTES, VARINT, FieldValue, fields, signed
from loganalyze.ingest.wandb_columns import Columns, decode_item, load_value
from loganalyze.ingest.wandb_log import records
from loganalyze.run import Problem

# Record: the field that is set is its kind.
_HISTORY, _SUMMARY, _OUTPUT, _CONFIG, _STATS = 2, 3, 4, 5, 7
_OUTPUT_RAW, _RUN, _EXIT, _ENVIRONMENT = 13, 17, 18, 26
_KINDS = frozenset(
    {_HISTORY, _SUMMARY, _OUTPUT, _CONFIG, _STATS, _OUTPUT_RAW, _RUN, _EXIT, _ENVIRONMENT}
)
_HISTORY_ITEM, _STATS_TIME, _STATS_ITEM = 1, 2, 3
_CONFIG_UPDATE, _CONFIG_REMOVE = 1, 2
_RUN_CONFIG, _RUN_NAME, _RUN_STARTED = 4, 8, 17
_EXIT_CODE = 1
_ENVIRONMENT_ARGUMENT = 5
_OUTPUT_LINE = 3
_TRAINER_SUMMARY = b"train_runtime"  # what the Hugging Face Trainer sums up when it is done


@dataclass
class Contents:
    """Everything that one file says, beside what was printed."""

    history: Columns = field(default_factory=Columns)
    stats: Columns = field(default_factory=Columns)
    stats_after: array[int] = field(default_factory=lambda: array("q"))  # records of history
    config: dict[str, Any] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    started: float | None = None
    name: str | None = None
    exit_code: int | None = None
    summary_row: int | None = None  # the record in which the Trainer summed up
    summary_after: int = 0  # records of history before it

    def add(self, payload: bytes, row: int) -> None:
        """Take in one record.

        Raises
        ------
        ValueError
            If its bytes are no message.
        """
        kind, body = _record(payload)
        if kind == _HISTORY:
            self.history.add(row, float("nan"), body, _HISTORY_ITEM)
        elif kind == _STATS:
            self.stats_after.append(len(self.history.row))
            time = _seconds(_message(body).get(_STATS_TIME))
            self.stats.add(row, time, body, _STATS_ITEM)
        elif kind == _SUMMARY and _TRAINER_SUMMARY in payload:
            self.summary_row, self.summary_after = row, len(self.history.row)
        elif kind == _CONFIG:
            self._configure(body)
        elif kind == _RUN:
            self._describe(_message(body))
        elif kind == _EXIT:
            code = _message(body).get(_EXIT_CODE, 0)
            self.exit_code = signed(code) if isinstance(code, int) else None
        elif kind == _ENVIRONMENT:
            self.arguments += [
                _text(v) for n, _, v, _ in fields(body) if n == _ENVIRONMENT_ARGUMENT
            ]

    def _describe(self, message: dict[int, FieldValue]) -> None:
        started = _seconds(message.get(_RUN_STARTED))
        self.started = started if math.isfinite(started) else self.started
        self.name = _text(message.get(_RUN_NAME, 0)) or self.name
        config = message.get(_RUN_CONFIG)
        if isinstance(config, memoryview):
            self._configure(config)

    def _configure(self, data: memoryview) -> None:
        """Set and remove settings; those of nested dictionaries have keys of several parts."""
        for number, kind, value, _ in fields(data):
            if kind != BYTES or number not in (_CONFIG_UPDATE, _CONFIG_REMOVE):
                continue
            (*path, last), text = decode_item(bytes(value))
            if len(path) > MAX_DEPTH:
                continue
            target = self.config
            for part in path:
                inner = target.get(part)
                target[part] = target = inner if isinstance(inner, dict) else {}
            if number == _CONFIG_UPDATE:
                target[last] = load_value(text)
            else:
                target.pop(last, None)


def read_contents(data: memoryview, problems: list[Problem]) -> Contents:
    """Read all records; those that are no message are told in `problems`.

    Raises
    ------
    ValueError
        If this is no ``.wandb`` file of a known version.
    """
    contents = Contents()
    broken = array("q")
    for row, payload in records(data, problems):
        try:
            contents.add(payload, row)
        except ValueError:
            broken.append(row)
    if broken:
        text = f"{len(broken):,} records are no message, the first is number {broken[0]:,}"
        problems.append(Problem(text, broken[0]))
    return contents


def printed(data: memoryview) -> str:
    """Return what the run printed, as far as the file holds it."""
    return "".join(_lines(data))


def _lines(data: memoryview) -> Iterator[str]:
    for _, payload in records(data, []):
        try:
            kind, body = _record(payload)
            if kind in (_OUTPUT, _OUTPUT_RAW):
                yield _text(_message(body).get(_OUTPUT_LINE, 0))
        except ValueError:
            continue


def _record(payload: bytes) -> tuple[int, memoryview]:
    """Return the kind of a record and its message."""
    for number, kind, value, _ in fields(memoryview(payload)):
        if number in _KINDS and kind == BYTES:
            return number, value  # type: ignore[return-value]
    return 0, memoryview(b"")


def _message(data: memoryview) -> dict[int, FieldValue]:
    """Return the fields of a message by number; of a repeated one the last."""
    return {number: value for number, kind, value, _ in fields(data) if kind in (BYTES, VARINT)}


def _text(value: FieldValue) -> str:
    return bytes(value).decode("utf-8", "replace") if isinstance(value, memoryview) else ""


def _seconds(timestamp: FieldValue | None) -> float:
    """Return the UNIX seconds of a Timestamp message; NaN where there is none."""
    if not isinstance(timestamp, memoryview):
        return float("nan")
    parts = _message(timestamp)
    whole, nanos = parts.get(1, 0), parts.get(2, 0)
    if not isinstance(whole, int) or not isinstance(nanos, int):
        return float("nan")
    return signed(whole) + nanos * 1e-9
