"""The disk, or the quota on it, is full.

What it is
----------
A checkpoint, a log or a cache could not be written. Checkpoints with optimizer state are three times
the size of the weights, and every one of them stays unless something deletes it.

What speaks for it
------------------
``No space left on device``, ``Disk quota exceeded``; a write that fails while a checkpoint is saved.

What speaks against it
----------------------
The error comes from a forward or a backward pass.

How to confirm
--------------
``df -h`` and ``df -i`` on the output directory and on the temporary directory.

Fix
---
``save_total_limit``; another output directory; clear caches.

References
----------
errno 28 (ENOSPC) and 122 (EDQUOT) of POSIX.
"""

from __future__ import annotations

import re

from loganalyze.causes.cause import DECISIVE, Case, Hypothesis
from loganalyze.causes.error_text import stated
from loganalyze.finding import Clue

ERROR = re.compile(
    r"No space left on device|Errno 28\b|ENOSPC|[Dd]isk quota exceeded|Errno 122\b|disk (?:is )?full"
    r"|not enough (?:free )?(?:disk )?space"
)
# Writing failed, and the message does not say why.
LIKELY = re.compile(
    r"PytorchStreamWriter failed|\bwrite\(\).{0,60}failed with Input/output"
    r"|file write failed|unexpected pos \d+ vs|File .{1,300} cannot be opened"
)


def weigh(case: Case) -> list[Clue]:
    """Read the message."""
    clues = stated(case, ERROR) or stated(case, LIKELY, DECISIVE)
    return clues or [Clue("No error in the log comes from writing a file.", -DECISIVE)]


def fix(case: Case) -> list[str]:
    """Keep fewer checkpoints."""
    limit = case.run.number("save_total_limit")
    before = "none" if limit is None else f"{int(limit)}"
    return [f"save_total_limit {before} -> 2", "df -h OUTPUT_DIR: free space, or write elsewhere"]


HYPOTHESIS = Hypothesis(
    id="disk-full",
    title="The disk is full",
    prior=0.0,
    explains=("crash",),
    weigh=weigh,
    fix=fix,
    probe="data",
    is_testable=False,
)
