"""Random generators: what they would draw next is part of the state that a probe puts back."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any


@dataclass(frozen=True, slots=True)
class Generator:
    """The state of a generator, or of a global switch that calculations depend on."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], Any]
    state: Any

    def restore(self) -> None:
        """Put the state back."""
        if not self.is_same():
            self.write(self.state)

    def is_same(self) -> bool:
        """Compare the state with what it was."""
        return _equal(self.read(), self.state)


def of_the_process() -> Iterator[Generator]:
    """Yield the global generators of Python, NumPy and torch, and torch's global switches."""
    import numpy as np
    import torch

    # NumPy's global generator is what older data sets and augmentations draw from.
    legacy = (np.random.get_state, np.random.set_state)
    yield _kept("random generator of Python", random.getstate, random.setstate)
    yield _kept("random generator of NumPy", *legacy)
    yield _kept("random generator of torch", torch.get_rng_state, torch.set_rng_state)
    if torch.cuda.is_available():
        cuda = torch.cuda
        yield _kept("random generators of CUDA", cuda.get_rng_state_all, cuda.set_rng_state_all)
    yield from _switches()


def _switches() -> Iterator[Generator]:
    import torch

    cudnn = torch.backends.cudnn
    for name in ("benchmark", "deterministic", "enabled", "allow_tf32"):
        if hasattr(cudnn, name):
            read, write = partial(getattr, cudnn, name), partial(setattr, cudnn, name)
            yield _kept(f"torch.backends.cudnn.{name}", read, write)
    yield _kept("default dtype of torch", torch.get_default_dtype, torch.set_default_dtype)
    yield _kept("threads of torch", torch.get_num_threads, torch.set_num_threads)
    yield _kept(
        "deterministic algorithms of torch",
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    )
    yield _kept(
        "anomaly detection of torch", torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly
    )


def of(name: str, item: Any) -> Generator | None:
    """Return the state of a generator that an object holds; None if it is none."""
    import numpy as np
    import torch

    if isinstance(item, torch.Generator):
        return _kept(name, item.get_state, item.set_state)
    if isinstance(item, random.Random):
        return _kept(name, item.getstate, item.setstate)
    if isinstance(item, np.random.RandomState):
        return _kept(name, item.get_state, item.set_state)
    if isinstance(item, np.random.Generator):
        bits = item.bit_generator

        def write(state: Any) -> None:
            bits.state = state

        return _kept(name, lambda: bits.state, write)
    return None


def _kept(name: str, read: Callable[[], Any], write: Callable[[Any], Any]) -> Generator:
    return Generator(name, read, write, read())


def _equal(a: Any, b: Any) -> bool:
    """Compare states: numbers, tensors, arrays, and tuples, lists and dictionaries of them."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b, strict=True))
    same = a == b
    return bool(same.all()) if hasattr(same, "all") else bool(same)
