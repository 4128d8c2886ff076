"""The loss that Ultralytics' trainers minimise: its table holds the terms, but not their sum.

The columns ``train/box_loss``, ``train/cls_loss``... are the terms with their gains applied; their sum
is the objective per image (`DetectionTrainer` and YOLOv5's `ComputeLoss`: ``loss = sum(terms)``).
RT-DETR's columns are three terms out of many, so nothing is summed there.
"""

from __future__ import annotations

from collections.abc import Sequence

from loganalyze.ingest.wide import Column
from loganalyze.names import canonical
from loganalyze.run import Problem

TERMS = frozenset({"box", "obj", "cls", "dfl", "seg", "pose", "kobj", "rle", "sem", "angle"})
FEWEST = 2  # terms; one alone is a loss of its own


def total_losses(columns: Sequence[Column]) -> tuple[list[Column], list[Problem]]:
    """Return the loss of training and of validation as the sum of their terms, each with a remark."""
    totals, remarks = [], []
    for split in ("train", "val"):
        terms = [column for column in columns if _term(column.name, split) is not None]
        if len(terms) < FEWEST or not TERMS.issuperset(
            str(_term(column.name, split)) for column in terms
        ):
            continue
        value = sum((column.value for column in terms[1:]), start=terms[0].value)
        logged = terms[0].logged
        for column in terms[1:]:
            logged = logged & column.logged
        names = " + ".join(column.name for column in terms)
        totals.append(Column(names, value, logged, canonical(f"{split}/loss")))
        remarks.append(Problem(f"{totals[-1].metric} is the sum {names}", lossy=False))
    return totals, remarks


def _term(name: str, split: str) -> str | None:
    """Return ``box`` for ``train/box_loss``, None for what is no term of this split's loss."""
    if not (name.startswith(f"{split}/") and name.endswith("_loss")):
        return None
    return name.removeprefix(f"{split}/").removesuffix("_loss")
