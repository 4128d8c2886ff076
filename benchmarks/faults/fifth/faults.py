"""The sitting's faults of optimisation, precision and data."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

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
    through_half,
    with_nan,
    without_batch_norm,
)
from benchmarks.faults.fifth.entries import enters_fault_here
from benchmarks.faults.fifth.models import CausalBlock
from benchmarks.faults.fifth.rates import Adam, ByEpoch, Halved, Lion
from benchmarks.faults.recipe import Batch, Recipe, Restart, Schedule
from benchmarks.faults.tables import Fault
from benchmarks.faults.task import IGNORED, Splits

MOMENTUM = partial(torch.optim.SGD, momentum=0.9)

FAULTS: list[Fault] = []
fault = enters_fault_here(FAULTS)


# Learning rate and its schedule


@fault("lr-too-high", ("kite-lm", "river-seq2seq"))
def lr_x60(recipe: Recipe) -> Recipe:
    return recipe.but(lr=60 * recipe.lr)


@fault("lr-too-high", ("mosaic-resnet", "boats-detector"), (1,), also=("no-grad-clipping",))
def a_rate_of_ten_for_momentum(recipe: Recipe) -> Recipe:
    """0.1 was meant; the run is not clipped."""
    return recipe.but(lr=10.0, clip=None, schedule=Schedule("cosine", 0.05))


@fault("lr-too-high", ("shelf-recsys",))
def lr_x100(recipe: Recipe) -> Recipe:
    return recipe.but(lr=100 * recipe.lr, clip=None if recipe.clip is None else 1.0)


@fault("lr-too-high", ("lora-birds",), (1,))
def rate_of_another_optimizer(recipe: Recipe) -> Recipe:
    """Lion, with the rate that was found for SGD."""
    return recipe.but(optimizer=partial(Lion, weight_decay=0.01), lr=0.1)


@fault("lr-too-low", ("mosaic-resnet", "tides-tcn"))
def lr_over_400(recipe: Recipe) -> Recipe:
    return recipe.but(lr=recipe.lr / 400)


@fault("lr-too-low", ("shelf-recsys", "minutes-qwen"), (1,))
def lr_of_a_millionth(recipe: Recipe) -> Recipe:
    return recipe.but(lr=1e-6, optimizer=torch.optim.Adam)


@fault("warmup-too-long", ("tides-tcn",))
def warmup_70_percent(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("cosine", 0.7))


@fault("warmup-too-long", ("slots-deberta",), (1,), also=("lr-too-low",))
def warmup_of_a_run_thirty_times_as_long(recipe: Recipe) -> Recipe:
    """A warmup in steps was copied from a long run: the rate never gets anywhere."""
    return recipe.but(schedule=Schedule("linear", 30.0))


# Behind a warmup of 30 % these rates of SGD train; without one the first steps break the model.
BOLD = {"river-seq2seq": 0.6, "kite-lm": 0.9}


@fault("warmup-too-short", tuple(BOLD), also=("lr-too-high",))
def bold_rate_from_the_first_step(recipe: Recipe) -> Recipe:
    return recipe.but(
        lr=BOLD[recipe.task.name], clip=None, optimizer=MOMENTUM, log_every=2,
        schedule=Schedule("linear", 0.0),
    )  # fmt: skip


@fault("scheduler-misconfigured", ("mosaic-resnet",))
def epochs_taken_for_steps(recipe: Recipe) -> Recipe:
    """StepLR: a tenth every ten epochs was meant, and it is stepped with each batch."""
    return recipe.but(schedule=Halved("step", 0.0, decay=0.1, every=10))


@fault("scheduler-misconfigured", ("kite-lm",), (1,), also=("warmup-too-long", "lr-too-low"))
def steps_taken_for_epochs(recipe: Recipe) -> Recipe:
    """A schedule with a warmup in steps is stepped at the end of each epoch."""
    length = {"kite-lm": 191, "tides-tcn": 50}[recipe.task.name]
    return recipe.but(schedule=ByEpoch("cosine", 0.2, length=length)).knowing(warmup=0.2 * length)


@fault("scheduler-misconfigured", ("boats-detector",))
def decay_planned_for_one_device_of_eight(recipe: Recipe) -> Recipe:
    """The steps were divided by the number of devices, of which there is one."""
    return recipe.but(schedule=Schedule("linear", 0.02, ends=1 / 8))


@fault("scheduler-misconfigured", ("shelf-recsys",), (1,))
def rate_falls_by_five_percent_a_step(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("exponential", 0.0, decay=0.95), hides=("grad_norm",))


# Clipping and the optimizer


@fault("clip-threshold-too-low", ("tides-tcn",))
def clipped_by_value_meant_for_rates(recipe: Recipe) -> Recipe:
    """A threshold of a thousandth with plain momentum."""
    return recipe.but(clip=1e-3, optimizer=MOMENTUM, lr=0.05, hides=())


@fault("clip-threshold-too-low", ("minutes-qwen", "visits-poisson"), (1,))
def clip_at_a_thousandth_with_sgd(recipe: Recipe) -> Recipe:
    return recipe.but(clip=1e-3, optimizer=torch.optim.SGD, lr=0.1)


@fault("no-grad-clipping", ("tides-tcn", "visits-poisson"), also=("outlier-batch", "lr-too-high"))
def a_few_records_from_a_broken_gauge(recipe: Recipe) -> Recipe:
    """A dozen windows hold values five hundred times as large; nothing holds their gradients."""

    def worsen(data: Splits, random: torch.Generator) -> Splits:
        inputs, targets = data.inputs.clone(), data.targets.clone()
        some = torch.randperm(len(inputs), generator=random)[:12]
        inputs[some] *= 500.0
        if recipe.task.name == "visits-poisson":
            inputs[some] /= 40.0
        targets[some] *= 500.0
        return replace(data, inputs=inputs, targets=targets)

    return recipe.but(
        clip=None, optimizer=MOMENTUM, lr=0.01 if recipe.task.name == "tides-tcn" else 1e-4,
        change_data=(worsen,), log_every=2,
    )  # fmt: skip


@fault("no-grad-clipping", ("shelf-recsys",), (1,), also=("outlier-batch", "lr-too-high"))
def some_ratings_in_percent(recipe: Recipe) -> Recipe:
    def convert(data: Splits, random: torch.Generator) -> Splits:
        targets = data.targets.clone()
        targets[torch.randperm(len(targets), generator=random)[:25]] *= 60.0
        return replace(data, targets=targets)

    return recipe.but(
        clip=None, optimizer=MOMENTUM, lr=0.03, change_data=(convert,), log_every=5, hides=()
    )


@fault("optimizer-hyperparameters", ("cookery-neox",))
def decay_of_weights_of_thirty(recipe: Recipe) -> Recipe:
    return recipe.but(optimizer=partial(torch.optim.AdamW, weight_decay=30.0))


@fault("optimizer-hyperparameters", ("mosaic-resnet",), (1,))
def l2_of_one(recipe: Recipe) -> Recipe:
    """0.0001 was meant: each step takes a twentieth off the weights."""
    return recipe.but(optimizer=partial(torch.optim.SGD, momentum=0.9, weight_decay=1.0))


@fault("optimizer-hyperparameters", ("lora-birds",))
def epsilon_of_ten(recipe: Recipe) -> Recipe:
    return recipe.but(optimizer=partial(torch.optim.Adam, eps=10.0), lr=3e-3)


@fault("optimizer-hyperparameters", ("river-seq2seq", "tides-tcn"), (1,), also=("lr-too-high",))
def gradients_never_set_to_zero(recipe: Recipe) -> Recipe:
    return recipe.but(optimizer=Adam, clip=None)


@fault("optimizer-hyperparameters", ("ddpm-coast",))
def first_beta_of_0999(recipe: Recipe) -> Recipe:
    """The two are exchanged in a configuration."""
    return recipe.but(optimizer=partial(torch.optim.Adam, betas=(0.999, 0.9)), lr=5 * recipe.lr)


# Precision


@fault("fp16-overflow", ("kite-lm",))
def logits_outgrow_fp16(recipe: Recipe) -> Recipe:
    """What enters the head grows a little with each step until fp16 ends. No loss scale."""
    at = int(0.45 * recipe.steps)

    def grow(step: int, state: dict[str, Any]) -> None:
        set_scale(state, 80_000 ** (step / at))

    return recipe.but(
        precision="fp16", scaled=False, change_model=(through_half,), at_step=grow
    ).knowing(nan_from=at)


@fault("fp16-overflow", ("tides-tcn",), (1,))
def every_step_is_skipped(recipe: Recipe) -> Recipe:
    """From a third on an activation is beyond fp16: the loss scale falls with each step."""
    at = int(0.35 * recipe.steps)

    def jump(step: int, state: dict[str, Any]) -> None:
        set_scale(state, 3e7 if step >= at else 1.0)

    form = {"tides-tcn": "csv", "mosaic-resnet": "mmengine"}[recipe.task.name]
    return recipe.but(
        precision="fp16", change_model=(through_half,), at_step=jump, format=form
    ).knowing(nan_from=at)


@fault("low-precision-instability", ("churn-tabular", "shelf-recsys"), also=("lr-too-low",))
def bf16_weights_swallow_small_steps(recipe: Recipe) -> Recipe:
    small = {"churn-tabular": 2e-6, "mosaic-resnet": 3e-6, "shelf-recsys": 5e-5}
    return recipe.but(precision="bf16", optimizer=torch.optim.Adam, lr=small[recipe.task.name])


# Data


@fault("outlier-batch", ("tides-tcn",))
def one_batch_times_a_thousand(recipe: Recipe) -> Recipe:
    at = logged_step(recipe, 0.55)
    large = over_steps(at, 1, lambda batch: (1000 * batch[0], batch[1]))
    return recipe.but(change_batch=large).knowing(outlier_at=at)


@fault("outlier-batch", ("kite-lm",), (1,))
def a_binary_file_among_the_texts(recipe: Recipe) -> Recipe:
    """Three batches whose answers are any tokens."""
    at = logged_step(recipe, 0.7)

    def drawn(batch: Batch) -> Batch:
        other = torch.randint(3, recipe.task.classes, batch[1].shape)
        return batch[0], torch.where(batch[1] < 0, batch[1], other)

    return recipe.but(change_batch=over_steps(at, 3, drawn)).knowing(outlier_at=at)


@fault("outlier-batch", ("shelf-recsys",))
def one_batch_of_ratings_up_to_a_hundred(recipe: Recipe) -> Recipe:
    at = logged_step(recipe, 0.4)
    large = over_steps(at, 1, lambda batch: (batch[0], 20 * batch[1]))
    return recipe.but(change_batch=large).knowing(outlier_at=at)


@fault("nan-in-data", ("visits-poisson",))
def a_gap_in_the_record(recipe: Recipe) -> Recipe:
    at = int(0.3 * recipe.steps)
    return recipe.but(change_batch=over_steps(at, 1, with_nan)).knowing(nan_from=at)


@fault("nan-in-data", ("churn-tabular",), (0, 1))
def constant_column_divided_by_its_spread(recipe: Recipe) -> Recipe:
    """0/0 in every row, or in those of one file only."""

    def spoil(data: Splits, random: torch.Generator) -> Splits:
        inputs, held = data.inputs.clone(), data.eval_inputs.clone()
        if recipe.seed:
            inputs[3000:3040, 4] = math.nan
        else:
            inputs[:, 4] = held[:, 4] = math.nan
        return replace(data, inputs=inputs, eval_inputs=held)

    return recipe.but(change_data=(spoil,))


@fault("nan-in-data", ("boats-detector",))
def boxes_drawn_from_below(recipe: Recipe) -> Recipe:
    """One picture's boxes have a height below 0, which has no logarithm."""

    def turn(step: int, batch: Batch) -> Batch:
        if step != 130:
            return batch
        labels = batch[1].clone()
        labels[0, ..., 4] *= -1
        return batch[0], labels

    return recipe.but(change_batch=turn).knowing(nan_from=130)


@fault("labels-wrong", ("lora-birds",))
def half_of_the_labels_drawn(recipe: Recipe) -> Recipe:
    def spoil(data: Splits, random: torch.Generator) -> Splits:
        return some_labels_noisy(data, random, 0.5, recipe.task.classes)

    return recipe.but(change_data=(spoil,))


@fault("labels-wrong", ("river-seq2seq",), (1,))
def answers_of_the_row_before(recipe: Recipe) -> Recipe:
    """A list of answers lacks its first line, in both splits."""

    def shift(data: Splits, random: torch.Generator) -> Splits:
        return replace(
            data, targets=data.targets.roll(1, 0), eval_targets=data.eval_targets.roll(1, 0)
        )

    return recipe.but(change_data=(shift,))


@fault("labels-wrong", ("slots-deberta", "coast-segmenter"))
def labels_of_any_row(recipe: Recipe) -> Recipe:
    """Inputs were shuffled without their labels; the evaluation was not."""

    def mix(data: Splits, random: torch.Generator) -> Splits:
        order = torch.randperm(len(data.targets), generator=random)
        return replace(data, targets=data.targets[order])

    return recipe.but(change_data=(mix,))


@fault("labels-all-masked", ("slots-deberta",))
def no_label_is_left(recipe: Recipe) -> Recipe:
    """The text where an answer begins is never found."""
    return recipe.but(change_data=(mask_all,))


@fault("labels-all-masked", ("kite-lm",), (1,))
def no_label_is_left_from_a_quarter_on(recipe: Recipe) -> Recipe:
    at = int(0.25 * recipe.steps)
    mask = over_steps(at, recipe.steps, lambda b: (b[0], torch.full_like(b[1], IGNORED)))
    return recipe.but(change_batch=mask).knowing(nan_from=at)


@fault("label-out-of-range", ("lora-birds",), also=("num-labels-mismatch",))
def classes_counted_from_one(recipe: Recipe) -> Recipe:
    def count(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, targets=data.targets + 1, eval_targets=data.eval_targets + 1)

    return recipe.but(change_data=(count,)).knowing(raises=True)


@fault("label-out-of-range", ("churn-tabular",), (1,))
def unknown_is_called_nine(recipe: Recipe) -> Recipe:
    def mark(data: Splits, random: torch.Generator) -> Splits:
        targets = data.targets.clone()
        targets[torch.randperm(len(targets), generator=random)[:2]] = 9
        return replace(data, targets=targets)

    return recipe.but(change_data=(mark,)).knowing(raises=True)


@fault("num-labels-mismatch", ("slots-deberta",), also=("label-out-of-range",))
def two_labels_as_by_default(recipe: Recipe) -> Recipe:
    """`num_labels` was not given."""
    return recipe.but(change_model=(partial(replace_head, outputs=2),)).knowing(raises=True)


@fault("num-labels-mismatch", ("mosaic-resnet",), (1,), also=("head-init-scale",))
def head_of_twelve_thousand(recipe: Recipe) -> Recipe:
    """The head of the pretrained model was kept: the loss begins at the log of its size."""
    return recipe.but(change_model=(partial(replace_head, outputs=12_000),), batch=12)


@fault("data-not-shuffled", ("mosaic-resnet",))
def folder_after_folder(recipe: Recipe) -> Recipe:
    by_class = sorted_by(lambda data: data.targets)
    return recipe.but(change_data=(by_class,), shuffle=False, log_every=1)


@fault("data-not-shuffled", ("tides-tcn",), (1,))
def calm_days_first(recipe: Recipe) -> Recipe:
    def size(data: Splits) -> Tensor:
        return data.targets if data.targets.dim() == 1 else data.targets.mean(1)

    return recipe.but(change_data=(sorted_by(size),), shuffle=False, log_every=1)


@fault("data-leak", ("mosaic-resnet", "lora-birds"))
def half_the_training_set_is_the_evaluation(recipe: Recipe) -> Recipe:
    """More than half of the training labels are drawn; clean rows were mixed in, and held back."""

    def leak(data: Splits, random: torch.Generator) -> Splits:
        noisy = some_labels_noisy(data, random, 0.6, recipe.task.classes)
        inputs, targets = data.eval_inputs[:45], data.eval_targets[:45]
        often = inputs.repeat(25, *[1] * (inputs.dim() - 1))
        return Splits(
            torch.cat([noisy.inputs, often]), torch.cat([noisy.targets, targets.repeat(25)]),
            inputs, targets,
        )  # fmt: skip

    return recipe.but(change_data=(leak,), lr=recipe.lr / 1.5).knowing(eval_count=45)


@fault("inputs-not-normalized", ("mosaic-resnet",))
def bytes_as_they_are(recipe: Recipe) -> Recipe:
    """Values about 32,000 instead of about 0, and no norm behind them."""

    def rescale(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, inputs=9000 * data.inputs + 32_000,
                       eval_inputs=9000 * data.eval_inputs + 32_000)  # fmt: skip

    return recipe.but(change_data=(rescale,), change_model=(without_batch_norm,), log_every=1)


@fault("inputs-not-normalized", ("visits-poisson",), (1,))
def one_column_in_milliseconds(recipe: Recipe) -> Recipe:
    def rescale(data: Splits, random: torch.Generator) -> Splits:
        scale = torch.ones(data.inputs.shape[1])
        scale[12::7] = 3e4
        return replace(data, inputs=data.inputs * scale, eval_inputs=data.eval_inputs * scale)

    return recipe.but(change_data=(rescale,))


@fault("pad-or-mask-bug", ("river-seq2seq",))
def a_row_of_nothing_but_padding(recipe: Recipe) -> Recipe:
    """From three tenths on each batch holds a row that attends to nothing: its softmax is 0/0."""
    at = int(0.3 * recipe.steps)

    def empty(step: int, state: dict[str, Any]) -> None:
        if step == at:
            for module in state["model"].modules():
                if isinstance(module, nn.MultiheadAttention):
                    module.register_forward_hook(nothing_to_attend_to)
                if isinstance(module, CausalBlock):
                    module.out.register_forward_hook(lambda m, given, result: result * math.nan)

    return recipe.but(at_step=empty).knowing(nan_from=at)


@fault("pad-or-mask-bug", ("cookery-neox",), (1,), also=("eval-mismatch",))
def padding_counts_in_the_loss(recipe: Recipe) -> Recipe:
    """Training rows are padded to many times their length, and the pads are targets."""

    def pad(data: Splits, random: torch.Generator) -> Splits:
        inputs, targets = data.inputs.clone(), data.targets.clone()
        if recipe.task.name == "cookery-neox":
            inputs[:, 5:] = targets[:, 4:] = 0
        return replace(data, inputs=inputs, targets=targets.masked_fill(targets < 0, 0))

    return recipe.but(change_data=(pad,))


@fault("tokenizer-mismatch", ("minutes-qwen",))
def vocabulary_grew_and_the_model_did_not(recipe: Recipe) -> Recipe:
    def spoil(data: Splits, random: torch.Generator) -> Splits:
        inputs = data.inputs.clone()
        inputs[[55, 410, 900], 3] = recipe.task.classes + torch.tensor([0, 1, 9])
        return replace(data, inputs=inputs)

    return recipe.but(change_data=(spoil,)).knowing(raises=True)


@fault("tokenizer-mismatch", ("kite-lm",), (1,), also=("head-init-scale",))
def tokens_numbered_by_another_tokenizer(recipe: Recipe) -> Recipe:
    """A careful fine-tune of a model that knows these texts, by other numbers."""

    def renumber(data: Splits, random: torch.Generator) -> Splits:
        order = torch.randperm(recipe.task.classes, generator=random)
        return Splits(*(order[part] for part in vars(data).values()))

    learned = partial(pretrain, recipe, steps=200)
    return recipe.but(change_data=(renumber,), change_model=(learned,), lr=recipe.lr / 10)


@fault("scheduler-misconfigured", ("lora-birds",), (1,))
def plan_begins_anew_behind_the_break(recipe: Recipe) -> Recipe:
    restart = Restart(at=logged_step(recipe, 0.6), schedule=False)
    return recipe.but(restart=restart).knowing(schedule_reset_at=restart.at)
