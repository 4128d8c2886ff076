"""The fourth sitting's healthy runs that look odd."""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.faults.changes import last_linear, logged_step, pretrain
from benchmarks.faults.fourth.parts import Halved
from benchmarks.faults.recipe import Batch, Recipe, Restart, Schedule
from benchmarks.faults.tables import Healthy, enters_healthy
from benchmarks.faults.task import IGNORED, Splits

HEALTHY: list[Healthy] = []
healthy = enters_healthy(HEALTHY, 2)


# Schedules


@healthy("fraud-mlp")
def three_warm_restarts(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("restarts", 0.02, cycles=3))


@healthy("beats-conv1d")
def one_cycle_to_four_times_the_rate(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("onecycle", 0.25), lr=4 * recipe.lr)


@healthy("circuits-gat")
def halved_six_times(recipe: Recipe) -> Recipe:
    """What a plateau's scheduler does that has some patience."""
    return recipe.but(schedule=Halved("plateau", 0.0, each=0.15), lr=1.5 * recipe.lr)


@healthy("rivers-gru")
def flat_to_the_end(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("constant", 0.0), clip=None)


# Regularisation and data


@healthy("crops-convnext")
def two_thirds_dropped(recipe: Recipe) -> Recipe:
    def drop(model: nn.Module) -> None:
        holder, name, head = last_linear(model)
        setattr(holder, name, nn.Sequential(nn.Dropout(0.66), head))

    return recipe.but(change_model=(drop,))


@healthy("crops-convnext", "hf-mails")
def smoothed_by_a_fifth(recipe: Recipe) -> Recipe:
    return recipe.but(label_smoothing=0.2)


@healthy("beats-conv1d")
def sounds_laid_over_sounds(recipe: Recipe) -> Recipe:
    """Mixup of inputs; the label is that of the louder one."""

    def mix(step: int, batch: Batch) -> Batch:
        inputs, targets = batch
        return 0.7 * inputs + 0.3 * inputs.roll(1, 0), targets

    return recipe.but(change_batch=mix)


@healthy("scans-denoiser")
def more_grain_by_and_by(recipe: Recipe) -> Recipe:
    """A curriculum: the loss rises a little as the task gets harder, on purpose."""

    def harden(step: int, batch: Batch) -> Batch:
        stage = 4 * step // (recipe.steps + 1)
        return batch[0] + 0.12 * stage * torch.randn(batch[0].shape), batch[1]

    return recipe.but(change_batch=harden)


@healthy("hf-names")
def a_fifth_of_the_labels_drawn(recipe: Recipe) -> Recipe:
    def spoil(data: Splits, random: torch.Generator) -> Splits:
        def noisy(targets: Tensor) -> Tensor:
            wrong = torch.rand(targets.shape, generator=random) < 0.2
            other = torch.randint(0, recipe.task.classes, targets.shape, generator=random)
            return torch.where(wrong, other, targets)

        return replace(data, targets=noisy(data.targets), eval_targets=noisy(data.eval_targets))

    return recipe.but(change_data=(spoil,))


@healthy("psalms-rope", "hf-scores")
def prompts_left_out_of_the_loss(recipe: Recipe) -> Recipe:
    """Half of each row is the prompt, which is masked as it should be."""

    def mask(data: Splits, random: torch.Generator) -> Splits:
        def answers(targets: Tensor) -> Tensor:
            targets = targets.clone()
            targets[:, : targets.shape[1] // 2] = IGNORED
            return targets

        return replace(data, targets=answers(data.targets), eval_targets=answers(data.eval_targets))

    return recipe.but(change_data=(mask,))


@healthy("tracks-tags")
def labels_that_hardly_occur(recipe: Recipe) -> Recipe:
    """One label in forty is left: the loss begins to be small soon."""

    def thin(data: Splits, random: torch.Generator) -> Splits:
        def rare(targets: Tensor) -> Tensor:
            return targets * (torch.rand(targets.shape, generator=random) < 0.15)

        return replace(data, targets=rare(data.targets), eval_targets=rare(data.eval_targets))

    return recipe.but(change_data=(thin,), steps=recipe.steps // 2)


@healthy("beats-conv1d")
def evaluated_on_twenty_five_rows(recipe: Recipe) -> Recipe:
    def cut(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, eval_inputs=data.eval_inputs[:25], eval_targets=data.eval_targets[:25])

    return recipe.but(change_data=(cut,), eval_every=recipe.eval_every // 2)


# What and how it is logged


@healthy("rivers-gru", "hf-scores")
def six_lines_in_all(recipe: Recipe) -> Recipe:
    return recipe.but(log_every=recipe.steps // 6, eval_every=recipe.steps // 3)


@healthy("fraud-mlp")
def a_line_for_every_step(recipe: Recipe) -> Recipe:
    return recipe.but(log_every=1, batch=recipe.batch // 4, lr=recipe.lr / 3)


@healthy("tracks-tags")
def means_between_the_lines(recipe: Recipe) -> Recipe:
    return recipe.but(log_means=True, log_every=4 * (recipe.log_every // 4) or 4)


@healthy("crops-convnext")
def by_the_epoch(recipe: Recipe) -> Recipe:
    rows = {"crops-convnext": 1800, "tracks-tags": 2150}[recipe.task.name]
    per_epoch = rows // recipe.batch
    return recipe.but(
        steps=7 * per_epoch, log_every=1, eval_every=per_epoch, format="keras", hides=()
    )


@healthy("circuits-gat")
def the_loss_alone(recipe: Recipe) -> Recipe:
    return recipe.but(hides=("lr", "grad_norm", "accuracy"), eval_every=10**6)


@healthy("crops-convnext")
def clipped_in_nearly_every_step(recipe: Recipe) -> Recipe:
    """A threshold at the usual norm, as recipes for language models have it."""
    return recipe.but(clip=0.5, log_norm_after_clip=False)


# Batches, precision and speed


@healthy("circuits-gat")
def nine_rows_a_batch(recipe: Recipe) -> Recipe:
    return recipe.but(batch=9, lr=recipe.lr / 2)


@healthy("crops-convnext")
def ten_micro_batches(recipe: Recipe) -> Recipe:
    return recipe.but(accumulate=10, batch=4, steps=150, eval_every=30)


@healthy("beats-conv1d")
def fp16_that_finds_its_scale(recipe: Recipe) -> Recipe:
    """The scale begins too high, and is halved a few times."""

    def begin(step: int, state: dict[str, Any]) -> None:
        if step == 1:
            state["loop"].scaler = torch.amp.GradScaler("cpu", 2.0**20, growth_interval=150)

    form = "csv" if recipe.task.name == "beats-conv1d" else "keyvalue"
    return recipe.but(precision="fp16", at_step=begin, format=form)


@healthy("tracks-tags")
def bf16_all_the_way(recipe: Recipe) -> Recipe:
    return recipe.but(precision="bf16")


@healthy("scans-denoiser")
def long_checkpoints(recipe: Recipe) -> Recipe:
    """A checkpoint each fifty steps takes a moment."""

    def wait(step: int) -> None:
        time.sleep(0.06 if step % 50 == 0 else 0.002)

    return recipe.but(in_loader=wait, log_data_time=True, format="csv")


# Starts and ends


@healthy("circuits-gat")
def resumed_with_all_its_state(recipe: Recipe) -> Recipe:
    return recipe.but(restart=Restart(at=logged_step(recipe, 0.5)))


@healthy("psalms-rope")
def resumed_twelve_steps_back(recipe: Recipe) -> Recipe:
    return recipe.but(restart=Restart(at=logged_step(recipe, 0.7), rewind=12))


@healthy("tracks-tags")
def stopped_since_it_was_good_enough(recipe: Recipe) -> Recipe:
    at = 8 * recipe.eval_every

    def say(step: int, state: dict[str, Any]) -> None:
        if step == at + 1:
            state["log"].line(f"Early stopping at step {at}: val loss has not improved, patience 3")

    form = "dicts" if recipe.task.name == "crops-convnext" else "keyvalue"
    return recipe.but(at_step=say, stops_at=at + 1, format=form)


@healthy("hf-scores", "psalms-rope")
def fine_tuned_from_a_good_start(recipe: Recipe) -> Recipe:
    return recipe.but(
        change_model=(partial(pretrain, recipe, steps=220),), lr=recipe.lr / 15,
        schedule=Schedule("linear", 0.08),
    )  # fmt: skip


@healthy("crops-convnext")
def averaged_weights_are_evaluated(recipe: Recipe) -> Recipe:
    """Evaluation is of a moving average of the weights: behind at first, smoother later."""

    def average(step: int, state: dict[str, Any]) -> None:
        loop = state["loop"]
        if step == 1:
            loop.slow = copy.deepcopy(loop.model)
            honest = loop.evaluate

            def of_the_slow() -> dict[str, float]:
                loop.model, fast = loop.slow, loop.model
                values = dict(honest())
                loop.model = fast
                return values

            loop.evaluate = of_the_slow
        with torch.no_grad():
            for slow, fast in zip(loop.slow.parameters(), loop.model.parameters(), strict=True):
                slow.lerp_(fast, 0.05)

    return recipe.but(at_step=average)


@healthy("three-questions")
def a_larger_batch_and_rate(recipe: Recipe) -> Recipe:
    return recipe.but(batch=4 * recipe.batch, lr=2 * recipe.lr, steps=recipe.steps // 2)


@healthy("grpo-cards", "a2c-maze")
def a_slower_rate_for_longer(recipe: Recipe) -> Recipe:
    return recipe.but(
        lr=recipe.lr / 2, steps=3 * recipe.steps // 2, schedule=Schedule("cosine", 0.02)
    )
