"""Enough memory is free, though not in one piece.

What it is
----------
The allocator holds blocks of many sizes; a large request finds no room.

What speaks for it
------------------
Reserved lies far above allocated when it fails. Much more is free than what was asked for.

What speaks against it
----------------------
Reserved equals allocated.

How to confirm
--------------
Run with PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True: it goes on.

Fix
---
expandable_segments:True; pad to fewer different lengths.

References
----------
pytorch#35901.
"""

from __future__ import annotations

from loganalyze.causes.cause import DECISIVE, STRONG, Case, Hypothesis
from loganalyze.causes.memory_request import large_request, spare_memory
from loganalyze.finding import Clue


def weigh(case: Case) -> list[Clue]:
    """Compare reserved with allocated."""
    finding = case.found("oom-gpu")
    told = finding.evidence.get("fragmentation") if finding else None
    allocated, reserved = (case.number("oom-gpu", f"{n}_gib") for n in ("allocated", "reserved"))
    share = large_request(case)
    large = (
        [Clue(f"The request was for {share:.0%} of the memory: no free block would do.", -STRONG)]
        if share is not None
        else []
    )
    if (free := spare_memory(case)) is not None:
        text = f"{free:.1f} GiB were free when a request for a fraction of it failed."
        return [Clue(text, DECISIVE)]
    if told == "likely" and allocated is not None and reserved is not None:
        text = f"{reserved:.1f} GiB were reserved and only {allocated:.1f} allocated."
        return [Clue(text, DECISIVE), *large]
    if told == "no":
        return [Clue("Reserved and allocated are about equal.", -STRONG)]
    return []


def fix(case: Case) -> list[str]:
    """Name the allocator's setting."""
    return ["PYTORCH_CUDA_ALLOC_CONF -> expandable_segments:True"]


HYPOTHESIS = Hypothesis(
    id="memory-fragmentation",
    title="The memory is fragmented",
    prior=-1.2,
    explains=("oom-gpu",),
    weigh=weigh,
    fix=fix,
    probe="memory",
)
