"""Hugging Face ``trainer_state.json``: the log history that the Trainer keeps with each checkpoint.

One row per number in ``log_history``; ``row`` is the 1-based index of the entry. The last entry
of a finished run is a summary (``train_runtime``, an *average* ``train_loss``): it is no training
step and becomes an event. A list of entries alone (a dump of ``trainer.state.log_history``) is
read too.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loganalyze.frame import labelled, metrics_frame
from loganalyze.ingest.hf_columns import Columns, from_entries, read_columns
from loganalyze.ingest.ingester import Facts, Ingester, Table, relative
from loganalyze.names import canonical
from loganalyze.run import ConfigValue, Event, EventKind, Problem, Status, Where

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from loganalyze.run import FloatArray

SUMMARY_KEYS = ("train_runtime",)
AXIS_KEYS = frozenset({"step", "epoch"})
CONFIG_KEYS = (
    "train_batch_size", "logging_steps", "eval_steps", "save_steps", "max_steps",
    "num_train_epochs", "num_input_tokens_seen", "best_metric", "total_flos",
)  # fmt: skip
MAX_STEP = 2**53  # beyond it a step is no longer exact as a float
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
    columns, state, problems = _history(path.read_bytes())
    source = relative(path, root)
    metrics = _metrics(columns, source)
    steps = metrics["step"]
    last = int(state.get("global_step") or (steps.max() if len(steps) else 0))
    return [
        Table(
            source=source,
            format="hf-trainer-state",
            run=_run_key(path, root),
            metrics=metrics,
            config=_config(state, source),
            events=tuple(_summaries(columns, source)),
            problems=tuple(problems),
            facts=_facts(state, last),
            order=float(last),
        )
    ]


def _history(data: bytes) -> tuple[Columns, dict[str, Any], list[Problem]]:
    """Return the history as columns, and the state around it."""
    columns = read_columns(data, _number)
    if columns is not None:
        return columns, *parse(columns.rest)
    state, problems = parse(data)
    history = state.pop("log_history", None) or []
    entries = [entry for entry in history if isinstance(entry, dict)]
    return from_entries(entries, _number), state, problems


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


def _metrics(columns: Columns, source: str) -> pd.DataFrame:
    """Lay the entries out as rows; a step that falls back opens a new segment."""
    import numpy as np

    step = _of_entries(columns, "step")
    epoch = _of_entries(columns, "epoch")
    has_step = np.isfinite(step) & (step == np.floor(step)) & (np.abs(step) <= MAX_STEP)
    kept = has_step & ~_are_summaries(columns)
    whole = np.where(kept, step, 0).astype(np.int64)
    segment = np.zeros(columns.count, dtype=np.int64)
    segment[kept] = np.cumsum(np.diff(whole[kept], prepend=whole[kept][:1]) < 0)
    is_metric = np.array([key not in AXIS_KEYS for key in columns.keys], dtype=bool)
    rows = np.flatnonzero(kept[columns.entry] & columns.is_number & is_metric[columns.code])
    entry, code = columns.entry[rows], columns.code[rows]
    return metrics_frame(
        {
            "metric": labelled(code, [canonical(key) for key in columns.keys]),
            "step": whole[entry],
            "epoch": epoch[entry],
            "value": columns.value[rows],
            "segment": segment[entry],
            "source": source,
            "row": entry.astype(np.int64) + 1,
            "name": labelled(code, columns.keys),
        }
    )


def _of_entries(columns: Columns, key: str) -> FloatArray:
    """Return what each entry says under `key`; NaN where it says nothing."""
    import numpy as np

    found = np.full(columns.count, np.nan)
    if key in columns.keys:
        lines = (columns.code == columns.keys.index(key)) & columns.is_number
        found[columns.entry[lines]] = columns.value[lines]
    return found


def _are_summaries(columns: Columns) -> NDArray[np.bool_]:
    import numpy as np

    found = np.zeros(columns.count, dtype=bool)
    codes = [index for index, key in enumerate(columns.keys) if key in SUMMARY_KEYS]
    found[columns.entry[np.isin(columns.code, codes)]] = True
    return found


def _summaries(columns: Columns, source: str) -> list[Event]:
    import numpy as np

    events = []
    for index in np.flatnonzero(_are_summaries(columns)).tolist():
        lines = np.flatnonzero((columns.entry == index) & columns.is_number)
        numbers = {columns.keys[columns.code[k]]: float(columns.value[k]) for k in lines}
        step = numbers.get("step", math.nan)
        events.append(
            Event(
                EventKind.TRAIN_END,
                "the Trainer wrote its summary: training ended as it should",
                Where(source, index + 1),
                step=int(step) if math.isfinite(step) else None,
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
