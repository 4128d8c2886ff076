"""One optimizer step, as the training makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from loganalyze.probe.bench import Bench


@dataclass(frozen=True, slots=True)
class Step:
    """Loss before the step, and norm of its gradient before clipping."""

    loss: float
    norm: float


def step(bench: Bench, optimizer: Any, batch: Any) -> Step:
    """Forward, backward, clip, step; with the target's scaler and norm to clip to, where it has them.

    A gradient that is not finite is stepped with nevertheless, as a training without a scaler does.
    """
    import torch

    scaler = bench.target.scaler
    if isinstance(optimizer, torch.optim.LBFGS):
        return _searched(bench, optimizer, batch)
    optimizer.zero_grad(set_to_none=True)
    loss = bench.loss(batch)
    if scaler is None:
        loss.backward()  # type: ignore[no-untyped-call]
    else:
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
    limit = bench.target.max_grad_norm
    parameters = [p for _, p in bench.trainable() if p.grad is not None]
    norm = torch.nn.utils.clip_grad_norm_(parameters, limit if limit else float("inf"))
    if scaler is None:
        optimizer.step()
    else:
        scaler.step(optimizer)
        scaler.update()
    return Step(float(loss.detach()), float(norm))


def _searched(bench: Bench, optimizer: Any, batch: Any) -> Step:
    """Make a step of an optimizer that calculates the loss again and again."""
    import torch

    def closure() -> Any:
        optimizer.zero_grad(set_to_none=True)
        loss = bench.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    first = float(optimizer.step(closure))
    parameters = [p for _, p in bench.trainable() if p.grad is not None]
    return Step(
        first,
        float(torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])),
    )


def without_dropout(model: nn.Module) -> None:
    """Put a model in train mode with no dropout in it: what remains is what can be learned.

    Layers of that name, and probabilities that modules keep for ``functional.dropout``, are set to 0.
    """
    model.train()
    for module in model.modules():
        is_dropout = "drop" in type(module).__name__.lower()
        for name, value in list(vars(module).items()):
            if isinstance(value, float) and (
                "drop" in name.lower() or (is_dropout and name == "p")
            ):
                setattr(module, name, 0.0)


def not_in_optimizer(bench: Bench) -> list[str]:
    """Return the names of trainable parameters that the target's optimizer does not hold."""
    optimizer = bench.target.optimizer
    if optimizer is None:
        return []
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    return [name for name, parameter in bench.trainable() if id(parameter) not in held]
