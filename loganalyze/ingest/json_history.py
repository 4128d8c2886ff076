"""Histories as JSON: detectron2, MMEngine and MMCV, Keras, AllenNLP, and any record with a step.

A history is known by its content: records with a counter of steps or epochs and a loss, or lists
of losses. The summaries that the Hugging Face Trainer leaves beside its state
(``train_results.json``, ``all_results.json``) hold averages over the whole training and no step:
they are left alone, as `hf_trainer` reads the state itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from loganalyze.ingest import json_columns
from loganalyze.ingest.axes import COUNTERS, is_loss, wide_table
from loganalyze.ingest.ingester import Facts, Ingester, Table, relative
from loganalyze.ingest.json_columns import Records
from loganalyze.ingest.wide import Column, long_frame
from loganalyze.names import fold

MAX_BYTES = 128 * 2**20  # lines that are not uniform need some twenty times the memory
LINE_FILES = frozenset(
    {"metrics.jsonl", "history.jsonl", "scalars.jsonl", "train_log.jsonl", "training_log.jsonl"}
)
_OPEN_MMLAB = re.compile(r"(?:^|[/~])(?:\d{8}_\d{6}(?:\.log)?|scalars|None\.log)\.json$")
_LONG_LINES = re.compile(r"(?:^|[/~_])(?:metrics|log)\.json$")  # their lines may outgrow the head
_ALLENNLP = re.compile(r"metrics_epoch_(\d+)\.json$")
_SUMMARY = re.compile(rb'"(?:train|eval|test|predict)_(?:runtime|samples_per_second)"')
_KEY = re.compile(rb'"([^"\\\n]{1,100})"\s*:\s*(\[\s*|\{\s*"0"\s*:\s*)?(?:-?\d|-?NaN|-?Inf|null)')
_ALLENNLP_BOOKS = re.compile(r"^(?:best_|peak_|training_(?:start_epoch|epochs)$)")


def claims(path: Path, head: bytes) -> bool:
    """Tell whether this is a history of metrics, by its keys and by what kind of value they have."""
    if path.suffix != ".json" and path.name not in LINE_FILES:
        return False
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start not in (b"{", b"[") or _SUMMARY.search(head):
        return False
    if head.startswith(b'{"env_info"') and _OPEN_MMLAB.search(path.name):
        return True
    found = [(fold(key.decode("utf-8", "replace")), kind) for key, kind in _KEY.findall(head)]
    if any(kind and is_loss(name) for name, kind in found):
        return True
    if not (any(n in COUNTERS for n, _ in found) and any(is_loss(n) for n, _ in found)):
        return False
    is_epoch = _ALLENNLP.search(path.name) or b'"best_epoch"' in head
    is_long = b"\n" not in head and bool(_LONG_LINES.search(path.name))
    return start == b"[" or _is_lines(head) or is_long or bool(is_epoch)


def _is_lines(data: bytes) -> bool:
    """Tell whether the first line is an object of its own."""
    first, _, rest = data.lstrip().partition(b"\n")
    first, rest = first.strip(), rest.lstrip()
    return first[:1] == b"{" and first[-1:] == b"}" and rest[:1] in (b"{", b"")


def read(path: Path, root: Path) -> list[Table]:
    """Read one file into one table.

    Raises
    ------
    ValueError
        If it is too large, damaged as a whole, or holds no number with a place in the run.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES:,} bytes: not read as a history of metrics")
    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    is_whole = b"\n" not in data.strip() or not _is_lines(data)
    found = json_columns.from_whole(data) if is_whole else json_columns.from_lines(data)
    return tables(found, path, root)


def tables(found: Records, path: Path, root: Path) -> list[Table]:
    """Return the table of one file whose records have been parsed.

    Raises
    ------
    ValueError
        If no number in it has a place in the run.
    """
    end: float | None = None
    if _is_open_mmlab(path, found):
        found, end = _open_mmlab(found)
    epoch = _allennlp_epoch(path, found)
    if _is_repeated(path, epoch):
        return []
    kept = found.columns
    if epoch is not None:
        kept = [column for column in kept if not _ALLENNLP_BOOKS.match(column.name)]
    wide = wide_table(
        [_with_meaning(column, kept) for column in kept],
        row=found.row,
        part=found.row * 0,
        held_out=found.held_out,
    )
    source = relative(path, root)
    metrics, remarks = long_frame(wide, source, end)
    if not len(metrics):
        raise ValueError("no number in it that has a place in the run")
    return [
        Table(
            source=source,
            format="json-history",
            run=_run_key(path, root),
            metrics=metrics,
            problems=(*found.problems, *remarks),
            facts=Facts(framework=_framework(found.columns) if epoch is None else "allennlp"),
            order=0.0 if epoch is None else float(epoch),
        )
    ]


def _allennlp_epoch(path: Path, found: Records) -> int | None:
    """Return the epoch that this file of AllenNLP is about, None for any other file."""
    named = _ALLENNLP.search(path.name)
    if named:
        return int(named[1])
    values = {column.name: column.value for column in found.columns}
    is_last = len(found.row) == 1 and {"epoch", "best_epoch"} <= set(values)
    return int(values["epoch"][0]) if is_last else None


def _is_repeated(path: Path, epoch: int | None) -> bool:
    """Tell whether another file holds the same: AllenNLP's last epoch, MMEngine's scalars."""
    if epoch is not None:
        twin = path.with_name(f"metrics_epoch_{epoch}.json")
    elif path.parent.name == "vis_data":
        twin = path.with_name("scalars.json")
    else:
        return False
    return twin.name != path.name and twin.exists()


def _framework(columns: Sequence[Column]) -> str | None:
    names = {column.name for column in columns}
    return "detectron2" if {"iteration", "total_loss", "data_time"} <= names else None


def _with_meaning(column: Column, columns: Sequence[Column]) -> Column:
    """Beside the time for the data, a plain ``time`` is that of a step, in seconds."""
    if column.name == "time" and any(other.name == "data_time" for other in columns):
        return replace(column, metric="perf/step_seconds")
    return column


def _is_open_mmlab(path: Path, found: Records) -> bool:
    names = {column.name for column in found.columns}
    if {"iter", "epoch"} <= names and found.held_out.any():
        return True
    return bool(_OPEN_MMLAB.search(path.name)) and bool(names & {"iter", "step"})


def _open_mmlab(found: Records) -> tuple[Records, float | None]:
    """Put evaluations where they happened: after the training records above them.

    An evaluation is a record without a learning rate's companion, the loss. Its own counter is no
    step: MMEngine writes the epoch there, MMCV the length of the validation set or (then it is
    returned) the last iteration of the training epoch.
    """
    import numpy as np

    by_name = {column.name: column for column in found.columns}
    trained = np.zeros(len(found.row), dtype=bool)
    for name, column in by_name.items():
        if is_loss(fold(name)) and fold(name) not in COUNTERS:
            trained |= column.logged
    held_out = found.held_out | ~trained
    last = by_name.get("iter")
    ends = last.value[held_out & last.logged] if last is not None else np.empty(0)
    columns = []
    for column in found.columns:
        if fold(column.name) in COUNTERS and column.name != "epoch":
            column = replace(column, value=np.where(held_out, np.nan, column.value))
        elif column.name in {"lr", "base_lr", "memory"}:
            column = replace(column, logged=column.logged & ~held_out)
        columns.append(column)
    end = float(ends[0]) if len(ends) and (ends == ends[0]).all() else None
    return replace(found, columns=columns, held_out=held_out), end


def _run_key(path: Path, root: Path) -> str:
    """MMEngine keeps its numbers two folders below the run: ``<run>/<start>/vis_data/``."""
    if path == root:
        return "."
    folder = path.parent
    if folder.name == "vis_data" and folder != root:
        folder = folder.parent
    return relative(folder, root)


INGESTER = Ingester("json-history", claims, read)
