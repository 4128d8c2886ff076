"""How a batch goes into a model, and what comes out: logits and one loss."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from loganalyze.errors import UsageError
from loganalyze.probe import batches
from loganalyze.probe.target import ProbeTarget

if TYPE_CHECKING:
    import torch

_NAMED = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_PLACED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
# Of a loss(output, X): X by one of these names is the labels, not the batch.
_LABEL_WORDS = frozenset({*batches.LABELS, "input_labels", "truth", "gold"})


def forward(target: ProbeTarget, batch: Any) -> Any:
    """Return what the model makes of a batch.

    A batch with names goes in by name, as far as the model takes them; a tuple in its order, without its
    last element where that is the labels; anything else as it is.
    """
    if target.forward is not None:
        return target.forward(target.model, batch)
    takes = _parameters(target.model.forward)
    named = batches.fields(batch)
    if named is not None:
        return _by_name(target, batch, named, takes)
    if isinstance(batch, (tuple, list)):
        return target.model(*batch[: _taken(target, batch, takes)])
    return target.model(batch)


def _by_name(
    target: ProbeTarget, batch: Any, named: dict[str, Any], takes: dict[str, inspect.Parameter]
) -> Any:
    names = [name for name, parameter in takes.items() if parameter.kind in _NAMED]
    anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in takes.values())
    known = {name: value for name, value in named.items() if name in names}
    required = [n for n in names if takes[n].default is inspect.Parameter.empty]
    if len(required) == 1 and required[0] not in named:
        if isinstance(batch, Mapping) or len(_without_labels(named)) != 1:
            found = _without_labels(named)
            # One tensor beside the labels is what the one argument means, whatever it is called.
            only = next(iter(found.values())) if len(found) == 1 else batch
            return target.model(only)
        return target.model(next(iter(_without_labels(named).values())))
    if anything and target.loss is None:
        return target.model(**named)
    if anything:
        return target.model(**{**known, **_without_labels(named)})
    return target.model(**known)


def _without_labels(named: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in named.items() if name not in batches.LABELS}


def _taken(target: ProbeTarget, batch: Any, takes: dict[str, inspect.Parameter]) -> int:
    """Return how many elements of a tuple the model is given."""
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in takes.values()):
        return len(batch) if target.loss is None else max(len(batch) - 1, 1)
    placed = [p for p in takes.values() if p.kind in _PLACED]
    required = sum(p.default is inspect.Parameter.empty for p in placed)
    if target.loss is None:
        return min(len(batch), len(placed))
    return min(len(batch), max(required, min(len(batch) - 1, len(placed)), 1))


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return {}


def loss(target: ProbeTarget, output: Any, batch: Any) -> torch.Tensor:
    """Return the one number that training would minimize.

    Raises
    ------
    UsageError
        If there is none, or it is more than one number.
    """
    import torch

    found = _asked(target, output, batch) if target.loss is not None else _carried(output)
    if found is None:
        raise UsageError(
            f"the model's output ({kind(output)}) has no loss: give loss=... to the ProbeTarget, or labels "
            f"in the batch ({batches.describe(batch)})"
        )
    if not isinstance(found, torch.Tensor):
        raise UsageError(f"the loss is {kind(found)}, not a tensor: it has no gradient")
    if found.numel() != 1:
        raise UsageError(
            f"the loss has the shape {list(found.shape)}: it must be one number; return loss.mean()"
        )
    return found.reshape(())


def _asked(target: ProbeTarget, output: Any, batch: Any) -> Any:
    assert target.loss is not None  # noqa: S101 - narrows the type, cannot fail
    if not wants_labels(target.loss):
        return target.loss(output, batch)
    expected = batches.labels(batch)
    if expected is None:
        raise UsageError(
            f"the loss takes labels, and the batch has none by a usual name ({batches.describe(batch)}): "
            "give a function loss(output, batch)"
        )
    found = logits(output)
    return target.loss(output if found is None else found, expected)


def wants_labels(criterion: Callable[..., Any]) -> bool:
    """Tell whether a loss is a criterion ``(logits, labels)``, not a function of output and batch."""
    from torch import nn
    from torch.nn.modules.loss import _Loss

    if isinstance(criterion, _Loss):
        return True
    function = criterion.forward if isinstance(criterion, nn.Module) else criterion
    names = [n for n, p in _parameters(function).items() if p.kind in _PLACED]
    return len(names) > 1 and names[1].lower() in _LABEL_WORDS


def _carried(output: Any) -> Any:
    """Return the loss that an output carries."""
    import torch

    if isinstance(output, torch.Tensor):
        return output if output.numel() == 1 and not output.is_complex() else None
    if isinstance(output, Mapping) and output.get("loss") is not None:
        return output["loss"]
    if getattr(output, "loss", None) is not None:
        return output.loss
    if isinstance(output, (tuple, list)) and output:
        first = output[0]
        return first if isinstance(first, torch.Tensor) and first.numel() == 1 else None
    return None


def logits(output: Any) -> torch.Tensor | None:
    """Return the predictions of an output: its logits, or the first floating tensor that is no loss."""
    import torch

    for name in ("logits", "preds", "predictions", "start_logits"):
        named = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
        if isinstance(named, torch.Tensor):
            return named
    if isinstance(output, torch.Tensor):
        return output if output.is_floating_point() and output.dim() else None
    held = (
        (tensor for name, tensor in batches.tensors(output) if name != "loss")
        if isinstance(output, (Mapping, tuple, list))
        else iter(())
    )
    return next((t for t in held if t.is_floating_point() and t.dim()), None)


def kind(value: object) -> str:
    """Name the type of a value, with the names that it holds."""
    if isinstance(value, Mapping):
        return f"a {type(value).__name__} with {', '.join(map(str, list(value)[:6]))}"
    if hasattr(value, "shape"):
        return f"a tensor of shape {list(value.shape)}"
    return "None" if value is None else f"a {type(value).__name__}"
