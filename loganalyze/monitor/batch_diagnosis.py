"""Where the first NaN is: in the inputs, in the parameters, in the gradients, or only in the loss.

Looked at once, when a loss is not finite: it waits for the accelerator and walks over the whole model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loganalyze import __version__
from loganalyze.monitor.lines import strict

if TYPE_CHECKING:
    import torch

MOST_NAMED = 20  # tensors of a kind; of a model that is NaN, all are
MOST_LEVELS = 4  # of nesting in a batch


def diagnose_batch(
    step: int,
    *,
    loss: float | None,
    batch: Any,
    model: torch.nn.Module,
    loss_scale: float | None = None,
) -> dict[str, Any]:
    """Return what is not finite at this step, and what that says."""
    inputs = [_described(name, tensor) for name, tensor in tensors(batch)]
    parameters, gradients = [], []
    for name, weight in model.named_parameters():
        parameters += _broken(name, weight.detach())
        if weight.grad is not None:
            gradients += _broken(name, weight.grad)
    found = {
        "step": step,
        "loss": loss,
        "inputs": inputs,
        "parameters": {"count": len(parameters), "first": parameters[:MOST_NAMED]},
        "gradients": {"count": len(gradients), "first": gradients[:MOST_NAMED]},
        "loss_scale": loss_scale,
        "precision": sorted({str(weight.dtype) for weight in model.parameters()}),
    }
    return {**found, "says": _says(inputs, parameters, gradients, loss_scale)}


def _says(
    inputs: Sequence[Mapping[str, Any]],
    parameters: Sequence[Any],
    gradients: Sequence[Any],
    loss_scale: float | None,
) -> str:
    """Say in a sentence where it is not finite; what comes first on the way through a step counts."""
    broken = [entry["name"] for entry in inputs if entry.get("nan") or entry.get("inf")]
    if broken:
        return f"The batch holds values that are not finite: {', '.join(broken[:MOST_NAMED])}."
    if parameters:
        return (
            f"{len(parameters)} parameters are not finite: an earlier update broke them, this batch "
            "only shows it."
        )
    if gradients:
        return (
            f"Inputs and parameters are finite, {len(gradients)} gradients are not: the backward pass "
            "overflows."
        )
    scale = f" The loss scale is {loss_scale:g}." if loss_scale is not None else ""
    return (
        "Inputs, parameters and gradients are finite: the loss overflows where it is computed "
        f"(a logarithm or a division by 0, half precision).{scale}"
    )


def tensors(batch: Any, prefix: str = "", level: int = 0) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of a batch with their names: of mappings, sequences, or one tensor."""
    import torch

    if isinstance(batch, torch.Tensor):
        yield prefix or "input", batch
    elif level < MOST_LEVELS and isinstance(batch, Mapping):
        for key, value in batch.items():
            yield from tensors(value, f"{prefix}{'.' * bool(prefix)}{key}", level + 1)
    elif level < MOST_LEVELS and isinstance(batch, (list, tuple)):
        for index, value in enumerate(batch):
            yield from tensors(value, f"{prefix}{'.' * bool(prefix)}{index}", level + 1)


def _described(name: str, tensor: torch.Tensor) -> dict[str, Any]:
    import torch

    told: dict[str, Any] = {"name": name, "shape": list(tensor.shape), "dtype": str(tensor.dtype)}
    if not tensor.numel():
        return told
    if tensor.is_floating_point():
        told["nan"] = int(torch.isnan(tensor).sum())
        told["inf"] = int(torch.isinf(tensor).sum())
        tensor = tensor[torch.isfinite(tensor)]
    if tensor.numel() and not tensor.is_complex():
        told["lowest"], told["highest"] = (float(found) for found in torch.aminmax(tensor))
    return told


def _broken(name: str, tensor: torch.Tensor) -> list[dict[str, Any]]:
    import torch

    if bool(torch.isfinite(tensor).all()):
        return []
    nan, inf = int(torch.isnan(tensor).sum()), int(torch.isinf(tensor).sum())
    return [{"name": name, "nan": nan, "inf": inf, "of": tensor.numel()}]


def write_batch(directory: Path, found: Mapping[str, Any]) -> Path:
    """Write a diagnosis of a batch into the run's directory; return its path."""
    import orjson

    path = directory / f"batch-{found['step']:06d}.json"
    document = {"tool": {"name": "loganalyze", "version": __version__}, **found}
    path.write_bytes(orjson.dumps(strict(document), option=orjson.OPT_INDENT_2, default=str))
    return path
