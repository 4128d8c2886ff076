"""A recipe: everything that decides how one run is made. A fault is a change to a recipe."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.faults.task import Splits, Task

Batch = tuple[Tensor, Tensor]


ADAMW = partial(torch.optim.AdamW, weight_decay=0.01)


@dataclass(frozen=True)
class Schedule:
    """The learning rate as a share of its peak, by step."""

    shape: str = "cosine"  # constant, linear, cosine, restarts, onecycle, step, wsd, exponential
    warmup: float = 0.05  # share of the planned steps
    ends: float = 1.0  # share of the planned steps after which the decay is over
    cycles: int = 4
    decay: float = 0.97  # of an exponential schedule, a step

    def factor(self, step: int, total: int) -> float:
        """Return the factor of the peak rate at `step` (from 0) of `total`."""
        warmup = self.warmup * total
        if step < warmup:
            return (step + 1) / warmup if warmup >= 1 else 1.0
        done = min((step - warmup) / max(self.ends * total - warmup, 1), 1.0)
        match self.shape:
            case "constant":
                return 1.0
            case "linear":
                return 1 - done
            case "restarts":
                return 0.5 * (1 + math.cos(math.pi * (done * self.cycles % 1)))
            case "exponential":
                return self.decay ** (step - warmup)
            case "step":
                return 0.1 ** (int(done >= 0.5) + int(done >= 0.75))
            case "wsd":
                return min(1.0, (1 - done) / 0.2)
        return 0.5 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True)
class Restart:
    """A stop and a start from a checkpoint, with what of its state came back."""

    at: int
    rewind: int = 0
    optimizer: bool = True
    schedule: bool = True
    head: bool = True


@dataclass(frozen=True)
class Recipe:
    """How one run is made."""

    task: Task
    seed: int
    steps: int
    batch: int
    lr: float
    optimizer: Callable[..., torch.optim.Optimizer] = ADAMW
    schedule: Schedule = field(default_factory=Schedule)
    clip: float | None = 1.0
    accumulate: int = 1
    summed: bool = False  # the loss of the micro-batches is added up, not averaged
    shuffle: bool = True
    precision: str = "fp32"  # fp32, bf16 (weights too), fp16 (mixed, with a loss scale)
    scaled: bool = True  # fp16 with a loss scale
    log_every: int = 5
    eval_every: int = 50
    log_norm_after_clip: bool = False
    log_means: bool = False  # a line holds the mean loss since the line before
    log_smoothed: float = (
        0.0  # the share of the past in a moving average that is logged as the loss
    )
    hides: tuple[str, ...] = ()  # columns that are not logged
    format: str = "keyvalue"
    restart: Restart | None = None
    stops_at: int | None = None  # the process ends without a word
    label_smoothing: float = 0.0
    eval_in_train_mode: bool = False
    skip_nonfinite: bool = False
    change_data: tuple[Callable[[Splits, torch.Generator], Splits], ...] = ()
    change_model: tuple[Callable[[nn.Module], nn.Module | None], ...] = ()
    change_batch: Callable[[int, Batch], Batch] | None = None
    loss: Callable[[Tensor, Tensor], Tensor] | None = None
    trainable: Callable[[nn.Module], Iterable[nn.Parameter]] | None = None
    at_step: Callable[[int, dict[str, Any]], None] | None = None  # anything, before a step
    in_loader: Callable[[int], None] | None = None  # anything, while the batch is fetched
    log_memory: bool = False
    log_data_time: bool = False
    facts: dict[str, Any] = field(default_factory=dict)  # what the labels must know

    def but(self, **changes: Any) -> Recipe:
        """Return this recipe with some of its entries replaced."""
        return replace(self, **changes)

    def knowing(self, **facts: Any) -> Recipe:
        """Return this recipe with facts for the labels added."""
        return replace(self, facts={**self.facts, **facts})

    def known(self) -> dict[str, Any]:
        """Return what the labels may know of the run."""
        return {
            "kind": self.task.kind, "classes": self.task.classes, "chance": self.task.chance,
            "steps": self.steps, "warmup": self.schedule.warmup, "clip": self.clip,
            "norm_after_clip": self.log_norm_after_clip, "eval_count": 400,
            "rewind": self.restart.rewind if self.restart else 0, **self.facts,
        }  # fmt: skip

    @property
    def optimizer_settings(self) -> dict[str, Any]:
        return dict(getattr(self.optimizer, "keywords", {}))

    def settings(self) -> dict[str, Any]:
        """Return the settings that the run's script would print."""
        task = self.task
        size = {
            "classification": {"num_classes": task.classes},
            "language": {"vocab_size": task.classes},
            "regression": {"loss": task.error.__name__.removesuffix("_loss")},
            "other": {"num_classes": task.classes} if task.classes > 1 else {},  # of the data
        }[task.kind]
        given = self.optimizer_settings
        optional = {
            "max_grad_norm": self.clip,
            "label_smoothing": self.label_smoothing or None,
            "gradient_accumulation_steps": self.accumulate if self.accumulate > 1 else None,
            "resume_from": f"checkpoints/step_{self.restart.at}.pt" if self.restart else None,
        }
        return {
            "model": task.name,
            **size,
            "lr": self.lr,
            "optimizer": getattr(self.optimizer, "func", self.optimizer).__name__.lower(),
            **{k: list(v) if isinstance(v, tuple) else v for k, v in given.items()},
            "lr_scheduler": self.schedule.shape,
            "warmup_ratio": self.schedule.warmup,
            "batch_size": self.batch,
            "max_steps": self.steps,
            "precision": self.precision,
            "seed": self.seed,
            **{k: v for k, v in optional.items() if v is not None},
        }


def trainable(model: nn.Module) -> int:
    """Return how many numbers of `model` are trained."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def base(task: Task, seed: int) -> Recipe:
    """Return the recipe under which `task` trains well."""
    formats = task.formats
    recipe = Recipe(
        task, seed, task.steps, task.batch, task.lr, format=formats[seed % len(formats)]
    )
    return recipe.but(**task.habits)
