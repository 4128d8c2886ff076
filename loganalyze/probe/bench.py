"""The bench: a target on its device, with all that a check does to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from loganalyze.errors import UsageError
from loganalyze.probe import batches, call
from loganalyze.probe.clock import Clock
from loganalyze.probe.state import Kept
from loganalyze.probe.target import ProbeTarget, opened

if TYPE_CHECKING:
    import torch

    from loganalyze.run import Run

USUAL_RATE = 1e-3  # learning rate of AdamW where nothing says another (torch's own default)


@dataclass(frozen=True, eq=False)
class Bench:
    """What a check works with.

    Attributes
    ----------
    kept
        What was there before; `rewind` puts it back between the parts of a check.
    report
        ``report(done, total)``: how far the check is, for the progress bar.
    run
        The run whose causes are asked about, where one was named: its settings are those of the training.
    """

    target: ProbeTarget
    device: torch.device
    clock: Clock
    kept: Kept
    report: Callable[[int, int], None]
    run: Run | None = None
    _read: list[Any] = field(default_factory=list)

    def stream(self) -> Iterator[Any]:
        """Begin a pass over the batches, as they come: not moved to the device."""
        return opened(self.target)

    def batches(self, count: int) -> list[Any]:
        """Return the first batches on the device, at most `count`; fewer where there are no more.

        Raises
        ------
        UsageError
            If there is not even one.
        """
        if len(self._read) < count:
            self._read[:] = islice(self.stream(), count)
        if not self._read:
            raise UsageError("the target has no batch: its DataLoader or list is empty")
        return [batches.moved(batch, self.device) for batch in self._read[:count]]

    def forward(self, batch: Any) -> Any:
        """Return the model's output, in the precision of the training."""
        with self.autocast():
            return call.forward(self.target, batch)

    def loss_of(self, output: Any, batch: Any) -> torch.Tensor:
        """Return the loss of an output: one number with a gradient."""
        with self.autocast():
            return call.loss(self.target, output, batch)

    def loss(self, batch: Any) -> torch.Tensor:
        """Return the loss of a batch."""
        return self.loss_of(self.forward(batch), batch)

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which the training runs forward and loss."""
        import torch

        kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
        kind = kinds.get(self.target.precision)
        return torch.autocast(self.device.type, dtype=kind, enabled=kind is not None)

    def trainable(self) -> list[tuple[str, torch.nn.Parameter]]:
        """Return the parameters that require a gradient, tied ones once, with their names."""
        return [(n, p) for n, p in self.target.model.named_parameters() if p.requires_grad]

    def learning_rate(self) -> float:
        """Return the highest learning rate of the training: of the target, the run, the optimizer."""
        if self.target.learning_rate is not None:
            return self.target.learning_rate
        told = self.run.number("learning_rate") if self.run is not None else None
        if told:
            return told
        optimizer = self.target.optimizer
        if optimizer is not None:
            # A scheduler has begun with its warm-up: the highest is what it started from.
            rates = [g.get("initial_lr", g.get("lr", 0.0)) for g in optimizer.param_groups]
            if rates and float(max(rates)) > 0:
                return float(max(rates))
        return USUAL_RATE

    def optimizer(self, rate: float | None = None) -> Any:
        """Return the training's optimizer, or AdamW where the target has none, at a learning rate.

        With groups of different rates the highest becomes `rate` and the others keep their ratio to it.
        """
        import torch

        wanted = self.learning_rate() if rate is None else rate
        found = self.target.optimizer
        if found is None:
            parameters = [parameter for _, parameter in self.trainable()]
            if not parameters:
                raise UsageError("the model has no parameter that requires a gradient")
            return torch.optim.AdamW(parameters, lr=wanted)
        rates = [float(g.get("initial_lr", g["lr"])) for g in found.param_groups]
        highest = max(rates, default=0.0)
        for group, own in zip(found.param_groups, rates, strict=True):
            new = wanted * own / highest if highest > 0 else wanted
            group["lr"] = (
                new if not isinstance(group["lr"], torch.Tensor) else group["lr"] * 0 + new
            )
        return found

    def rewind(self) -> None:
        """Put everything back as it was when the check began, on the bench's device."""
        from loganalyze.probe.place import place

        self.kept.restore()
        place(self.target, self.device)

    def clear_gradients(self) -> None:
        """Let no parameter have a gradient."""
        for parameter in self.target.model.parameters():
            parameter.grad = None

    def number(self, key: str) -> float | None:
        """Return a setting of the run as a number; None without a run that has it."""
        return self.run.number(key) if self.run is not None else None
