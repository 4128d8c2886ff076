"""How much of the memory the failing request asked for at once."""

from __future__ import annotations

from loganalyze.causes.cause import Case

SIZEABLE = 0.05  # share of the capacity: more than a layer's activations in most models
SPARE = 4.0  # times the request: memory that is free and does not serve
HALF = 0.5  # share of the capacity; beyond it other processes may hold the rest
LARGE = 0.25  # share of the capacity: no layer of a model that fits asks for so much at once


def share_of_request(case: Case) -> float | None:
    """Return the share of the capacity that the failing request asked for, where both are told."""
    tried, capacity = (case.number("oom-gpu", f"{name}_gib") for name in ("tried", "capacity"))
    return tried / capacity if tried and capacity else None


def spare_memory(case: Case) -> float | None:
    """Return the GiB that were free though a far smaller request failed, or None."""
    tried, free = (case.number("oom-gpu", f"{name}_gib") for name in ("tried", "free"))
    allocated, capacity = (
        case.number("oom-gpu", f"{name}_gib") for name in ("allocated", "capacity")
    )
    if not tried or free is None or (allocated and capacity and allocated > HALF * capacity):
        return None
    return free if free > SPARE * tried else None


def large_request(case: Case) -> float | None:
    """Return the share of the capacity that the failing request asked for, if that is large."""
    share = share_of_request(case)
    return share if share is not None and share >= LARGE else None
