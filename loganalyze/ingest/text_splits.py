"""Which records of a log are evaluations, where their own line does not say so.

A heading may say it (``Test Error:``, ``Validating``), or a progress bar: that of an evaluation has
another total than the training's, which it follows each time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from loganalyze.ingest.text_reading import Kind, Role
from loganalyze.ingest.text_records import Records
from loganalyze.ingest.text_words import names_a_split
from loganalyze.names import canonical, fold

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loganalyze.run import FloatArray, IntArray

    Drawn: TypeAlias = tuple[IntArray, FloatArray, FloatArray]
    Mask: TypeAlias = NDArray[np.bool_]

NEAR = 3  # lines that may stand between a heading and what is below it
SMALLER = 0.8  # share of the training's total that an evaluation's bar reaches at most
ALTERNATIONS = 2  # times that the smaller bar follows the larger one; once may be another stage
_STATED = ((Role.STEP, Role.TOTAL), (Role.INNER, Role.LENGTH))


def by_split(records: Records, drawn: Drawn) -> tuple[Records, Drawn]:
    """Name the numbers of evaluations so, and forget their places, which are none in the training.

    `drawn` holds line, position and total of every progress bar.
    """
    import numpy as np

    totals = _totals(records, drawn)
    under = _under(records)
    headings = records.is_kind(Kind.TRAINING, Kind.EVALUATION)
    if np.isnan(totals).all() and (under < 0).all():
        return records.take(~headings), drawn
    lines = records.is_kind(Kind.LINE)
    found = lines & _below(records, under, np.isnan(totals))
    found |= lines & _smaller_bar(records, totals, under)
    records = _renamed(records, found)
    records, drawn = _without_places(records, drawn, totals)
    return records.take(~headings), drawn


def _totals(records: Records, drawn: Drawn) -> FloatArray:
    """Return the total that each record names, or that of the bar on its line; NaN for neither."""
    import numpy as np

    total = np.full(len(records), np.nan)
    line, _, of = drawn
    if len(line):
        at = np.searchsorted(line, records.line, side="right") - 1
        on_line = (at >= 0) & (line[at] == records.line)
        total[on_line] = of[at[on_line]]
    for _, role in _STATED:
        stated = records.place[role]
        total = np.where(np.isnan(stated), total, stated)
    return total


def _under(records: Records) -> IntArray:
    """Return for each record the heading of an evaluation above it, or -1."""
    import numpy as np

    index = np.arange(len(records))
    headings = records.is_kind(Kind.HEADER, Kind.TRAINING, Kind.EVALUATION)
    last = np.maximum.accumulate(np.where(headings, index, -1))
    return np.where((last >= 0) & records.is_kind(Kind.EVALUATION)[last], last, -1)


def _below(records: Records, under: IntArray, free: Mask) -> Mask:
    """Tell which records stand directly below the heading of an evaluation, and have no place."""
    import numpy as np

    own = np.zeros(len(records), dtype=bool)
    for role in (Role.STEP, Role.INNER, Role.EPOCH):
        own |= ~np.isnan(records.place[role])
    ended = own | (np.diff(records.line, prepend=records.line[:1]) > NEAR)
    ends = np.cumsum(ended)
    return np.asarray((under >= 0) & free & (ends == ends[under]))


def _smaller_bar(records: Records, totals: FloatArray, under: IntArray) -> Mask:
    """Tell which records stand on a bar of an evaluation."""
    import numpy as np

    none = np.zeros(len(records), dtype=bool)
    losses = records.having([k for k, name in enumerate(records.names) if _is_open(name)])
    known = np.flatnonzero(losses & ~np.isnan(totals) & np.isnan(records.place[Role.TOTAL]))
    if not len(known):
        return none
    largest = totals[known].max()
    smaller = (totals < largest * SMALLER) & losses & np.isnan(records.place[Role.TOTAL])
    kinds = np.unique(totals[known])
    follows = np.count_nonzero(np.diff(smaller[known].astype(np.int8)) > 0)
    alternate = len(kinds) == 2 and follows >= ALTERNATIONS
    return np.asarray(smaller if alternate else smaller & (under >= 0))


def _is_open(name: str) -> bool:
    """Tell whether a name is that of a loss which does not say of what."""
    return "loss" in name.lower() and not names_a_split(fold(name))


def _renamed(records: Records, found: Mask) -> Records:
    """Let the numbers of the records in `found` be those of an evaluation."""
    import numpy as np

    if not found.any():
        return records
    chosen = found[records.owner]
    names = list(records.names)
    code = records.code.copy()
    for old in np.unique(code[chosen]).tolist():
        if names_a_split(fold(names[old])):
            continue
        code[chosen & (records.code == old)] = len(names)
        names.append(f"eval_{names[old]}")
    return replace(records, code=code, names=tuple(names))


def _without_places(records: Records, drawn: Drawn, totals: FloatArray) -> tuple[Records, Drawn]:
    """Forget the places of evaluations that count towards another total than the training does."""
    import numpy as np

    known = [canonical(name) for name in records.names]
    trains = records.having([k for k, name in enumerate(known) if name.startswith("train/")])
    evaluates = records.having([k for k, name in enumerate(known) if name.startswith("eval/")])
    training = np.unique(totals[trains & ~np.isnan(totals)])
    other = evaluates & ~trains & ~np.isnan(totals) & ~np.isin(totals, training)
    if not len(training) or not other.any():
        return records, drawn
    columns = {}
    for roles in _STATED:
        for role in roles:
            columns[role.name] = np.where(other, np.nan, records.place[role])
    keep = ~np.isin(drawn[0], records.line[other])
    return records.with_place(**columns), (drawn[0][keep], drawn[1][keep], drawn[2][keep])
