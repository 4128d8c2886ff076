"""How many bytes of tensors are alive, and at most were: on any device, by watching every operation.

What a kernel needs for itself while it runs is not seen, and neither is what an allocator keeps in reserve.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    import torch


class Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is on, each operation's outputs are counted until nothing refers to their storage.

    Attributes
    ----------
    now, peak
        Bytes of tensors that were made since it was first on: alive, and at most alive at a time.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0
        self._held: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the operation and count what it made."""
        import torch

        made = func(*args, **(kwargs or {}))
        given = {_key(one) for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)}
        for one in tree_leaves(made):
            if isinstance(one, torch.Tensor) and _key(one) not in given:
                self.count(one)
        return made

    def count(self, tensor: torch.Tensor) -> None:
        """Count a tensor that was there before, once for all that share its storage."""
        if tensor.is_meta or tensor.is_sparse:
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._held:
            return
        size = storage.nbytes()

        def gone(_: Any) -> None:
            self.now -= size
            self._held.pop(key, None)

        self._held[key] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)


def _key(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata if not tensor.is_sparse else id(tensor)
