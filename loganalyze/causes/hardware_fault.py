"""The accelerator, its memory or the machine around it is broken.

What it is
----------
Uncorrectable memory errors, a card that leaves the bus, a machine check. No change of code helps.

What speaks for it
------------------
Lines about ECC, Xid, AER or a machine check. It is always the same node or the same card.

What speaks against it
----------------------
It moves with the code to another machine. An illegal memory access alone is usually a kernel's bug.

How to confirm
--------------
Run the same command on another node; look at ``dmesg`` and at the error counters of ``nvidia-smi -q``.

Fix
---
Take the node out; resume from the last checkpoint elsewhere.

References
----------
NVIDIA, "Xid Errors".
"""

from __future__ import annotations

import re

from loganalyze.causes.cause import MODERATE, Case, Hypothesis
from loganalyze.causes.error_text import stated
from loganalyze.finding import Clue

ERROR = re.compile(
    r"uncorrectable ECC|ECC_UNCORRECTABLE"
    r"|Double Bit ECC|\bXid\b|fallen off the bus|[Mm]achine [Cc]heck|PCIe Bus Error"
    r"|\bAER:|GPU is lost|NVLink.{0,40}(?:fatal|error)|[Hh]ardware [Ee]rror|cudaErrorECCUncorrectable"
    r"|DEVICE_LOST",
)
POSSIBLE = re.compile(
    r"unspecified launch failure|illegal instruction|CUDNN_STATUS_EXECUTION_FAILED|CUDA error: unknown error"
)
ABSENT = 2.0  # log-odds against it where no line speaks of hardware


def weigh(case: Case) -> list[Clue]:
    """Read the message."""
    clues = stated(case, ERROR) or stated(case, POSSIBLE, MODERATE)
    return clues or [Clue("No line in the log speaks of the hardware.", -ABSENT)]


def fix(case: Case) -> list[str]:
    """Name what to look at."""
    return ["Run on another node; read dmesg and nvidia-smi -q of this one"]


HYPOTHESIS = Hypothesis(
    id="hardware-fault",
    title="The hardware failed",
    prior=-0.5,
    explains=("crash",),
    weigh=weigh,
    fix=fix,
    probe="data",
    is_testable=False,
)
