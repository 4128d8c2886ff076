"""What the log cannot separate: causes of one finding that its evidence leaves about equally likely."""

from __future__ import annotations

import dataclasses
import math

from loganalyze.causes.cause import MODERATE
from loganalyze.finding import Cause

CLOSE = math.exp(MODERATE)  # odds; one moderate clue would turn the order round
SETTLED = 0.75  # probability from which a cause stands alone, whatever comes second


def with_rivals(causes: tuple[Cause, ...]) -> tuple[Cause, ...]:
    """Say of the first cause of each finding which others the log does not separate from it."""
    out = list(causes)
    told: set[str] = set()
    for index, cause in enumerate(causes):
        own = [identifier for identifier in cause.explains if identifier not in told]
        told.update(own)
        rivals = [other for other in causes[index + 1 :] if _is_close(cause, other, own)]
        if rivals and cause.probability < SETTLED:
            out[index] = dataclasses.replace(cause, undecided=_sentence(cause, rivals, own[0]))
    return tuple(out)


def _is_close(cause: Cause, other: Cause, findings: list[str]) -> bool:
    shared = set(findings) & set(other.explains)
    return bool(shared) and cause.probability < CLOSE * other.probability


def _sentence(cause: Cause, rivals: list[Cause], finding: str) -> str:
    names = [f"{other.id} ({other.probability:.0%})" for other in rivals[:3]]
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    text = f"The log does not separate this from {listed}: each explains {finding}."
    return f"{text} What would tell: {cause.confirm}" if cause.confirm else text
