"""The runs that the Hugging Face Trainer makes and logs."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.faults.recipe import Recipe, trainable
from benchmarks.faults.task import Splits
from benchmarks.faults.writers import relocated

SHAPES = {"wsd": "warmup_stable_decay", "restarts": "cosine_with_restarts"}  # their names for them


class HFLog:
    """What the Trainer logged, in the shape of `writers.Log`."""

    def __init__(self, history: list[dict[str, Any]], epoch_steps: int) -> None:
        self.epoch_steps = epoch_steps
        self.points: list[dict[str, Any]] = []
        for record in history:
            if "loss" in record:
                renamed = {"lr": record["learning_rate"], **record, "kind": "train"}
                self.points.append(renamed)
            elif "eval_loss" in record:
                point = {"kind": "eval", "step": record["step"], "loss": record["eval_loss"]}
                if "eval_accuracy" in record:
                    point["accuracy"] = record["eval_accuracy"]
                self.points.append(point)


class _KilledError(Exception):
    """Stands for the signal that a process does not see coming."""


def train_hf(recipe: Recipe, folder: Path) -> HFLog:
    """Make one run with the Trainer, and keep its state, its settings and what it printed."""
    from transformers import TrainingArguments

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    random = torch.Generator().manual_seed(recipe.seed + 1000)
    data = recipe.task.data(random)
    for change in recipe.change_data:
        data = change(data, random)
    model = recipe.task.model()
    for change in recipe.change_model:
        model = change(model) or model
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(printed):
        trainer = _trainer(recipe, model, data, TrainingArguments(
            output_dir=scratch, max_steps=recipe.steps, per_device_train_batch_size=recipe.batch,
            per_device_eval_batch_size=400, gradient_accumulation_steps=recipe.accumulate,
            learning_rate=recipe.lr,
            lr_scheduler_type=SHAPES.get(recipe.schedule.shape, recipe.schedule.shape),
            warmup_steps=recipe.schedule.warmup, max_grad_norm=recipe.clip or 0.0,
            logging_steps=recipe.log_every, logging_first_step=True, eval_strategy="steps",
            eval_steps=recipe.eval_every, save_strategy="no", report_to="none", disable_tqdm=True,
            seed=recipe.seed, use_cpu=True, label_smoothing_factor=recipe.label_smoothing,
            dataloader_pin_memory=False,
        ))  # fmt: skip
        try:
            trainer.train()
        except _KilledError:
            pass
        except Exception:
            if not recipe.facts.get("raises"):
                raise
            printed.write(relocated(traceback.format_exc()))
    announced = (
        "***** Running training *****\n"
        f"  Num examples = {len(data.inputs):,}\n"
        f"  Total optimization steps = {recipe.steps:,}\n"
        f"  Number of trainable parameters = {trainable(model):,}\n"
    )  # as the Trainer's own logger does
    _write(folder, recipe, trainer, announced + printed.getvalue())
    return HFLog(trainer.state.log_history, max(len(data.inputs) // recipe.batch, 1))


def _trainer(recipe: Recipe, model: nn.Module, data: Splits, arguments: Any) -> Any:
    from transformers import Trainer, TrainerCallback

    class Stop(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if recipe.stops_at is not None and state.global_step >= recipe.stops_at:
                raise _KilledError

    class Ours(Trainer):
        def create_optimizer(self, model: Any = None) -> Any:
            trained = [p for p in self.model.parameters() if p.requires_grad]
            self.optimizer = recipe.optimizer(trained, lr=recipe.lr)
            return self.optimizer

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                self.optimizer, lambda step: recipe.schedule.factor(step, recipe.steps)
            )
            return self.lr_scheduler

        def compute_loss(
            self,
            model: Any,
            inputs: Any,
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            return super().compute_loss(model, inputs, return_outputs)

    def metrics(predicted: Any) -> dict[str, float]:
        guess = predicted.predictions.argmax(-1)
        known = predicted.label_ids >= 0
        return {"accuracy": float(np.mean((guess == predicted.label_ids)[known]))}

    trainer = Ours(
        model, arguments, data_collator=_collate, callbacks=[Stop],
        train_dataset=_Rows(data.inputs, _for_model(recipe, data.inputs, data.targets)),
        eval_dataset=_Rows(data.eval_inputs, _for_model(recipe, data.eval_inputs, data.eval_targets)),
        compute_metrics=metrics if recipe.task.kind == "classification" else None,
    )  # fmt: skip
    # Trainer divides by the accumulation steps only where it takes the model not to do so itself.
    trainer.model_accepts_loss_kwargs = recipe.summed
    return trainer


class _Rows(torch.utils.data.Dataset):
    def __init__(self, inputs: Tensor, labels: Tensor) -> None:
        self.inputs, self.labels = inputs, labels

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return self.inputs[row], self.labels[row]


def _collate(rows: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    inputs, labels = zip(*rows, strict=True)
    return {"input_ids": torch.stack(inputs), "labels": torch.stack(labels)}


def _for_model(recipe: Recipe, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the labels as the model wants them: a causal model shifts them itself."""
    if recipe.task.kind != "language" or not recipe.task.causal:
        return targets
    if int(targets.max()) < 0:
        return targets
    return torch.cat([inputs[:, :1], targets[:, :-1]], 1)


def _write(folder: Path, recipe: Recipe, trainer: Any, printed: str) -> None:
    state = trainer.state
    state.best_model_checkpoint = None
    state.save_to_json(str(folder / "trainer_state.json"))
    config = json.loads(trainer.model.config.to_json_string(use_diff=False))
    config["architectures"] = [type(trainer.model).__name__]
    (folder / "config.json").write_text(json.dumps(config, indent=2, default=str) + "\n")
    if recipe.seed % 2 or recipe.facts.get("raises") or recipe.stops_at is not None:
        (folder / "train.log").write_text(_arguments(recipe) + printed)
    else:
        arguments = {**trainer.args.to_dict(), "output_dir": "output", "logging_dir": None}
        kept = {name: arguments[name] for name in ARGUMENTS if arguments.get(name) is not None}
        (folder / "args.json").write_text(json.dumps(kept, indent=2) + "\n")


ARGUMENTS = ("learning_rate", "max_steps", "per_device_train_batch_size", "max_grad_norm", "warmup_steps",
             "gradient_accumulation_steps", "lr_scheduler_type", "logging_steps", "fp16", "bf16",
             "label_smoothing_factor", "seed", "weight_decay", "num_train_epochs")  # fmt: skip


def _arguments(recipe: Recipe) -> str:
    return f"arguments: {json.dumps(recipe.settings())}\n"
