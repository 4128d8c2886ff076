"""How long the parts of a step take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loganalyze.probe import batches

if TYPE_CHECKING:
    import torch

    from loganalyze.probe.bench import Bench

# Read through this name, so that a test can tell the time.
now: Callable[[], float] = time.perf_counter


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of one step: waiting for the batch and moving it, forward, backward, optimizer."""

    data: float
    forward: float
    backward: float
    optimizer: float

    @property
    def compute(self) -> float:
        """All but the data."""
        return self.forward + self.backward + self.optimizer

    @property
    def total(self) -> float:
        """The whole step."""
        return self.data + self.compute


def finished(device: torch.device) -> float:
    """Return the time when the device has done all that it was given."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return now()


def timed(bench: Bench, optimizer: Any, stream: Iterator[Any]) -> tuple[Times, Any] | None:
    """Make one step on the next batch; return its times and the batch, None where there is no more."""
    began = finished(bench.device)
    found = next(stream, None)
    if found is None:
        return None
    batch = batches.moved(found, bench.device)
    got = finished(bench.device)
    optimizer.zero_grad(set_to_none=True)
    loss = bench.loss(batch)
    forward = finished(bench.device)
    loss.backward()  # type: ignore[no-untyped-call]
    backward = finished(bench.device)
    optimizer.step()
    done = finished(bench.device)
    return Times(got - began, forward - got, backward - forward, done - backward), batch


def mean(times: list[Times]) -> Times:
    """Return the mean wait for data, which a queue makes uneven, and the median of the rest."""
    return Times(
        statistics.fmean(one.data for one in times),
        statistics.median(one.forward for one in times),
        statistics.median(one.backward for one in times),
        statistics.median(one.optimizer for one in times),
    )


def per_batch(stream: Iterator[Any], most: int, until: Callable[[], bool]) -> float | None:
    """Return the seconds that a batch takes to come, the first left out; None without a second one."""
    if next(stream, None) is None:
        return None
    began = now()
    count = 0
    while count < most and not until() and next(stream, None) is not None:
        count += 1
    return (now() - began) / count if count else None
