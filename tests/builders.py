"""Runs made in memory, for tests that need a curve and no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from loganalyze.frame import metrics_frame
from loganalyze.names import canonical
from loganalyze.run import ConfigValue, Event, Run, Source

SHORT = {
    "loss": "train/loss",
    "eval_loss": "eval/loss",
    "grad_norm": "train/grad_norm",
    "lr": "train/learning_rate",
}


def make_run(
    *,
    steps: Mapping[str, Sequence[int]] | Sequence[int] | None = None,
    config: Mapping[str, Any] | None = None,
    events: Sequence[Event] = (),
    segments: Mapping[str, Sequence[int]] | None = None,
    sources: Sequence[Source] | None = None,
    **curves: Sequence[float] | np.ndarray,
) -> Run:
    """Return a run with the given curves: ``make_run(loss=[...], lr=[...], eval_loss=[...])``.

    ``steps`` is shared by all curves of its length, or given per curve; the default is 1, 2, ...
    Other fields of `Run` (``planned_steps``, ``status``, ...) may be given by name.
    """
    fields = {
        key: curves.pop(key)
        for key in list(curves)
        if key
        in {"planned_steps", "planned_epochs", "status", "framework", "name", "started", "ended"}
    }
    frames = []
    for name, values in curves.items():
        values = np.asarray(values, dtype=float)
        if isinstance(steps, Mapping):
            axis = np.asarray(steps.get(name, np.arange(1, len(values) + 1)))
        elif steps is not None and len(steps) == len(values):
            axis = np.asarray(steps)
        else:
            axis = np.arange(1, len(values) + 1)
        metric = SHORT.get(name, canonical(name))
        columns: dict[str, Any] = {
            "metric": [metric] * len(values),
            "step": axis,
            "value": values,
            "source": ["train.log"] * len(values),
            "row": axis,
        }
        if segments and name in segments:
            columns["segment"] = segments[name]
        frames.append(metrics_frame(columns))
    metrics = pd.concat(frames, ignore_index=True) if frames else metrics_frame({})
    for column in ("metric", "source", "name"):
        metrics[column] = metrics[column].astype("category")
    return Run(
        name=str(fields.pop("name", "test")),
        path="test",
        metrics=metrics,
        config={key: ConfigValue(value, "test") for key, value in (config or {}).items()},
        events=tuple(events),
        sources=tuple(sources or (Source("train.log", "text", len(metrics)),)),
        preferred={str(metric): ("train.log",) for metric in metrics["metric"].unique()},
        **fields,
    )
