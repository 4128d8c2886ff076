"""One logged name for each metric: where a line holds both ``loss`` and ``nll_loss``, only one is the loss.

Aliases make one metric of many spellings. A source that logs two of them side by side means two
quantities: the spelling that stands first in the table of names keeps the metric, the other its own name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loganalyze.frame import labelled
from loganalyze.names import METRIC_ALIASES, fold

if TYPE_CHECKING:
    import pandas as pd

    from loganalyze.run import IntArray


def one_name_each(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` with every metric under one of the names that share its records."""
    import numpy as np

    metrics, names = frame["metric"].cat, frame["name"].cat
    if len(metrics.categories) == len(names.categories):
        return frame
    codes = names.codes.to_numpy().astype(np.int64)
    metric_of = np.zeros(len(names.categories), dtype=np.int64)
    metric_of[codes] = metrics.codes.to_numpy()
    rows = frame["row"].to_numpy()
    demoted: list[int] = []
    for metric in np.flatnonzero(np.bincount(metric_of) > 1).tolist():
        label = str(metrics.categories[metric])
        spellings = np.flatnonzero(metric_of == metric).tolist()
        ranked = sorted(spellings, key=lambda code: _rank(label, str(names.categories[code])))
        taken: IntArray = rows[codes == ranked[0]]
        demoted += [code for code in ranked[1:] if np.isin(rows[codes == code], taken).any()]
    if not demoted:
        return frame
    labels = [str(metrics.categories[metric]) for metric in metric_of.tolist()]
    for code in demoted:
        labels[code] = str(names.categories[code])
    return frame.assign(metric=labelled(codes, labels))


def _rank(metric: str, name: str) -> tuple[int, str]:
    """Return the place of a spelling in the table of names."""
    spellings = [fold(alias) for alias in (metric, *METRIC_ALIASES.get(metric, ()))]
    folded = fold(name)
    return (spellings.index(folded) if folded in spellings else len(spellings)), name
