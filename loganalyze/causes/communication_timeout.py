"""The processes of a distributed run waited for each other until a time-out.

What it is
----------
All ranks must call the same collective operations in the same order. One that has fewer batches,
evaluates, preprocesses, or has died lets the others wait.

What speaks for it
------------------
The watchdog of NCCL or gloo reports a time-out; ranks that report it wait for the one that does not.

What speaks against it
----------------------
Another error came first: out of memory or an exception on one rank is the cause, the time-out its wake.

How to confirm
--------------
Count the batches of each rank; set TORCH_DISTRIBUTED_DEBUG=DETAIL and look for the rank that is missing.

Fix
---
Give every rank as many batches (drop_last, a length on the iterable); do long work before the process
group is made, or raise its timeout.

References
----------
PyTorch documentation, `torch.distributed` (debugging); pytorch#141069.
"""

from __future__ import annotations

import re

from loganalyze.causes.cause import DECISIVE, MODERATE, STATED, WEAK, Case, Hypothesis
from loganalyze.causes.error_text import quote, stated
from loganalyze.finding import Clue
from loganalyze.run import Event, EventKind

ERROR = re.compile(
    r"NCCL.{0,80}time ?d? ?-?out|Watchdog caught collective operation timeout"
    r"|Timed out initializing process group|Socket Timeout|StoreTimeout"
    r"|[Tt]imed out (?:after|waiting).{0,80}?(?:barrier|rank|clients|store|recv|send)",
    re.I,
)
LOST = re.compile(r"Connection (?:reset|closed|refused) by peer|gloo.*[Cc]onnect")
LIBRARY = re.compile(r"NCCL error|unhandled system error")
_RANK = re.compile(r"\[Rank (\d{1,5})\]")
_TIMEOUT = re.compile(r"Timeout\(ms\)=(\d{1,12})")


def weigh(case: Case) -> list[Clue]:
    """Read the message, and look for what came before it."""
    clues = stated(case, ERROR) or stated(case, LOST, DECISIVE) or stated(case, LIBRARY, MODERATE)
    if not clues:
        return [Clue("No time-out between processes is in the log.", -DECISIVE)]
    waiting = _waiting(case)
    absent = sorted(set(range(max(waiting) + 1)) - waiting) if waiting else []
    if absent and len(waiting) > 1:
        ranks = ", ".join(map(str, absent[:5]))
        clues.append(Clue(f"Rank {ranks} does not report that it waits: look there.", WEAK))
    earlier = _earlier(case)
    if earlier is not None:
        clues.append(Clue(f"Another error came first, at {earlier.where}.", -STATED - DECISIVE))
    return clues


def _waiting(case: Case) -> set[int]:
    """Return the ranks that report a time-out."""
    events = case.run.events_of(EventKind.NCCL_TIMEOUT)
    return {int(found[1]) for event in events if (found := _RANK.search(event.text))}


def _is_wake(event: Event) -> bool:
    return bool(ERROR.search(event.text) or LOST.search(event.text))


def _earlier(case: Case) -> Event | None:
    """Return the error before the first time-out, if there is one: the time-out is its wake."""
    kinds = (EventKind.TRACEBACK, EventKind.OOM_GPU, EventKind.OOM_HOST, EventKind.NCCL_TIMEOUT)
    errors = case.run.events_of(*kinds)
    others = [event for event in errors if not _is_wake(event)]
    timed_out = [event for event in errors if _is_wake(event)]
    if not others or not timed_out:
        return None
    first, timeout = others[0], timed_out[0]
    if first.where.source != timeout.where.source:
        came_before = (first.time or 0.0) < (timeout.time or 0.0)
    else:
        came_before = (first.where.row or 0) < (timeout.where.row or 0)
    return first if came_before else None


def fix(case: Case) -> list[str]:
    """Name both ways out."""
    line = quote(case, _TIMEOUT)
    found = _TIMEOUT.search(line) if line else None
    limit = f" (was {int(found[1]) / 60_000:.0f} min)" if found else ""
    return [
        "The same number of batches on every rank: drop_last, or a length on the iterable",
        f"init_process_group(timeout=...) above the longest evaluation or preprocessing{limit}",
    ]


HYPOTHESIS = Hypothesis(
    id="communication-timeout",
    title="Processes waited for each other until a time-out",
    prior=0.0,
    explains=("crash",),
    weigh=weigh,
    fix=fix,
    probe="data",
    is_testable=False,
)
