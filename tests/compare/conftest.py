"""Pairs of runs made in memory: a noisy falling loss by seed, with something done to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from loganalyze.run import Run
from tests.builders import make_run

STEPS = 600


def loss(seed: int, steps: int = STEPS, noise: float = 0.05) -> np.ndarray:
    """Return a loss that falls as a power of the step, with noise that its neighbours share a little."""
    random = np.random.default_rng(seed)
    step = np.arange(1, steps + 1)
    raw = random.normal(0, noise, steps)
    shared = raw + 0.4 * np.r_[0, raw[:-1]]
    return np.asarray((0.3 + 2.0 * step**-0.5) * np.exp(shared))


@pytest.fixture
def run_of() -> Callable[..., Run]:
    """Make a run by seed; its loss may be changed from a step on, and logged every n steps only."""

    def make(
        seed: int,
        *,
        factor: float = 1.0,
        at: int = 0,
        every: int = 1,
        config: dict[str, Any] | None = None,
        **fields: Any,
    ) -> Run:
        values = loss(seed)
        values[at:] *= factor
        steps = np.arange(1, STEPS + 1)
        chosen = (steps % every == 0) | (steps == 1)
        return make_run(steps={"loss": steps[chosen]}, loss=values[chosen], config=config, **fields)

    return make
