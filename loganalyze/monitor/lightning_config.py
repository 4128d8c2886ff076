"""The settings of a training by Lightning, and what its evaluations logged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loganalyze.monitor.trainable import parameter_counts
from loganalyze.names import canonical
from loganalyze.report.redact import redact_value

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer


def settings_of(trainer: Trainer, module: LightningModule) -> dict[str, Any]:
    """Return the module's hyper-parameters, the trainer's settings and the size of the model."""
    told: dict[str, Any] = {
        str(key): redact_value(str(key), value)
        for key, value in dict(getattr(module, "hparams", {})).items()
        if isinstance(value, (bool, int, float, str))
    }
    optimizers = trainer.optimizers
    if optimizers:
        told.setdefault("optimizer", type(optimizers[0]).__name__)
        told.setdefault("learning_rate", float(optimizers[0].param_groups[0]["lr"]))
    return {
        **told,
        "gradient_accumulation_steps": trainer.accumulate_grad_batches,
        "max_grad_norm": trainer.gradient_clip_val or 0.0,
        "precision": str(trainer.precision),
        "world_size": trainer.world_size,
        **parameter_counts(module),
    }


def evaluation(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return what belongs to an evaluation; the rest was logged in training, at other steps."""
    return {name: value for name, value in metrics.items() if canonical(name).startswith("eval/")}
