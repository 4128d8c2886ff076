"""What would change the memory of a step, and by how much: closed forms on top of what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from loganalyze.probe.footprint import Footprint, bytes_of

if TYPE_CHECKING:
    from torch import nn

    from loganalyze.probe.bench import Bench

RANK = 16  # of LoRA
MANY = 2  # modules of one class in a row that are a stack of layers


@dataclass(frozen=True, slots=True)
class Change:
    """A change, and the bytes of each part after it."""

    name: str
    weights: float
    gradients: float
    state: float
    activations: float

    @property
    def total(self) -> float:
        """All parts together."""
        return self.weights + self.gradients + self.state + self.activations


def changes(bench: Bench, measured: Footprint, blocks: int, boundaries: int) -> Iterator[Change]:
    """Yield the step as it is, then each change that applies.

    `blocks` layers hand on `boundaries` bytes in all: with checkpointing those stay, and the inside of one
    layer at a time.
    """
    now = Change(
        "as it is", measured.weights, measured.gradients, measured.state, measured.activations
    )
    yield now
    if measured.samples > 1:
        half = measured.samples // 2
        share = half / measured.samples
        yield replace(now, name=f"batch size {half}", activations=now.activations * share)
    if blocks >= MANY:
        kept = boundaries + (now.activations - boundaries) / blocks
        if kept < now.activations:
            yield replace(now, name="gradient checkpointing", activations=kept)
    model = bench.target.model
    if bench.target.precision == "fp32" and _is_full(model):
        yield replace(now, name="bf16 autocast", activations=now.activations / 2)
    adapters = sum(RANK * sum(weight) for weight in _linear(model))
    trained = sum(p.numel() for _, p in bench.trainable())
    if adapters and trained and adapters < trained:
        share = adapters / trained
        size = bytes_of(p for _, p in bench.trainable()) * share
        yield replace(
            now, name=f"LoRA of rank {RANK} on linear layers", weights=now.weights + size,
            gradients=now.gradients * share, state=now.state * share,
        )  # fmt: skip
    if now.state > 1.5 * now.gradients > 0:  # two moments of Adam: 2 x 4 bytes become 2 x 1
        yield replace(now, name="8-bit optimizer", state=now.state / 4)


def _is_full(model: nn.Module) -> bool:
    return all(p.element_size() == 4 for p in model.parameters())


def _linear(model: nn.Module) -> Iterator[tuple[int, int]]:
    """Yield rows and columns of each weight that multiplies; an embedding is looked up, not multiplied."""
    from torch import nn

    looked_up = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, nn.Parameter) and weight.dim() == 2 and id(weight) not in looked_up:
            yield weight.shape[0], weight.shape[1]


def stack(model: nn.Module) -> list[nn.Module]:
    """Return the longest row of layers of one class that have parameters; empty if there is none."""
    from torch import nn

    rows: list[list[nn.Module]] = []
    for module in model.modules():
        if isinstance(module, (nn.ModuleList, nn.Sequential)) and len(module) >= MANY:
            first = type(next(iter(module)))
            if all(type(m) is first and any(True for _ in m.parameters()) for m in module):
                rows.append(list(module))
    return max(rows, key=len, default=[])


def handed_on(layers: list[nn.Module], output: Any) -> int:
    """Return the bytes that all layers hand on, by what one of them puts out."""
    import torch

    first = output[0] if isinstance(output, (tuple, list)) and output else output
    size = first.numel() * first.element_size() if isinstance(first, torch.Tensor) else 0
    return size * len(layers)
