"""The same causes in other strengths and variants than the first faults have."""

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

from benchmarks.faults import actions
from benchmarks.faults.changes import (
    breaking,
    enlarge_head,
    logged_step,
    mask_all,
    nothing_to_attend_to,
    over_steps,
    pretrain,
    renumbered,
    replace_head,
    set_scale,
    some_labels_noisy,
    sorted_by,
    squeezed,
    through_half,
    unlearnable,
    with_nan,
    without_batch_norm,
)
from benchmarks.faults.first.faults import softmax_twice
from benchmarks.faults.recipe import Batch, Recipe, Restart, Schedule
from benchmarks.faults.tables import Fault, enters_fault
from benchmarks.faults.task import IGNORED, Splits

PICTURES = ("rings-mixer", "glyphs-depthwise")
CLASSIFIERS = (*PICTURES, "seasons-conv", "adapt-reader")
TAGGERS = ("tags-bilstm",)
LANGUAGE = ("bytes-decoder",)
REGRESSIONS = ("prices-huber", "loads-gru")
PLAIN = (*CLASSIFIERS, *TAGGERS, *LANGUAGE, *REGRESSIONS)
HF = ("hf-roberta", "hf-llama")
MOMENTUM = partial(torch.optim.SGD, momentum=0.9)
FLAT = Schedule("constant", 0.0)

FAULTS: list[Fault] = []
fault = enters_fault(FAULTS)


# Learning rate and its schedule


@fault("lr-too-high", ("bytes-decoder", "tags-bilstm", "rings-mixer", "adapt-reader", *HF), (0, 1))
def lr_x1000(recipe: Recipe) -> Recipe:
    return recipe.but(lr=1000 * recipe.lr, clip=None)


@fault("lr-too-high", ("bytes-decoder", "tags-bilstm", "rings-mixer", "loads-gru", "hf-llama"))
def lr_x30(recipe: Recipe) -> Recipe:
    return recipe.but(lr=30 * recipe.lr)


@fault(
    "lr-too-high",
    ("glyphs-depthwise", "prices-huber", "loads-gru"),
    (0, 1),
    also=("no-grad-clipping",),
)
def lr_of_five(recipe: Recipe) -> Recipe:
    return recipe.but(lr=5.0, optimizer=MOMENTUM, clip=None, schedule=Schedule("constant", 0.05))


@fault("lr-too-low", (*PICTURES, "adapt-reader", *TAGGERS, *LANGUAGE, *REGRESSIONS, "hf-llama"))
def lr_over_1000(recipe: Recipe) -> Recipe:
    return recipe.but(lr=recipe.lr / 1000)


@fault(
    "lr-too-low", ("rings-mixer", "tags-bilstm", "bytes-decoder", "loads-gru", "hf-roberta"), (1,)
)
def lr_over_100(recipe: Recipe) -> Recipe:
    return recipe.but(lr=recipe.lr / 100, hides=("grad_norm",))


@fault("warmup-too-long", ("rings-mixer", "tags-bilstm", "bytes-decoder", "hf-roberta"))
def warmup_60_percent(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("cosine", 0.6))


@fault("warmup-too-long", ("glyphs-depthwise", "loads-gru", "bytes-decoder", "hf-llama"), (1,))
def warmup_never_ends(recipe: Recipe) -> Recipe:
    return recipe.but(lr=recipe.lr / 3, schedule=Schedule("linear", 1.0))


# With a warmup of 15 % these rates of Adam train well; without one the first steps break the model.
BEARABLE_WITH_WARMUP = {"bytes-decoder": 0.04, "adapt-reader": 0.01, "hf-llama": 0.05}


@fault("warmup-too-short", tuple(BEARABLE_WITH_WARMUP), (0, 1), also=("lr-too-high",))
def full_rate_from_the_first_step(recipe: Recipe) -> Recipe:
    return recipe.but(
        lr=BEARABLE_WITH_WARMUP[recipe.task.name], clip=None, schedule=Schedule("cosine", 0.0),
        optimizer=partial(torch.optim.AdamW, betas=(0.9, 0.95), weight_decay=0.1),
    )  # fmt: skip


@fault("scheduler-misconfigured", ("rings-mixer", "seasons-conv", "tags-bilstm", "loads-gru", *HF))
def rate_zero_at_two_fifths(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=replace(recipe.schedule, shape="cosine", ends=0.4))


@fault(
    "scheduler-misconfigured",
    ("glyphs-depthwise", "bytes-decoder", "prices-huber", "adapt-reader"),
    (1,),
)
def decay_meant_for_epochs(recipe: Recipe) -> Recipe:
    """The rate is multiplied by 0.97 after each step instead of each epoch."""
    return recipe.but(schedule=Schedule("exponential", 0.0))


@fault("scheduler-misconfigured", ("rings-mixer", "tags-bilstm", "bytes-decoder"), (1,))
def plan_starts_anew_at_half(recipe: Recipe) -> Recipe:
    restart = Restart(at=int(0.5 * recipe.steps), schedule=False)
    return recipe.but(restart=restart, schedule=Schedule("linear", 0.02)).knowing(
        schedule_reset_at=restart.at
    )


# Clipping and the optimizer


@fault("clip-threshold-too-low", ("rings-mixer", "seasons-conv", "adapt-reader", "bytes-decoder",
                                  "loads-gru"))  # fmt: skip
def clip_at_a_hundredth(recipe: Recipe) -> Recipe:
    """A hundredth of the usual norm, which is about one."""
    return recipe.but(clip=0.01, lr=0.05, optimizer=MOMENTUM)


@fault("no-grad-clipping", ("prices-huber", "seasons-conv"), (0,),
       also=("outlier-batch", "lr-too-high"))  # fmt: skip
def a_few_rows_are_huge(recipe: Recipe) -> Recipe:
    """SGD without clipping meets rows three hundred times as large."""

    def enlarge(data: Splits, random: torch.Generator) -> Splits:
        inputs = data.inputs.clone()
        inputs[torch.randperm(len(inputs), generator=random)[:8]] *= 300.0
        return replace(data, inputs=inputs)

    return recipe.but(clip=None, optimizer=MOMENTUM, lr=0.05, change_data=(enlarge,))


@fault("optimizer-hyperparameters", ("tags-bilstm", "rings-mixer", "hf-roberta"))
def adam_epsilon_of_a_tenth(recipe: Recipe) -> Recipe:
    return recipe.but(optimizer=partial(torch.optim.AdamW, eps=0.1, weight_decay=0.01))


@fault("optimizer-hyperparameters", ("tags-bilstm", "bytes-decoder", "hf-llama"), (1,))
def weight_decay_of_ten(recipe: Recipe) -> Recipe:
    return recipe.but(optimizer=partial(torch.optim.AdamW, weight_decay=10.0))


@fault("optimizer-hyperparameters", ("glyphs-depthwise", "prices-huber", "loads-gru"))
def momentum_of_0999(recipe: Recipe) -> Recipe:
    sgd = partial(torch.optim.SGD, momentum=0.999)
    return recipe.but(optimizer=sgd, lr=0.05, schedule=Schedule("constant", 0.03))


# Precision


@fault("fp16-overflow", ("rings-mixer", "seasons-conv", "tags-bilstm"))
def activations_outgrow_fp16_late(recipe: Recipe) -> Recipe:
    """What enters the last layer grows until fp16 ends, at four fifths of the run. No loss scale."""
    at = int(0.8 * recipe.steps)

    def grow(step: int, state: dict[str, Any]) -> None:
        set_scale(state, 65_504 ** (step / at))

    return recipe.but(
        precision="fp16", scaled=False, change_model=(through_half,), at_step=grow
    ).knowing(nan_from=at)


@fault("fp16-overflow", ("rings-mixer", "seasons-conv", "bytes-decoder", "glyphs-depthwise"), (1,))
def overflows_from_the_middle_on(recipe: Recipe) -> Recipe:
    """The hidden values leave fp16 at 45 % of the run: from there each step is skipped."""
    at = int(0.45 * recipe.steps)

    def jump(step: int, state: dict[str, Any]) -> None:
        set_scale(state, 3e5 if step >= at else 1.0)

    form = "csv" if recipe.task.kind == "classification" else "megatron"
    return recipe.but(
        precision="fp16", change_model=(through_half,), at_step=jump, format=form
    ).knowing(nan_from=at)


@fault("low-precision-instability", ("rings-mixer", "tags-bilstm", "loads-gru"),
       also=("lr-too-low",))  # fmt: skip
def bf16_weights_swallow_the_steps(recipe: Recipe) -> Recipe:
    """Pure bf16 and a small rate: most steps are smaller than half of a weight's last digit."""
    return recipe.but(precision="bf16", lr=recipe.lr / 60, optimizer=torch.optim.Adam)


# Data


@fault("outlier-batch", (*CLASSIFIERS, "prices-huber"), (1,))
def one_batch_times_two_hundred(recipe: Recipe) -> Recipe:
    at = logged_step(recipe, 0.75)
    large = over_steps(at, 1, lambda batch: (200 * batch[0], batch[1]))
    if recipe.task.name == "adapt-reader":  # token numbers cannot grow
        large = over_steps(at, 1, lambda batch: (batch[0].flip(1), 3 - batch[1]))
    return recipe.but(change_batch=large).knowing(outlier_at=at)


@fault(
    "outlier-batch",
    ("rings-mixer", "glyphs-depthwise", "loads-gru", "tags-bilstm"),
)
def four_bad_batches_in_a_row(recipe: Recipe) -> Recipe:
    at = logged_step(recipe, 0.5)

    def spoil(batch: Batch) -> Batch:
        inputs, targets = batch
        if inputs.is_floating_point():
            return 25 * inputs, targets
        wrong = (targets * 3 + 5) % recipe.task.classes
        return inputs, torch.where(targets == IGNORED, targets, wrong)

    return recipe.but(change_batch=over_steps(at, 4, spoil)).knowing(outlier_at=at)


@fault("nan-in-data", ("rings-mixer", "seasons-conv", "glyphs-depthwise", "prices-huber"))
def one_feature_is_nan_late(recipe: Recipe) -> Recipe:
    at = int(0.82 * recipe.steps)
    return recipe.but(change_batch=over_steps(at, 1, with_nan)).knowing(nan_from=at)


@fault("nan-in-data", ("glyphs-depthwise", "prices-huber"), (1,))
def one_feature_is_infinite_early(recipe: Recipe) -> Recipe:
    at = int(0.12 * recipe.steps)
    infinite = partial(with_nan, value=math.inf)
    return recipe.but(change_batch=over_steps(at, 1, infinite)).knowing(nan_from=at)


@fault("nan-in-data", ("rings-mixer", "loads-gru"), (1,))
def a_nan_row_that_a_guard_leaves_out(recipe: Recipe) -> Recipe:
    def spoil(data: Splits, random: torch.Generator) -> Splits:
        inputs = data.inputs.clone()
        inputs[444] = math.nan
        return replace(data, inputs=inputs)

    return recipe.but(change_data=(spoil,), skip_nonfinite=True, log_every=1)


@fault(
    "labels-wrong",
    ("rings-mixer", "glyphs-depthwise", "seasons-conv", "adapt-reader", "hf-roberta"),
)
def labels_belong_to_the_next_row(recipe: Recipe) -> Recipe:
    def shift(data: Splits, random: torch.Generator) -> Splits:
        return replace(
            data, targets=data.targets.roll(1, 0), eval_targets=data.eval_targets.roll(1, 0)
        )

    return recipe.but(change_data=(shift,))


@fault("labels-wrong", ("rings-mixer", "glyphs-depthwise", "hf-roberta"), (1,),
       also=("epoch-memorization",))  # fmt: skip
def two_thirds_of_the_labels_drawn(recipe: Recipe) -> Recipe:
    def spoil(data: Splits, random: torch.Generator) -> Splits:
        return some_labels_noisy(data, random, 0.67, recipe.task.classes)

    return recipe.but(change_data=(spoil,))


@fault("labels-all-masked", ("tags-bilstm", "bytes-decoder", "hf-llama"), (1,))
def every_target_masked(recipe: Recipe) -> Recipe:
    return recipe.but(change_data=(mask_all,))


@fault("labels-all-masked", ("tags-bilstm", "bytes-decoder"))
def every_target_masked_from_a_third_on(recipe: Recipe) -> Recipe:
    """A later part of the data was cut so that no target is left: the mean over none is NaN."""
    at = recipe.steps // 3

    def mask(batch: Batch) -> Batch:
        return batch[0], torch.full_like(batch[1], IGNORED)

    return recipe.but(change_batch=over_steps(at, recipe.steps, mask)).knowing(nan_from=at)


@fault("label-out-of-range", ("glyphs-depthwise", "tags-bilstm", "hf-roberta"),
       also=("num-labels-mismatch",))  # fmt: skip
def labels_count_from_one(recipe: Recipe) -> Recipe:
    def shift(data: Splits, random: torch.Generator) -> Splits:
        known = data.targets != IGNORED
        return replace(data, targets=torch.where(known, data.targets + 1, data.targets))

    return recipe.but(change_data=(shift,)).knowing(raises=True)


@fault("label-out-of-range", ("rings-mixer", "seasons-conv", "adapt-reader"), (1,))
def one_label_is_minus_one(recipe: Recipe) -> Recipe:
    def spoil(data: Splits, random: torch.Generator) -> Splits:
        targets = data.targets.clone()
        targets.view(-1)[33] = -1
        return replace(data, targets=targets)

    return recipe.but(change_data=(spoil,)).knowing(raises=True)


@fault(
    "num-labels-mismatch",
    ("rings-mixer", "adapt-reader", "hf-roberta"),
    also=("label-out-of-range",),
)
def head_lacks_two_classes(recipe: Recipe) -> Recipe:
    def shrink(model: nn.Module) -> None:
        replace_head(model, recipe.task.classes - 2)

    return recipe.but(change_model=(shrink,)).knowing(raises=True)


@fault("num-labels-mismatch", ("seasons-conv", "glyphs-depthwise", "tags-bilstm"), (1,),
       also=("head-init-scale",))  # fmt: skip
def head_a_hundred_times_too_wide(recipe: Recipe) -> Recipe:
    def widen(model: nn.Module) -> None:
        replace_head(model, 100 * recipe.task.classes)

    return recipe.but(change_model=(widen,))


@fault("data-not-shuffled", ("glyphs-depthwise", "rings-mixer"))
def in_the_order_of_the_folders(recipe: Recipe) -> Recipe:
    """Class by class, as a folder for each of them is read."""
    return recipe.but(change_data=(sorted_by(lambda data: data.targets),), shuffle=False)


@fault("data-not-shuffled", ("prices-huber", "loads-gru"))
def sorted_by_the_target(recipe: Recipe) -> Recipe:
    log_every = 3 if recipe.task.name == "prices-huber" else 1  # divides the steps of an epoch
    ascending = sorted_by(lambda data: data.targets)
    return recipe.but(change_data=(ascending,), shuffle=False, log_every=log_every)


@fault("data-not-shuffled", ("tags-bilstm",))
def sorted_by_length(recipe: Recipe) -> Recipe:
    longer_last = sorted_by(lambda data: (data.targets != IGNORED).sum(1))
    return recipe.but(change_data=(longer_last,), shuffle=False, log_every=2)


@fault("data-leak", (*PICTURES, "seasons-conv"))
def eval_rows_are_training_rows(recipe: Recipe) -> Recipe:
    """Two fifths of the labels are noise, and fifty clean rows of the evaluation stand in every batch."""

    def leak(data: Splits, random: torch.Generator) -> Splits:
        noisy = some_labels_noisy(data, random, 0.4, recipe.task.classes)
        inputs, targets = noisy.eval_inputs[:50], data.eval_targets[:50]
        often = inputs.repeat(24, *[1] * (inputs.dim() - 1))
        return Splits(
            torch.cat([noisy.inputs, often]), torch.cat([noisy.targets, targets.repeat(24)]),
            inputs, targets,
        )  # fmt: skip

    return recipe.but(change_data=(leak,))


@fault("inputs-not-normalized", ("rings-mixer", "glyphs-depthwise", "seasons-conv", "loads-gru"))
def pixels_up_to_255(recipe: Recipe) -> Recipe:
    """As integers are read from a file; where there are norms over the batch, they are gone."""

    def rescale(data: Splits, random: torch.Generator) -> Splits:
        def raw(inputs: Tensor) -> Tensor:
            return ((inputs + 4) * 32).clamp(0, 255)

        return replace(data, inputs=raw(data.inputs), eval_inputs=raw(data.eval_inputs))

    return recipe.but(change_data=(rescale,), change_model=(without_batch_norm,))


@fault("inputs-not-normalized", ("prices-huber",), (0, 1))
def one_column_in_millions(recipe: Recipe) -> Recipe:
    def rescale(data: Splits, random: torch.Generator) -> Splits:
        scale = torch.tensor([1.0, 1.0, 3e6, 1.0, 1.0, 2e4, 1.0, 1.0])
        return replace(data, inputs=data.inputs * scale + scale,
                       eval_inputs=data.eval_inputs * scale + scale)  # fmt: skip

    return recipe.but(change_data=(rescale,))


@fault("pad-or-mask-bug", ("bytes-decoder", "tags-bilstm", "hf-llama"))
def half_of_each_row_is_learned_padding(recipe: Recipe) -> Recipe:
    """The training rows' padding counts in the loss; the evaluation leaves it out."""

    def pad(data: Splits, random: torch.Generator) -> Splits:
        keep = data.inputs.shape[1] // 2
        inputs, targets = data.inputs.clone(), data.targets.clone()
        inputs[:, keep:] = targets[:, keep:] = 0
        return replace(data, inputs=inputs, targets=targets)

    return recipe.but(change_data=(pad,))


@fault("pad-or-mask-bug", ("bytes-decoder", "adapt-reader"), (1,))
def attention_over_nothing_late(recipe: Recipe) -> Recipe:
    """From four fifths on a batch holds a row of padding only: its softmax is 0/0."""
    at = int(0.8 * recipe.steps)

    def mask(step: int, state: dict[str, Any]) -> None:
        if step == at:
            for module in state["model"].modules():
                if isinstance(module, nn.MultiheadAttention):
                    module.register_forward_hook(nothing_to_attend_to)

    return recipe.but(at_step=mask).knowing(nan_from=at)


@fault("tokenizer-mismatch", ("bytes-decoder", "tags-bilstm", "hf-llama"))
def a_token_that_was_added_later(recipe: Recipe) -> Recipe:
    """One number past the embedding's last row."""

    def spoil(data: Splits, random: torch.Generator) -> Splits:
        inputs = data.inputs.clone()
        inputs[50, 1] = 70 if recipe.task.name == "tags-bilstm" else recipe.task.classes
        return replace(data, inputs=inputs)

    return recipe.but(change_data=(spoil,)).knowing(raises=True)


@fault("tokenizer-mismatch", ("bytes-decoder", "hf-llama"), (0,), also=("head-init-scale",))
def pretrained_with_other_numbers(recipe: Recipe) -> Recipe:
    """A fine-tune at a small rate whose tokenizer numbers the tokens in another order."""
    longer = partial(pretrain, recipe, steps=700)
    return recipe.but(change_data=(renumbered,), change_model=(longer,), lr=recipe.lr / 10)


# Generalisation and evaluation


@fault("overfit-small-data", ("rings-mixer", "glyphs-depthwise", "seasons-conv", "adapt-reader"))
def fifty_samples(recipe: Recipe) -> Recipe:
    def cut(data: Splits, random: torch.Generator) -> Splits:
        few = replace(data, inputs=data.inputs[:50], targets=data.targets[:50])
        if recipe.task.kind != "classification" or recipe.task.name in TAGGERS:
            return few
        return some_labels_noisy(few, random, 0.1, recipe.task.classes)

    return recipe.but(
        change_data=(cut,), eval_every=recipe.steps // 16, batch=min(recipe.batch, 25),
        schedule=Schedule("constant", 0.03),
    )  # fmt: skip


@fault(
    "epoch-memorization", ("rings-mixer", "glyphs-depthwise"), (0,), also=("overfit-small-data",)
)
def rows_learned_by_heart(recipe: Recipe) -> Recipe:
    """Labels drawn at random, wide inputs and a wide model: only what was seen before is known."""
    learned = unlearnable(recipe, rows=1600, inputs=600, width=1024, spread=1.5, activation=nn.GELU)
    return learned.but(
        lr=8e-4, batch=40, log_every=2, steps=200,
        eval_every=40, schedule=Schedule("constant", 0.02), optimizer=torch.optim.Adam,
    )  # fmt: skip


@fault("eval-mismatch", ("rings-mixer", "glyphs-depthwise", "seasons-conv", "adapt-reader"))
def eval_labels_one_row_off(recipe: Recipe) -> Recipe:
    def misalign(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, eval_targets=data.eval_targets.roll(1, 0))

    return recipe.but(change_data=(misalign,))


@fault("eval-mismatch", ("glyphs-depthwise", "prices-huber", "loads-gru"), (1,))
def eval_inputs_in_other_units(recipe: Recipe) -> Recipe:
    def convert(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, eval_inputs=-6 * data.eval_inputs + 1)

    return recipe.but(change_data=(convert,))


@fault("eval-mismatch", ("seasons-conv",), (1,))
def running_statistics_never_updated(recipe: Recipe) -> Recipe:
    """In training the batch's own statistics are used, in evaluation those of the first moment."""

    def freeze(model: nn.Module) -> None:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.momentum = 0.0
                module.running_mean.add_(4.0)

    return recipe.but(change_model=(freeze,))


# Model


@fault("frozen-parameters", ("rings-mixer", "tags-bilstm", "hf-roberta"))
def all_but_the_norms_frozen(recipe: Recipe) -> Recipe:
    """Only biases, or the scales of norms, are left to train."""

    def freeze(model: nn.Module) -> None:
        vectors = [p for p in model.parameters() if p.dim() == 1]
        model.requires_grad_(False)
        for parameter in vectors[-2:]:
            parameter.requires_grad_(True)

    return recipe.but(change_model=(freeze,))


@fault("frozen-parameters", ("rings-mixer", "tags-bilstm", "loads-gru"), (1,))
def half_of_the_model_frozen(recipe: Recipe) -> Recipe:
    def freeze(model: nn.Module) -> None:
        parameters = list(model.parameters())
        for parameter in parameters[: len(parameters) // 2]:
            parameter.requires_grad_(False)

    return recipe.but(change_model=(freeze,))


@fault("frozen-parameters", ("tags-bilstm", "loads-gru", "glyphs-depthwise"))
def optimizer_made_before_the_model_was_replaced(recipe: Recipe) -> Recipe:
    """The optimizer steps a copy; a few batches come again and again in one order."""

    def elsewhere(model: nn.Module) -> list[nn.Parameter]:
        return list(copy.deepcopy(model).parameters())

    def few(data: Splits, random: torch.Generator) -> Splits:
        count = 12 * recipe.batch
        return replace(data, inputs=data.inputs[:count], targets=data.targets[:count])

    return recipe.but(
        trainable=elsewhere, shuffle=False, change_data=(few,), log_every=1, steps=250
    )


@fault("head-init-scale", ("rings-mixer", "seasons-conv", "adapt-reader", "hf-roberta"))
def head_weights_times_fifteen(recipe: Recipe) -> Recipe:
    return recipe.but(change_model=(partial(enlarge_head, 15 if not recipe.task.hf else 60),))


@fault("head-init-scale", ("tags-bilstm", "seasons-conv", "bytes-decoder"), (1,))
def head_weights_times_a_hundred(recipe: Recipe) -> Recipe:
    return recipe.but(change_model=(partial(enlarge_head, 100),))


@fault("vanishing-gradients", PICTURES, (0,), also=("head-init-scale",))
def deep_tanh_of_small_weights(recipe: Recipe) -> Recipe:
    def deepen(model: nn.Module) -> nn.Module:
        width = recipe.task.data(torch.Generator().manual_seed(0)).inputs[0].numel()
        layers: list[nn.Module] = [nn.Flatten(), nn.Linear(width, 40)]
        for _ in range(11):
            layer = nn.Linear(40, 40)
            nn.init.normal_(layer.weight, std=0.03)
            layers += [nn.Tanh(), layer]
        return nn.Sequential(*layers, nn.Tanh(), nn.Linear(40, recipe.task.classes))

    return recipe.but(change_model=(deepen,), optimizer=torch.optim.SGD, lr=0.05)


@fault("wrong-loss-function", CLASSIFIERS)
def cross_entropy_of_probabilities(recipe: Recipe) -> Recipe:
    return softmax_twice(recipe)


@fault("wrong-loss-function", ("glyphs-depthwise", "rings-mixer", "adapt-reader"), (1,))
def likelihood_of_raw_outputs(recipe: Recipe) -> Recipe:
    """`nll_loss` without the logarithm of a softmax: it falls without end."""
    return recipe.but(loss=F.nll_loss, clip=1.0)


# Reinforcement learning


@fault("rl-zero-advantage", ("rloo-pick",), (0, 1))
def every_try_is_right(recipe: Recipe) -> Recipe:
    """The reward says yes to everything, from a third of the run on in one seed."""
    first = 1 if recipe.seed == 0 else recipe.steps // 3

    def flatten(step: int, batch: Batch) -> Batch:
        return (batch[0], torch.ones_like(batch[1])) if step >= first else batch

    return recipe.but(change_batch=flatten, optimizer=torch.optim.Adam)


@fault("rl-kl-explosion", ("rloo-pick",), (0, 1), also=("lr-too-high", "rl-zero-advantage"))
def policy_leaves_its_start(recipe: Recipe) -> Recipe:
    """Soon it always does the same: its tries earn the same, too."""
    return recipe.but(lr=0.5 if recipe.seed == 0 else 3.0, clip=None)


# Accounting


@fault("loss-not-normalized", ("rings-mixer", "tags-bilstm", "bytes-decoder", "hf-llama"))
def summed_over_three_or_six(recipe: Recipe) -> Recipe:
    times = 6 if recipe.task.name in ("tags-bilstm", "hf-roberta") else 3
    return recipe.but(accumulate=times, summed=True, steps=recipe.steps // 2, batch=8).knowing(
        times=times
    )


@fault("loss-not-normalized", ("glyphs-depthwise", "bytes-decoder"), (1,))
def summed_over_the_batch(recipe: Recipe) -> Recipe:
    """`reduction="sum"`, in evaluation too; a rate to match."""

    def summed(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs.flatten(0, -2), targets.flatten(), reduction="sum")

    tokens = 24 if recipe.task.kind == "language" else 1
    return recipe.but(loss=summed).knowing(times=recipe.batch * tokens)


# Lifecycle


@fault("resume-state-lost", ("rings-mixer", "seasons-conv", "loads-gru"))
def weights_not_restored(recipe: Recipe) -> Recipe:
    """The run goes on at its step and rate with the weights of its start."""
    restart = Restart(at=logged_step(recipe, 0.55), optimizer=False)
    first: dict[str, Any] = {}

    def lose(step: int, state: dict[str, Any]) -> None:
        if step == 1:
            first.update(copy.deepcopy(state["model"].state_dict()))
        if step == restart.at + 1:
            state["model"].load_state_dict(first)

    return recipe.but(restart=restart, at_step=lose).knowing(restarted_at=restart.at)


@fault("resume-state-lost", ("tags-bilstm", "glyphs-depthwise"), (1,))
def head_and_moments_lost_late(recipe: Recipe) -> Recipe:
    restart = Restart(
        at=logged_step(recipe, 0.8), rewind=2 * recipe.log_every, optimizer=False, head=False
    )
    return recipe.but(restart=restart).knowing(restarted_at=restart.at)


@fault("killed", ("rings-mixer", "tags-bilstm", "bytes-decoder", "prices-huber"))
def ends_in_mid_sentence(recipe: Recipe) -> Recipe:
    share = (0.15, 0.62, 0.88)[len(recipe.task.name) % 3]
    return recipe.but(stops_at=int(share * recipe.steps)).knowing(killed=True)


# Errors that are really raised


@fault("software-bug", PLAIN[:-1], (1,))
def another_bug(recipe: Recipe) -> Recipe:
    chosen = actions.MORE_BUGS[PLAIN.index(recipe.task.name) % len(actions.MORE_BUGS)]
    return breaking(recipe, chosen, 0.3)


@fault("disk-full", ("rings-mixer", "loads-gru"))
def weights_do_not_fit(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.save_weights, 0.7)


@fault("host-memory-exhausted", ("tags-bilstm", "prices-huber"))
def features_do_not_fit(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.join_features, 0.25).knowing(memory=True)


@fault("batch-too-large", ("glyphs-depthwise",), also=("host-memory-exhausted",))
def first_batch_does_not_fit(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.encode, 0.0).knowing(memory=True)


@fault("eval-accumulates-logits", ("bytes-decoder",), also=("host-memory-exhausted",))
def all_logits_do_not_fit(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.evaluation_loop, 0.8).knowing(memory=True)


@fault("communication-timeout", ("seasons-conv", "bytes-decoder"))
def another_rank_stays_away(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.average_metrics, 0.75)


# Speed and memory


@fault("dataloader-bottleneck", ("seasons-conv", "prices-huber"))
def loader_three_times_slower(recipe: Recipe) -> Recipe:
    """From three fifths on the files come over a network."""
    at = int(0.6 * recipe.steps)

    def wait(step: int) -> None:
        time.sleep(0.001 if step < at else 0.006)

    form = "tensorboard" if recipe.task.name == "seasons-conv" else "csv"
    return recipe.but(in_loader=wait, log_data_time=True, format=form).knowing(slow_from=at)


@fault("dataloader-bottleneck", ("rings-mixer",))
def loader_stops_twice(recipe: Recipe) -> Recipe:
    stalls = [logged_step(recipe, 0.3), logged_step(recipe, 0.7)]

    def wait(step: int) -> None:
        time.sleep(0.9 if step in stalls else 0.0005)

    return recipe.but(in_loader=wait, log_data_time=True, format="mmengine").knowing(
        stalls_at=stalls
    )


@fault("memory-leak-retained-graph", ("glyphs-depthwise", "loads-gru"))
def outputs_kept_with_their_graph(recipe: Recipe) -> Recipe:
    def keep(step: int, state: dict[str, Any]) -> None:
        kept = state["loop"].__dict__.setdefault("kept", [])
        kept.append(torch.ones(300_000, requires_grad=True) * 3)

    return recipe.but(at_step=keep, log_memory=True, format="keyvalue").knowing(leaks=True)


@fault("no-grad-clipping", ("prices-huber",), (0, 1), also=("outlier-batch", "lr-too-high"))
def a_few_targets_are_huge(recipe: Recipe) -> Recipe:
    """SGD without clipping meets prices in another currency; the Huber loss is told to square them, too."""

    def enlarge(data: Splits, random: torch.Generator) -> Splits:
        targets = data.targets.clone()
        targets[torch.randperm(len(targets), generator=random)[:8]] *= 200.0
        return replace(data, targets=targets)

    squared = partial(F.huber_loss, delta=1e6)
    return recipe.but(
        clip=None, optimizer=MOMENTUM, lr=0.05, change_data=(enlarge,), loss=squeezed(squared)
    )
