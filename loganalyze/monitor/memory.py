"""The memory in use, of the accelerator and of the process. Nothing here waits for the accelerator."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

_STATM = Path("/proc/self/statm")


def memory() -> dict[str, float]:
    """Return the bytes in use: allocated, reserved, peak and total of the GPU, and those of the process."""
    return {**_gpu(), **_process()}


def _gpu() -> dict[str, float]:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return {}
    device = torch.cuda.current_device()
    return {
        "gpu/memory_allocated": float(torch.cuda.memory_allocated(device)),
        "gpu/memory_reserved": float(torch.cuda.memory_reserved(device)),
        "gpu/memory_peak": float(torch.cuda.max_memory_allocated(device)),
        "gpu/memory_total": float(torch.cuda.get_device_properties(device).total_memory),
    }


def _process() -> dict[str, float]:
    try:
        pages = int(_STATM.read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):  # no Linux
        return {}
    return {"host/memory_rss": float(pages * _page())}


@cache
def _page() -> int:
    return os.sysconf("SC_PAGE_SIZE")
