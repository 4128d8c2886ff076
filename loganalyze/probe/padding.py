"""Samples without their padding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loganalyze.probe import batches
from loganalyze.probe.target import ProbeTarget

if TYPE_CHECKING:
    import torch

MASKS = ("attention_mask", "mask", "padding_mask", "input_mask")


def kept_places(target: ProbeTarget, batch: Any) -> torch.Tensor | None:
    """Return which places of each sample are no padding, (samples, length); None where nothing tells.

    By the attention mask; without one, by the run of padding tokens at the end of ``input_ids``.
    """
    named = batches.fields(batch) or {}
    mask = next((named[name] for name in MASKS if _is_mask(named.get(name))), None)
    if mask is not None:
        found: torch.Tensor = mask != 0
        return found
    ids: Any = named.get("input_ids")
    pad = pad_id(target)
    if pad is None or not hasattr(ids, "shape") or ids.dim() != 2:
        return None
    return _without_tail(ids, pad)


def _is_mask(value: Any) -> bool:
    """Tell whether something is a mask of 0 and 1 for samples and places."""
    import torch

    return isinstance(value, torch.Tensor) and value.dim() == 2 and bool((value <= 1).all())


def pad_id(target: ProbeTarget) -> int | None:
    """Return the padding token, of the tokenizer or of the model's configuration."""
    config = getattr(target.model, "config", None)
    for holder in (target.tokenizer, config):
        found = getattr(holder, "pad_token_id", None)
        if isinstance(found, int):
            return found
    return None


def _without_tail(ids: torch.Tensor, pad: int) -> torch.Tensor:
    """Return what comes before the last run of padding; its first token may be an end of text: it stays."""
    real = ids != pad
    after = real.flip(-1).cumsum(-1).flip(-1) > 0
    return after | after.roll(1, -1) if ids.shape[-1] > 1 else after


def trimmed(sample: Any, kept: torch.Tensor) -> Any:
    """Return a batch of one sample without the places that `kept` (length) leaves out."""
    import torch

    length = len(kept)

    def change(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.dim() > 1 and value.shape[1] == length:
            return value[:, kept.to(value.device)]
        return value

    return batches.mapped(sample, change)
