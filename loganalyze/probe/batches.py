"""Batches of any shape: dictionaries, tuples, tensors, dataclasses, Hugging Face's ``BatchEncoding``.

A batch is a tree whose leaves are tensors and other values. Whatever is done with it keeps its types.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

LABELS = ("labels", "label", "targets", "target", "y", "y_true", "start_positions")


def mapped(batch: Any, change: Callable[[Any], Any]) -> Any:
    """Return the batch with every leaf changed, in containers of the same types."""
    import copy

    if isinstance(batch, Mapping):
        changed = {key: mapped(value, change) for key, value in batch.items()}
        if type(batch) is dict:
            return changed
        twin = copy.copy(batch)  # BatchEncoding, BatchFeature, OrderedDict
        if hasattr(twin, "data") and isinstance(twin.data, dict):
            twin.data = changed
            return twin
        twin.update(changed)  # type: ignore[attr-defined]
        return twin
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(mapped(value, change) for value in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(mapped(value, change) for value in batch)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        twin: Any = copy.copy(batch)  # type: ignore[no-redef]
        for field in dataclasses.fields(batch):
            # A frozen dataclass is a batch, too.
            object.__setattr__(twin, field.name, mapped(getattr(batch, field.name), change))
        return twin
    if _is_object(batch):
        twin = copy.copy(batch)
        for name, value in vars(batch).items():
            object.__setattr__(twin, name, mapped(value, change))
        return twin
    return change(batch)


def _is_object(batch: Any) -> bool:
    """Tell whether it is a plain object that holds tensors, such as a batch of a graph."""
    import torch

    return (
        not isinstance(batch, (torch.Tensor, type))
        and not callable(batch)
        and isinstance(getattr(batch, "__dict__", None), dict)
        and any(isinstance(value, torch.Tensor) for value in vars(batch).values())
    )


def fields(batch: Any) -> dict[str, Any] | None:
    """Return the named parts of a batch, or None where it has none."""
    if isinstance(batch, Mapping):
        return {str(key): value for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return dict(zip(batch._fields, batch, strict=True))
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        return {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    return dict(vars(batch)) if _is_object(batch) else None


def tensors(batch: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every tensor of a batch with its place in it: ``input_ids``, ``0``, ``image.pixels``."""
    import torch

    if isinstance(batch, torch.Tensor):
        yield name or "batch", batch
        return
    named = fields(batch)
    if named is None and isinstance(batch, (tuple, list)):
        named = {str(index): value for index, value in enumerate(batch)}
    for key, value in (named or {}).items():
        yield from tensors(value, f"{name}.{key}" if name else key)


def moved(batch: Any, device: Any) -> Any:
    """Return the batch on a device."""
    import torch

    return mapped(batch, lambda v: v.to(device) if isinstance(v, torch.Tensor) else v)


def size(batch: Any) -> int:
    """Return the number of samples: the most frequent first dimension of its tensors; 0 without any."""
    from collections import Counter

    firsts = Counter(tensor.shape[0] for _, tensor in tensors(batch) if tensor.dim())
    return firsts.most_common(1)[0][0] if firsts else 0


def selected(batch: Any, indices: Sequence[int]) -> Any:
    """Return the batch with these samples only."""
    import torch

    count = size(batch)
    chosen = list(indices)

    def change(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.dim() and value.shape[0] == count:
            return value[torch.tensor(chosen, device=value.device)]
        return value

    def texts(part: Any) -> Any:
        if isinstance(part, list) and len(part) == count and not _holds_tensors(part):
            return [part[index] for index in chosen]
        return part

    named = fields(batch) if isinstance(batch, Mapping) else None
    if named is not None and type(batch) is dict:
        return {key: mapped(texts(value), change) for key, value in batch.items()}
    return mapped(batch, change)


def _holds_tensors(part: list[Any]) -> bool:
    import torch

    return any(isinstance(item, torch.Tensor) for item in part)


def singles(batch: Any, most: int) -> list[Any]:
    """Return the first samples of a batch, each as a batch of one."""
    return [selected(batch, [index]) for index in range(min(size(batch), most))]


def parts(batch: Any, count: int) -> list[Any]:
    """Return the batch cut into `count` equal parts; what is left over is dropped."""
    each = size(batch) // count
    return [selected(batch, range(k * each, (k + 1) * each)) for k in range(count)]


def labels(batch: Any) -> torch.Tensor | None:
    """Return the labels: by name, or the last of a tuple; None where there are none."""
    import torch

    named = fields(batch)
    if named is not None:
        found = next((named[name] for name in LABELS if named.get(name) is not None), None)
    elif isinstance(batch, (tuple, list)) and len(batch) > 1:
        found = batch[-1]
    else:
        found = None
    return found if isinstance(found, torch.Tensor) else None


def inputs(batch: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of a batch that are not its labels."""
    known = labels(batch)
    for name, tensor in tensors(batch):
        if tensor is not known:
            yield name, tensor


def describe(batch: Any) -> str:
    """Say what a batch holds: ``input_ids int64 [8, 128], labels int64 [8]``."""
    held = [
        f"{name} {str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
        for name, tensor in tensors(batch)
    ]
    return ", ".join(held) or f"a {type(batch).__name__} without tensors"
