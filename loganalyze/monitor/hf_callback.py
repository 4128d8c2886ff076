"""`HFCallback`: the monitor inside of the Hugging Face Trainer.

trainer = Trainer(..., callbacks=[HFCallback(stop_on="critical")])
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from loganalyze.errors import MissingExtra
from loganalyze.monitor.batch_size import batch_size
from loganalyze.monitor.hf_config import settings_of
from loganalyze.monitor.loss_watch import LossWatch, loss_of
from loganalyze.monitor.memory import memory
from loganalyze.monitor.monitor import Monitor
from loganalyze.monitor.ranks import agreed
from loganalyze.monitor.throughput import Throughput
from loganalyze.monitor.torch_watch import TorchWatch

try:
    from transformers import TrainerCallback
except ImportError:
    raise MissingExtra("HFCallback needs transformers: pip install transformers") from None

if TYPE_CHECKING:
    import torch
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from loganalyze.settings import Settings

FOLDER = "monitor"  # of the output directory
_SUMMARY = (
    "train_runtime"  # in the Trainer's last record, which holds means over the whole training
)


class HFCallback(TrainerCallback):  # type: ignore[misc, unused-ignore]
    """Watches a training by the Trainer: what it logs, its losses, layers, memory and speed.

    Parameters
    ----------
    directory
        Where the run is kept; ``monitor`` in the output directory by default.
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
        self.monitor: Monitor | None = None  # None on every process but the first
        self._directory, self._layers_every = directory, layers_every
        self._options: dict[str, Any] = {
            "stop_on": stop_on, "writers": writers, "alerts": alerts, "settings": settings, "name": name,
        }  # fmt: skip
        self._watch: TorchWatch | None = None
        self._throughput, self._losses = Throughput(), LossWatch()
        self._handles: list[Any] = []
        self._excepthook: Callable[..., Any] | None = None
        self._step = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin: open the run's directory, and look into the model."""
        model = kwargs.get("model")
        if not state.is_world_process_zero:
            return
        self._close(None)  # of a training that never ended
        self.monitor = Monitor(
            self._directory or Path(str(args.output_dir)) / FOLDER,
            config=settings_of(args, state, model),
            planned_steps=state.max_steps if state.max_steps > 0 else None,
            framework="hf-trainer",
            **self._options,
        )
        self._throughput, self._losses = Throughput(), LossWatch()
        if model is not None:
            self._watch = TorchWatch(self.monitor, model, self._layers_every)
            self._handles = [
                model.register_forward_pre_hook(self._before_forward, with_kwargs=True),
                model.register_forward_hook(self._after_forward),
            ]
        self._excepthook, sys.excepthook = sys.excepthook, self._uncaught

    def _before_forward(
        self, model: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        if model.training:
            batch = dict(kwargs) if kwargs else args
            self._losses.hold(batch)
            samples, tokens = batch_size(batch)
            self._throughput.samples += samples
            self._throughput.tokens += tokens

    def _after_forward(self, model: torch.nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if model.training:
            loss = loss_of(output)
            if loss is not None:
                self._losses.saw(self._step + 1, loss)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the clock of a step."""
        self._step = state.global_step
        self._throughput.begin()

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Measure the gradients, at the steps where layers are measured."""
        if self._watch:
            self._watch.before_update(state.global_step + 1, self._losses)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Measure the update."""
        if self._watch:
            self._watch.after_update(state.global_step + 1)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stop the clock of a step."""
        self._throughput.end()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Take in what the Trainer logs; end the training where that is asked for."""
        logs = dict(logs or {})
        if self.monitor is not None and _SUMMARY in logs:
            self.monitor.note("summary", **logs)
        elif self.monitor is not None:
            if "loss" in logs:
                logs = {**logs, **self._beside(state.global_step, logs, kwargs.get("optimizer"))}
            self.monitor.log(state.global_step, **logs)
        stop = self.monitor is not None and self.monitor.should_stop
        if "loss" in logs and agreed(stop):  # every process logs the loss at the same steps
            control.should_training_stop = True

    def _beside(self, step: int, logs: Mapping[str, Any], optimizer: Any) -> dict[str, Any]:
        """Return what the Trainer does not log at a step that logs the loss."""
        found: dict[str, Any] = {**self._throughput.rates(), **memory()}
        scale = loss_scale(optimizer)
        if scale is not None:
            found["loss_scale"] = scale
        broken = self._losses.look(step)
        if broken is not None:  # by default the Trainer logs a mean instead
            found["loss"] = broken.loss
        if self._watch:
            self._watch.logged(broken, logs.get("grad_norm"), scale)
        return found

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """End: the summary, and the postmortem."""
        self._close(None)

    def _uncaught(
        self, kind: type[BaseException], error: BaseException, at: TracebackType | None
    ) -> None:
        hook = self._excepthook or sys.__excepthook__
        self._close(error)
        hook(kind, error, at)

    def _close(self, error: BaseException | None) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        if self._excepthook is not None:
            if sys.excepthook == self._uncaught:
                sys.excepthook = self._excepthook
            self._excepthook = None
        if self.monitor is not None:
            self.monitor.note("throughput", **self._throughput.summary())
            self.monitor.finish(error)

    def __enter__(self) -> HFCallback:
        """Have the postmortem written also if the training ends in an exception that is caught."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._close(error)


def loss_scale(optimizer: Any) -> float | None:
    """Return the scale of a dynamic loss scaler, which Accelerate keeps at the optimizer."""
    scaler = getattr(optimizer, "scaler", None)
    return float(scaler.get_scale()) if scaler is not None else None
