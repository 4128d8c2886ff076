"""Healthy runs that look odd: other look-alikes, or on other tasks, than the first ones."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.faults.changes import pretrain, without_dropout
from benchmarks.faults.recipe import Batch, Recipe, Restart, Schedule
from benchmarks.faults.tables import Healthy, enters_healthy
from benchmarks.faults.task import Splits

HEALTHY: list[Healthy] = []
healthy = enters_healthy(HEALTHY, 3)


@healthy("rings-mixer", "bytes-decoder", "hf-llama")
def five_warm_restarts(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("restarts", 0.0, cycles=5))


@healthy("tags-bilstm", "loads-gru")
def one_cycle_with_a_long_rise(recipe: Recipe) -> Recipe:
    """Forty per cent up, the rest down to nothing: what OneCycle does by default, nearly."""
    return recipe.but(schedule=Schedule("onecycle", 0.3), lr=1.5 * recipe.lr)


@healthy("glyphs-depthwise", "seasons-conv")
def dropout_of_six_tenths(recipe: Recipe) -> Recipe:
    """Evaluation is far better than training, which it should be."""

    def drop(model: nn.Module) -> nn.Module:
        *body, head = model.children()
        return nn.Sequential(*body, nn.Dropout(0.6), head)

    return recipe.but(change_model=(drop,))


@healthy("rings-mixer", "seasons-conv", "hf-roberta")
def labels_smoothed_by_a_fifth(recipe: Recipe) -> Recipe:
    return recipe.but(label_smoothing=0.2)


@healthy("loads-gru", "bytes-decoder", "adapt-reader", "hf-roberta")
def six_lines(recipe: Recipe) -> Recipe:
    return recipe.but(log_every=recipe.steps // 6, eval_every=recipe.steps // 3)


@healthy("prices-huber")
def twenty_thousand_lines(recipe: Recipe) -> Recipe:
    """A model too small to learn its rows by heart in seven hundred epochs."""

    def shrink(model: nn.Module) -> nn.Module:
        return nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))

    return recipe.but(
        steps=20_000, log_every=1, eval_every=500, format="csv", hides=("step_time",),
        change_model=(shrink,),
    )  # fmt: skip


@healthy("tags-bilstm", "rings-mixer")
def moving_average_logged(recipe: Recipe) -> Recipe:
    """The loss that is logged is an average with a long memory: it lags behind."""
    return recipe.but(log_smoothed=0.98)


@healthy("loads-gru")
def goes_on_well_after_convergence(recipe: Recipe) -> Recipe:
    return recipe.but(
        steps=4 * recipe.steps, schedule=Schedule("constant", 0.01), lr=recipe.lr / 3,
        log_every=8, eval_every=recipe.steps // 3,
    )  # fmt: skip


@healthy("bytes-decoder", "hf-llama")
def fine_tuned_from_a_good_start(recipe: Recipe) -> Recipe:
    longer = partial(pretrain, recipe, steps=700)
    return recipe.but(change_model=(longer,), lr=recipe.lr / 8)


@healthy("prices-huber", "adapt-reader")
def three_rows_a_batch(recipe: Recipe) -> Recipe:
    return recipe.but(batch=3, lr=recipe.lr / 5, steps=2 * recipe.steps)


@healthy("rings-mixer", "tags-bilstm")
def clipped_and_logged_so(recipe: Recipe) -> Recipe:
    return recipe.but(log_norm_after_clip=True, clip=0.2)


@healthy("rings-mixer", "loads-gru", "bytes-decoder")
def resumed_twenty_steps_earlier(recipe: Recipe) -> Recipe:
    return recipe.but(restart=Restart(at=_evaluated(recipe), rewind=20))


@healthy("glyphs-depthwise", "tags-bilstm")
def resumed_where_it_stopped(recipe: Recipe) -> Recipe:
    return recipe.but(restart=Restart(at=_evaluated(recipe)))


def _evaluated(recipe: Recipe) -> int:
    """Return the step of an evaluation a little after the middle."""
    return 6 * recipe.eval_every


@healthy("rings-mixer", "seasons-conv", "bytes-decoder")
def loss_scale_is_found(recipe: Recipe) -> Recipe:
    form = "csv" if recipe.task.kind == "classification" else "megatron"
    return recipe.but(precision="fp16", format=form)


@healthy("glyphs-depthwise")
def bf16_all_through(recipe: Recipe) -> Recipe:
    return recipe.but(precision="bf16")


@healthy("glyphs-depthwise")
def four_micro_batches(recipe: Recipe) -> Recipe:
    return recipe.but(accumulate=4, batch=recipe.batch // 4)


@healthy("seasons-conv", "prices-huber", "glyphs-depthwise")
def a_line_an_epoch(recipe: Recipe) -> Recipe:
    rows = {"seasons-conv": 1500, "prices-huber": 3500, "glyphs-depthwise": 4800}[recipe.task.name]
    per_epoch = rows // recipe.batch
    return recipe.but(
        steps=9 * per_epoch, log_every=1, eval_every=per_epoch, format="keras", log_means=False
    )


@healthy("loads-gru", "glyphs-depthwise", "tags-bilstm")
def only_the_loss_logged(recipe: Recipe) -> Recipe:
    return recipe.but(hides=("lr", "grad_norm", "accuracy"), format="dicts")


@healthy("glyphs-depthwise")
def a_third_of_the_labels_wrong(recipe: Recipe) -> Recipe:
    """In both splits: the loss ends high, at its floor."""

    def spoil(data: Splits, random: torch.Generator) -> Splits:
        def noisy(targets: Tensor) -> Tensor:
            wrong = torch.rand(targets.shape, generator=random) < 0.33
            other = torch.randint(0, recipe.task.classes, targets.shape, generator=random)
            return torch.where(wrong, other, targets)

        return replace(data, targets=noisy(data.targets), eval_targets=noisy(data.eval_targets))

    return recipe.but(change_data=(spoil,), steps=recipe.steps // 2, lr=recipe.lr / 2)


@healthy("rings-mixer")
def harder_from_the_middle_on(recipe: Recipe) -> Recipe:
    """A curriculum: noisier pictures come in the second half."""

    def harden(step: int, batch: Batch) -> Batch:
        if step < recipe.steps // 2:
            return batch
        return batch[0] + 0.6 * torch.randn(batch[0].shape), batch[1]

    return recipe.but(change_batch=harden)


@healthy("hf-roberta")
def no_dropout_and_flat_rate(recipe: Recipe) -> Recipe:
    return recipe.but(
        change_model=(without_dropout,), schedule=Schedule("constant", 0.05), lr=recipe.lr / 3
    )
