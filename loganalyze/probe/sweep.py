"""A range test of the learning rate: one step at each of many rates, and what its curve suggests."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from loganalyze.probe import batches
from loganalyze.probe.step import step

if TYPE_CHECKING:
    from loganalyze.probe.bench import Bench

LOWEST, HIGHEST = 1e-7, 1.0  # learning rates of the sweep
SMOOTHING = 0.05  # of the running mean that decides about the end of a sweep
DIVERGED = 4.0  # x the best running mean
WIDTH = 0.12  # decades; of the curve that suggestions are read from, which does not lag behind
LEVEL = (
    0.1  # share of the sweep's points at its start, where the rate is too low to change anything
)
LARGEST = 2**29  # bytes of batches that are held


@dataclass(frozen=True)
class Sweep:
    """A sweep as far as it went.

    Attributes
    ----------
    rates, losses
        One for each step: the learning rate, and the loss before the step at it.
    broke
        Whether the loss became NaN, infinite, or 4 x its best.
    cut
        Whether the time was over before its end.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    broke: bool
    cut: bool = False

    @cached_property
    def smooth(self) -> tuple[float, ...]:
        """The losses, each averaged with its neighbours on both sides (a Gaussian in log10 of the rate)."""
        import numpy as np

        x, y = np.log10(self.rates), np.asarray(self.losses)
        weight = np.exp(-0.5 * ((x[:, None] - x[None, :]) / WIDTH) ** 2)
        return tuple(float(v) for v in weight @ y / weight.sum(1))

    @property
    def level(self) -> float:
        """The loss before anything has changed."""
        first = self.losses[: max(3, int(LEVEL * len(self.losses)))]
        return sum(first) / len(first)

    @property
    def noise(self) -> float:
        """Standard deviation of the losses about the smooth curve, in the part before its lowest point."""
        end = max(self.lowest, 3)
        pairs = zip(self.losses[:end], self.smooth[:end], strict=True)
        return math.sqrt(sum((a - b) ** 2 for a, b in pairs) / end)

    @property
    def lowest(self) -> int:
        """Where the smooth curve is lowest."""
        return min(range(len(self.smooth)), key=self.smooth.__getitem__)

    @property
    def falls(self) -> bool:
        """Whether the loss falls at all, by more than its noise."""
        fall = self.level - self.smooth[self.lowest]
        return fall > max(self.noise, 1e-3 * abs(self.level))

    @property
    def minimum(self) -> float:
        """The learning rate at which the loss is lowest."""
        return self.rates[self.lowest]

    @property
    def steepest(self) -> float:
        """The rate at which the loss falls most in log10 of the rate, before its lowest point."""
        y, end = self.smooth, max(self.lowest, 1)
        return self.rates[min(range(1, end + 1), key=lambda i: y[i] - y[i - 1])]

    @property
    def valley(self) -> float:
        """The middle of the longest stretch that falls all the way, leaving out points between."""
        begin, end = _longest_fall(self.smooth)
        return self.rates[begin + (end - begin) // 2]

    @property
    def suggestions(self) -> dict[str, float]:
        """The suggestions by the usual rules: name -> learning rate."""
        return {
            "steepest": self.steepest,
            "valley": self.valley,
            "minimum/10": self.minimum / 10,
        }


def _longest_fall(values: Sequence[float]) -> tuple[int, int]:
    """Return first and last place of the longest falling subsequence."""
    from bisect import bisect_left

    ends: list[float] = []  # of the fall of each length: its last value, negated
    starts: list[int] = []  # of the same fall: its first place
    best = (0, 0)
    for place, value in enumerate(values):
        length = bisect_left(ends, -value)
        first = starts[length - 1] if length else place
        ends[length : length + 1] = [-value]
        starts[length : length + 1] = [first]
        if length == len(ends) - 1:
            best = (first, place)
    return best


def rates(count: int) -> list[float]:
    """Return the rates of a sweep, evenly spread in the logarithm."""
    ratio = HIGHEST / LOWEST
    return [LOWEST * ratio ** (i / (count - 1)) for i in range(count)]


def held(bench: Bench, most: int) -> list[Any]:
    """Return up to `most` batches, not yet on the device, in at most 512 MiB and a tenth of the time."""
    found, size = [], 0
    for one in islice(bench.stream(), most):
        found.append(one)
        size += sum(t.numel() * t.element_size() for _, t in batches.tensors(one))
        if size > LARGEST or not bench.clock.allows(0.1):
            break
    return found or bench.batches(1)


def sweep(bench: Bench, data: Sequence[Any], count: int, done: Callable[[int], None]) -> Sweep:
    """Make one step at each rate, from the state that the check began with."""
    return _swept(bench, data, rates(count), done)


def constant(bench: Bench, data: Sequence[Any], rate: float, count: int) -> Sweep:
    """Make `count` steps at one rate, from the state that the check began with."""
    return _swept(bench, data, [rate] * count, lambda position: None)


def _swept(
    bench: Bench, data: Sequence[Any], wanted: Sequence[float], done: Callable[[int], None]
) -> Sweep:
    bench.rewind()
    bench.target.model.train()
    optimizer = bench.optimizer(1.0)
    shares = [float(group["lr"]) for group in optimizer.param_groups]
    losses: list[float] = []
    running, best, broke = 0.0, math.inf, False
    for position, (rate, batch) in enumerate(zip(wanted, _around(bench, data), strict=False)):
        for group, share in zip(optimizer.param_groups, shares, strict=True):
            _set_rate(group, rate * share)
        loss = step(bench, optimizer, batch).loss
        if not math.isfinite(loss):
            broke = True
            break
        losses.append(loss)
        running = SMOOTHING * loss + (1 - SMOOTHING) * running if position else loss
        best = min(best, running)
        done(position)
        # Four times a loss of almost nothing is still almost nothing: it must also be above its start.
        broke = running > max(best + (DIVERGED - 1) * abs(best), losses[0])
        if broke or bench.clock.is_over:
            break
    cut = not broke and len(losses) < len(wanted)
    return Sweep(tuple(wanted[: len(losses)]), tuple(losses), broke, cut)


def _set_rate(group: dict[str, Any], rate: float) -> None:
    import torch

    if isinstance(group["lr"], torch.Tensor):
        group["lr"] = torch.full_like(group["lr"], rate)
    else:
        group["lr"] = rate


def _around(bench: Bench, data: Sequence[Any]) -> Iterator[Any]:
    while True:
        for one in data:
            yield batches.moved(one, bench.device)
