"""Statistics of single layers: the norm of each gradient, and how far an update moves each weight.

The update ratio of a layer is ``|w_after - w_before| / |w_before|`` of at most `SAMPLE` evenly spaced
elements of it, measured on the weights themselves: it holds for any optimizer, learning rate and decay.
Around 0.001 is usual; far above, a layer is thrown about, far below, it stands still.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from loganalyze.monitor.short_names import short_names

if TYPE_CHECKING:
    import torch

SAMPLE = 4096  # elements of a layer; bounds what is copied, whatever the model
GRADIENT, RATIO = "layer_grad", "layer_ratio"


class Layers:
    """Measures the layers of a model around an optimizer's step.

    Everything of one step is moved to the host at once: two waits, and only at steps that are measured.
    """

    def __init__(self, named: Iterable[tuple[str, torch.nn.Parameter]]) -> None:
        weights = {name: weight for name, weight in named if weight.requires_grad}
        short = short_names(weights)
        self._weights = {short[name]: weight for name, weight in weights.items()}
        self._before: dict[str, torch.Tensor] = {}
        self._norms: dict[str, float] = {}

    def before_update(self) -> None:
        """Take the norms of the gradients, and a sample of the weights."""
        import torch

        held = {name: w for name, w in self._weights.items() if w.grad is not None}
        with torch.no_grad():
            gradients = [_local(w.grad) for w in held.values()]
            norms = torch._foreach_norm(gradients) if gradients else []
            self._norms = _numbers(held, norms)
            self._before = {name: _sample(w).clone() for name, w in held.items()}

    def after_update(self) -> dict[str, float]:
        """Return the statistics of the step: ``layer_grad/NAME`` and ``layer_ratio/NAME``."""
        import torch

        ratios = []
        with torch.no_grad():
            for name, before in self._before.items():
                moved = (_sample(self._weights[name]) - before).float().norm()
                ratios.append(moved / before.float().norm().clamp_min(1e-12))
            found = _numbers(self._before, ratios)
        self._before = {}
        told = {f"{GRADIENT}/{name}": value for name, value in self._norms.items()}
        return told | {f"{RATIO}/{name}": value for name, value in found.items()}

    def norm(self) -> float:
        """Return the norm of the whole gradient that was measured last."""
        return math.hypot(*self._norms.values())


def gradient_norm(weights: Iterable[torch.nn.Parameter]) -> torch.Tensor | None:
    """Return the norm of the whole gradient, on the device it is on; None without any."""
    import torch

    gradients = [_local(w.grad) for w in weights if w.grad is not None]
    if not gradients:
        return None
    with torch.no_grad():
        norms = torch._foreach_norm(gradients)
        stacked = torch.stack([norm.to(norms[0].device) for norm in norms])
        whole: torch.Tensor = torch.linalg.vector_norm(stacked)
        return whole


def _numbers(names: Mapping[str, Any], values: Iterable[torch.Tensor]) -> dict[str, float]:
    """Move scalars to the host together."""
    import torch

    found = list(values)
    if not found:
        return {}
    device = found[0].device
    stacked = torch.stack([value.float().to(device) for value in found])
    return dict(zip(names, stacked.tolist(), strict=True))


def _sample(weight: torch.Tensor) -> torch.Tensor:
    flat: torch.Tensor = _local(weight.detach()).reshape(-1)
    return flat[:: max(1, -(-flat.numel() // SAMPLE))]


def _local(tensor: Any) -> Any:
    """Return this process's part of a tensor that is spread over several."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
