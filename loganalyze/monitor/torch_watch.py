"""What both callbacks do to a model: measure its layers now and then, look into a broken batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from loganalyze.monitor.batch_diagnosis import diagnose_batch, write_batch
from loganalyze.monitor.layers import GRADIENT, Layers
from loganalyze.monitor.numbers import number
from loganalyze.monitor.quiet import LOGGER, Quiet

if TYPE_CHECKING:
    import torch

    from loganalyze.monitor.loss_watch import Broken, LossWatch
    from loganalyze.monitor.monitor import Monitor

MOST_BATCHES = 3  # looked into per training: what comes after the first few is the same


class TorchWatch:
    """Looks into a model for one monitor; nothing in it raises."""

    def __init__(self, monitor: Monitor, model: torch.nn.Module, every: int) -> None:
        self._monitor, self._model, self._every = monitor, model, every
        self._layers = Layers(model.named_parameters())
        self._measuring, self._looking = Quiet("Measuring layers"), Quiet("Looking into a batch")
        self._measured, self._suspicious, self._batches = False, False, 0
        self._scale: float | None = None

    def before_update(self, step: int, losses: LossWatch) -> None:
        """Measure what there is before an optimizer's step, if it is a step to measure."""
        if self._suspicious:  # the last norm that was logged is no number: now there are gradients
            self._suspicious = False
            self._capture(step, None, losses.held)
        if self._every > 0 and step % self._every == 0:
            with self._measuring:
                self._layers.before_update()
                self._measured = True

    def after_update(self, step: int) -> None:
        """Measure what an optimizer's step did, if `before_update` measured."""
        if not self._measured:
            return
        self._measured = False
        with self._measuring:
            found = self._layers.after_update()
            self._monitor.log_layers(step, found)
            _tell(step, found)

    def logged(self, broken: Broken | None, norm: Any, scale: float | None) -> None:
        """Take in what a log point brought: a loss that is no number, the norm of the gradient."""
        self._scale = scale
        if broken is not None:
            self._capture(broken.batch_step, broken.loss, broken.batch)
            return
        value = number(norm)
        self._suspicious = value is not None and not math.isfinite(value)

    def _capture(self, step: int, loss: float | None, batch: Any) -> None:
        if self._batches >= MOST_BATCHES:
            return
        self._batches += 1
        with self._looking:
            found = diagnose_batch(
                step, loss=loss, batch=batch, model=self._model, loss_scale=self._scale
            )
            path = write_batch(self._monitor.directory, found)
            self._monitor.note("batch", file=path.name, says=found["says"], batch_step=step)
            LOGGER.warning("batch of step %d: %s", step, found["says"])


def _tell(step: int, found: dict[str, float]) -> None:
    norms = {name: value for name, value in found.items() if name.startswith(GRADIENT)}
    if norms:
        high, low = max(norms, key=norms.__getitem__), min(norms, key=norms.__getitem__)
        LOGGER.info(
            "step %d: largest %s = %.6g, smallest %s = %.6g",
            step,
            high,
            norms[high],
            low,
            norms[low],
        )
