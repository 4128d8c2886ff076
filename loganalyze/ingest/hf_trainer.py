"""Hugging Face ``trainer_state.json``: the log history that the Trainer keeps with each checkpoint.

One row per number in ``log_history``; ``row`` is the 1-based index of the entry. The last entry
of a finished run is a summary (``train_runtime``, an *average* ``train_loss``): it is no training
step and becomes an event. A list of entries alone (a dump of ``trainer.state.log_history``) is
read too.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loganalyze.ingest.ingester import Facts, Ingester, Table, relative
from loganalyze.names import canonical
from loganalyze.run import ConfigValue, Event, EventKind, Problem, Status, Where, metrics_frame

if TYPE_CHECKING:
    import pandas as pd

SUMMARY_KEYS = ("train_runtime",)
AXIS_KEYS = frozenset({"step", "epoch"})
CONFIG_KEYS = (
    "train_batch_size", "logging_steps", "eval_steps", "save_steps", "max_steps",
    "num_train_epochs", "num_input_tokens_seen", "best_metric", "total_flos",
)  # fmt: skip
_CHECKPOINT = re.compile(r"^checkpoint-\d+$")
# A bare NaN or Infinity is only ever a value: it follows a colon, a comma or a bracket.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b')
_ENTRY = re.compile(rb"\{[^{}]*\}")


def claims(path: Path, head: bytes) -> bool:
    """Tell whether this is a trainer state, by its name or by its keys."""
    if path.name == "trainer_state.json":
        return bool(head)
    if path.suffix != ".json":
        return False
    start = head.lstrip()
    if start.startswith(b"["):
        return b'"step"' in head and (b'"loss"' in head or b'"eval_loss"' in head)
    return start.startswith(b"{") and b'"log_history"' in head


def read(path: Path, root: Path) -> list[Table]:
    """Read one state file into one table; a truncated one keeps its complete entries."""
    state, problems = parse(path.read_bytes())
    history = state.get("log_history")
    history = [entry for entry in history if isinstance(entry, dict)] if history else []
    source = relative(path, root)
    metrics = _metrics(history, source)
    steps = metrics["step"]
    last = int(state.get("global_step") or (steps.max() if len(steps) else 0))
    return [
        Table(
            source=source,
            format="hf-trainer-state",
            run=_run_key(path, root),
            metrics=metrics,
            config=_config(state, source),
            events=tuple(_summaries(history, source)),
            problems=tuple(problems),
            facts=_facts(state, last),
            order=float(last),
        )
    ]


def parse(data: bytes) -> tuple[dict[str, Any], list[Problem]]:
    """Parse a state, with NaN and Infinity, or what is left of one.

    Raises
    ------
    ValueError
        If not even one entry of the history can be saved.
    """
    import orjson

    if b"NaN" in data or b"Infinity" in data:
        # orjson is strict: carry the tokens through as strings, `_number` turns them back.
        data = _TOKEN.sub(lambda m: m[0] if m[0][:1] == b'"' else b'"' + m[0] + b'"', data)
    try:
        loaded = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return _salvage(data, str(error))
    if isinstance(loaded, list):
        return {"log_history": loaded}, []
    if not isinstance(loaded, dict) or not isinstance(loaded.get("log_history", []), list):
        raise ValueError("no log_history in it")  # noqa: TRY004 - bad data, not a bad argument
    return loaded, []


def _salvage(data: bytes, reason: str) -> tuple[dict[str, Any], list[Problem]]:
    """Keep the complete entries of a history that is cut off or damaged."""
    import orjson

    start = data.find(b'"log_history"')
    entries = []
    for match in _ENTRY.finditer(data, max(start, 0)):
        try:
            entry = orjson.loads(match[0])
        except orjson.JSONDecodeError:
            continue
        if "step" in entry:
            entries.append(entry)
    if not entries:
        raise ValueError(f"no JSON: {reason}")
    text = f"damaged or cut off ({reason}): {len(entries):,} complete entries were kept"
    state: dict[str, Any] = {"log_history": entries}
    for key in (*CONFIG_KEYS, "global_step"):
        found = re.search(rb'"%s":\s*(-?[\d.eE+-]+)' % key.encode(), data)
        if found:
            state[key] = orjson.loads(found[1])
    return state, [Problem(text)]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def _metrics(history: list[dict[str, Any]], source: str) -> pd.DataFrame:
    """Lay the entries out as rows; a step that falls back opens a new segment."""
    name: list[str] = []
    step: list[int] = []
    epoch: list[float] = []
    value: list[float] = []
    row: list[int] = []
    segment: list[int] = []
    restarts = 0
    previous = -1
    for index, entry in enumerate(history, start=1):
        at = entry.get("step")
        if not isinstance(at, int) or any(key in entry for key in SUMMARY_KEYS):
            continue
        restarts += at < previous
        previous = at
        when = _number(entry.get("epoch"))
        for key, logged in entry.items():
            number = None if key in AXIS_KEYS else _number(logged)
            if number is not None:
                name.append(key)
                step.append(at)
                epoch.append(float("nan") if when is None else when)
                value.append(number)
                row.append(index)
                segment.append(restarts)
    known = {key: canonical(key) for key in set(name)}
    return metrics_frame(
        {
            "metric": [known[key] for key in name],
            "step": step,
            "epoch": epoch,
            "value": value,
            "segment": segment,
            "source": [source] * len(step),
            "row": row,
            "name": name,
        }
    )


def _summaries(history: list[dict[str, Any]], source: str) -> list[Event]:
    events = []
    for index, entry in enumerate(history, start=1):
        if any(key in entry for key in SUMMARY_KEYS):
            numbers = {k: n for k, v in entry.items() if (n := _number(v)) is not None}
            at = entry.get("step")
            events.append(
                Event(
                    EventKind.TRAIN_END,
                    "the Trainer wrote its summary: training ended as it should",
                    Where(source, index),
                    step=at if isinstance(at, int) else None,
                    data=numbers,
                )
            )
    return events


def _config(state: dict[str, Any], source: str) -> dict[str, ConfigValue]:
    return {
        key: ConfigValue(state[key], source)
        for key in CONFIG_KEYS
        if isinstance(state.get(key), (int, float, str)) and state[key] not in (0, -1)
    }


def _facts(state: dict[str, Any], last: int) -> Facts:
    planned = state.get("max_steps")
    planned = planned if isinstance(planned, int) and planned > 0 else None
    epochs = _number(state.get("num_train_epochs"))
    done = planned is not None and last >= planned
    return Facts(
        framework="hf-trainer",
        status=Status.COMPLETED if done else None,
        planned_steps=planned,
        planned_epochs=epochs if epochs and epochs > 0 else None,
    )


def _run_key(path: Path, root: Path) -> str:
    """All checkpoints of one output directory are one run."""
    if path == root:
        return "."
    folder = path.parent
    if _CHECKPOINT.match(folder.name) and folder != root:
        folder = folder.parent
    return relative(folder, root)


INGESTER = Ingester("hf-trainer-state", claims, read)
