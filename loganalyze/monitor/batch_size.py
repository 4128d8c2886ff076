"""How many samples and tokens a batch holds, by the shapes of its tensors."""

from __future__ import annotations

from typing import Any

from loganalyze.monitor.batch_diagnosis import tensors

TOKENS = (
    "input_ids",
    "decoder_input_ids",
    "tokens",
    "labels",
)  # the first that is there is counted


def batch_size(batch: Any) -> tuple[int, int]:
    """Return the samples of a batch, and its tokens (with padding); 0 where they cannot be told."""
    found = dict(tensors(batch))
    first = next((tensor for tensor in found.values() if tensor.dim()), None)
    samples = int(first.shape[0]) if first is not None else 0
    counted = next((found[name] for name in TOKENS if name in found), None)
    tokens = int(counted.numel()) if counted is not None and counted.dim() > 1 else 0
    return samples, tokens
