"""Two ways to count: forward passes, or updates of the optimizer. Analysis works on updates.

With ``gradient_accumulation_steps = k`` some loops number every forward pass: their steps run k times
as far as those of a trainer that counts updates. Where the configuration names k, and another source or
the planned number of steps shows that an axis runs k times too far, it is divided by k (rounded down, as a
trainer counts: the update number n ends with pass n * k). Otherwise nothing is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from loganalyze.ingest.ingester import Table
from loganalyze.run import Problem

if TYPE_CHECKING:
    import pandas as pd

LOSS = "train/loss"


def to_optimizer_steps(
    families: Sequence[list[Table]], accumulation: float | None, planned: float | None
) -> list[list[Table]]:
    """Return the families with axes of micro-steps converted; each conversion is a remark."""
    if not accumulation or accumulation < 2 or accumulation != int(accumulation):
        return list(families)
    k = int(accumulation)
    ends = [_end(family) for family in families]
    converted = []
    for index, family in enumerate(families):
        others = [end for place, end in enumerate(ends) if place != index]
        if planned:
            others.append((planned, 1.0))
        is_micro = any(_is_multiple(ends[index], other, k) for other in others)
        converted.append([_divided(table, k) for table in family] if is_micro else family)
    return converted


def _end(family: Sequence[Table]) -> tuple[float, float]:
    """Return the last step of the training loss, and the usual distance of its points."""
    import numpy as np

    steps = [_steps_of_loss(table.metrics) for table in family if table.metrics is not None]
    step = np.unique(np.concatenate(steps)) if steps else np.zeros(0)
    if not len(step):
        return 0.0, 0.0
    return float(step[-1]), float(np.median(np.diff(step))) if len(step) > 1 else 1.0


def _steps_of_loss(frame: pd.DataFrame) -> pd.Series[int]:
    return frame["step"][(frame["metric"] == LOSS) & (frame["step"] >= 0)]


def _is_multiple(end: tuple[float, float], other: tuple[float, float], k: int) -> bool:
    """Tell whether an axis ends k times as far as another, within one logged point."""
    return other[0] > k and abs(end[0] - k * other[0]) <= max(end[1], k * other[1])


def _divided(table: Table, k: int) -> Table:
    if table.metrics is None:
        return table
    step = table.metrics["step"]
    metrics = table.metrics.assign(step=step.where(step < 0, step // k))
    text = f"its steps count forward passes: divided by gradient_accumulation_steps = {k}"
    return replace(table, metrics=metrics, problems=(*table.problems, Problem(text, lossy=False)))
