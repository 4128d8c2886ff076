"""Whether the train loss is a weighted sum of other things that were logged beside it.

A total of several terms (a detector's boxes and classes, a distillation's hints and labels) is a number that
the guess of a classifier says nothing of, whatever the terms are called. Where they are logged the total is
their weighted sum at every log point, up to the digits that were printed.
"""

from __future__ import annotations

import re

import numpy as np

from loganalyze.run import Run

FEWEST = 12  # log points; with fewer a fit of a handful of columns is exact by itself
MOST = 8  # other columns that are looked at: a sum has few terms
EXACT = 1e-3  # of the loss's own scatter: what rounding to four digits leaves
WEIGHT = 1e-2  # share of the loss's scatter that a term must account for
NO_TERMS = frozenset({"train/loss", "train/learning_rate", "train/grad_norm", "train/accuracy"})
ELSEWHERE = ("eval/", "perf/", "system/")
_LOSS = re.compile(r"loss", re.I)
# The loss itself, seen otherwise; and numbers about losses.
_SAME = re.compile(
    r"avg|average|mean|ema|smooth|running|epoch|best|lowest|min|max|scale|val|test|lm.loss", re.I
)


def has_other_losses(run: Run) -> bool:
    """Tell whether two or more losses of the training stand beside the train loss: terms of a total."""
    names = [name for name in _others(run) if _LOSS.search(name) and not _SAME.search(name)]
    return run.has("train/loss") and len(names) >= 2


def _others(run: Run) -> list[str]:
    names = map(str, run.metrics["metric"].cat.categories)
    return [name for name in names if name not in NO_TERMS and not name.startswith(ELSEWHERE)]


def is_sum_of_terms(run: Run) -> bool:
    """Tell whether two or more other train metrics add up to the train loss, each with a fixed weight."""
    loss = run.series("train/loss").finite()
    if len(loss) < FEWEST or (scatter := float(loss.value.std())) <= 0:
        return False
    terms = []
    for name in _others(run):
        term = run.series(name).finite()
        if np.array_equal(term.step, loss.step) and np.ptp(term.value) > 0:
            terms.append(term.value)
    if not 2 <= len(terms) <= min(MOST, len(loss) // 3):
        return False
    columns = np.array(terms).T
    weights = np.linalg.lstsq(columns, loss.value, rcond=None)[0]
    rest = loss.value - columns @ weights
    counts = int((np.abs(weights) * columns.std(axis=0) > WEIGHT * scatter).sum())
    return counts >= 2 and float(rest.std()) < EXACT * scatter
