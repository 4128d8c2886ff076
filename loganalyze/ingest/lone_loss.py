"""The loss of a run that gives it a name of its own: ``bce_loss`` alone is the loss that was minimised.

A run that logs several losses and no total says that each is a part; none of them is taken. Neither is a part
by its name, however alone it stands: the loss of a policy, of a critic or of one side of a game.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from loganalyze.frame import labelled
from loganalyze.ingest.ingester import Table
from loganalyze.run import Problem

LOSS, EVAL = "train/loss", "eval/loss"
_A_LOSS = re.compile(r"^(?:train/)?(?:[\w.@-]+[_-]?loss|loss[_-][\w.@-]+)$", re.I)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")  # IDLoss, maskLoss
_AN_EVAL_LOSS = re.compile(r"^eval/(?:[\w.@-]+[_-]loss|loss[_-][\w.@-]+)$", re.I)
_PART = re.compile(
    r"(?:^|[_/-])(?:policy|value|actor|critic|pg|vf|pi|q\d?|td|d|g|gen|disc|generator|discriminator|adv|entropy"
    r"|kl|kld|aux|reg|regularization|penalty|commit|commitment|vq|balance|router|box|obj|cls|dfl|rpn|mask"
    r"|final|last|best|min|max|delta|scale|std|var|count|weight)(?:[_-]|$)",
    re.I,
)


def with_the_lone_loss(tables: Sequence[Table]) -> list[Table]:
    """Give the only loss of a run its canonical name, with a remark; the same for that of its evaluations."""
    for canonical, pattern in ((LOSS, _A_LOSS), (EVAL, _AN_EVAL_LOSS)):
        tables = _renamed(tables, canonical, pattern)
    return list(tables)


def _renamed(tables: Sequence[Table], canonical: str, pattern: re.Pattern[str]) -> Sequence[Table]:
    names = {str(name) for table in tables for name in table.frame["metric"].cat.categories}
    losses = [name for name in names if pattern.match(name)]
    if canonical in names or len(losses) != 1 or _PART.search(_HUMP.sub("_", losses[0])):
        return tables
    return [_under(table, losses[0], canonical) for table in tables]


def _under(table: Table, name: str, canonical: str) -> Table:
    metrics = table.frame["metric"].cat
    if name not in metrics.categories:
        return table
    labels = [canonical if label == name else str(label) for label in metrics.categories]
    remark = Problem(f"{canonical} is {name}, the only loss that was logged", lossy=False)
    frame = table.frame.assign(metric=labelled(metrics.codes.to_numpy(), labels))
    return replace(table, metrics=frame, problems=(*table.problems, remark))
