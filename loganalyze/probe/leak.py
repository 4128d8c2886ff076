"""Whether anything of a step outlives it."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from loganalyze.probe.footprint import step

if TYPE_CHECKING:
    from loganalyze.probe.bench import Bench

STEPS = 8
WARM = 2  # steps after which buffers, caches and the optimizer's state are there


@dataclass(frozen=True, slots=True)
class Kept:
    """What was alive after each step.

    Attributes
    ----------
    sizes
        Bytes after each step, of what the steps made.
    graphs
        Tensors with a graph that Python holds: more after the last step than after the warm-up.
    """

    sizes: tuple[int, ...]
    graphs: int

    @property
    def growth(self) -> tuple[int, ...]:
        """Bytes that each step after the warm-up left behind."""
        later = self.sizes[WARM - 1 :]
        return tuple(b - a for a, b in pairwise(later))

    @property
    def each(self) -> int:
        """Bytes that every step leaves behind at least; 0 where one of them leaves nothing."""
        return max(min(self.growth, default=0), 0)


def kept(bench: Bench, batch: Any, optimizer: Any) -> Kept:
    """Make some steps on the same batch and see what is alive after each."""
    from loganalyze.probe.live import Live

    live, sizes, graphs = Live(), [], 0
    for position in range(STEPS):
        step(bench, optimizer, batch, live)
        gc.collect()
        sizes.append(live.now)
        if position == WARM - 1:
            graphs = _with_graph()
        bench.report(position + 1, STEPS)
        if not bench.clock.allows(0.8) and position > WARM:
            break
    return Kept(tuple(sizes), _with_graph() - graphs)


def _with_graph() -> int:
    """Count the tensors with a graph that Python holds."""
    import torch

    # By type, not isinstance: some objects answer for another one, and import it.
    return sum(
        issubclass(type(one), torch.Tensor) and one.grad_fn is not None for one in gc.get_objects()
    )
