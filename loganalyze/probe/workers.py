"""How fast a DataLoader delivers with so many workers."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loganalyze.probe import stopwatch

if TYPE_CHECKING:
    from loganalyze.probe.bench import Bench

COUNTS = (0, 1, 2, 4)  # workers
BATCHES = 16  # that are read with each


@dataclass(frozen=True, slots=True)
class Loading:
    """Reading batches, without a model.

    Attributes
    ----------
    own
        Workers of the target's DataLoader.
    seconds
        Workers -> seconds of a batch.
    refused
        What stopped it; empty where nothing did.
    """

    own: int
    seconds: Mapping[int, float]
    refused: str = ""

    def enough(self, compute: float) -> int | None:
        """Return the fewest workers that deliver as fast as a step computes; None if none does."""
        return next((n for n, each in sorted(self.seconds.items()) if each <= compute), None)

    @property
    def fastest(self) -> int | None:
        """The number of workers with which a batch comes soonest."""
        return min(self.seconds, key=self.seconds.__getitem__, default=None)


def loading(bench: Bench) -> Loading | None:
    """Read with 0, 1, 2 and 4 workers, no more than there are processors; None without a DataLoader."""
    from torch.utils.data import DataLoader

    from loganalyze.probe.runner import told

    loader = bench.target.batches
    if not isinstance(loader, DataLoader):
        return None
    processors = os.cpu_count() or 1
    found: dict[int, float] = {}
    refused = ""
    for position, count in enumerate(n for n in COUNTS if n <= processors):
        if not bench.clock.allows(0.6 + 0.08 * position):
            break
        limit = bench.clock.spent + 0.08 * bench.clock.seconds
        try:
            each = stopwatch.per_batch(
                iter(_with(loader, count)),
                BATCHES,
                lambda end=limit: bench.clock.spent > end,  # type: ignore[misc]
            )
        except Exception as error:  # noqa: BLE001 - workers run the target's code
            refused = told(error)
            break
        if each is not None:
            found[count] = each
    return Loading(loader.num_workers, found, refused)


def _with(loader: Any, count: int) -> Any:
    """Return a copy of a DataLoader with so many workers of its own."""
    twin = copy.copy(loader)
    twin._iterator = None
    twin.num_workers = count
    twin.prefetch_factor = (loader.prefetch_factor or 2) if count else None
    if not count:
        twin.timeout = 0
    return twin
