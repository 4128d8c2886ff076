"""The terms of a loss that are logged beside it: which of them broke when it turned NaN."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from loganalyze.causes.cause import Case
from loganalyze.series import LOSS

JUMP = 10.0  # times its level before: a term that is finite, and lost
LEVEL = 20  # points before that make the level
MOST = 3  # times as many broken terms as whole ones
FEWEST = 2  # terms; one alone is the loss itself
# What a term of a loss is called; averages and evaluations of it are none.
_TERM = re.compile(
    r"loss|^(?:rpn|rcnn|roi)_|(?:^|[/_])(?:cls|box|bbox|obj|dfl|giou|kl|recon|mask|l1|ctc|mse)$"
)
_NO_TERM = re.compile(r"^eval/|^val|^test|smooth|avg|average|scale|_ema|total")


@dataclass(frozen=True, slots=True)
class Components:
    """The names of the terms that are not finite where the loss is not, that jumped, and of the others."""

    broken: tuple[str, ...]
    jumped: tuple[str, ...]
    whole: tuple[str, ...]

    @property
    def is_whole_model(self) -> bool:
        """Whether nearly all terms broke or jumped: the weights did, not one target."""
        return len(self.broken) + len(self.jumped) > MOST * len(self.whole)

    @property
    def summary(self) -> str:
        """What a reader should know of a model that broke as a whole."""
        if self.jumped:
            return f"{', '.join(self.jumped[:3])} jumped as the loss turned NaN: the weights broke."
        return f"{len(self.broken)} terms of the loss are NaN at once: the weights are."


def components(case: Case) -> Components | None:
    """Return the terms logged near the first loss that is not finite, or None where they are too few."""
    loss = case.run.series(LOSS)
    bad = ~np.isfinite(loss.value)
    if not bad.any():
        return None
    start, end = int(loss.step[bad][0]), int(loss.step[bad][-1])
    found: dict[str, list[str]] = {"broken": [], "jumped": [], "whole": []}
    for name in map(str, case.run.metrics["metric"].cat.categories):
        if name == LOSS or not _TERM.search(name) or _NO_TERM.search(name):
            continue
        term = case.run.series(name)
        before, inside = (
            term.value[mask]
            for mask in (term.step < start, (term.step >= start) & (term.step <= end))
        )
        if len(inside):
            found[_state(before, inside)].append(name)
    if sum(map(len, found.values())) < FEWEST:
        return None
    return Components(**{state: tuple(names) for state, names in found.items()})


def _state(before: np.ndarray, inside: np.ndarray) -> str:
    finite = inside[np.isfinite(inside)]
    if 2 * len(finite) <= len(inside):
        return "broken"
    level = np.median(before[np.isfinite(before)][-LEVEL:]) if np.isfinite(before).any() else np.inf
    return "jumped" if 0 < JUMP * level < np.max(finite) else "whole"
