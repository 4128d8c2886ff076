"""The same batch in one number format after another: what each module puts out, and the gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loganalyze.probe import batches, call
from loganalyze.probe.step import without_dropout

if TYPE_CHECKING:
    import torch
    from torch import nn

    from loganalyze.probe.bench import Bench

FORMATS = ("fp32", "bf16", "fp16")
SCALE = 2.0**16  # that a GradScaler begins with
MOST = 2**24  # numbers of the gradient that are compared; of more, every n-th
FP16_MAX, FP16_TINY = 65504.0, 2.0**-24  # the largest number, and the smallest that is not 0


@dataclass(frozen=True, slots=True)
class Output:
    """What a module put out, in fp32's range.

    Attributes
    ----------
    finite, fed_finite
        Whether all that it put out, and all that it was given, is finite.
    largest
        Largest absolute value that is finite.
    over, under
        Shares of the numbers that fp16 cannot hold: too large; not 0 and too small.
    """

    module: str
    finite: bool
    fed_finite: bool
    largest: float
    over: float
    under: float


@dataclass
class Pass:
    """Forward and backward in one format.

    Attributes
    ----------
    scale
        What the loss was multiplied by before backward, and divided by after it; 0 where at no scale the
        gradient is finite.
    refused
        What stopped it; empty where nothing did.
    """

    format: str
    outputs: list[Output] = field(default_factory=list)
    loss: float = math.nan
    gradient: torch.Tensor | None = None
    scale: float = 1.0
    refused: str = ""

    @property
    def first_bad(self) -> Output | None:
        """The first module whose output is not finite."""
        return next((one for one in self.outputs if not one.finite), None)

    @property
    def is_finite(self) -> bool:
        """Whether outputs, loss and gradient are finite."""
        return self.first_bad is None and math.isfinite(self.loss) and self.scale > 0


def passed(bench: Bench, batch: Any, chosen: str) -> Pass:
    """Run the batch forward and backward in a format, from the state that the check began with."""
    from loganalyze.probe.runner import told

    bench.rewind()
    model = bench.target.model
    without_dropout(model)
    made = Pass(chosen)
    if chosen == "fp32":
        model.float()
        batch = batches.mapped(batch, _full)
    try:
        with _watched(model, made), _autocast(bench, chosen):
            output = call.forward(bench.target, batch)
            loss = call.loss(bench.target, output, batch)
        made.loss = float(loss.detach())
        if math.isfinite(made.loss) and loss.requires_grad:
            _backward(bench, made, loss)
    except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
        made.refused = told(error)
    bench.clear_gradients()
    return made


def _full(value: Any) -> Any:
    import torch

    half = (torch.float16, torch.bfloat16)
    return value.float() if isinstance(value, torch.Tensor) and value.dtype in half else value


def _autocast(bench: Bench, chosen: str) -> AbstractContextManager[Any]:
    import torch

    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(chosen)
    return torch.autocast(bench.device.type, dtype=kind, enabled=kind is not None)


def _backward(bench: Bench, made: Pass, loss: torch.Tensor) -> None:
    """Run backward; in fp16 with the largest loss scale at which the gradient is finite."""
    scale = SCALE if made.format == "fp16" else 1.0
    while scale >= 1:
        bench.clear_gradients()
        (loss * scale).backward(retain_graph=scale > 1)  # type: ignore[no-untyped-call]
        found = [p.grad for _, p in bench.trainable() if p.grad is not None]
        made.scale = scale
        if all(bool(one.isfinite().all()) for one in found):
            made.gradient = _sample(bench, scale)
            return
        if not bench.clock.allows(0.9):
            break
        scale /= 4
    made.scale = 0.0


def _sample(bench: Bench, scale: float) -> torch.Tensor | None:
    """Return the gradient as one vector, without the scale; of a large one every n-th number."""
    import torch

    trained = [p for _, p in bench.trainable()]
    every = -(-sum(p.numel() for p in trained) // MOST)
    parts = [
        (p if p.grad is None else p.grad).detach().flatten()[::every].double().cpu()
        * (0.0 if p.grad is None else 1 / scale)
        for p in trained
    ]
    return torch.cat(parts) if parts else None


@contextmanager
def _watched(model: nn.Module, made: Pass) -> Iterator[None]:
    """Look at the output of every module, the inner ones first."""
    handles = []

    def watch(name: str, module: nn.Module) -> None:
        def look(module: nn.Module, given: Any, output: Any) -> None:
            seen = _looked(name or type(module).__name__, given, output)
            if seen is not None:
                made.outputs.append(seen)

        handles.append(module.register_forward_hook(look))

    for name, module in model.named_modules():
        watch(name, module)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _looked(name: str, given: Any, output: Any) -> Output | None:
    import torch

    found = [t.detach() for _, t in batches.tensors(output) if t.is_floating_point() and t.numel()]
    if not found:
        return None
    fed = [t for _, t in batches.tensors(given) if t.is_floating_point()]
    values = torch.cat([t.flatten().float() for t in found]).abs()
    real = values[values.isfinite()]
    # A mask's -inf is no overflow: it is there in fp32, too, and is compared with that.
    return Output(
        name,
        bool(values.isfinite().all()),
        all(bool(t.isfinite().all()) for t in fed),
        float(real.max()) if len(real) else math.inf,
        float((values > FP16_MAX).float().mean()),
        float(((values > 0) & (values < FP16_TINY)).float().mean()),
    )


def unmoved(bench: Bench, batch: Any) -> float | None:
    """Return the share of half-precision weights with a gradient that a step leaves as they were.

    One step at the training's own rate, in the training's own precision; None where all weights are fp32.
    """
    from loganalyze.probe.step import step

    bench.rewind()
    half = [p for _, p in bench.trainable() if p.element_size() == 2]
    if not half:
        return None
    bench.target.model.train()
    before = [p.detach().clone() for p in half]
    step(bench, bench.optimizer(), batch)
    still = meant = 0
    for parameter, was in zip(half, before, strict=True):
        pushed = parameter.grad != 0 if parameter.grad is not None else None
        if pushed is not None:
            meant += int(pushed.sum())
            still += int((pushed & (parameter.detach() == was)).sum())
    return still / meant if meant else None
