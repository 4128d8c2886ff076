"""How much of the memory the failing request asked for at once."""

from __future__ import annotations

from loganalyze.causes.cause import Case

SIZEABLE = 0.05  # share of the capacity: more than a layer's activations in most models
LARGE = 0.25  # share of the capacity: no layer of a model that fits asks for so much at once


def share_of_request(case: Case) -> float | None:
    """Return the share of the capacity that the failing request asked for, where both are told."""
    tried, capacity = (case.number("oom-gpu", f"{name}_gib") for name in ("tried", "capacity"))
    return tried / capacity if tried and capacity else None


def large_request(case: Case) -> float | None:
    """Return the share of the capacity that the failing request asked for, if that is large."""
    share = share_of_request(case)
    return share if share is not None and share >= LARGE else None
