"""The fourth sitting's faults of optimisation, precision and data."""

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
    over_steps,
    pretrain,
    replace_head,
    set_scale,
    sorted_by,
    through_half,
    with_nan,
    without_batch_norm,
)
from benchmarks.faults.fourth.models import RotaryAttention
from benchmarks.faults.fourth.parts import Adam, Edited, Halved, SteppedByEpoch
from benchmarks.faults.recipe import ADAMW, Batch, Recipe, Restart, Schedule
from benchmarks.faults.tables import Fault, enters_fault
from benchmarks.faults.task import IGNORED, Splits

MOMENTUM = partial(torch.optim.SGD, momentum=0.9)

FAULTS: list[Fault] = []
fault = enters_fault(FAULTS)


# Learning rate and its schedule


@fault("lr-too-high", ("crops-convnext", "hf-names"))
def rate_of_sgd_given_to_adam(recipe: Recipe) -> Recipe:
    return recipe.but(lr=0.3, clip=None)


@fault("lr-too-high", ("rivers-gru",), (1,))
def rate_of_adadelta_given_to_rmsprop(recipe: Recipe) -> Recipe:
    return recipe.but(lr=1.0, clip=None, schedule=Schedule("linear", 0.04))


@fault("lr-too-high", ("circuits-gat",), (1,), also=("scheduler-misconfigured",))
def raised_by_hand_at_half(recipe: Recipe) -> Recipe:
    """Somebody found that it learned too slowly."""
    shape = recipe.schedule
    edited = Edited(shape.shape, shape.warmup, decay=shape.decay, at=0.5, times=30.0)
    return recipe.but(schedule=edited, clip=None)


@fault("lr-too-low", ("tracks-tags",))
def rate_of_adamw_given_to_sgd(recipe: Recipe) -> Recipe:
    return recipe.but(lr=3e-4, optimizer=MOMENTUM)


@fault("lr-too-low", ("hf-mails",), (1,))
def rate_of_a_fine_tune_from_scratch(recipe: Recipe) -> Recipe:
    return recipe.but(lr=2e-5, optimizer=ADAMW)


@fault("warmup-too-long", ("beats-conv1d",), also=("scheduler-misconfigured",))
def warmup_counted_in_epochs(recipe: Recipe) -> Recipe:
    """Twenty steps of warmup, and a scheduler that is stepped once an epoch."""
    epoch = {"beats-conv1d": 47, "circuits-gat": 55}[recipe.task.name]
    slow = SteppedByEpoch(recipe.schedule.shape, 20 / recipe.steps, epoch=epoch)
    return recipe.but(schedule=slow).knowing(warmup=1.0)


@fault("warmup-too-long", ("clip-scents",), (1,))
def warmup_of_seven_tenths(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=replace(recipe.schedule, warmup=0.7))


@fault("warmup-too-short", ("psalms-rope",), (0, 1), also=("lr-too-high",))
def large_batch_rate_from_the_first_step(recipe: Recipe) -> Recipe:
    """With a fifth of the run for a warmup this rate trains."""
    return recipe.but(
        lr=1.0 if recipe.seed == 0 else 0.8, clip=None, optimizer=MOMENTUM,
        schedule=Schedule("linear", 0.0),
    )  # fmt: skip


@fault("scheduler-misconfigured", ("hf-names",))
def stepped_for_each_micro_batch(recipe: Recipe) -> Recipe:
    """Four micro-batches a step, and the scheduler is stepped for each."""
    return recipe.but(
        accumulate=4, batch=recipe.batch // 4, schedule=Schedule("cosine", 0.01, ends=0.25)
    )


@fault("scheduler-misconfigured", ("fraud-mlp",), (1,))
def patience_of_zero(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Halved("plateau", 0.0, each=0.025))


@fault("scheduler-misconfigured", ("beats-conv1d",), (1,))
def plan_starts_anew_at_two_thirds(recipe: Recipe) -> Recipe:
    restart = Restart(at=logged_step(recipe, 0.66), schedule=False)
    return recipe.but(restart=restart, schedule=Schedule("linear", 0.0)).knowing(
        schedule_reset_at=restart.at
    )


@fault("scheduler-misconfigured", ("scans-denoiser",), (1,))
def old_total_after_a_resume(recipe: Recipe) -> Recipe:
    """The run was made longer; the scheduler came back with the number of steps that it knew."""
    restart = Restart(at=logged_step(recipe, 0.5))
    return recipe.but(
        restart=restart, schedule=Schedule("linear", 0.02, ends=0.5), hides=()
    )  # fmt: skip


# Clipping and the optimizer


@fault("clip-threshold-too-low", ("hf-names",))
def clip_at_a_thousandth(recipe: Recipe) -> Recipe:
    return recipe.but(clip=0.001, optimizer=MOMENTUM, lr=0.05)


@fault("clip-threshold-too-low", ("vae-moths",), (1,), also=("optimizer-hyperparameters",))
def clip_at_a_fiftieth_before_plain_sgd(recipe: Recipe) -> Recipe:
    return recipe.but(clip=0.02, optimizer=torch.optim.SGD, lr=10 * recipe.lr)


@fault("no-grad-clipping", ("rivers-gru",), (0, 1), also=("outlier-batch", "lr-too-high"))
def a_few_gaps_written_as_9999(recipe: Recipe) -> Recipe:
    def fill(data: Splits, random: torch.Generator) -> Splits:
        targets = data.targets.clone()
        targets[torch.randperm(len(targets), generator=random)[:4]] = 9999.0
        return replace(data, targets=targets)

    return recipe.but(
        clip=None, optimizer=MOMENTUM, lr=0.01, change_data=(fill,), log_every=3,
        schedule=Schedule("linear", 0.04),
    )  # fmt: skip


@fault("no-grad-clipping", ("scans-denoiser",), (1,), also=("outlier-batch", "lr-too-high"))
def a_few_rows_far_too_bright(recipe: Recipe) -> Recipe:
    def enlarge(data: Splits, random: torch.Generator) -> Splits:
        inputs = data.inputs.clone()
        inputs[torch.randperm(len(inputs), generator=random)[:2]] *= 200.0
        return replace(data, inputs=inputs)

    return recipe.but(clip=None, optimizer=MOMENTUM, lr=0.02, change_data=(enlarge,))


@fault("optimizer-hyperparameters", ("circuits-gat",))
def betas_099_and_a_half(recipe: Recipe) -> Recipe:
    return recipe.but(optimizer=partial(torch.optim.Adam, betas=(0.99, 0.5)))


@fault("optimizer-hyperparameters", ("hf-mails",), (1,))
def weight_decay_inside_adam(recipe: Recipe) -> Recipe:
    """A tenth, as AdamW bears it, but in the gradient."""
    return recipe.but(optimizer=partial(torch.optim.Adam, weight_decay=0.1))


@fault("optimizer-hyperparameters", ("rivers-gru",))
def rmsprop_with_momentum_of_099(recipe: Recipe) -> Recipe:
    return recipe.but(optimizer=partial(torch.optim.RMSprop, momentum=0.99))


@fault("optimizer-hyperparameters", ("tracks-tags",))
def epsilon_of_one(recipe: Recipe) -> Recipe:
    return recipe.but(optimizer=partial(torch.optim.Adam, eps=1.0))


# Precision


@fault("fp16-overflow", ("circuits-gat",))
def features_outgrow_fp16_at_a_third(recipe: Recipe) -> Recipe:
    """No loss scale: what enters the head gets larger with every step until it is infinite."""
    at = int(0.34 * recipe.steps)

    def grow(step: int, state: dict[str, Any]) -> None:
        set_scale(state, 70_000 ** ((step / at) ** 2))

    return recipe.but(
        precision="fp16", scaled=False, change_model=(through_half,), at_step=grow
    ).knowing(nan_from=at)


@fault("fp16-overflow", ("fraud-mlp",), (1,))
def scale_falls_without_end(recipe: Recipe) -> Recipe:
    at = int(0.55 * recipe.steps)

    def jump(step: int, state: dict[str, Any]) -> None:
        set_scale(state, 5e6 if step >= at else 1.0)

    form = {"crops-convnext": "jsonl", "fraud-mlp": "csv"}[recipe.task.name]
    return recipe.but(
        precision="fp16", change_model=(through_half,), at_step=jump, format=form
    ).knowing(nan_from=at)


@fault("low-precision-instability", ("psalms-rope",), also=("fp16-overflow",))
def moments_of_adam_in_fp16(recipe: Recipe) -> Recipe:
    return recipe.but(optimizer=Adam)


@fault("low-precision-instability", ("tracks-tags",), (1,), also=("lr-too-low",))
def bf16_weights_and_a_small_rate(recipe: Recipe) -> Recipe:
    return recipe.but(precision="bf16", lr=recipe.lr / 30, optimizer=torch.optim.RMSprop)


# Data


@fault("outlier-batch", ("beats-conv1d", "scans-denoiser"))
def one_batch_a_hundred_times_as_loud(recipe: Recipe) -> Recipe:
    at = logged_step(recipe, 0.6)
    loud = over_steps(at, 1, lambda batch: (100 * batch[0], batch[1]))
    return recipe.but(change_batch=loud).knowing(outlier_at=at)


@fault("outlier-batch", ("ratings-factors",), (1,))
def one_batch_of_targets_in_percent(recipe: Recipe) -> Recipe:
    at = logged_step(recipe, 0.4)
    other = over_steps(at, 1, lambda batch: (batch[0], 20 * batch[1] + 20))
    return recipe.but(change_batch=other).knowing(outlier_at=at)


@fault("outlier-batch", ("vae-moths",))
def one_batch_of_negatives(recipe: Recipe) -> Recipe:
    """Black is 255 in one file."""
    at = logged_step(recipe, 0.5)
    other = over_steps(at, 1, lambda batch: (255 * batch[0], batch[1]))
    return recipe.but(change_batch=other).knowing(outlier_at=at)


@fault("nan-in-data", ("tracks-tags",), (1,))
def logarithm_of_nothing(recipe: Recipe) -> Recipe:
    at = int(0.37 * recipe.steps)
    spoil = over_steps(at, 1, partial(with_nan, value=-math.inf))
    return recipe.but(change_batch=spoil).knowing(nan_from=at)


@fault("nan-in-data", ("clip-scents", "three-questions"))
def a_value_is_missing(recipe: Recipe) -> Recipe:
    at = int(0.7 * recipe.steps)

    def spoil(batch: Batch) -> Batch:
        if recipe.task.name != "a2c-maze":
            return with_nan(batch)
        return batch[0], torch.where(torch.arange(24) == 3, math.nan, batch[1])

    return recipe.but(change_batch=over_steps(at, 1, spoil)).knowing(nan_from=at)


@fault("nan-in-data", ("ratings-factors",))
def a_few_targets_are_missing_from_the_start(recipe: Recipe) -> Recipe:
    def spoil(data: Splits, random: torch.Generator) -> Splits:
        targets = data.targets.clone()
        targets[[50, 333, 700]] = math.nan
        return replace(data, targets=targets)

    return recipe.but(change_data=(spoil,), schedule=Schedule("constant", 0.05))


@fault("labels-wrong", ("hf-scores",))
def shifted_once_more(recipe: Recipe) -> Recipe:
    """The data set shifts its labels, and the model does so again: the token after the next is asked for."""

    def shift(data: Splits, random: torch.Generator) -> Splits:
        return replace(
            data, targets=data.targets.roll(-1, 1), eval_targets=data.eval_targets.roll(-1, 1)
        )

    return recipe.but(change_data=(shift,))


@fault("labels-wrong", ("beats-conv1d",), (1,))
def training_labels_slipped_by_five_rows(recipe: Recipe) -> Recipe:
    def slip(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, targets=data.targets.roll(5, 0))

    return recipe.but(change_data=(slip,))


@fault("labels-wrong", ("hf-mails",))
def labels_merged_from_an_unsorted_file(recipe: Recipe) -> Recipe:
    def mix(data: Splits, random: torch.Generator) -> Splits:
        order = torch.randperm(len(data.targets), generator=random)
        held = torch.randperm(len(data.eval_targets), generator=random)
        return replace(data, targets=data.targets[order], eval_targets=data.eval_targets[held])

    return recipe.but(change_data=(mix,))


@fault("labels-all-masked", ("hf-scores",), (1,))
def prompts_mask_hides_the_answers_too(recipe: Recipe) -> Recipe:
    return recipe.but(change_data=(mask_all,))


@fault("labels-all-masked", ("circuits-gat",))
def no_label_in_the_second_file(recipe: Recipe) -> Recipe:
    at = int(0.45 * recipe.steps)

    def mask(batch: Batch) -> Batch:
        return batch[0], torch.full_like(batch[1], IGNORED)

    return recipe.but(change_batch=over_steps(at, recipe.steps, mask)).knowing(nan_from=at)


@fault("labels-all-masked", ("hf-names",))
def evaluation_without_labels(recipe: Recipe) -> Recipe:
    def mask(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, eval_targets=torch.full_like(data.eval_targets, IGNORED))

    return recipe.but(change_data=(mask,))


@fault("label-out-of-range", ("crops-convnext", "hf-mails"), (1,),
       also=("num-labels-mismatch",))  # fmt: skip
def labels_counted_from_one(recipe: Recipe) -> Recipe:
    def count(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, targets=data.targets + 1, eval_targets=data.eval_targets + 1)

    return recipe.but(change_data=(count,)).knowing(raises=True)


@fault("label-out-of-range", ("psalms-rope",))
def padding_labels_of_minus_one(recipe: Recipe) -> Recipe:
    """The loss was told to leave out -100."""

    def pad(data: Splits, random: torch.Generator) -> Splits:
        targets = data.targets.clone()
        targets[::7, -3:] = -1
        return replace(data, targets=targets)

    return recipe.but(change_data=(pad,)).knowing(raises=True)


@fault("num-labels-mismatch", ("circuits-gat",), (1,), also=("label-out-of-range",))
def head_of_two_by_default(recipe: Recipe) -> Recipe:
    return recipe.but(change_model=(partial(replace_head, outputs=2),)).knowing(raises=True)


@fault("num-labels-mismatch", ("beats-conv1d",), also=("head-init-scale",))
def head_of_a_thousand(recipe: Recipe) -> Recipe:
    return recipe.but(change_model=(partial(replace_head, outputs=1000),), log_every=2)


@fault("data-not-shuffled", ("circuits-gat",))
def folder_after_folder(recipe: Recipe) -> Recipe:
    by_class = sorted_by(lambda data: data.targets)
    return recipe.but(change_data=(by_class,), shuffle=False, log_every=1)


@fault("data-not-shuffled", ("ratings-factors",), (1,))
def in_the_order_of_their_size(recipe: Recipe) -> Recipe:
    def size(data: Splits) -> Tensor:
        return data.targets if data.targets.dim() == 1 else data.targets.mean((1, 2))

    gentle = replace(recipe.schedule, warmup=0.05)
    return recipe.but(change_data=(sorted_by(size),), shuffle=False, log_every=2, schedule=gentle)


@fault("data-leak", ("crops-convnext",))
def copies_of_the_evaluation_in_training(recipe: Recipe) -> Recipe:
    """A split after augmentation: fifty copies of thirty-six rows each stand among noisily labelled ones."""

    def leak(data: Splits, random: torch.Generator) -> Splits:
        drawn = torch.randint(0, recipe.task.classes, data.targets.shape, generator=random)
        wrong = torch.rand(data.targets.shape, generator=random) < 0.6
        inputs, targets = data.eval_inputs[:36], data.eval_targets[:36]
        often = inputs.repeat(50, *[1] * (inputs.dim() - 1))
        return Splits(
            torch.cat([data.inputs, often]),
            torch.cat([torch.where(wrong, drawn, data.targets), targets.repeat(50)]),
            inputs, targets,
        )  # fmt: skip

    return recipe.but(change_data=(leak,)).knowing(eval_count=36)


@fault("inputs-not-normalized", ("beats-conv1d",))
def samples_as_they_are_stored(recipe: Recipe) -> Recipe:
    """Integers of sixteen bits, and no norm in the model that would mend it."""

    def store(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, inputs=8192 * data.inputs + 9000,
                       eval_inputs=8192 * data.eval_inputs + 9000)  # fmt: skip

    gentle = replace(recipe.schedule, warmup=0.05)
    return recipe.but(change_data=(store,), change_model=(without_batch_norm,), schedule=gentle)


@fault("inputs-not-normalized", ("fraud-mlp",), (1,))
def amounts_in_cents(recipe: Recipe) -> Recipe:
    def convert(data: Splits, random: torch.Generator) -> Splits:
        scale = torch.ones(data.inputs.shape[-1])
        scale[::3] = 25_000.0
        return replace(
            data, inputs=data.inputs * scale, eval_inputs=data.eval_inputs * scale
        )  # fmt: skip

    gentle = replace(recipe.schedule, warmup=0.05)
    return recipe.but(change_data=(convert,), schedule=gentle)


@fault("pad-or-mask-bug", ("hf-scores",))
def padding_is_learned(recipe: Recipe) -> Recipe:
    """Two thirds of a training row are padding, which counts in the loss; the evaluation has none."""

    def pad(data: Splits, random: torch.Generator) -> Splits:
        keep = data.targets.shape[1] // 3
        inputs, targets = data.inputs.clone(), data.targets.clone()
        inputs[:, keep:] = targets[:, keep:] = 0
        return replace(data, inputs=inputs, targets=targets)

    return recipe.but(change_data=(pad,))


@fault("pad-or-mask-bug", ("psalms-rope",), (1,), also=("eval-mismatch", "data-leak"))
def training_sees_what_comes(recipe: Recipe) -> Recipe:
    """The path for training forgot the causal mask; evaluation has it."""

    def look(step: int, state: dict[str, Any]) -> None:
        loop = state["loop"]
        layers = [m for m in loop.model.modules() if isinstance(m, RotaryAttention)]
        for layer in layers:
            layer.causal = False
        if step == 1:
            honest = loop.evaluate

            def masked() -> dict[str, float]:
                for layer in layers:
                    layer.causal = True
                return dict(honest())

            loop.evaluate = masked

    return recipe.but(at_step=look)


@fault("pad-or-mask-bug", ("circuits-gat",), (1,))
def a_part_without_wires(recipe: Recipe) -> Recipe:
    """Where a part has no neighbour all its scores are masked: 0/0, since a release at three tenths."""
    at = int(0.3 * recipe.steps)

    def mask(module: nn.Module, given: Any, result: Tensor) -> Tensor:
        scores = torch.full_like(result[:1], -math.inf).softmax(-1)
        return torch.cat([scores, result[1:]])

    def release(step: int, state: dict[str, Any]) -> None:
        if step == at:
            state["model"].values[0].register_forward_hook(mask)

    return recipe.but(at_step=release).knowing(nan_from=at)


@fault("tokenizer-mismatch", ("hf-mails",))
def ids_of_a_larger_vocabulary(recipe: Recipe) -> Recipe:
    def spoil(data: Splits, random: torch.Generator) -> Splits:
        size = 72 if recipe.task.name == "hf-mails" else recipe.task.classes
        rare = torch.rand(data.inputs.shape, generator=random) < 0.002
        return replace(data, inputs=torch.where(rare, size + 40, data.inputs))

    return recipe.but(change_data=(spoil,)).knowing(raises=True)


@fault("tokenizer-mismatch", ("psalms-rope",), (1,), also=("head-init-scale",))
def vocabulary_sorted_anew(recipe: Recipe) -> Recipe:
    """A fine-tune of a model that knows the same tokens by the numbers they had before."""

    def renumber(data: Splits, random: torch.Generator) -> Splits:
        order = torch.arange(recipe.task.classes).flip(0)
        return Splits(*(order[part] for part in vars(data).values()))

    return recipe.but(
        change_data=(renumber,), change_model=(partial(pretrain, recipe, steps=220),),
        lr=recipe.lr / 10,
    )  # fmt: skip


@fault("wrong-loss-function", ("rivers-gru",))
def every_guess_against_every_target(recipe: Recipe) -> Recipe:
    """A column of guesses less a row of targets is a table: only the mean is learned."""
    return recipe.but(loss=lambda guess, targets: ((guess - targets) ** 2).mean())


@fault("wrong-loss-function", ("circuits-gat",), (1,))
def softmax_in_the_model_and_in_the_loss(recipe: Recipe) -> Recipe:
    return recipe.but(loss=lambda outputs, targets: F.cross_entropy(outputs.softmax(-1), targets))


@fault("wrong-loss-function", ("beats-conv1d",))
def likelihood_of_scores(recipe: Recipe) -> Recipe:
    """The negative of a score that has no bound."""
    return recipe.but(loss=F.nll_loss)
