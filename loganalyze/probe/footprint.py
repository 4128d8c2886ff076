"""The memory of one optimizer step: what holds it, and how much it is at most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from loganalyze.probe import batches

if TYPE_CHECKING:
    import torch

    from loganalyze.probe.bench import Bench
    from loganalyze.probe.live import Live

SEVERAL = 2  # samples of a small batch: batch normalisation refuses a single one


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of one optimizer step on a batch.

    Attributes
    ----------
    samples
        Of the batch.
    weights, gradients, state
        Parameters and buffers; gradients of what is trained; state of the optimizer.
    activations
        Alive between forward and backward, the output included.
    peak
        At most alive at a time; without what kernels need for themselves.
    allocated, reserved
        The accelerator's own figures of the same step; None on the CPU.
    """

    samples: int
    weights: int
    gradients: int
    state: int
    activations: int
    peak: int
    allocated: int | None = None
    reserved: int | None = None

    @property
    def parts(self) -> int:
        """Weights, gradients, state and activations together: the usual estimate."""
        return self.weights + self.gradients + self.state + self.activations

    @property
    def most(self) -> int:
        """The peak, by the accelerator's own figure where there is one."""
        return self.peak if self.allocated is None else max(self.allocated, self.peak)


def repeated(batch: Any, count: int) -> Any:
    """Return a batch of `count` samples: those of `batch`, over and over."""
    size = batches.size(batch)
    return batches.selected(batch, [i % size for i in range(count)])


def longest(bench: Bench, among: int) -> Any:
    """Return, of the first batches, the one whose samples are the largest."""

    def each(batch: Any) -> float:
        size = sum(t.numel() * t.element_size() for _, t in batches.tensors(batch))
        return size / max(batches.size(batch), 1)

    return max(bench.batches(among), key=each)


def step(bench: Bench, optimizer: Any, batch: Any, live: Live) -> int:
    """Make one whole step while `live` watches; return the bytes alive between forward and backward."""
    with live:
        before = live.now
        loss = bench.loss(batch)
        between = live.now - before
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return between


def footprint(bench: Bench, batch: Any, optimizer: Any) -> Footprint:
    """Measure the second of two steps: by then the optimizer has its state."""
    import torch

    from loganalyze.probe.live import Live

    live = Live()
    optimizer.zero_grad(set_to_none=True)
    step(bench, optimizer, batch, live)
    weights = weight_bytes(bench)
    state = bytes_of(_state(optimizer))
    on_gpu = bench.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(bench.device)
    # State that was there before the check began is not among what was seen to be made.
    there = weights + max(state - live.now, 0)
    live.peak = live.now
    activations = step(bench, optimizer, batch, live)
    return Footprint(
        batches.size(batch), weights,
        bytes_of(p for _, p in bench.trainable()), state, activations, there + live.peak,
        torch.cuda.max_memory_allocated(bench.device) if on_gpu else None,
        torch.cuda.max_memory_reserved(bench.device) if on_gpu else None,
    )  # fmt: skip


def weight_bytes(bench: Bench) -> int:
    """Return the bytes of parameters and buffers, what is tied once."""
    return bytes_of(chain(bench.target.model.parameters(), bench.target.model.buffers()))


def bytes_of(tensors: Iterable[torch.Tensor]) -> int:
    """Return the bytes of tensors; of those that share a storage, once."""
    held = {t.data_ptr() or id(t): t.numel() * t.element_size() for t in tensors}
    return sum(held.values())


def _state(optimizer: Any) -> list[torch.Tensor]:
    import torch

    return [
        value
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    ]
