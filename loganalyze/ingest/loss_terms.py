"""The loss that Ultralytics' trainers minimise: they log its terms, but not their sum.

``train/box_loss``, ``train/cls_loss``... are the terms with their gains applied; their sum is the
objective per image (`DetectionTrainer` and YOLOv5's `ComputeLoss`: ``loss = sum(terms)``). RT-DETR
logs three terms out of many, so nothing is summed there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loganalyze.frame import joined, metrics_frame
from loganalyze.ingest.ingester import Table
from loganalyze.run import Problem

if TYPE_CHECKING:
    import pandas as pd

TERMS = frozenset({"box", "obj", "cls", "dfl", "seg", "pose", "kobj", "rle", "sem", "angle"})
FEWEST = 2  # terms; one alone is a loss of its own
_ENDING = "_loss"


def with_totals(table: Table) -> Table:
    """Add the loss of training and of validation as the sum of their terms, each with a remark."""
    totals, remarks = [], []
    for split in ("train", "eval"):
        terms = _terms(table.frame, split)
        if len(terms) >= FEWEST:
            total = _sum(table.frame, terms, f"{split}/loss")
            totals.append(total)
            remarks.append(Problem(f"{split}/loss is the sum {_sum_of(terms)}", lossy=False))
    if not totals:
        return table
    metrics = joined([table.frame, *totals])
    return replace(table, metrics=metrics, problems=(*table.problems, *remarks))


def _terms(frame: pd.DataFrame, split: str) -> list[str]:
    """Return the metrics that are the terms of a split's loss, if all of them are known."""
    names = [str(name) for name in frame["metric"].cat.categories]
    losses = [name for name in names if name.startswith(f"{split}/") and name.endswith(_ENDING)]
    parts = {name.removeprefix(f"{split}/").removesuffix(_ENDING) for name in losses}
    return losses if f"{split}/loss" not in names and parts <= TERMS else []


def _sum_of(terms: list[str]) -> str:
    return " + ".join(terms)


def _sum(frame: pd.DataFrame, terms: list[str], metric: str) -> pd.DataFrame:
    """Return the sum at each step of each start at which all terms were logged."""
    import numpy as np

    some = frame[frame["metric"].isin(terms)]
    place = some.groupby(["segment", "step"], sort=True).ngroup().to_numpy()
    total = np.bincount(place, weights=some["value"].to_numpy())
    whole = np.bincount(place) == len(terms)
    first = some.iloc[np.unique(place, return_index=True)[1][whole]]
    kept = ("segment", "step", "epoch", "time", "row")
    return metrics_frame(
        {
            **{column: first[column].to_numpy() for column in kept},
            "metric": metric,
            "value": total[whole],
            "source": str(some["source"].iloc[0]),
            "name": _sum_of(terms),
        }
    )
