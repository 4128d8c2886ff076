"""The sitting's healthy runs that look odd."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.faults.changes import last_linear, logged_step, pretrain, some_labels_noisy
from benchmarks.faults.fifth.entries import enters_healthy_here
from benchmarks.faults.fifth.rates import InverseRoot
from benchmarks.faults.recipe import Batch, Recipe, Restart, Schedule
from benchmarks.faults.tables import Healthy
from benchmarks.faults.task import Splits

HEALTHY: list[Healthy] = []
healthy = enters_healthy_here(HEALTHY, 3)


# Schedules


@healthy("kite-lm")
def three_warm_restarts(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("restarts", 0.04, cycles=3), steps=360)


@healthy("mosaic-resnet", "ddpm-coast", "simclr-mosaic")
def one_cycle(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("onecycle", 0.3), lr=1.5 * recipe.lr, hides=())


@healthy("river-seq2seq")
def stable_then_to_nothing(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("wsd", 0.1), lr=recipe.lr / 2)


@healthy("cookery-neox")
def root_of_the_step(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=InverseRoot("inverse_sqrt", 0.08))


@healthy("slots-deberta")
def flat_and_careful_from_the_start(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("constant", 0.0), lr=recipe.lr / 2)


# Regularisation and data


@healthy("churn-tabular")
def six_units_in_ten_dropped(recipe: Recipe) -> Recipe:
    def drop(model: nn.Module) -> None:
        holder, name, head = last_linear(model)
        setattr(holder, name, nn.Sequential(nn.Dropout(0.6), head))

    return recipe.but(change_model=(drop,))


@healthy("lora-birds")
def smooth_labels(recipe: Recipe) -> Recipe:
    return recipe.but(label_smoothing=0.1)


@healthy("mosaic-resnet")
def pasted_from_another_picture(recipe: Recipe) -> Recipe:
    """CutMix: a corner comes from another picture, and so does its share of the loss."""
    share = 0.3

    def paste(step: int, batch: Batch) -> Batch:
        inputs = batch[0].clone()
        inputs[:, :, :6, :7] = inputs.flip(0)[:, :, :6, :7]
        return inputs, batch[1]

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        own = F.cross_entropy(outputs, targets)
        if len(targets) > recipe.batch:  # an evaluation
            return own
        return (1 - share) * own + share * F.cross_entropy(outputs, targets.flip(0))

    return recipe.but(change_batch=paste, loss=loss)


@healthy("lora-birds")
def a_third_of_the_labels_wrong_everywhere(recipe: Recipe) -> Recipe:
    """Crowd workers disagree, in both splits: the loss ends at its floor."""

    def spoil(data: Splits, random: torch.Generator) -> Splits:
        noisy = some_labels_noisy(data, random, 0.33, recipe.task.classes)
        held = Splits(data.eval_inputs, data.eval_targets, data.eval_inputs, data.eval_targets)
        return replace(
            noisy, eval_targets=some_labels_noisy(held, random, 0.33, recipe.task.classes).targets
        )

    return recipe.but(change_data=(spoil,), steps=240)


@healthy("mosaic-resnet")
def harder_in_two_stages(recipe: Recipe) -> Recipe:
    """A curriculum: noise is added at half of the run, and the loss rises as planned."""

    def harden(step: int, batch: Batch) -> Batch:
        if step < recipe.steps // 2:
            return batch
        if batch[0].is_floating_point():
            return batch[0] + 0.7 * torch.randn(batch[0].shape), batch[1]
        other = torch.randint(0, 48, batch[1].shape)
        return batch[0], torch.where(torch.rand(batch[1].shape) < 0.07, other, batch[1])

    return recipe.but(change_batch=harden)


@healthy("tides-tcn")
def gusts_now_and_then(recipe: Recipe) -> Recipe:
    """A storm in one row of thirty, in both splits: batches differ, as they should."""

    def blow(data: Splits, random: torch.Generator) -> Splits:
        def rough(part: Tensor) -> Tensor:
            storm = (torch.rand(len(part), 1, generator=random) < 0.03).float()
            return part + 2 * storm * torch.randn(part.shape, generator=random)

        return replace(data, targets=rough(data.targets), eval_targets=rough(data.eval_targets))

    return recipe.but(change_data=(blow,))


@healthy("lora-birds")
def a_dozen_rows_to_evaluate(recipe: Recipe) -> Recipe:
    def cut(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, eval_inputs=data.eval_inputs[:12], eval_targets=data.eval_targets[:12])

    return recipe.but(change_data=(cut,), eval_every=28)


@healthy("visits-poisson")
def a_gate_that_hardly_anybody_passes(recipe: Recipe) -> Recipe:
    """Most counts are 0: the loss is positive, and falls by little."""

    def thin(data: Splits, random: torch.Generator) -> Splits:
        def few(counts: Tensor) -> Tensor:
            return torch.binomial(counts, torch.full_like(counts, 0.05), generator=random)

        return replace(data, targets=few(data.targets), eval_targets=few(data.eval_targets))

    return recipe.but(change_data=(thin,), steps=500)


# What and how it is logged


@healthy("coast-segmenter", "cookery-neox")
def six_lines_in_all(recipe: Recipe) -> Recipe:
    return recipe.but(log_every=recipe.steps // 6, eval_every=recipe.steps // 3)


@healthy("visits-poisson")
def four_thousand_lines(recipe: Recipe) -> Recipe:
    return recipe.but(steps=4000, log_every=1, eval_every=400, lr=recipe.lr / 2, hides=("step_time",),
                      format="csv")  # fmt: skip


@healthy("churn-tabular")
def epochs_as_keras_prints_them(recipe: Recipe) -> Recipe:
    length = {"churn-tabular": 45, "tides-tcn": 50}[recipe.task.name]
    return recipe.but(steps=10 * length, log_every=1, eval_every=length, format="keras", hides=())


@healthy("shelf-recsys")
def means_since_the_line_before(recipe: Recipe) -> Recipe:
    return recipe.but(log_means=True, log_every=50)


@healthy("river-seq2seq")
def a_moving_average_is_logged(recipe: Recipe) -> Recipe:
    return recipe.but(log_smoothed=0.9)


@healthy("kite-lm")
def bits_instead_of_nats(recipe: Recipe) -> Recipe:
    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs.flatten(0, -2), targets.flatten()) / math.log(2)

    return recipe.but(loss=loss)


@healthy("tides-tcn")
def all_six_hours_are_added(recipe: Recipe) -> Recipe:
    """The sum over the hours is the loss by design; the rate of Adam does not mind."""
    return recipe.but(loss=lambda outputs, targets: 6 * recipe.task.loss(outputs, targets))


@healthy("coast-segmenter")
def losses_and_nothing_else(recipe: Recipe) -> Recipe:
    return recipe.but(hides=("lr", "grad_norm", "accuracy"))


@healthy("river-seq2seq")
def norms_behind_the_clip(recipe: Recipe) -> Recipe:
    return recipe.but(log_norm_after_clip=True)


@healthy("boats-detector")
def clipped_in_the_beginning_only(recipe: Recipe) -> Recipe:
    return recipe.but(clip=2.0, schedule=Schedule("cosine", 0.1))


# Batches, precision and speed


@healthy("lora-birds")
def three_rows_at_a_time(recipe: Recipe) -> Recipe:
    return recipe.but(batch=3, lr=recipe.lr / 4, steps=900, log_every=9, eval_every=150)


@healthy("minutes-qwen")
def four_micro_batches_averaged(recipe: Recipe) -> Recipe:
    return recipe.but(accumulate=4, batch=max(recipe.batch // 4, 1))


@healthy("lora-birds")
def half_precision_that_holds(recipe: Recipe) -> Recipe:
    return recipe.but(precision="fp16", format="keyvalue")


@healthy("tides-tcn")
def all_in_bf16(recipe: Recipe) -> Recipe:
    return recipe.but(precision="bf16")


@healthy("visits-poisson")
def first_batch_of_an_epoch_is_slow(recipe: Recipe) -> Recipe:
    """Workers start with each epoch; memory and waiting are logged."""
    length = {"visits-poisson": 76, "churn-tabular": 45}[recipe.task.name]

    def wait(step: int) -> None:
        time.sleep(0.08 if step % length == 1 else 0.004)

    return recipe.but(in_loader=wait, log_data_time=True, log_memory=True, format="csv", steps=350,
                      eval_every=50)  # fmt: skip


# Starts and ends


@healthy("shelf-recsys")
def resumed_with_everything(recipe: Recipe) -> Recipe:
    return recipe.but(restart=Restart(at=logged_step(recipe, 0.55)))


@healthy("tides-tcn")
def some_steps_done_twice(recipe: Recipe) -> Recipe:
    return recipe.but(restart=Restart(at=logged_step(recipe, 0.5), rewind=6 * recipe.log_every))


@healthy("churn-tabular")
def patience_is_at_an_end(recipe: Recipe) -> Recipe:
    at = 9 * recipe.eval_every

    def say(step: int, state: dict[str, Any]) -> None:
        if step == at + 1:
            state["log"].line(
                f"EarlyStopping: val_loss did not improve for 2 checks, stopped at step {at}"
            )

    return recipe.but(at_step=say, stops_at=at + 1, format="keyvalue")


@healthy("kite-lm")
def fine_tune_of_what_is_known(recipe: Recipe) -> Recipe:
    """Little is left to learn, and the rate is small on purpose."""
    return recipe.but(
        change_model=(partial(pretrain, recipe, steps=220),), lr=recipe.lr / 15,
        schedule=Schedule("linear", 0.06),
    )  # fmt: skip


@healthy("mosaic-resnet")
def body_set_free_at_a_half(recipe: Recipe) -> Recipe:
    """A good body is frozen first; then all of it learns, and the loss falls a second time."""

    def prepare(model: nn.Module) -> None:
        pretrain(recipe.but(task=replace(recipe.task, lr=3e-3)), model, steps=60)
        last_linear(model)[2].reset_parameters()

    def gate(step: int, state: dict[str, Any]) -> None:
        free = step > recipe.steps // 2
        head = {id(p) for p in last_linear(state["model"])[2].parameters()}
        for p in state["model"].parameters():
            p.requires_grad_(free or id(p) in head)

    return recipe.but(
        change_model=(prepare,), at_step=gate, lr=recipe.lr / 5, schedule=Schedule("constant", 0.0)
    )


@healthy("tides-tcn")
def averaged_weights_take_over(recipe: Recipe) -> Recipe:
    """In the last fifth the weights are those of a moving average: the loss steps down once."""
    mean: dict[str, Tensor] = {}

    def average(step: int, state: dict[str, Any]) -> None:
        now = state["model"].state_dict()
        if step == recipe.steps // 2:
            mean.update(copy.deepcopy(now))
        for name, value in mean.items():
            value.lerp_(now[name], 0.05)
        if step == int(0.8 * recipe.steps):
            state["model"].load_state_dict(mean)

    return recipe.but(at_step=average, schedule=Schedule("constant", 0.0), lr=2 * recipe.lr)


@healthy("grpo-locks")
def starts_well_and_ends_well(recipe: Recipe) -> Recipe:
    """The reward is at its best after a third of the run; the divergence stays."""
    return recipe.but(lr=2 * recipe.lr).knowing(price=0.1)


@healthy("dpo-replies")
def strict_reference(recipe: Recipe) -> Recipe:
    """A small beta: the loss falls by little, the margins grow."""
    return recipe.but(lr=recipe.lr / 2).knowing(beta=0.05)
