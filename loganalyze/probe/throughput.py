"""Where does the time of a step go, and does the model wait for its data?

What it does
------------
Makes 20 optimizer steps after 3 for warm-up and splits each into waiting for the batch (and moving it to the
device), forward, backward and optimizer; then as many on one batch again and again, which waits for nothing.
A GPU is waited for at each border, so that work is counted where it is done. Where the target has a
DataLoader, batches are read from it with 0, 1, 2 and 4 workers, without any model.

Thresholds
----------
The run is bound by its data when 30 % of the step or more is waiting: without it, steps would take 0.7 of the
time. Below 10 % there is nothing to gain.

References
----------
PyTorch documentation, Performance Tuning Guide; pytorch/examples#164.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

from loganalyze.probe import batches
from loganalyze.probe.padding import kept_places
from loganalyze.probe.probe import Probe, not_applicable
from loganalyze.probe.stopwatch import Times, mean, timed
from loganalyze.probe.throughput_verdict import conclude
from loganalyze.probe.workers import Loading, loading
from loganalyze.probed import ProbeResult

if TYPE_CHECKING:
    from loganalyze.probe.bench import Bench

STEPS, WARM = 20, 3


@dataclass(frozen=True)
class Speed:
    """What was measured.

    Attributes
    ----------
    real, synthetic
        Steps on the target's batches, and on one batch again and again.
    samples, tokens
        Of a step, on average; tokens without padding, 0 where there are none.
    is_held
        Whether the batches are a list in memory: then nothing is read.
    loading
        Reading alone, by the number of workers.
    """

    real: Times
    synthetic: Times
    steps: int
    samples: float
    tokens: float
    is_held: bool
    loading: Loading | None
    device: str

    @property
    def waiting(self) -> float:
        """Share of the step that is waiting for data."""
        return self.real.data / self.real.total if self.real.total > 0 else 0.0


@dataclass
class Seen:
    """What went by: how many samples and tokens in how many steps, and the last batch."""

    steps: int = 0
    samples: int = 0
    tokens: int = 0
    last: Any = None

    def count(self, samples: int, tokens: int, batch: Any) -> None:
        """Add a step."""
        self.steps += 1
        self.samples += samples
        self.tokens += tokens
        self.last = batch


def run(bench: Bench) -> ProbeResult:
    """Time steps on real batches, on a repeated one, and the loading alone."""
    if not bench.trainable():
        return not_applicable("No parameter requires a gradient: there is no step to take.")
    bench.target.model.train()
    optimizer = bench.optimizer()
    real, seen = _steps(bench, optimizer, _again(bench), 0.4)
    if not real:
        return not_applicable("There is no batch to time.")
    synthetic, _ = _steps(bench, optimizer, repeat(seen.last), 0.6)
    found = loading(bench)
    held = isinstance(bench.target.batches, (list, tuple))
    return conclude(
        Speed(
            mean(real), mean(synthetic or real), len(real),
            seen.samples / seen.steps, seen.tokens / seen.steps,
            held, found, bench.device.type,
        )
    )  # fmt: skip


def _again(bench: Bench) -> Iterator[Any]:
    """Yield the target's batches, pass after pass."""
    count = 1
    while count:
        count = 0
        for count, one in enumerate(bench.stream(), 1):  # noqa: B007 - asked after the loop
            yield one


def _steps(
    bench: Bench, optimizer: Any, stream: Iterator[Any], share: float
) -> tuple[list[Times], Seen]:
    """Time steps within a share of the time; those for warm-up are left out where there are more."""
    times: list[Times] = []
    seen = Seen()
    while len(times) < STEPS + WARM:
        made = timed(bench, optimizer, stream)
        if made is None:
            break
        times.append(made[0])
        seen.count(batches.size(made[1]), _tokens(bench, made[1]), made[1])
        bench.report(len(times), STEPS + WARM)
        if not bench.clock.allows(share):
            break
    return times[WARM:] or times[-1:], seen


def _tokens(bench: Bench, batch: Any) -> int:
    """Return the tokens of a batch, without padding; 0 where it holds none."""
    ids: Any = (batches.fields(batch) or {}).get("input_ids")
    if ids is None or ids.is_floating_point() or ids.dim() != 2:
        return 0
    kept = kept_places(bench.target, batch)
    return int(ids.numel() if kept is None else kept.sum())


PROBE = Probe("throughput", "Where does the time of a step go?", run)
