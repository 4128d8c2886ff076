"""How large may a batch be?

What it does
------------
Makes whole optimizer steps (forward, backward, optimizer) on batches of the longest samples among the first
eight batches: with the training's own size, then twice as many until they do not fit, or half as many until
they do, then halving the interval. An error for lack of memory is caught, whoever raises it, and the cache
given back. Where the own size does not fit, the suggestion keeps the effective batch by accumulation.

On a CPU it goes no further than half of the memory that is free, by what the step before it took.

Thresholds
----------
The largest size is found to within a sixteenth. A tenth of the memory is kept free: lengths vary, and the
allocator's pieces do not fit together perfectly.

References
----------
Hugging Face Accelerate, ``find_executable_batch_size``; Lightning, ``scale_batch_size``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loganalyze.probe import batches
from loganalyze.probe.batch_verdict import conclude
from loganalyze.probe.footprint import SEVERAL, footprint, longest, repeated
from loganalyze.probe.probe import Probe, not_applicable
from loganalyze.probe.room import available, is_out_of_memory, released
from loganalyze.probed import ProbeResult

if TYPE_CHECKING:
    from loganalyze.probe.bench import Bench

AMONG = 8  # batches that are looked through for the longest samples
MOST = 2**16  # samples; beyond it nobody asks
SHARE = 0.5  # of the free memory of a CPU that is used
FINE = 16  # the largest size is known to within this part


@dataclass
class Search:
    """What is known of the sizes.

    Attributes
    ----------
    fits
        Size -> bytes at most, of those that were tried and fit.
    full
        The smallest size that did not fit; None if none was found.
    reason
        Why it went no further up, where it was not for lack of memory.
    own_batch_fits
        Whether the own size fits with the samples of an ordinary batch; None where it was not asked.
    """

    own: int
    room: int | None
    fits: dict[int, int]
    full: int | None = None
    reason: str = ""
    own_batch_fits: bool | None = None

    @property
    def largest(self) -> int:
        """The largest size that fits; 0 if none does."""
        return max(self.fits, default=0)


def run(bench: Bench) -> ProbeResult:
    """Search upwards or downwards from the own size."""
    if not bench.trainable():
        return not_applicable("No parameter requires a gradient: there is no step to take.")
    sample = longest(bench, AMONG)
    own = max(batches.size(batch) for batch in bench.batches(AMONG))
    if not own:
        return not_applicable("The batches have no first dimension that counts samples.")
    bench.target.model.train()
    search = Search(own, available(bench.device), {})
    optimizer = bench.optimizer(0.0)  # at this rate no weight changes
    _search(bench, search, sample, optimizer)
    if own not in search.fits and search.full is not None:
        usual = min(bench.batches(AMONG), key=_elements)
        if _elements(usual) < _elements(sample):
            search.own_batch_fits = _tried(bench, usual, own, optimizer) is not None
    return conclude(bench, search)


def _elements(batch: Any) -> float:
    return sum(t.numel() for _, t in batches.tensors(batch)) / max(batches.size(batch), 1)


def _search(bench: Bench, search: Search, sample: Any, optimizer: Any) -> None:
    """Find the largest size that fits."""
    count: int | None = search.own
    few = min(SEVERAL, search.own)
    if bench.device.type != "cuda":
        used = _tried(bench, sample, few, optimizer)
        if used is None:
            search.full = few
            count = 1 if few > 1 else None
        else:
            search.fits[few] = used
    while count is not None:
        bench.report(len(search.fits), 2 * int(math.log2(FINE)) + 2)
        if _is_too_far(bench, search, count):
            break
        try:
            used = _tried(bench, sample, count, optimizer)
        except Exception as error:
            if count <= search.own:
                raise
            from loganalyze.probe.runner import told

            search.reason = told(error)
            break
        if used is None:
            search.full = count
        else:
            search.fits[count] = used
        count = _next(search)


def _next(search: Search) -> int | None:
    """Return the size to try next; None when the answer is fine enough."""
    if search.full is None:
        return 2 * search.largest if search.largest < MOST else None
    if search.full - search.largest <= max(1, search.largest // FINE):
        return None
    return (search.largest + search.full) // 2


def _is_too_far(bench: Bench, search: Search, count: int) -> bool:
    """Tell whether a size would take more time or, on a CPU, more memory than it may."""
    if not bench.clock.allows(0.7):
        search.reason = "the time was over"
    elif bench.device.type == "cpu" and search.fits and search.room is not None:
        needed = search.fits[search.largest] * count / search.largest
        if needed > SHARE * search.room:
            search.reason = "a larger one might take more than half of the memory that is free"
    return bool(search.reason)


def _tried(bench: Bench, sample: Any, count: int, optimizer: Any) -> int | None:
    """Make two steps on `count` samples; return the bytes they take at most, None if they do not fit."""
    try:
        return footprint(bench, repeated(sample, count), optimizer).most
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Only here nothing refers to the error any more, and through it to the tensors of the step.
    bench.clear_gradients()
    released(bench.device)
    return None


PROBE = Probe("batch", "How large may a batch be?", run)
