"""The terms of a loss that are logged beside it: which of them broke when it turned NaN."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from loganalyze.causes.cause import Case
from loganalyze.series import LOSS

MOST = 3  # times as many broken terms as whole ones
FEWEST = 2  # terms; one alone is the loss itself
# What a term of a loss is called; averages and evaluations of it are none.
_TERM = re.compile(
    r"loss|^(?:rpn|rcnn|roi)_|(?:^|[/_])(?:cls|box|bbox|obj|dfl|giou|kl|recon|mask|l1|ctc|mse)$"
)
_NO_TERM = re.compile(r"^eval/|^val|^test|smooth|avg|average|scale|_ema|total")


@dataclass(frozen=True, slots=True)
class Components:
    """The names of the terms that are not finite where the loss is not, and of those that are."""

    broken: tuple[str, ...]
    whole: tuple[str, ...]

    @property
    def is_whole_model(self) -> bool:
        """Whether nearly all terms broke: the weights did, not one target."""
        return len(self.broken) > MOST * len(self.whole)


def components(case: Case) -> Components | None:
    """Return the terms logged near the first loss that is not finite, or None where they are too few."""
    loss = case.run.series(LOSS)
    bad = ~np.isfinite(loss.value)
    if not bad.any():
        return None
    start, end = int(loss.step[bad][0]), int(loss.step[bad][-1])
    broken: list[str] = []
    whole: list[str] = []
    for name in map(str, case.run.metrics["metric"].cat.categories):
        if name == LOSS or not _TERM.search(name) or _NO_TERM.search(name):
            continue
        term = case.run.series(name)
        inside = term.value[(term.step >= start) & (term.step <= end)]
        if len(inside):
            (whole if np.isfinite(inside).mean() > 0.5 else broken).append(name)
    if len(broken) + len(whole) < FEWEST:
        return None
    return Components(tuple(broken), tuple(whole))
