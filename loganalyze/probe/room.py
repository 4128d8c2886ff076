"""How much memory there is, and what happens when there is no more."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# What allocators of accelerators, cuDNN, cuBLAS and the CPU say; not all of it is an `OutOfMemoryError`.
_FULL = (
    "out of memory", "out_of_memory", "can't allocate memory", "cannot allocate memory",
    "not enough memory", "cudnn_status_alloc_failed", "cublas_status_alloc_failed",
    "cudnn_status_not_supported", "cuda_error_out_of_memory", "bad allocation", "bad_alloc",
)  # fmt: skip
_HOST = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that there is no more memory."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in said for word in _FULL)


def released(device: torch.device) -> None:
    """Give back what nothing refers to any more, the cache of the accelerator included."""
    import torch

    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def available(device: torch.device) -> int | None:
    """Return the bytes that a training could use: of an accelerator, or of the host; None if unknown."""
    import torch

    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device))
    if device.type != "cpu":
        return None
    found = [one for one in (_of_the_host(), _of_the_group()) if one is not None]
    return min(found, default=None)


def _of_the_host() -> int | None:
    try:
        lines = _HOST.read_text().splitlines()
    except OSError:
        return None
    line = next((one for one in lines if one.startswith("MemAvailable:")), None)
    return int(line.split()[1]) * 1024 if line else None


def _of_the_group() -> int | None:
    """Return what the container may still take (control groups, version 2)."""
    try:
        most = (_GROUP / "memory.max").read_text().strip()
        used = (_GROUP / "memory.current").read_text().strip()
    except OSError:
        return None
    return max(int(most) - int(used), 0) if most.isdigit() and used.isdigit() else None


def readable(size: float) -> str:
    """Write a number of bytes: ``1.5 GiB``."""
    for unit in ("B", "KiB", "MiB"):
        if abs(size) < 1024:
            return f"{size:.3g} {unit}" if size != int(size) or unit != "B" else f"{int(size)} B"
        size /= 1024
    return f"{size:,.3g} GiB"
