"""From what W&B logged to metrics: the step of each number, its name, and where the run restarted.

The step is the optimizer step that a trainer logs beside its numbers, else W&B's own ``_step``,
which counts the calls of ``log``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from loganalyze.frame import metrics_frame
from loganalyze.ingest.wandb_columns import Columns, Key
from loganalyze.ingest.wandb_records import Contents
from loganalyze.names import canonical
from loganalyze.run import Problem

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

OPTIMIZER_STEPS = ("train/global_step", "trainer/global_step", "global_step")
EPOCHS = ("train/epoch", "trainer/epoch", "epoch")
MAX_STEP = 2.0**53  # beyond it a step is no longer exact as a float
SYSTEM = {
    "gpu.0.memoryAllocatedBytes": "gpu/memory_allocated",  # of one GPU: several make no one curve
    "proc.memory.rssMB": "host/memory_rss",
}
# What the Hugging Face Trainer logs once, at its end: means over the run, not points of a curve.
_SUMMARY = re.compile(
    r"^(?:train/)?(train_(?:loss|runtime|samples_per_second|steps_per_second)|total_flos)$"
)
SUMMARY_MARK = "train_runtime"


def metrics(contents: Contents, source: str, problems: list[Problem]) -> pd.DataFrame:
    """Return the rows of history, and those of the system samples at the step reached by then."""
    import numpy as np

    history = contents.history
    step = _steps(history, problems)
    place, code = _places(history), np.array(history.code, np.int64)
    labels, names, is_metric = _labels(history)
    kept = is_metric[code]
    place, code = place[kept], code[kept]
    code = _set_summary_apart(code, place, labels, names)
    record = {
        "step": step,
        "epoch": _first(history, EPOCHS),
        "time": _axis(history, "_timestamp"),
        "segment": _segments(step[place], code, place, len(step)),
        "row": np.array(history.row, np.int64),
    }
    logged = {column: values[place] for column, values in record.items()}
    logged |= {"code": code, "value": np.array(history.value, np.float64)[kept]}
    sampled = _samples(contents, record, labels, names, problems)
    columns = {column: np.concatenate([logged[column], sampled[column]]) for column in logged}
    code = columns.pop("code").astype(np.int64)
    text = {
        "metric": np.array(labels, dtype=object)[code],
        "name": np.array(names, dtype=object)[code],
        "source": np.full(len(code), source, dtype=object),
    }
    return metrics_frame({**columns, **text})


def _places(columns: Columns) -> Integers:
    """Return for each number the place of its record."""
    import numpy as np

    return np.repeat(np.arange(len(columns.row)), np.array(columns.count, np.int64))


def _axis(columns: Columns, name: str) -> Floats:
    """Return what each record logged under `name`; NaN where it did not."""
    import numpy as np

    axis = np.full(len(columns.row), np.nan)
    for code, parts in enumerate(columns.keys):
        if "/".join(parts) == name:
            chosen = np.array(columns.code, np.int64) == code
            axis[_places(columns)[chosen]] = np.array(columns.value)[chosen]
    return axis


def _first(columns: Columns, names: Sequence[str]) -> Floats:
    """Return the first of several axes that each record has."""
    import numpy as np

    axes = [_axis(columns, name) for name in names]
    found = axes[0]
    for axis in axes[1:]:
        found = np.where(np.isnan(found), axis, found)
    return found


def _steps(history: Columns, problems: list[Problem]) -> Integers:
    """Return the step of each record; one that names none stands at the last one before it."""
    import numpy as np

    known = _only_steps(_first(history, OPTIMIZER_STEPS))
    if np.isnan(known).all():
        known = _only_steps(_axis(history, "_step"))
    missing = np.isnan(known)
    if missing.all():
        return np.arange(len(known), dtype=np.int64)
    if missing.any():
        text = f"{missing.sum():,} records name no step: they were placed at the one before them"
        problems.append(Problem(text, lossy=False))
    last = np.maximum.accumulate(np.where(missing, 0, np.arange(len(known))))
    first = int(np.flatnonzero(~missing)[0])
    return known[np.maximum(last, first)].astype(np.int64)


def _only_steps(axis: Floats) -> Floats:
    import numpy as np

    with np.errstate(invalid="ignore"):
        return np.where((axis >= 0) & (axis < MAX_STEP), axis, np.nan)


def _labels(history: Columns) -> tuple[list[str], list[str], NDArray[np.bool_]]:
    """Return for each key its metric, its name as W&B shows it, and whether it is a metric."""
    import numpy as np

    axes = {*OPTIMIZER_STEPS, *EPOCHS}
    labels, names, is_metric = [], [], []
    for parts in history.keys:
        path = "/".join(parts)
        labels.append(canonical(path))
        names.append(".".join(parts))
        is_metric.append(
            path not in axes and not path.startswith("_") and not _is_in(parts, history.media)
        )
    return labels, names, np.array(is_metric, bool)


def _is_in(parts: Key, media: set[Key]) -> bool:
    return any(parts[:length] in media for length in range(1, len(parts)))


def _set_summary_apart(
    code: Integers, place: Integers, labels: list[str], names: list[str]
) -> Integers:
    """Give what the Trainer sums up at its end names of its own: its loss is no point of a curve."""
    import numpy as np

    summed = {
        index: found[1] for index, name in enumerate(names) if (found := _SUMMARY.match(name))
    }
    marks = [index for index, name in summed.items() if name == SUMMARY_MARK]
    is_last = place == place[np.isin(code, marks)].max(initial=-1)
    code = code.copy()
    for index, name in summed.items():
        code[is_last & (code == index)] = len(labels)
        labels.append(f"summary/{name}")
        names.append(names[index])
    return code


def _segments(step: Integers, code: Integers, place: Integers, records: int) -> Integers:
    """Count a restart wherever all numbers of a record fall back behind their last step."""
    import numpy as np

    order = np.argsort(code, kind="stable")
    same = code[order][1:] == code[order][:-1]
    before = np.full(len(code), -1)  # the record in which the same metric was logged before
    before[order[1:][same]] = place[order[:-1][same]]
    falls = np.zeros(len(code), bool)
    falls[order[1:][same]] = np.diff(step[order])[same] < 0
    count = np.bincount(place, minlength=records)
    suspects = np.flatnonzero((np.bincount(place, falls, records) == count) & (count > 0))
    # All metrics fall back at one restart, each when it is next logged: only the first counts.
    oldest = np.full(records, records)
    np.minimum.at(oldest, place, before)
    starts = np.zeros(records, np.int64)
    last = 0
    for record in suspects.tolist():
        if oldest[record] >= last:
            starts[record] = 1
            last = record
    return np.cumsum(starts)


def _samples(
    contents: Contents,
    record: dict[str, Any],
    labels: list[str],
    names: list[str],
    problems: list[Problem],
) -> dict[str, Any]:
    """Lay out the samples of the system; `labels` and `names` grow by theirs."""
    import numpy as np

    stats, before = contents.stats, len(labels)
    labels += [SYSTEM.get(".".join(parts), f"system/{'.'.join(parts)}") for parts in stats.keys]
    names += [f"system.{'.'.join(parts)}" for parts in stats.keys]
    place = _places(stats)
    if not len(record["step"]) and len(place):
        text = f"{len(place):,} samples of the system belong to no step: left out"
        problems.append(Problem(text, lossy=False))
        place = place[:0]
    # A sample has no step of its own: it was taken after the step that was logged before it.
    reached = np.maximum(np.array(contents.stats_after, np.int64) - 1, 0)[place]
    return {
        "step": record["step"][reached],
        "segment": record["segment"][reached],
        "epoch": np.full(len(place), np.nan),
        "time": np.array(stats.time, np.float64)[place],
        "row": np.array(stats.row, np.int64)[place],
        "code": np.array(stats.code, np.int64)[: len(place)] + before,
        "value": np.array(stats.value, np.float64)[: len(place)],
    }
