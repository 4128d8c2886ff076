"""The third sitting's faults of optimisation, precision and data: other variants than those before."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.faults.changes import (
    logged_step,
    mask_all,
    nothing_to_attend_to,
    over_steps,
    pretrain,
    replace_head,
    set_scale,
    some_labels_noisy,
    sorted_by,
    squeezed,
    through_half,
    with_nan,
    without_batch_norm,
)
from benchmarks.faults.recipe import Batch, Recipe, Restart, Schedule
from benchmarks.faults.tables import Fault, enters_fault
from benchmarks.faults.task import IGNORED, Splits

PICTURES = ("leaves-resnet", "spectra-vit")
MOMENTUM = partial(torch.optim.SGD, momentum=0.9)

FAULTS: list[Fault] = []
fault = enters_fault(FAULTS)


# Learning rate and its schedule


@fault("lr-too-high", ("spectra-vit", "verse-lm"))
def lr_x15(recipe: Recipe) -> Recipe:
    return recipe.but(lr=15 * recipe.lr)


@fault("lr-too-high", ("verse-lm", "melody-gru"), (1,))
def lr_x200(recipe: Recipe) -> Recipe:
    return recipe.but(lr=200 * recipe.lr, clip=None)


@fault("lr-too-high", ("leaves-resnet", "cells-unet", "wells-mae", "topics-bce"))
def peak_of_the_cycle_too_high(recipe: Recipe) -> Recipe:
    """OneCycle climbs to a hundred times the usual rate, and comes back."""
    return recipe.but(lr=100 * recipe.lr, schedule=Schedule("onecycle", 0.25))


@fault("lr-too-high", ("molecules-gnn",), (0, 1), also=("no-grad-clipping",))
def lr_of_one_without_clipping(recipe: Recipe) -> Recipe:
    return recipe.but(lr=1.0, optimizer=torch.optim.SGD, clip=None)


@fault("lr-too-low", ("spectra-vit", "melody-gru", "wells-mae"))
def lr_over_200(recipe: Recipe) -> Recipe:
    return recipe.but(lr=recipe.lr / 200)


@fault("lr-too-low", ("cells-unet", "topics-bce", "molecules-gnn", "hf-albert"), (1,))
def lr_over_5000(recipe: Recipe) -> Recipe:
    return recipe.but(lr=recipe.lr / 5000)


@fault("warmup-too-long", ("spectra-vit", "verse-lm"))
def warmup_40_percent(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=replace(recipe.schedule, warmup=0.4))


@fault("warmup-too-long", ("leaves-resnet", "turns-seq2seq"), (1,))
def warmup_95_percent(recipe: Recipe) -> Recipe:
    return recipe.but(lr=recipe.lr / 2, schedule=Schedule("cosine", 0.95))


# With a warmup of 15 % these rates of SGD train; without one the first steps break the model.
BEARABLE_WITH_WARMUP = {"spectra-vit": 0.4, "verse-lm": 0.7}


@fault("warmup-too-short", tuple(BEARABLE_WITH_WARMUP), (0, 1), also=("lr-too-high",))
def no_warmup_at_a_bold_rate(recipe: Recipe) -> Recipe:
    return recipe.but(
        lr=BEARABLE_WITH_WARMUP[recipe.task.name], clip=None, optimizer=MOMENTUM,
        schedule=Schedule("linear", 0.0), log_every=min(recipe.log_every, 3),
    )  # fmt: skip


@fault("scheduler-misconfigured", ("spectra-vit", "molecules-gnn", "hf-masked"))
def decay_over_at_a_tenth(recipe: Recipe) -> Recipe:
    """The schedule was told of a tenth of the steps."""
    return recipe.but(schedule=Schedule("linear", 0.01, ends=0.1))


@fault("scheduler-misconfigured", ("leaves-resnet", "wells-mae"), (1,))
def a_tenth_off_each_step(recipe: Recipe) -> Recipe:
    """`scheduler.step()` stands in the loop over batches."""
    return recipe.but(schedule=Schedule("exponential", 0.0, decay=0.9))


@fault("scheduler-misconfigured", ("melody-gru",))
def plan_starts_anew_late(recipe: Recipe) -> Recipe:
    restart = Restart(at=logged_step(recipe, 0.8), schedule=False)
    return recipe.but(restart=restart, schedule=Schedule("cosine", 0.0)).knowing(
        schedule_reset_at=restart.at
    )


# Clipping and the optimizer


@fault("clip-threshold-too-low", ("spectra-vit", "wells-mae", "molecules-gnn", "hf-albert"))
def clip_at_five_thousandths(recipe: Recipe) -> Recipe:
    return recipe.but(clip=0.005, lr=0.1, optimizer=MOMENTUM)


@fault("no-grad-clipping", ("molecules-gnn",), (0, 1), also=("outlier-batch", "lr-too-high"))
def a_few_energies_in_another_unit(recipe: Recipe) -> Recipe:
    def convert(data: Splits, random: torch.Generator) -> Splits:
        targets = data.targets.clone()
        targets[torch.randperm(len(targets), generator=random)[:10]] *= 96.5
        return replace(data, targets=targets)

    return recipe.but(clip=None, optimizer=MOMENTUM, lr=0.001, change_data=(convert,))


@fault(
    "no-grad-clipping", ("topics-bce", "cells-unet"), (1,), also=("outlier-batch", "lr-too-high")
)
def a_few_rows_a_thousand_times_as_large(recipe: Recipe) -> Recipe:
    def enlarge(data: Splits, random: torch.Generator) -> Splits:
        inputs = data.inputs.clone()
        inputs[torch.randperm(len(inputs), generator=random)[:6]] *= 1000.0
        return replace(data, inputs=inputs)

    return recipe.but(
        clip=None, optimizer=MOMENTUM, lr=0.05, change_data=(enlarge,), hides=(), log_every=2
    )


@fault("optimizer-hyperparameters", ("spectra-vit", "molecules-gnn", "hf-t5"))
def betas_the_wrong_way_round(recipe: Recipe) -> Recipe:
    return recipe.but(optimizer=partial(torch.optim.Adam, betas=(0.999, 0.9)))


@fault("optimizer-hyperparameters", ("spectra-vit", "verse-lm"), (1,))
def weight_decay_of_twenty(recipe: Recipe) -> Recipe:
    return recipe.but(optimizer=partial(torch.optim.AdamW, weight_decay=20.0))


@fault("optimizer-hyperparameters", ("leaves-resnet", "wells-mae"))
def momentum_of_0998(recipe: Recipe) -> Recipe:
    sgd = partial(torch.optim.SGD, momentum=0.998)
    return recipe.but(optimizer=sgd, lr=0.06, schedule=Schedule("constant", 0.02))


@fault("optimizer-hyperparameters", ("topics-bce", "melody-gru"), (1,))
def adam_epsilon_of_three_tenths(recipe: Recipe) -> Recipe:
    return recipe.but(optimizer=partial(torch.optim.Adam, eps=0.3))


# Precision


@fault("fp16-overflow", ("spectra-vit", "melody-gru"))
def activations_outgrow_fp16_at_two_thirds(recipe: Recipe) -> Recipe:
    """What enters the last layer grows until fp16 ends. No loss scale."""
    at = int(0.66 * recipe.steps)

    def grow(step: int, state: dict[str, Any]) -> None:
        set_scale(state, 65_504 ** (step / at))

    return recipe.but(
        precision="fp16", scaled=False, change_model=(through_half,), at_step=grow
    ).knowing(nan_from=at)


@fault("fp16-overflow", ("spectra-vit",), (1,))
def each_step_skipped_from_a_fifth_on(recipe: Recipe) -> Recipe:
    at = int(0.2 * recipe.steps)

    def jump(step: int, state: dict[str, Any]) -> None:
        set_scale(state, 2e6 if step >= at else 1.0)

    form = {"spectra-vit": "jsonl", "leaves-resnet": "tensorboard"}.get(
        recipe.task.name, "keyvalue"
    )
    return recipe.but(
        precision="fp16", change_model=(through_half,), at_step=jump, format=form
    ).knowing(nan_from=at)


@fault("low-precision-instability", ("spectra-vit", "turns-seq2seq", "molecules-gnn"),
       also=("lr-too-low",))  # fmt: skip
def steps_below_the_last_digit_of_bf16(recipe: Recipe) -> Recipe:
    return recipe.but(precision="bf16", lr=recipe.lr / 40, optimizer=torch.optim.Adam)


# Data


@fault("outlier-batch", ("spectra-vit", "cells-unet", "topics-bce", "molecules-gnn"), (1,))
def one_batch_times_five_hundred(recipe: Recipe) -> Recipe:
    at = logged_step(recipe, 0.45)
    large = over_steps(at, 1, lambda batch: (500 * batch[0], batch[1]))
    return recipe.but(change_batch=large).knowing(outlier_at=at)


@fault("outlier-batch", ("verse-lm", "melody-gru"))
def two_batches_of_another_file(recipe: Recipe) -> Recipe:
    at = logged_step(recipe, 0.7)
    classes = recipe.task.classes
    other = over_steps(at, 2, lambda batch: (batch[0], (batch[1] * 5 + 2) % classes))
    return recipe.but(change_batch=other).knowing(outlier_at=at)


@fault("outlier-batch", ("wells-mae",), (0, 1))
def one_batch_of_yields_in_litres(recipe: Recipe) -> Recipe:
    at = logged_step(recipe, 0.6)
    large = over_steps(at, 1, lambda batch: (batch[0], 159 * batch[1]))
    return recipe.but(change_batch=large).knowing(outlier_at=at)


@fault("nan-in-data", ("wells-mae", "molecules-gnn", "topics-bce"))
def one_target_is_nan(recipe: Recipe) -> Recipe:
    at = int(0.55 * recipe.steps)

    def spoil(batch: Batch) -> Batch:
        targets = batch[1].clone()
        targets.view(-1)[3] = math.nan
        return batch[0], targets

    return recipe.but(change_batch=over_steps(at, 1, spoil)).knowing(nan_from=at)


@fault("nan-in-data", ("leaves-resnet", "cells-unet"), (1,))
def one_pixel_is_nan(recipe: Recipe) -> Recipe:
    share = {"leaves-resnet": 0.9, "spectra-vit": 0.08, "cells-unet": 0.3}[recipe.task.name]
    at = int(share * recipe.steps)
    return recipe.but(change_batch=over_steps(at, 1, with_nan)).knowing(nan_from=at)


@fault("nan-in-data", ("wells-mae", "topics-bce"), (1,))
def three_nan_rows_behind_a_guard(recipe: Recipe) -> Recipe:
    def spoil(data: Splits, random: torch.Generator) -> Splits:
        inputs = data.inputs.clone()
        inputs[[100, 500, 900]] = math.nan
        return replace(data, inputs=inputs)

    return recipe.but(change_data=(spoil,), skip_nonfinite=True, log_every=1)


@fault("labels-wrong", ("leaves-resnet", "hf-albert"))
def two_fifths_of_the_labels_drawn(recipe: Recipe) -> Recipe:
    def spoil(data: Splits, random: torch.Generator) -> Splits:
        return some_labels_noisy(data, random, 0.4, recipe.task.classes)

    return recipe.but(change_data=(spoil,))


@fault("labels-wrong", ("spectra-vit", "cells-unet"), (1,))
def labels_of_other_rows(recipe: Recipe) -> Recipe:
    """Inputs and labels were sorted by different keys, in both splits."""

    def mix(data: Splits, random: torch.Generator) -> Splits:
        order = torch.randperm(len(data.targets), generator=random)
        held = torch.randperm(len(data.eval_targets), generator=random)
        return replace(data, targets=data.targets[order], eval_targets=data.eval_targets[held])

    return recipe.but(change_data=(mix,))


@fault("labels-wrong", ("leaves-resnet", "melody-gru", "topics-bce"))
def labels_shuffled_in_each_batch(recipe: Recipe) -> Recipe:
    """Only in training: evaluation is told the truth."""

    def mix(step: int, batch: Batch) -> Batch:
        return batch[0], batch[1][torch.randperm(len(batch[1]))]

    return recipe.but(change_batch=mix)


@fault("labels-all-masked", ("melody-gru", "hf-masked", "cells-unet"))
def no_target_is_left(recipe: Recipe) -> Recipe:
    return recipe.but(change_data=(mask_all,))


@fault("labels-all-masked", ("turns-seq2seq", "melody-gru"), (1,))
def no_target_is_left_from_three_fifths_on(recipe: Recipe) -> Recipe:
    at = int(0.6 * recipe.steps)

    def mask(batch: Batch) -> Batch:
        return batch[0], torch.full_like(batch[1], IGNORED)

    return recipe.but(change_batch=over_steps(at, recipe.steps, mask)).knowing(nan_from=at)


@fault("label-out-of-range", ("cells-unet",), (0, 1))
def the_border_is_called_255(recipe: Recipe) -> Recipe:
    """Masks whose unlabelled pixels are 255, which the loss was not told."""

    def mark(data: Splits, random: torch.Generator) -> Splits:
        targets = data.targets.clone()
        targets[40 if recipe.seed else slice(None), 0] = 255
        return replace(data, targets=targets)

    return recipe.but(change_data=(mark,)).knowing(raises=True)


@fault("label-out-of-range", (*PICTURES, "melody-gru", "hf-albert"), (1,),
       also=("num-labels-mismatch",))  # fmt: skip
def one_class_more_than_told(recipe: Recipe) -> Recipe:
    def spoil(data: Splits, random: torch.Generator) -> Splits:
        targets = data.targets.clone()
        targets.view(-1)[[7, -3]] = recipe.task.classes
        return replace(data, targets=targets)

    return recipe.but(change_data=(spoil,)).knowing(raises=True)


@fault(
    "num-labels-mismatch",
    ("leaves-resnet", "melody-gru", "hf-albert"),
    also=("label-out-of-range",),
)
def head_of_three(recipe: Recipe) -> Recipe:
    return recipe.but(change_model=(partial(replace_head, outputs=3),)).knowing(raises=True)


@fault("num-labels-mismatch", ("leaves-resnet",), (1,), also=("head-init-scale",))
def head_of_another_data_set(recipe: Recipe) -> Recipe:
    """A head for 21,841 classes was kept."""
    return recipe.but(change_model=(partial(replace_head, outputs=21_841),), batch=16)


@fault("data-not-shuffled", PICTURES)
def class_after_class(recipe: Recipe) -> Recipe:
    by_class = sorted_by(lambda data: data.targets)
    return recipe.but(change_data=(by_class,), shuffle=False, log_every=1)


@fault("data-not-shuffled", ("wells-mae", "molecules-gnn"), (1,))
def largest_target_first(recipe: Recipe) -> Recipe:
    by_size = sorted_by(lambda data: -data.targets)
    return recipe.but(change_data=(by_size,), shuffle=False, log_every=1)


@fault("data-not-shuffled", ("cells-unet",))
def small_blots_first(recipe: Recipe) -> Recipe:
    by_size = sorted_by(lambda data: (data.targets > 0).sum((1, 2)))
    return recipe.but(change_data=(by_size,), shuffle=False, log_every=1)


@fault("data-leak", ("leaves-resnet", "spectra-vit"))
def thirty_eval_rows_forty_times(recipe: Recipe) -> Recipe:
    """Half of the labels are noise, and thirty clean rows of the evaluation stand in training forty times."""

    def leak(data: Splits, random: torch.Generator) -> Splits:
        noisy = some_labels_noisy(data, random, 0.5, recipe.task.classes)
        inputs, targets = data.eval_inputs[:30], data.eval_targets[:30]
        often = inputs.repeat(40, *[1] * (inputs.dim() - 1))
        again = targets.repeat(40, *[1] * (targets.dim() - 1))
        return Splits(
            torch.cat([noisy.inputs, often]), torch.cat([noisy.targets, again]), inputs, targets
        )

    return recipe.but(change_data=(leak,)).knowing(eval_count=30)


@fault("inputs-not-normalized", ("leaves-resnet", "cells-unet"), (0,))
def sensor_counts_of_sixteen_bits(recipe: Recipe) -> Recipe:
    def rescale(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, inputs=6000 * data.inputs + 20_000,
                       eval_inputs=6000 * data.eval_inputs + 20_000)  # fmt: skip

    return recipe.but(change_data=(rescale,), change_model=(without_batch_norm,))


@fault("inputs-not-normalized", ("wells-mae", "topics-bce"))
def columns_in_their_own_units(recipe: Recipe) -> Recipe:
    """Depths in millimetres beside shares; raw counts beside times since 1970."""

    def rescale(data: Splits, random: torch.Generator) -> Splits:
        scale = torch.ones(data.inputs.shape[1])
        scale[5::6] = 4e5
        shift = torch.where(scale > 1, 1.6e9 if recipe.task.name == "topics-bce" else 2e6, 0.0)
        return replace(data, inputs=data.inputs * scale + shift,
                       eval_inputs=data.eval_inputs * scale + shift)  # fmt: skip

    return recipe.but(change_data=(rescale,))


@fault("pad-or-mask-bug", ("verse-lm", "melody-gru"))
def three_quarters_of_a_row_is_padding(recipe: Recipe) -> Recipe:
    """The training rows' padding counts in the loss; the evaluation has none."""

    def pad(data: Splits, random: torch.Generator) -> Splits:
        keep = max(data.targets.shape[1] // 4, 1)
        inputs, targets = data.inputs.clone(), data.targets.clone()
        inputs[:, keep:] = targets[:, keep:] = 0
        return replace(data, inputs=inputs, targets=targets)

    return recipe.but(change_data=(pad,))


@fault("pad-or-mask-bug", ("spectra-vit", "verse-lm"), (1,))
def attention_over_nothing_at_half(recipe: Recipe) -> Recipe:
    """From the middle on a batch holds a row of padding only: its softmax is 0/0."""
    at = recipe.steps // 2

    def mask(step: int, state: dict[str, Any]) -> None:
        if step == at:
            for module in state["model"].modules():
                if isinstance(module, nn.MultiheadAttention):
                    module.register_forward_hook(nothing_to_attend_to)

    return recipe.but(at_step=mask).knowing(nan_from=at)


@fault("tokenizer-mismatch", ("verse-lm", "turns-seq2seq", "hf-masked"))
def special_tokens_behind_the_vocabulary(recipe: Recipe) -> Recipe:
    """Three tokens were added, and the embedding was not enlarged."""

    def spoil(data: Splits, random: torch.Generator) -> Splits:
        inputs = data.inputs.clone()
        size = 60 if recipe.task.name == "melody-gru" else recipe.task.classes
        inputs[[20, 300, 700], 2] = torch.tensor([size, size + 1, size + 2])
        return replace(data, inputs=inputs)

    return recipe.but(change_data=(spoil,)).knowing(raises=True)


@fault("tokenizer-mismatch", ("verse-lm", "hf-masked"), (1,), also=("head-init-scale",))
def numbers_of_another_tokenizer(recipe: Recipe) -> Recipe:
    """A fine-tune at a small rate of a model that knows the same tokens by other numbers."""

    def renumber(data: Splits, random: torch.Generator) -> Splits:
        order = torch.randperm(recipe.task.classes, generator=random)
        parts = (torch.where(p < 0, p, order[p.clamp(min=0)]) for p in vars(data).values())
        return Splits(*parts)

    return recipe.but(
        change_data=(renumber,), change_model=(partial(pretrain, recipe),), lr=recipe.lr / 8
    )


def sigmoid_twice(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(outputs.sigmoid(), targets)


@fault("wrong-loss-function", ("leaves-resnet", "cells-unet"))
def probabilities_for_logits(recipe: Recipe) -> Recipe:
    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs.softmax(-1).flatten(0, -2), targets.flatten())

    return recipe.but(loss=loss)


@fault("wrong-loss-function", ("topics-bce",), (0, 1))
def sigmoid_before_a_loss_that_has_its_own(recipe: Recipe) -> Recipe:
    return recipe.but(loss=sigmoid_twice)


@fault("wrong-loss-function", ("spectra-vit", "cells-unet"), (1,))
def likelihood_without_a_softmax(recipe: Recipe) -> Recipe:
    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.nll_loss(outputs.flatten(0, -2), targets.flatten())

    return recipe.but(loss=loss)


@fault("wrong-loss-function", ("molecules-gnn",), also=("lr-too-high",))
def a_score_is_minimised(recipe: Recipe) -> Recipe:
    """The negative error, as a library's score has it, is taken for a loss."""
    return recipe.but(loss=squeezed(lambda guess, targets: -F.mse_loss(guess, targets)))
