"""The losses of single batches: which was the first that is no number, and what was in its batch.

A loss on the host is looked at where it arises. One on an accelerator is kept unread until the next step
that logs, so that nothing waits for it; the batch at hand is then the newest one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

MOST_WAITING = 10_000  # losses on the accelerator that are kept unread


@dataclass
class Broken:
    """A loss that is no number: its step, itself, and a batch (that of ``batch_step``)."""

    step: int
    loss: float
    batch: Any
    batch_step: int


@dataclass
class LossWatch:
    """Looks for the first loss that is no number since it was asked last."""

    _waiting: list[tuple[int, Any]] = field(default_factory=list)
    _broken: Broken | None = None
    _batch: Any = None

    def hold(self, batch: Any) -> None:
        """Keep the batch that is worked on; the one before it is let go."""
        self._batch = batch

    @property
    def held(self) -> Any:
        """The batch that is worked on."""
        return self._batch

    def saw(self, step: int, loss: torch.Tensor) -> None:
        """Take in the loss of the batch that is held."""
        if loss.numel() != 1:
            return
        if loss.device.type != "cpu":
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append((step, loss.detach()))
            return
        value = float(loss.detach())
        if not math.isfinite(value) and self._broken is None:
            self._broken = Broken(step, value, self._batch, step)

    def look(self, step: int) -> Broken | None:
        """Read what waits; return the first loss since the last call that is no number."""
        if self._waiting:
            import torch

            values = torch.stack([loss.reshape(()) for _, loss in self._waiting]).tolist()
            at = next((i for i, value in enumerate(values) if not math.isfinite(value)), None)
            if at is not None and self._broken is None:
                self._broken = Broken(self._waiting[at][0], values[at], self._batch, step)
            self._waiting.clear()
        found, self._broken = self._broken, None
        return found


def loss_of(output: Any) -> torch.Tensor | None:
    """Return the loss in what a model or a training step returned; None where there is none."""
    import torch

    if isinstance(output, torch.Tensor):
        return output if output.numel() == 1 else None
    loss = output.get("loss") if hasattr(output, "get") else getattr(output, "loss", None)
    if loss is None and isinstance(output, tuple) and output:
        loss = output[0]
    return loss if isinstance(loss, torch.Tensor) and loss.numel() == 1 else None
