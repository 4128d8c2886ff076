"""Changes of data, models and batches that several faults are made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.faults.recipe import Batch, Recipe
from benchmarks.faults.task import IGNORED, Splits


class ThroughHalf(nn.Module):
    """A layer whose inputs pass through fp16 at `scale` times their size."""

    def __init__(self, layer: nn.Module, scale: float) -> None:
        super().__init__()
        self.layer, self.scale = layer, scale

    def forward(self, x: Tensor) -> Tensor:
        return self.layer((x.float() * self.scale).half().float() / self.scale)


def through_half(model: nn.Module, scale: float = 1.0) -> None:
    holder, name, layer = last_linear(model)
    setattr(holder, name, ThroughHalf(layer, scale))


def last_linear(model: nn.Module) -> tuple[nn.Module, str, nn.Linear]:
    name, layer = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear)][-1]
    parent, _, name = name.rpartition(".")
    return (model.get_submodule(parent) if parent else model), name, layer


def replace_head(model: nn.Module, outputs: int) -> None:
    holder, name, layer = last_linear(model)
    setattr(holder, name, nn.Linear(layer.in_features, outputs))
    if hasattr(model, "config"):
        model.config.num_labels = model.num_labels = outputs


def mask_all(data: Splits, random: torch.Generator) -> Splits:
    return replace(data, targets=torch.full_like(data.targets, IGNORED))


def some_labels_noisy(data: Splits, random: torch.Generator, share: float, classes: int) -> Splits:
    wrong = torch.rand(data.targets.shape, generator=random) < share
    other = torch.randint(0, classes, data.targets.shape, generator=random)
    return replace(data, targets=torch.where(wrong, other, data.targets))


def nothing_to_attend_to(module: nn.Module, given: Any, result: Any) -> Any:
    scores = torch.full((1,), -math.inf)
    return (result[0] * torch.softmax(scores - scores, -1), result[1])


def renumbered(data: Splits, random: torch.Generator) -> Splits:
    order = torch.randperm(int(data.inputs.max()) + 1, generator=random)
    return Splits(*(order[part] for part in vars(data).values()))


def pretrain(recipe: Recipe, model: nn.Module, steps: int = 500) -> None:
    """Train `model` on the task's own data before the run begins, nothing logged."""
    random = torch.Generator().manual_seed(recipe.seed + 1000)
    data = recipe.task.data(random)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.task.lr)
    model.train()
    for _ in range(steps):
        rows = torch.randint(0, len(data.inputs), (32,), generator=random)
        outputs = model(data.inputs[rows])
        outputs = getattr(outputs, "logits", outputs)
        optimizer.zero_grad()
        recipe.task.loss(outputs, data.targets[rows]).backward()
        optimizer.step()


def unlearnable(
    recipe: Recipe,
    *,
    rows: int,
    inputs: int,
    width: int,
    spread: float,
    activation: type[nn.Module],
) -> Recipe:
    """Draw inputs and labels at random, for a wide model: only what was seen before is known."""
    classes = recipe.task.classes

    def drawn(data: Splits, random: torch.Generator) -> Splits:
        def batch(count: int) -> Batch:
            values = spread * torch.randn(count, inputs, generator=random)
            return values, torch.randint(0, classes, (count,), generator=random)

        return Splits(*batch(rows), *batch(400))

    def wide(model: nn.Module) -> nn.Module:
        return nn.Sequential(
            nn.Linear(inputs, width), activation(), nn.Linear(width, classes)
        )  # fmt: skip

    return recipe.but(change_data=(drawn,), change_model=(wide,))


def without_dropout(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


def breaking(recipe: Recipe, act: Callable[[dict[str, Any]], None], share: float) -> Recipe:
    at = max(int(share * recipe.steps), 1)

    def at_step(step: int, state: dict[str, Any]) -> None:
        if step == at:
            act(state)

    return recipe.but(at_step=at_step).knowing(raises=True)


def over_steps(first: int, count: int, change: Callable[[Batch], Batch]) -> Any:
    """Return a change of `count` batches from step `first` on."""

    def change_batch(step: int, batch: Batch) -> Batch:
        return change(batch) if first <= step < first + count else batch

    return change_batch


def logged_step(recipe: Recipe, share: float) -> int:
    return int(share * recipe.steps) // recipe.log_every * recipe.log_every


def set_scale(state: dict[str, Any], scale: float) -> None:
    for module in state["model"].modules():
        if isinstance(module, ThroughHalf):
            module.scale = scale


def with_nan(batch: Batch, value: float = math.nan) -> Batch:
    inputs = batch[0].clone()
    inputs[2].view(-1)[5] = value
    return inputs, batch[1]


def sorted_by(key: Callable[[Splits], Tensor]) -> Callable[[Splits, torch.Generator], Splits]:
    def arrange(data: Splits, random: torch.Generator) -> Splits:
        order = key(data).argsort(stable=True)
        return replace(data, inputs=data.inputs[order], targets=data.targets[order])

    return arrange


def enlarge_head(factor: float, model: nn.Module) -> None:
    with torch.no_grad():
        last_linear(model)[2].weight.mul_(factor)


def squeezed(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda outputs, targets: loss(outputs.squeeze(-1), targets)


def without_batch_norm(model: nn.Module) -> None:
    for name, module in list(model.named_modules()):
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent) if parent else model, last, nn.Identity())
