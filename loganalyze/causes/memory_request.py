"""How much of the memory the failing request asked for at once."""

from __future__ import annotations

from loganalyze.causes.cause import Case

LARGE = 0.25  # share of the capacity: no layer of a model that fits asks for so much at once


def large_request(case: Case) -> float | None:
    """Return the share of the capacity that the failing request asked for, if that is large."""
    tried, capacity = (case.number("oom-gpu", f"{name}_gib") for name in ("tried", "capacity"))
    if not tried or not capacity or tried < LARGE * capacity:
        return None
    return tried / capacity
