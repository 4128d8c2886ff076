"""Does every layer get a gradient of a sensible size?

What it does
------------
Takes one gradient in train mode, makes three steps, and takes another: layers that a zero initialisation
hides at first show by then. For each parameter: mean, largest, standard deviation and share of zeros of the
gradient, and how far one step moves it relative to its size.

Thresholds
----------
Vanishing: a mean below 1e-7, or 1e-5 of the layers behind it. Exploding: a value above 1e3. Dead: more than
90 % zeros, but for embeddings, of which a batch uses a few rows. A step moves weights by about 1e-3 of their
size; above 1 they are thrown away. A frozen parameter (requires_grad False) is told from one that requires
a gradient and gets none; with LoRA only its own layers are trained, as it should be.

References
----------
Karpathy, A Recipe for Training Neural Networks (2019), and the 1e-3 of "makemore, part 3" (2022).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loganalyze.probe.gradients_verdict import conclude
from loganalyze.probe.probe import Probe
from loganalyze.probe.step import not_in_optimizer, step
from loganalyze.probed import ProbeResult

if TYPE_CHECKING:
    import torch

    from loganalyze.probe.bench import Bench

WARM = 3  # steps before the second look
NORMS = 8  # batches whose gradient norm is measured


@dataclass(frozen=True, slots=True)
class Layer:
    """The gradient of one parameter.

    Attributes
    ----------
    state
        ``"ok"``; ``"frozen"``: requires no gradient; ``"disconnected"``: requires one and gets none.
    is_embedding
        Whether it is a table of which a batch uses a few rows.
    update
        Relative change of the parameter by one step; NaN where none was made.
    """

    name: str
    count: int
    state: str
    mean: float = 0.0
    largest: float = 0.0
    std: float = 0.0
    zeros: float = 0.0
    update: float = math.nan
    is_embedding: bool = False
    is_bias: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """All layers at first and after a few steps, and the gradient's norm over some batches."""

    first: tuple[Layer, ...]
    later: tuple[Layer, ...]
    norms: tuple[float, ...]
    unheld: tuple[str, ...]
    rate: float
    loss_has_gradient: bool


def run(bench: Bench) -> ProbeResult:
    """Take gradients, then conclude."""
    found = bench.batches(NORMS)
    bench.target.model.train()
    unheld = tuple(not_in_optimizer(bench))
    rate = bench.learning_rate()
    bench.clear_gradients()
    loss = bench.loss(found[0])
    if not loss.requires_grad:
        layers = tuple(_layers(bench, {}))
        return conclude(bench, Flow(layers, layers, (), unheld, rate, False))
    loss.backward()  # type: ignore[no-untyped-call]
    first = tuple(_layers(bench, {}))
    norms = [_norm(bench)]
    for position, batch in enumerate(found[1:]):
        bench.report(position, len(found) + WARM)
        if not bench.clock.allows(0.5):
            break
        bench.clear_gradients()
        bench.loss(batch).backward()  # type: ignore[no-untyped-call]
        norms.append(_norm(bench))
    later = _later(bench, found, first) if len(unheld) < len(bench.trainable()) else first
    return conclude(bench, Flow(first, later, tuple(norms), unheld, rate, True))


def _later(bench: Bench, found: list[Any], first: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Return the layers after a few steps, with how far the last of them moved each."""
    bench.rewind()
    bench.target.model.train()
    optimizer = bench.optimizer()
    # What began at 0, as one half of an adapter does, has no size of its own yet.
    sized = {name for name, p in bench.trainable() if bool(p.detach().any())}
    before: dict[str, torch.Tensor] = {}
    for done in range(WARM):
        if bench.clock.is_over:
            return first
        before = {name: p.detach().clone() for name, p in bench.trainable()}
        if not math.isfinite(step(bench, optimizer, found[done % len(found)]).loss):
            return first
    moved = {
        name: float((p.detach() - before[name]).float().norm())
        / max(float(before[name].float().norm()), 1e-12)
        for name, p in bench.trainable()
        if name in sized
    }
    bench.clear_gradients()
    bench.loss(found[0]).backward()  # type: ignore[no-untyped-call]
    return tuple(_layers(bench, moved))


def _layers(bench: Bench, moved: dict[str, float]) -> list[Layer]:
    from torch import nn

    embeddings = {
        id(module.weight)
        for module in bench.target.model.modules()
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag))
    }
    return [
        _layer(name, p, moved.get(name, math.nan), is_embedding=id(p) in embeddings)
        for name, p in bench.target.model.named_parameters()
    ]


def _layer(name: str, parameter: torch.Tensor, update: float, *, is_embedding: bool) -> Layer:
    count, bias = parameter.numel(), parameter.dim() < 2
    if not parameter.requires_grad:
        return Layer(name, count, "frozen", is_embedding=is_embedding, is_bias=bias)
    if parameter.grad is None:
        return Layer(name, count, "disconnected", is_embedding=is_embedding, is_bias=bias)
    found = parameter.grad.detach()
    values = (found.coalesce().values() if found.is_sparse else found).float().abs()
    if not values.numel():
        return Layer(name, count, "ok", is_embedding=is_embedding, is_bias=bias)
    return Layer(
        name, count, "ok", float(values.mean()), float(values.max()),
        float(values.std()) if values.numel() > 1 else 0.0, float((values == 0).float().mean()),
        update, is_embedding, bias,
    )  # fmt: skip


def _norm(bench: Bench) -> float:
    return math.hypot(
        *(float(p.grad.detach().float().norm()) for _, p in bench.trainable() if p.grad is not None)
    )


PROBE = Probe("gradients", "Does every layer get a gradient of a sensible size?", run)
