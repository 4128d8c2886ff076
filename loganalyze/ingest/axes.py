"""Which columns of a table say where a row stands: its step, its epoch, its time, its split."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from loganalyze.ingest.wide import Column, Wide
from loganalyze.names import canonical, fold

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loganalyze.run import FloatArray, IntArray

STEP_NAMES = (
    "global_step", "trainer/global_step", "train/global_step", "step", "steps", "_step",
    "iteration", "iterations", "iter", "it", "n_iter", "num_updates", "nupdates", "misc/nupdates",
    "updates", "update", "train_step", "training_step", "training_iteration",
    "time/total_timesteps", "misc/total_timesteps", "total_timesteps", "timesteps_total",
    "timesteps", "batch",
)  # fmt: skip
EPOCH_NAMES = ("epoch", "epochs", "train/epoch", "epoch_num", "ep")
COUNTERS = frozenset({*STEP_NAMES, *EPOCH_NAMES})
TIME_NAMES = ("wall_time", "timestamp", "_timestamp", "datetime", "date", "time")
SPLIT_NAMES = ("mode", "split", "phase", "stage", "subset")
HELD_OUT = frozenset({"val", "valid", "validation", "eval", "evaluation", "test", "dev"})
LEAST_FILLED = 0.5  # of the fullest axis; a step that few rows state is another clock
UNIX_SECONDS = (1e9, 1e10)  # from 2001 to 2286; a smaller number is a duration
_MEASURES = frozenset({"train/learning_rate", "train/grad_norm", "train/accuracy"})
_RESULTS = frozenset({"train/loss", "eval/loss", "eval/accuracy"})
_LOSS = re.compile(r"(?:^|[/_.])loss(?:es)?$|^loss(?:es)?/")
_TERM = re.compile(r"(?:^|[/_])loss(?:es)?[/_]|^rollout/|^metrics/")


def is_loss(name: str) -> bool:
    """Tell whether a folded name is a loss, or the accuracy of an evaluation."""
    return canonical(name) in _RESULTS or bool(_LOSS.search(name))


def is_measure(name: str) -> bool:
    """Tell whether a folded name is a number that trainings log, beside some counter."""
    metric = canonical(name)
    return (
        metric in _MEASURES
        or metric.startswith("eval/")
        or is_loss(name)
        or bool(_TERM.search(name))
    )


def wide_table(
    columns: Sequence[Column], row: IntArray, part: IntArray, held_out: NDArray[np.bool_]
) -> Wide:
    """Sort columns into axes and metrics; those without any number are left out."""
    import numpy as np

    folded = _folded(columns)
    unknown = np.full(len(row), np.nan)
    step, epoch = _axis(folded, STEP_NAMES), _axis(folded, EPOCH_NAMES)
    clock, time = _times(folded)
    axes = {*COUNTERS, clock}
    return Wide(
        step=unknown if step is None else step,
        epoch=unknown if epoch is None else epoch,
        time=unknown if time is None else time,
        row=row,
        part=part,
        held_out=held_out,
        columns=tuple(c for c in columns if fold(c.name) not in axes and c.logged.any()),
    )


def _folded(columns: Sequence[Column]) -> dict[str, Column]:
    folded: dict[str, Column] = {}
    for column in columns:
        folded.setdefault(fold(column.name), column)
    return folded


def _axis(folded: Mapping[str, Column], names: Sequence[str]) -> FloatArray | None:
    """Return the first of the named columns that counts, and is not filled far less than another."""
    import numpy as np

    usable = []
    for name in names:
        if name in folded:
            value = folded[name].value
            known = value[np.isfinite(value)]
            if len(known) and known.min() >= 0 and (names is EPOCH_NAMES or _is_whole(known)):
                usable.append((len(known), value))
    fullest = max((count for count, _ in usable), default=0)
    return next((value for count, value in usable if count >= LEAST_FILLED * fullest), None)


def _is_whole(values: FloatArray) -> bool:
    import numpy as np

    return bool((values == np.floor(values)).all())


def _times(folded: Mapping[str, Column]) -> tuple[str, FloatArray | None]:
    """Return the folded name and the UNIX seconds of the column that holds the time of day."""
    import numpy as np

    low, high = UNIX_SECONDS
    for name in TIME_NAMES:
        if name in folded and np.isfinite(folded[name].value).any():
            value = folded[name].value
            middle = float(np.nanmedian(value))
            for unit in (1.0, 1e3):  # seconds, milliseconds
                if low <= middle / unit < high:
                    return name, value / unit
    return "", None
