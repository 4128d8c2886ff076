"""Accelerators in common use and the memory that torch reports of them."""

from __future__ import annotations

# GiB of `torch.cuda.get_device_properties(0).total_memory`, a little less than what is printed on the box.
GPUS: tuple[tuple[str, float], ...] = (
    ("RTX 3060, 4070 (12 GB)", 11.7),
    ("T4 (16 GB)", 14.6),
    ("V100, RTX 4080, A4000 (16 GB)", 15.7),
    ("L4, A10 (24 GB)", 22.0),
    ("RTX 3090, 4090, A5000 (24 GB)", 23.5),
    ("V100, RTX 5090 (32 GB)", 31.3),
    ("A100 (40 GB)", 39.4),
    ("L40S, A40 (48 GB)", 44.4),
    ("A6000 (48 GB)", 47.4),
    ("A100, H100 (80 GB)", 79.1),
    ("H200 (141 GB)", 139.8),
    ("B200 (180 GB)", 178.0),
)
CONTEXT = 0.6  # GiB that CUDA and the libraries' work spaces take before the first tensor
SPARE = 0.1  # share that is kept free for pieces that fit nowhere and for longer batches


def needed(size: float) -> float:
    """Return the GiB of memory that a GPU should have for tensors of `size` bytes."""
    return (size / 2**30 + CONTEXT) / (1 - SPARE)


def smallest(size: float) -> str | None:
    """Return the smallest GPU that these bytes fit on; None if none of them is large enough."""
    return next((name for name, memory in GPUS if memory >= needed(size)), None)
