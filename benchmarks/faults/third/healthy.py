"""The third sitting's healthy runs that look odd."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.faults.changes import last_linear, logged_step, pretrain, without_dropout
from benchmarks.faults.recipe import Batch, Recipe, Restart, Schedule
from benchmarks.faults.tables import Healthy, enters_healthy
from benchmarks.faults.task import Splits

HEALTHY: list[Healthy] = []
healthy = enters_healthy(HEALTHY, 2)


# Schedules


@healthy("spectra-vit")
def six_warm_restarts(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("restarts", 0.03, cycles=6))


@healthy("spectra-vit", "molecules-gnn")
def one_cycle_to_twice_the_rate(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("onecycle", 0.3), lr=2 * recipe.lr)


@healthy("turns-seq2seq", "cells-unet")
def stable_then_down(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("wsd", 0.01))


@healthy("spectra-vit")
def flat_rate_without_warmup(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("constant", 0.0), lr=recipe.lr / 3)


@healthy("leaves-resnet", "topics-bce")
def two_steps_down(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("step", 0.0), hides=())


# Regularisation and data


@healthy("leaves-resnet", "topics-bce")
def dropout_of_seven_tenths(recipe: Recipe) -> Recipe:
    """Evaluation is far better than training, which it should be."""

    def drop(model: nn.Module) -> None:
        holder, name, head = last_linear(model)
        setattr(holder, name, nn.Sequential(nn.Dropout(0.7), head))

    return recipe.but(change_model=(drop,))


@healthy("leaves-resnet", "hf-albert")
def labels_smoothed(recipe: Recipe) -> Recipe:
    return recipe.but(label_smoothing=0.15)


@healthy("leaves-resnet")
def inputs_mixed(recipe: Recipe) -> Recipe:
    """A quarter of another row's picture lies over each; evaluation sees clean ones."""

    def mix(step: int, batch: Batch) -> Batch:
        inputs, targets = batch
        return 0.75 * inputs + 0.25 * inputs.flip(0), targets

    return recipe.but(change_batch=mix)


@healthy("spectra-vit")
def three_stages_of_difficulty(recipe: Recipe) -> Recipe:
    """A curriculum: noise comes, or the labels' own noise, in two steps."""

    def harden(step: int, batch: Batch) -> Batch:
        stage = 3 * step // (recipe.steps + 1)
        if batch[0].is_floating_point():
            return batch[0] + 0.5 * stage * torch.randn(batch[0].shape), batch[1]
        drawn = torch.randint(2, 22, batch[1].shape)
        worn = torch.rand(batch[1].shape) < 0.04 * stage
        return batch[0], torch.where(worn, drawn, batch[1])

    return recipe.but(change_batch=harden)


@healthy("leaves-resnet")
def three_rows_in_four_are_one_class(recipe: Recipe) -> Recipe:
    """Thirteen of the classes are one: the loss is low from the first epoch on."""

    def merge(data: Splits, random: torch.Generator) -> Splits:
        return replace(
            data,
            targets=(data.targets - 12).clamp(min=0),
            eval_targets=(data.eval_targets - 12).clamp(min=0),
        )

    return recipe.but(change_data=(merge,))


@healthy("cells-unet", "hf-albert")
def a_quarter_of_the_labels_wrong(recipe: Recipe) -> Recipe:
    """In both splits: the loss ends high, at its floor."""

    def spoil(data: Splits, random: torch.Generator) -> Splits:
        def noisy(targets: Tensor) -> Tensor:
            wrong = torch.rand(targets.shape, generator=random) < 0.25
            other = torch.randint(0, recipe.task.classes, targets.shape, generator=random)
            return torch.where(wrong, other, targets)

        return replace(data, targets=noisy(data.targets), eval_targets=noisy(data.eval_targets))

    return recipe.but(change_data=(spoil,), steps=2 * recipe.steps // 3)


@healthy("spectra-vit")
def twenty_rows_to_evaluate(recipe: Recipe) -> Recipe:
    """What is evaluated swings."""

    def cut(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, eval_inputs=data.eval_inputs[:20], eval_targets=data.eval_targets[:20])

    return recipe.but(change_data=(cut,), eval_every=recipe.eval_every // 2)


# What and how it is logged


@healthy("molecules-gnn", "topics-bce", "cells-unet", "hf-masked")
def eight_lines(recipe: Recipe) -> Recipe:
    return recipe.but(log_every=recipe.steps // 8, eval_every=recipe.steps // 4)


@healthy("topics-bce", "molecules-gnn")
def three_thousand_lines(recipe: Recipe) -> Recipe:
    return recipe.but(
        steps=3000, log_every=1, eval_every=250, lr=recipe.lr / 4, change_model=(_more_dropout,)
    )


def _more_dropout(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5


@healthy("turns-seq2seq", "cells-unet", "wells-mae")
def averaged_before_it_is_logged(recipe: Recipe) -> Recipe:
    return recipe.but(log_smoothed=0.95)


@healthy("leaves-resnet", "topics-bce", "wells-mae")
def a_line_for_each_epoch(recipe: Recipe) -> Recipe:
    rows = {"leaves-resnet": 2100, "spectra-vit": 1900, "topics-bce": 2400, "wells-mae": 4400}
    per_epoch = rows[recipe.task.name] // recipe.batch
    return recipe.but(
        steps=9 * per_epoch, log_every=1, eval_every=per_epoch, format="keras", hides=()
    )


@healthy("leaves-resnet", "wells-mae")
def nothing_but_losses(recipe: Recipe) -> Recipe:
    return recipe.but(hides=("lr", "grad_norm", "accuracy"))


@healthy("verse-lm")
def norms_as_they_are_after_clipping(recipe: Recipe) -> Recipe:
    return recipe.but(log_norm_after_clip=True, clip=0.3)


# Batches, precision and speed


@healthy("molecules-gnn", "topics-bce")
def two_rows_a_batch(recipe: Recipe) -> Recipe:
    return recipe.but(batch=2, accumulate=1, lr=recipe.lr / 5, clip=1.0)


@healthy("spectra-vit")
def five_micro_batches(recipe: Recipe) -> Recipe:
    return recipe.but(accumulate=5, batch=max(recipe.batch // 5, 1))


@healthy("spectra-vit")
def half_precision_with_its_scale(recipe: Recipe) -> Recipe:
    return recipe.but(
        precision="fp16", format="csv" if recipe.task.name != "spectra-vit" else "jsonl"
    )


@healthy("spectra-vit")
def bf16_from_end_to_end(recipe: Recipe) -> Recipe:
    return recipe.but(precision="bf16")


@healthy("cells-unet", "topics-bce")
def slow_disk_all_along(recipe: Recipe) -> Recipe:
    """Each batch takes ten milliseconds, the first of an epoch a little more: no worse than it began."""
    import time

    def wait(step: int) -> None:
        time.sleep(0.01 if step % 50 else 0.03)

    return recipe.but(in_loader=wait, log_data_time=True, log_memory=True, format="csv")


# Starts and ends


@healthy("leaves-resnet")
def resumed_in_full(recipe: Recipe) -> Recipe:
    return recipe.but(restart=Restart(at=logged_step(recipe, 0.6)))


@healthy("melody-gru", "wells-mae", "molecules-gnn")
def resumed_some_lines_back(recipe: Recipe) -> Recipe:
    return recipe.but(restart=Restart(at=logged_step(recipe, 0.4), rewind=4 * recipe.log_every))


@healthy("verse-lm")
def stopped_early_and_said_so(recipe: Recipe) -> Recipe:
    at = 7 * recipe.eval_every

    def say(step: int, state: dict[str, Any]) -> None:
        if step == at + 1:
            state["log"].line(f"Early stopping: no improvement for 3 evaluations (step {at})")

    form = "nanogpt" if recipe.task.name == "verse-lm" else "keyvalue"
    return recipe.but(at_step=say, stops_at=at + 1, format=form, lr=1.5 * recipe.lr)


@healthy("molecules-gnn", "cells-unet")
def goes_on_where_nothing_is_left(recipe: Recipe) -> Recipe:
    return recipe.but(steps=3 * recipe.steps, schedule=Schedule("linear", 0.0), lr=recipe.lr / 2)


@healthy("verse-lm")
def careful_fine_tune(recipe: Recipe) -> Recipe:
    """It knows the data, nearly; the rate is small on purpose."""
    return recipe.but(
        change_model=(partial(pretrain, recipe, steps=350),), lr=recipe.lr / 12,
        schedule=Schedule("linear", 0.1),
    )  # fmt: skip


class LowRank(nn.Module):
    """A frozen layer and a trained product of two thin matrices beside it, zero at first."""

    def __init__(self, layer: nn.Linear, rank: int = 4) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down = nn.Linear(layer.in_features, rank, bias=False)
        self.up = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + 4 * self.up(self.down(x))


@healthy("verse-lm")
def adapters_of_rank_four(recipe: Recipe) -> Recipe:
    def adapt(model: nn.Module) -> None:
        pretrain(recipe, model, steps=150)
        model.requires_grad_(False)
        for name, module in list(model.named_modules()):
            holder, _, last = name.rpartition(".")
            if isinstance(module, nn.Linear) and last != "out_proj":  # its weight is read directly
                setattr(model.get_submodule(holder), last, LowRank(module))

    return recipe.but(change_model=(adapt,), lr=recipe.lr / 2)


@healthy("melody-gru")
def only_the_head_of_a_good_model(recipe: Recipe) -> Recipe:
    """The body knows the data, and is frozen; a new head learns fast."""

    def keep(model: nn.Module) -> None:
        pretrain(recipe.but(task=replace(recipe.task, lr=2e-3)), model, steps=300)
        model.requires_grad_(False)
        head = last_linear(model)[2]
        head.reset_parameters()
        head.requires_grad_(True)

    return recipe.but(change_model=(keep, without_dropout), schedule=Schedule("cosine", 0.02))


@healthy("hf-t5")
def no_clipping_at_all(recipe: Recipe) -> Recipe:
    return recipe.but(clip=math.inf, schedule=Schedule("linear", 0.05))
