"""A training on several processes: the first one keeps and judges, all of them stop together."""

from __future__ import annotations

import sys


def agreed(wanted: bool) -> bool:
    """Tell whether any process wants to stop. Every process must ask at the same step."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.distributed.is_available():
        return wanted
    if not torch.distributed.is_initialized() or torch.distributed.get_world_size() < 2:
        return wanted
    on_gpu = torch.distributed.get_backend() == "nccl"
    flag = torch.tensor(int(wanted), device="cuda" if on_gpu else "cpu")
    torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
    return bool(flag.item())
