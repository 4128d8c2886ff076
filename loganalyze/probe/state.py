"""What a probe may disturb, kept and put back bit for bit.

`keep` walks through everything that it is given: modules, optimizers, schedulers, lists, dictionaries and
whatever they hold. Of each tensor it keeps the contents and of each object what it refers to, so that not
only the values but the very objects are there again: a parameter that was replaced, cast or moved is the
same parameter afterwards. The copies stand in host memory, where they disturb no measurement of a device.
"""

from __future__ import annotations

import random
import types
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from loganalyze.probe import generators
from loganalyze.probed import Restored

if TYPE_CHECKING:
    import torch

MOST_NODES = 300_000  # objects that are looked into
LONGEST = 20_000  # elements of a list that are looked into; of a longer one only its order is kept
LARGEST_DATA = 2**26  # bytes of one tensor of the data that is copied: checks do not write into it
_CLOSED = (
    type, types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType,
    types.GeneratorType, types.CodeType, str, bytes, int, float, complex, bool, type(None),
)  # fmt: skip


class Cell(Protocol):
    """One thing that is kept."""

    @property
    def name(self) -> str:
        """What it is called in the proof."""

    def restore(self) -> None:
        """Put it back; leave it alone if it is as it was."""

    def is_same(self) -> bool:
        """Tell whether it is as it was, bit for bit."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a tensor, and which storage they stand in."""

    name: str
    tensor: torch.Tensor
    storage: torch.Tensor
    copy: torch.Tensor | None
    requires_grad: bool
    grad: torch.Tensor | None

    def restore(self) -> None:
        """Put back storage, contents, gradient."""
        import torch

        with torch.no_grad():
            if not _same_storage(self.tensor.data, self.storage):
                if self.tensor.grad is not None:
                    self.tensor.grad = None
                self.tensor.data = self.storage
            if self.copy is not None and not same_bits(self.storage, self.copy):
                self.storage.copy_(self.copy)
        if self.tensor.is_leaf:
            if self.tensor.requires_grad is not self.requires_grad:
                self.tensor.requires_grad_(self.requires_grad)
            if self.tensor.grad is not self.grad:
                self.tensor.grad = self.grad

    def is_same(self) -> bool:
        """Compare storage, contents, gradient."""
        leaf = self.tensor.is_leaf
        return (
            _same_storage(self.tensor.data, self.storage)
            and (self.copy is None or same_bits(self.storage, self.copy))
            and (not leaf or self.tensor.grad is self.grad)
            and (not leaf or self.tensor.requires_grad is self.requires_grad)
        )


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a mutable container, or an object by its ``__dict__``, refers to."""

    name: str
    container: Any
    kept: Any

    def restore(self) -> None:
        """Refer to the same again, in the same order."""
        if self.is_same():
            return
        self.container.clear()
        if isinstance(self.container, (dict, set)):
            self.container.update(self.kept)
        else:
            self.container.extend(self.kept)

    def is_same(self) -> bool:
        """Tell whether it refers to the same objects in the same order."""
        now, then = self.container, self.kept
        if isinstance(now, dict):
            return (
                len(now) == len(then)
                and all(map(_same_key, now, then))
                and all(a is b for a, b in zip(now.values(), then.values(), strict=True))
            )
        if isinstance(now, set):
            return now == set(then)
        return len(now) == len(then) and all(a is b for a, b in zip(now, then, strict=True))


@dataclass(frozen=True, slots=True)
class Array:
    """The contents of a NumPy array."""

    name: str
    array: Any
    copy: Any

    def restore(self) -> None:
        """Put the contents back."""
        if not self.is_same():
            self.array[...] = self.copy

    def is_same(self) -> bool:
        """Compare the bytes."""
        return bool(self.array.tobytes() == self.copy.tobytes())


@dataclass(frozen=True, slots=True)
class Kept:
    """Everything that is put back."""

    cells: tuple[Cell, ...]
    generators: tuple[generators.Generator, ...]
    remarks: tuple[str, ...] = ()

    def restore(self) -> None:
        """Put everything back."""
        for cell in self.cells:
            if not isinstance(cell, Contents):
                cell.restore()
        for cell in reversed(self.cells):  # gradients before what they are the gradients of
            if isinstance(cell, Contents):
                cell.restore()
        for generator in self.generators:
            generator.restore()

    def proof(self) -> Restored:
        """Compare everything with what was kept."""
        tensors = sum(isinstance(cell, Contents) for cell in self.cells)
        everything: tuple[Cell, ...] = (*self.cells, *self.generators)
        return Restored(
            tensors=tensors,
            objects=len(self.cells) - tensors,
            generators=len(self.generators),
            changed=tuple(dict.fromkeys(cell.name for cell in everything if not cell.is_same())),
            remarks=self.remarks,
        )


def keep(
    weights: Mapping[str, Any],
    data: Mapping[str, Any],
    roots: Mapping[str, Any],
    remarks: tuple[str, ...] = (),
) -> Kept:
    """Keep the `weights`, then, but for large tensors, what `data` holds, then all that `roots` hold.

    The states of the global random generators (Python, NumPy, torch, its accelerators) are kept always.
    """
    seen: dict[int, Any] = {}
    cells: list[Cell] = []
    found: list[generators.Generator] = list(generators.of_the_process())
    for group, limit in ((weights, None), (data, LARGEST_DATA), (roots, None)):
        for name, root in group.items():
            for cell in _walk(name, root, seen, limit):
                if isinstance(cell, generators.Generator):
                    found.append(cell)
                else:
                    cells.append(cell)
    if len(seen) >= MOST_NODES:
        remarks = (
            *remarks,
            f"Only the first {MOST_NODES:,} objects were compared; there are more.",
        )
    return Kept(tuple(cells), tuple(found), remarks)


def _walk(
    name: str, root: Any, seen: dict[int, Any], limit: int | None
) -> Iterator[Cell | generators.Generator]:
    """Yield what is kept of `root` and of all that it holds; without recursion, models nest deeply."""
    waiting: deque[tuple[str, Any]] = deque([(name, root)])
    while waiting and len(seen) < MOST_NODES:
        name, item = waiting.popleft()
        if isinstance(item, _CLOSED) or id(item) in seen:
            continue
        seen[id(item)] = item  # held, so that its id is not given to another
        found, inside = _kept(_readable(name), item, limit)
        yield from found
        waiting.extend((f"{name}.{_named(key)}", value) for key, value in inside)


def _kept(
    name: str, item: Any, limit: int | None
) -> tuple[list[Cell | generators.Generator], list[tuple[Any, Any]]]:
    """Return what is kept of one object, and what it holds."""
    import numpy as np
    import torch

    if isinstance(item, torch.Tensor):
        return _of_tensor(name, item, limit)
    if isinstance(item, np.ndarray):
        fits = item.dtype != object and item.nbytes <= LARGEST_DATA and item.flags.writeable
        return ([Array(name, item, item.copy())] if fits else []), []
    generator = generators.of(name, item)
    if generator is not None:
        return [generator], []
    if isinstance(item, dict):
        return [Attributes(name, item, dict(item))], list(item.items())
    if isinstance(item, (list, deque)):
        inside = list(enumerate(item)) if len(item) <= LONGEST else []
        return [Attributes(name, item, list(item))], inside
    if isinstance(item, set):
        return [Attributes(name, item, list(item))], []
    if isinstance(item, tuple):
        return [], list(enumerate(item)) if len(item) <= LONGEST else []
    if isinstance(item, random.Random) or not hasattr(item, "__dict__"):
        return [], []
    held = vars(item)
    if not isinstance(held, dict):
        return [], []
    return [Attributes(name, held, dict(held))], list(held.items())


def _of_tensor(
    name: str, item: torch.Tensor, limit: int | None
) -> tuple[list[Cell | generators.Generator], list[tuple[Any, Any]]]:
    import torch

    held = item.layout is torch.strided and not item.is_meta
    small = limit is None or item.numel() * item.element_size() <= limit
    copy = item.detach().to("cpu", copy=True) if held and small else None
    grad = item.grad if item.is_leaf else None
    cell = Contents(name, item, item.data, copy, item.requires_grad, grad)
    inside = [] if grad is None else [("grad", grad)]
    return [cell], [*inside, *vars(item).items()]


def _same_storage(a: torch.Tensor, b: torch.Tensor) -> bool:
    return (
        a.dtype == b.dtype
        and a.device == b.device
        and a.shape == b.shape
        and (a.is_meta or a.layout != b.layout or not _strided(a) or a.data_ptr() == b.data_ptr())
    )


def _strided(tensor: torch.Tensor) -> bool:
    import torch

    return tensor.layout is torch.strided


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Tell whether two tensors have the same bits: NaN equals NaN, and 0 is not -0."""
    import torch

    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    one, other = (
        t.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8) if t.numel() else t
        for t in (a, b)
    )
    return bool(torch.equal(one, other))


def _same_key(a: Any, b: Any) -> bool:
    return a is b or (isinstance(a, (str, bytes, int, float, tuple)) and bool(a == b))


def _named(key: Any) -> str:
    return str(key) if isinstance(key, (str, int)) else type(key).__name__


def _readable(name: str) -> str:
    for part in ("._modules", "._parameters", "._buffers"):
        name = name.replace(part, "")
    return name
