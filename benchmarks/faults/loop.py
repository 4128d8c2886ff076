"""The training loop of the plain runs."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.faults.recipe import Batch, Recipe, trainable
from benchmarks.faults.task import Splits
from benchmarks.faults.writers import WRITERS, Log


def train(recipe: Recipe, folder: Path) -> Log:
    """Make one run and its log."""
    torch.manual_seed(recipe.seed)
    random = torch.Generator().manual_seed(recipe.seed + 1000)
    if recipe.task.loop:
        return _special(recipe, folder, random)
    data = recipe.task.data(random)
    for change in recipe.change_data:
        data = change(data, random)
    epoch_steps = max(len(data.inputs) // (recipe.batch * recipe.accumulate), 1)
    log = WRITERS[recipe.format](folder, epoch_steps)
    loop = _Loop(recipe, data, log, random)
    sizes = {
        "train_samples": len(data.inputs),
        "num_parameters": sum(p.numel() for p in loop.model.parameters()),
        "trainable_parameters": trainable(loop.model),
    }
    log.settings({**recipe.settings(), **sizes})
    try:
        loop.run()
    except Exception:
        if not recipe.facts.get("raises"):
            raise
        log.traceback()
    finally:
        log.close()
    return log


def _special(recipe: Recipe, folder: Path, random: torch.Generator) -> Log:
    assert recipe.task.loop is not None
    log = WRITERS[recipe.format](folder, recipe.steps)
    log.settings(recipe.settings())
    recipe.task.loop(recipe, log, random)
    log.close()
    return log


class _Loop:
    """The state of a run: model, optimizer, place in the schedule."""

    def __init__(self, recipe: Recipe, data: Splits, log: Log, random: torch.Generator) -> None:
        self.recipe, self.data, self.log, self.random = recipe, data, log, random
        self.model = recipe.task.model()
        for change in recipe.change_model:
            self.model = change(self.model) or self.model
        if recipe.precision == "bf16":
            self.model.bfloat16()
        self.scaler = torch.amp.GradScaler(
            "cpu", enabled=recipe.precision == "fp16" and recipe.scaled, growth_interval=100
        )
        self.schedule_start = 0
        self.unlogged: list[float] = []
        self.smoothed = math.nan
        self.make_optimizer()
        self.batches = self.endless()

    def make_optimizer(self) -> None:
        chosen = self.recipe.trainable
        parameters = list(chosen(self.model) if chosen else self.model.parameters())
        self.optimizer = self.recipe.optimizer(parameters, lr=self.recipe.lr)

    def endless(self) -> Iterator[Batch]:
        count = len(self.data.inputs)
        while True:
            order = torch.arange(count)
            if self.recipe.shuffle:
                order = torch.randperm(count, generator=self.random)
            for rows in order.split(self.recipe.batch):
                if len(rows) == self.recipe.batch or count < self.recipe.batch:
                    yield self.data.inputs[rows], self.data.targets[rows]

    def run(self) -> None:
        recipe, restart = self.recipe, self.recipe.restart
        step, started_again = 0, False
        while step < recipe.steps:
            step += 1
            if recipe.stops_at is not None and step > recipe.stops_at:
                return
            values = self.step(step)
            values["loss"] = self.shown_loss(values["loss"])
            if step % recipe.log_every == 0 or step == 1:
                self.unlogged.clear()
                shown = {k: v for k, v in values.items() if k not in recipe.hides}
                self.log.train(step, shown)
            if step % recipe.eval_every == 0:
                self.log.evaluate(step, self.evaluate())
            if restart and step == restart.at and not started_again:
                started_again = True
                step -= restart.rewind
                self.start_again(step)

    def shown_loss(self, loss: float) -> float:
        """Return what a line would show for the loss of this step."""
        recipe = self.recipe
        self.unlogged.append(loss)
        if recipe.log_means:
            return sum(self.unlogged) / len(self.unlogged)
        if not recipe.log_smoothed:
            return loss
        past = loss if math.isnan(self.smoothed) else self.smoothed
        self.smoothed = recipe.log_smoothed * past + (1 - recipe.log_smoothed) * loss
        return self.smoothed

    def start_again(self, step: int) -> None:
        restart = self.recipe.restart
        assert restart is not None
        self.log.restart(step)
        if not restart.head:
            for module in list(self.model.modules())[-1:]:
                module.reset_parameters()
        if not restart.optimizer:
            self.make_optimizer()
        if not restart.schedule:
            self.schedule_start = step

    def step(self, step: int) -> dict[str, float]:
        recipe, began = self.recipe, time.perf_counter()
        lr = recipe.lr * recipe.schedule.factor(step - 1 - self.schedule_start, recipe.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        if recipe.at_step:
            recipe.at_step(step, {"loop": self, "model": self.model, "log": self.log})
        self.model.train()
        losses, hits, waited = [], [], 0.0
        for _ in range(recipe.accumulate):
            asked = time.perf_counter()
            inputs, targets = next(self.batches)
            if recipe.in_loader:
                recipe.in_loader(step)
            if recipe.change_batch:
                inputs, targets = recipe.change_batch(step, (inputs, targets))
            waited += time.perf_counter() - asked
            loss, outputs = self.forward(inputs, targets)
            shared = loss if recipe.summed else loss / recipe.accumulate
            self.scaler.scale(shared).backward()
            losses.append(shared.detach())
            hits.append(accuracy(outputs, targets))
        norm = self.update()
        values = {"loss": float(sum(losses)), "lr": lr, "grad_norm": norm}
        if recipe.task.kind == "classification":
            values["accuracy"] = sum(hits) / len(hits)
        if self.scaler.is_enabled():
            values["loss_scale"] = self.scaler.get_scale()
        if recipe.log_data_time:
            values["data_time"] = waited
        if recipe.log_memory:
            values["rss_mb"] = resident_mb()
        values["step_time"] = time.perf_counter() - began
        return values

    def forward(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        recipe = self.recipe
        half = recipe.precision == "fp16"
        if recipe.precision == "bf16" and inputs.is_floating_point():
            inputs = inputs.bfloat16()
        with torch.autocast("cpu", torch.float16, enabled=half):
            outputs = self.model(inputs)
        outputs = outputs.float()
        if recipe.loss:
            return recipe.loss(outputs, targets), outputs
        if recipe.label_smoothing:
            loss = nn.functional.cross_entropy(
                outputs, targets, label_smoothing=recipe.label_smoothing
            )
            return loss, outputs
        return recipe.task.loss(outputs, targets), outputs

    def update(self) -> float:
        """Clip, step and return the gradient norm that is logged."""
        recipe = self.recipe
        self.scaler.unscale_(self.optimizer)
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, recipe.clip or math.inf))
        before = self.scaler.get_scale()
        if math.isfinite(norm) or not recipe.skip_nonfinite:
            self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        if self.scaler.is_enabled() and self.scaler.get_scale() < before:
            self.log.line(
                f"Gradient overflow. Skipping step, reducing loss scale to {self.scaler.get_scale()}"
            )
        return min(norm, recipe.clip) if recipe.log_norm_after_clip and recipe.clip else norm

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        self.model.train(self.recipe.eval_in_train_mode)
        inputs, targets = self.data.eval_inputs, self.data.eval_targets
        if self.recipe.precision == "bf16" and inputs.is_floating_point():
            inputs = inputs.bfloat16()
        with torch.autocast("cpu", torch.float16, enabled=self.recipe.precision == "fp16"):
            outputs = self.model(inputs)
        outputs = outputs.float()
        loss = self.recipe.loss or self.recipe.task.loss
        values = {"loss": float(loss(outputs, targets))}
        if self.recipe.task.kind == "classification":
            values["accuracy"] = accuracy(outputs, targets)
        return values


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    if outputs.dim() == targets.dim():
        return 0.0
    known = targets >= 0
    return float((outputs.argmax(-1) == targets)[known].float().mean())


def resident_mb() -> float:
    """Return the memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6
