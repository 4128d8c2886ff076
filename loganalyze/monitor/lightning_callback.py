"""`LightningCallback`: the monitor inside of a Lightning trainer.

trainer = Trainer(..., callbacks=[LightningCallback(stop_on="critical")])
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loganalyze.errors import MissingExtra
from loganalyze.monitor.batch_size import batch_size
from loganalyze.monitor.layers import gradient_norm
from loganalyze.monitor.lightning_config import evaluation, settings_of
from loganalyze.monitor.loss_watch import LossWatch, loss_of
from loganalyze.monitor.memory import memory
from loganalyze.monitor.monitor import Monitor
from loganalyze.monitor.throughput import Throughput
from loganalyze.monitor.torch_watch import TorchWatch

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningModule, Trainer

    from loganalyze.settings import Settings
else:
    # The package goes by two names, whose classes differ; the one that the training uses is imported already.
    _NAMES = ("lightning.pytorch", "pytorch_lightning")
    for _name in sorted(_NAMES, key=lambda name: name not in sys.modules):
        try:
            Callback = import_module(_name).Callback
            break
        except ImportError:
            continue
    else:
        raise MissingExtra("LightningCallback needs lightning: pip install lightning")

FOLDER = "monitor"  # of the trainer's root directory


class LightningCallback(Callback):
    """Watches a training by Lightning: its losses, gradients, layers, memory and speed.

    What it looks at is logged every ``log_every_n_steps`` of the trainer.

    Parameters
    ----------
    directory
        Where the run is kept; ``monitor`` in the trainer's root directory by default.
    stop_on
        ``"critical"`` or ``"warning"``: end the training once such a finding is confirmed.
    layers_every
        Steps between two measurements of every layer; 0 for none.
    writers, alerts, settings, name
        See `Monitor`.
    """

    def __init__(
        self,
        directory: str | Path | None = None,
        *,
        stop_on: str | None = None,
        layers_every: int = 100,
        writers: Sequence[str] = (),
        alerts: Sequence[str] = (),
        settings: Settings | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.monitor: Monitor | None = None  # None on every process but the first
        self._directory, self._layers_every = directory, layers_every
        self._options: dict[str, Any] = {
            "stop_on": stop_on, "writers": writers, "alerts": alerts, "settings": settings, "name": name,
        }  # fmt: skip
        self._watch: TorchWatch | None = None
        self._throughput, self._losses = Throughput(), LossWatch()
        self._sums: list[Any] = []  # losses since the last update, where they are
        self._norm: Any = None
        self._seen = 0  # the last step that was counted

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin: open the run's directory."""
        self._seen = trainer.global_step
        if not trainer.is_global_zero:
            return
        planned = trainer.estimated_stepping_batches
        self.monitor = Monitor(
            self._directory or Path(trainer.default_root_dir) / FOLDER,
            config=settings_of(trainer, pl_module),
            planned_steps=int(planned) if planned != float("inf") and planned > 0 else None,
            framework="lightning",
            **self._options,
        )
        self._throughput, self._losses = Throughput(), LossWatch()
        self._watch = TorchWatch(self.monitor, pl_module, self._layers_every)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Start the clock, and hold the batch."""
        self._throughput.begin()
        self._losses.hold(batch)

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Any
    ) -> None:
        """Measure the gradients at the steps that log, and layers where they are measured."""
        if self._watch is None:
            return
        step = trainer.global_step + 1
        self._watch.before_update(step, self._losses)
        if _logs(trainer, step):
            self._norm = gradient_norm(pl_module.parameters())

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take in a loss; at a step that logs, everything."""
        step = trainer.global_step
        self._throughput.end()
        self._count(batch, trainer.world_size)
        loss = loss_of(outputs) if outputs is not None else None
        if loss is not None:
            self._losses.saw(max(step, self._seen + 1), loss)
            self._sums.append(loss.detach())
        if step == self._seen:  # gradients are gathered
            return
        self._seen = step
        if self._watch:
            self._watch.after_update(step)
        if _logs(trainer, step):
            self._log(trainer, step)
        self._sums = []

    def _count(self, batch: Any, world_size: int) -> None:
        samples, tokens = batch_size(batch)
        self._throughput.samples += samples * world_size
        self._throughput.tokens += tokens * world_size

    def _log(self, trainer: Trainer, step: int) -> None:
        if self.monitor is not None:
            self.monitor.log(step, **self._values(trainer, step))
        wanted = self.monitor is not None and self.monitor.should_stop
        if trainer.strategy.reduce_boolean_decision(wanted, all=False):
            trainer.should_stop = True

    def _values(self, trainer: Trainer, step: int) -> Mapping[str, Any]:
        found: dict[str, Any] = {**self._throughput.rates(), **memory()}
        if self._sums:
            found["loss"] = sum(float(loss) for loss in self._sums) / len(self._sums)
        found["grad_norm"], self._norm = self._norm, None
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        if groups:
            found["lr"] = groups[0]["lr"]
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        if scaler is not None:
            found["loss_scale"] = scaler.get_scale()
        broken = self._losses.look(step)
        if broken is not None:
            found["loss"] = broken.loss
        if self._watch:
            self._watch.logged(broken, found["grad_norm"], found.get("loss_scale"))
        return {**found, "epoch": trainer.current_epoch}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take in what an evaluation logged."""
        if self.monitor is not None and not trainer.sanity_checking:
            self.monitor.log(trainer.global_step, **evaluation(trainer.callback_metrics))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End: the summary, and the postmortem."""
        self._close(None)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """End with the exception in the postmortem."""
        self._close(exception)

    def _close(self, error: BaseException | None) -> None:
        if self.monitor is not None:
            self.monitor.note("throughput", **self._throughput.summary())
            self.monitor.finish(error)


def _logs(trainer: Trainer, step: int) -> bool:
    every = int(getattr(trainer, "log_every_n_steps", 0) or 0)
    return every > 0 and step % every == 0
