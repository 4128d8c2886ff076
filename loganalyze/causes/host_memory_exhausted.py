"""The process or its data-loader workers took all of the host's memory.

What it is
----------
Workers copy what they touch, lists of tensors grow, a data set is loaded whole into each process; or the
shared memory (/dev/shm) through which workers pass batches is too small: a bus error.

What speaks for it
------------------
A kill or a failed CPU allocation is in the log.

What speaks against it
----------------------
The accelerator's memory was the one that ran out.

How to confirm
--------------
Run one epoch with num_workers 0 and watch the resident memory.

Fix
---
Fewer workers, memory-mapped data, no growing lists.

References
----------
pytorch#13246, #62066.
"""

from __future__ import annotations

import re

from loganalyze.causes.cause import DECISIVE, STRONG, WEAK, Case, Hypothesis
from loganalyze.causes.error_text import stated
from loganalyze.finding import Clue

KILLED = re.compile(
    r"killed by signal: Killed|oom[-_]kill|[Oo]ut of memory: Kill|Killed process \d|available RAM|OOMKilled"
    r"|more memory than is available|[Ee]xceeded .{0,20}memory limit|TERM_MEMLIMIT"
)
# Workers that vanish without an error of their own were killed, most often for memory.
VANISHED = re.compile(
    r"DataLoader worker \(pid\S* [\d, ]+\) (?:exited unexpectedly|is killed by signal: Terminated)"
)
# Signal 9, which the kernel sends when memory runs out; few others do without a word.
SIGNAL_9 = re.compile(r"exitcode\s*:\s*-9\b|SIGKILL|(?:code|status) 137\b")
SHARED = re.compile(
    r"insufficient shared memory|out of shared memory|raise your shared memory"
    r"|unable to open shared memory|Bus error"
)

LARGE = 16.0  # GiB in one request: a tensor, not a worker's share


def weigh(case: Case) -> list[Clue]:
    """The message is the evidence; its size tells a leak from one huge request."""
    clues = (
        stated(case, SHARED)
        or stated(case, KILLED)
        or stated(case, VANISHED, DECISIVE)
        or stated(case, SIGNAL_9, STRONG)
    )
    if case.found("oom-host"):
        clues.append(Clue("The log shows that the host ran out of memory.", STRONG))
    elif not clues:
        return [Clue("No error in the log speaks of the host's memory.", -DECISIVE)]
    tried = case.number("oom-host", "tried_gib")
    if tried is not None and tried > LARGE:
        text = (
            f"A single request asked for {tried:,.0f} GiB: one tensor is too large, nothing leaks."
        )
        clues.append(Clue(text, WEAK))
    if case.found("oom-gpu"):
        clues.append(Clue("The accelerator ran out of memory as well.", -WEAK))
    return clues


def fix(case: Case) -> list[str]:
    """Name the first thing to try."""
    tried = case.number("oom-host", "tried_gib")
    if tried is not None and tried > LARGE:
        return [f"Print the shapes before the request of {tried:,.0f} GiB: lengths, batch, classes"]
    if stated(case, SHARED):
        return [
            "Give the container more shared memory (--ipc=host, or --shm-size 16g)",
            "dataloader_num_workers -> 0 for one epoch: without workers none is needed",
        ]
    return ["dataloader_num_workers -> 0 for one epoch: tells whether the workers hold the memory"]


HYPOTHESIS = Hypothesis(
    id="host-memory-exhausted",
    title="The host's memory is exhausted",
    prior=1.0,
    explains=("oom-host", "crash"),
    weigh=weigh,
    fix=fix,
    probe="memory",
)
