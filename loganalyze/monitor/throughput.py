"""How fast a training runs: seconds per step, samples and tokens per second, since it was asked last."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Throughput:
    """Counts steps, samples and tokens, and the time inside of steps.

    What happens between steps (evaluations, checkpoints, the monitor itself) is not counted.
    """

    clock: Callable[[], float] = time.perf_counter
    steps: int = 0
    samples: int = 0
    tokens: int = 0
    seconds: float = 0.0
    _began: float | None = None
    _marked: tuple[int, int, int, float] = field(default=(0, 0, 0, 0.0))

    def begin(self) -> None:
        """Note that a step begins."""
        self._began = self.clock()

    def end(self, samples: int = 0) -> None:
        """Note that a step ended, on so many samples."""
        if self._began is None:
            return
        self.seconds += self.clock() - self._began
        self._began = None
        self.steps += 1
        self.samples += samples

    def rates(self) -> dict[str, float]:
        """Return the rates since the last call; without what was not counted."""
        before, now = self._marked, (self.steps, self.samples, self.tokens, self.seconds)
        steps, samples, tokens, seconds = (b - a for a, b in zip(before, now, strict=True))
        self._marked = now
        if not steps or seconds <= 0:
            return {}
        found = {"step_seconds": seconds / steps}
        if samples:
            found["samples_per_second"] = samples / seconds
        if tokens:
            found["tokens_per_second"] = tokens / seconds
        return found

    def summary(self) -> dict[str, float]:
        """Return the rates over the whole training."""
        if not self.steps or self.seconds <= 0:
            return {}
        return {
            "steps": self.steps,
            "samples": self.samples,
            "tokens": self.tokens,
            "seconds_in_steps": round(self.seconds, 3),
            "samples_per_second": self.samples / self.seconds,
            "tokens_per_second": self.tokens / self.seconds,
        }
