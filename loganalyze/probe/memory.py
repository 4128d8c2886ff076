"""What holds the memory of a step, on which GPU does it fit, and does it grow?

What it does
------------
Makes a few optimizer steps on the longest samples and watches every tensor that an operation makes until
nothing refers to it: that gives the activations between forward and backward, the peak, and what is left
after each step. Beside it stands the usual estimate, weights + gradients + optimizer state + activations, and
what checkpointing, LoRA, bf16, an 8-bit optimizer or half the batch would make of it.

On a GPU the peak is that of the allocator. On a CPU it is the peak of the tensors that were seen: what a
kernel needs for itself is not in it.

The leak test sees model and loss. What the training loop keeps (``total += loss``) it cannot see.

Thresholds
----------
A leak: each of the steps after the second leaves at least 64 bytes more (smaller are counters). A GPU should
have a tenth more than is needed, and 0.6 GiB for CUDA itself.

References
----------
Rajbhandari et al., ZeRO (2020), section 3; Chen et al., Training Deep Nets with Sublinear Memory Cost (2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loganalyze.probe import batches
from loganalyze.probe.footprint import SEVERAL, Footprint, footprint, longest, repeated
from loganalyze.probe.leak import Kept, kept
from loganalyze.probe.memory_verdict import conclude, does_not_fit
from loganalyze.probe.probe import Probe, not_applicable
from loganalyze.probe.room import available, is_out_of_memory, released
from loganalyze.probe.savings import Change, changes, handed_on, stack
from loganalyze.probed import ProbeResult

if TYPE_CHECKING:
    from loganalyze.probe.bench import Bench

AMONG = 8  # batches that are looked through for the longest samples
SHARE = 0.5  # of the free memory of a CPU that is used


@dataclass(frozen=True)
class Weighed:
    """What was measured.

    Attributes
    ----------
    size
        Samples of the training's batch.
    small, full
        A step on two samples, and on the whole batch; None where that would have taken too much of a CPU.
    changes
        The estimate as it is, then with each change.
    """

    size: int
    small: Footprint
    full: Footprint | None
    kept: Kept
    changes: tuple[Change, ...]

    @property
    def peak(self) -> float:
        """Bytes at most, of the whole batch: measured, or drawn out from two samples."""
        return self.full.most if self.full is not None else drawn_out(self.small, self.size).peak


def run(bench: Bench) -> ProbeResult:
    """Measure a small batch, the whole one, and a few steps."""
    if not bench.trainable():
        return not_applicable("No parameter requires a gradient: there is no step to take.")
    bench.target.model.train()
    sample = longest(bench, AMONG)
    size = max(batches.size(batch) for batch in bench.batches(AMONG))
    if not size:
        return not_applicable("The batches have no first dimension that counts samples.")
    try:
        return conclude(bench, _weighed(bench, sample, size))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    bench.clear_gradients()
    released(bench.device)
    return does_not_fit(size)


def _weighed(bench: Bench, sample: Any, size: int) -> Weighed:
    optimizer = bench.optimizer(0.0)  # at this rate no weight changes
    few = repeated(sample, min(SEVERAL, size))
    small = footprint(bench, few, optimizer)
    room = available(bench.device)
    whole = repeated(sample, size)
    fits = (
        bench.device.type == "cuda" or room is None or drawn_out(small, size).peak <= SHARE * room
    )
    full = footprint(bench, whole, optimizer) if fits else None
    left = kept(bench, whole if fits else few, optimizer)
    measured = full or drawn_out(small, size)
    layers, boundaries = _layers(bench, few)
    found = tuple(changes(bench, measured, layers, boundaries * size // batches.size(few)))
    return Weighed(size, small, full, left, found)


def drawn_out(small: Footprint, size: int) -> Footprint:
    """Return the footprint of a larger batch: what is of the samples grows with them."""
    factor = size / small.samples
    fixed = small.weights + small.gradients + small.state
    varying = max(small.peak - fixed, small.activations)
    return Footprint(
        size, small.weights, small.gradients, small.state, int(small.activations * factor),
        int(fixed + varying * factor),
    )  # fmt: skip


def _layers(bench: Bench, few: Any) -> tuple[int, int]:
    """Return how many layers are stacked, and the bytes that they hand on."""
    import torch

    layers = stack(bench.target.model)
    if not layers:
        return 0, 0
    outputs: list[Any] = []
    handle = layers[0].register_forward_hook(lambda module, given, output: outputs.append(output))
    try:
        with torch.no_grad():
            bench.forward(few)
    finally:
        handle.remove()
    return len(layers), handed_on(layers, outputs[0]) if outputs else 0


PROBE = Probe("memory", "What holds the memory of a step, and does it grow?", run)
