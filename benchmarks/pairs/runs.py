"""The runs that pairs are made of: tasks of `benchmarks.faults` under recipes that differ in one thing.

Unlike there, a seed decides the initial weights and the order of the data only: the data are the same in all
runs of a task, as when somebody runs a training script twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from benchmarks.faults.actions import BUGS
from benchmarks.faults.recipe import Recipe, Restart, Schedule, base
from benchmarks.faults.runs import TASKS
from benchmarks.faults.task import Splits

DATA_SEED = 4242

# Looked at while the test was made; the others are only scored.
DEVELOPMENT = (
    "blobs-mlp", "spirals-resmlp", "signals-rnn", "chars-transformer", "curves-mlp", "textures-cnn",
    "grammar-gru", "springs-mlp", "rings-mixer", "loads-gru", "prices-huber", "hf-gpt2",
)  # fmt: skip
HELD_OUT = (
    "patches-vit", "shapes-lenet", "keys-attention", "words-lstm", "motors-mlp", "seasons-conv",
    "glyphs-depthwise", "tags-bilstm", "bytes-decoder", "hf-electra", "hf-opt", "hf-tagger", "hf-llama",
)  # fmt: skip
PLAIN_DEVELOPMENT = tuple(name for name in DEVELOPMENT if not name.startswith("hf-"))
PLAIN_HELD_OUT = tuple(name for name in HELD_OUT if not name.startswith("hf-"))


def recipe_of(task: str, seed: int) -> Recipe:
    """Return the recipe under which a task trains well, on data that no seed changes."""
    known = TASKS[task]

    def data(random: torch.Generator) -> Splits:
        return known.data(torch.Generator().manual_seed(DATA_SEED))

    return base(replace(known, data=data), seed).but(format=known.formats[0])


# What happens at a step: each takes the loop, whose recipe and optimizer it may change.
Change = Callable[[Any], None]


def faster(loop: Any) -> None:
    """The learning rate is ten times what it was."""
    _rate(loop, 10.0)


def far_faster(loop: Any) -> None:
    """The learning rate is a hundred times what it was."""
    _rate(loop, 100.0)


def slower(loop: Any) -> None:
    """The learning rate is a hundredth of what it was."""
    _rate(loop, 0.01)


def _rate(loop: Any, factor: float) -> None:
    loop.recipe = loop.recipe.but(lr=loop.recipe.lr * factor)
    for group in loop.optimizer.param_groups:
        group["lr"] *= factor


def shuffled_labels(loop: Any) -> None:
    """A third of the rows of each batch have the target of another row."""

    def change(step: int, batch: Any) -> Any:
        inputs, targets = batch
        third = max(len(targets) // 3, 2)
        return inputs, torch.cat([targets[:third].roll(1, 0), targets[third:]])

    loop.recipe = loop.recipe.but(change_batch=change)


def noisy_weights(loop: Any) -> None:
    """The weights are disturbed once."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in loop.model.parameters():
            spread = parameter.std() if parameter.numel() > 1 else parameter.abs()
            parameter += 0.5 * spread * torch.randn(parameter.shape, generator=random)


def noisy_inputs(loop: Any) -> None:
    """Whole columns of the inputs are lost in each batch, or tokens swapped."""

    def change(step: int, batch: Any) -> Any:
        inputs, targets = batch
        half = inputs.shape[1] // 2
        if inputs.is_floating_point():
            return torch.cat([inputs[:, :half], 0 * inputs[:, half:]], 1), targets
        return torch.cat([inputs[:, :half], inputs[:, half:].roll(1, 0)], 1), targets

    loop.recipe = loop.recipe.but(change_batch=change)


def summed(loop: Any) -> None:
    """The loss is three times what it should be."""
    known = loop.recipe.loss or loop.recipe.task.loss
    loop.recipe = loop.recipe.but(loss=lambda outputs, targets: 3 * known(outputs, targets))


CHANGES: dict[str, Change] = {
    "lr-x10": faster,
    "lr-over-100": slower,
    "labels": shuffled_labels,
    "weights": noisy_weights,
    "inputs": noisy_inputs,
    "summed": summed,
    "lr-x100": far_faster,
}
# Those that another seed does not hide: the others may do less than it does.
VISIBLE = ("labels", "inputs", "summed", "lr-x100")


def changed_at(recipe: Recipe, step: int, change: Change) -> Recipe:
    """Return a recipe under which something changes before a step."""

    def act(now: int, state: dict[str, Any]) -> None:
        if now == step:
            change(state["loop"])

    return recipe.but(at_step=act)


def crashed_at(recipe: Recipe, step: int, bug: int) -> Recipe:
    """Return a recipe under which the script raises an error at a step."""

    def act(now: int, state: dict[str, Any]) -> None:
        if now == step:
            BUGS[bug % len(BUGS)](state)

    return recipe.but(at_step=act).knowing(raises=True)


def resumed(recipe: Recipe, *, lost: bool) -> Recipe:
    """Return a recipe that stops at two fifths and goes on, with or without its optimizer's state."""
    at = 2 * recipe.steps // 5
    return recipe.but(restart=Restart(at, rewind=4 * recipe.log_every, optimizer=not lost))


def accumulated(recipe: Recipe, *, bug: bool) -> Recipe:
    """Return a recipe of four micro-batches a step, whose loss is their sum where it has the bug."""
    return recipe.but(batch=max(recipe.batch // 4, 4), accumulate=4, summed=bug)


def warmed(recipe: Recipe, share: float) -> Recipe:
    """Return a recipe with another warmup."""
    return recipe.but(schedule=Schedule(recipe.schedule.shape, warmup=share))
