"""On which device a target is probed, and how it gets there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loganalyze.errors import UsageError
from loganalyze.probe.target import ProbeTarget

if TYPE_CHECKING:
    import torch


def device_of(target: ProbeTarget, wanted: str | None) -> torch.device:
    """Return the device to probe on: `wanted`, the target's, the model's, or the first accelerator.

    Raises
    ------
    UsageError
        If there is no such device here.
    """
    import torch

    asked = wanted if wanted is not None else target.device
    if asked is not None:
        try:
            device = torch.device(asked)
            torch.empty(1, device=device)
        except (RuntimeError, AssertionError, TypeError) as error:
            first = str(error).splitlines()[0]
            raise UsageError(f"the device {asked!r} cannot be used: {first}") from None
        return device
    own = next((p.device for p in target.model.parameters() if p.device.type != "meta"), None)
    if own is not None and own.type != "cpu":
        return own
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return own or torch.device("cpu")


def place(target: ProbeTarget, device: torch.device) -> None:
    """Move the model, and the optimizer's state with it, to a device.

    A model that is spread over several devices is left where it is.

    Raises
    ------
    UsageError
        If weights of it are on the meta device: they have no values.
    """
    from torch import nn

    model = target.model
    held = [*model.parameters(), *model.buffers()]
    empty = next((n for n, p in model.named_parameters() if p.is_meta), None)
    if empty is not None:
        raise UsageError(
            f"the parameter {empty} is on the meta device and has no values: load the weights first"
        )
    if len({tensor.device for tensor in held}) > 1 and hasattr(model, "hf_device_map"):
        return
    if any(_differs(tensor.device, device) for tensor in held):
        model.to(device)
    if isinstance(target.loss, nn.Module):
        target.loss.to(device)
    _move_state(target.optimizer)


def _differs(a: torch.device, b: torch.device) -> bool:
    return a.type != b.type or (b.index is not None and a.index != b.index)


def _move_state(optimizer: Any) -> None:
    import torch

    for parameter, state in (optimizer.state if optimizer is not None else {}).items():
        for key, value in state.items():
            # A step counter stays where the optimizer keeps it.
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                state[key] = value.to(parameter.device)
