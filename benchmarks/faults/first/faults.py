"""The faults: each a small function that changes a recipe under which the task trains well.

`FAULTS` holds them all. What a function is given is healthy; what it returns has one thing wrong.
"""

from __future__ import annotations

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
    ThroughHalf,
    breaking,
    last_linear,
    mask_all,
    nothing_to_attend_to,
    pretrain,
    renumbered,
    replace_head,
    some_labels_noisy,
    through_half,
    unlearnable,
    without_batch_norm,
    without_dropout,
)
from benchmarks.faults.first.tasks import with_siblings
from benchmarks.faults.recipe import Batch, Recipe, Restart, Schedule
from benchmarks.faults.tables import Fault, enters_fault
from benchmarks.faults.task import IGNORED, Splits

CLASSIFIERS = ("blobs-mlp", "spirals-resmlp", "signals-rnn", "textures-cnn", "patches-vit")
LANGUAGE = ("chars-transformer", "grammar-gru")
REGRESSIONS = ("curves-mlp", "springs-mlp")
PLAIN = (*CLASSIFIERS, *LANGUAGE, *REGRESSIONS)
HF_CLASSIFIERS = ("hf-bert", "hf-tagger")
HF = (*HF_CLASSIFIERS, "hf-gpt2")

FAULTS: list[Fault] = []
fault = enters_fault(FAULTS, with_siblings)


# Learning rate and its schedule


@fault(
    "lr-too-high",
    ("signals-rnn", "chars-transformer", "patches-vit", "spirals-resmlp", *HF),
    (0, 1),
)
def lr_x100(recipe: Recipe) -> Recipe:
    return recipe.but(lr=100 * recipe.lr, clip=None)


@fault("lr-too-high", ("chars-transformer", "grammar-gru"), (0, 1))
def lr_x300(recipe: Recipe) -> Recipe:
    return recipe.but(lr=300 * recipe.lr)


@fault("lr-too-high", ("blobs-mlp", "curves-mlp", "springs-mlp", "textures-cnn"), (0, 1),
       also=("no-grad-clipping",))  # fmt: skip
def lr_high_without_clipping(recipe: Recipe) -> Recipe:
    sgd = partial(torch.optim.SGD, momentum=0.9)
    return recipe.but(lr=2.0, optimizer=sgd, clip=None, schedule=Schedule("constant", 0.0))


@fault("lr-too-low", (*PLAIN, *HF))
def lr_over_300(recipe: Recipe) -> Recipe:
    return recipe.but(lr=recipe.lr / 300)


@fault("lr-too-low", ("blobs-mlp", "chars-transformer", "curves-mlp", "patches-vit", "grammar-gru",
                      "springs-mlp", "hf-tagger", "hf-gpt2"))  # fmt: skip
def lr_over_40(recipe: Recipe) -> Recipe:
    return recipe.but(lr=recipe.lr / 40)


@fault(
    "warmup-too-long", ("blobs-mlp", "chars-transformer", "patches-vit", "grammar-gru", *HF), (0,)
)
def warmup_80_percent(recipe: Recipe) -> Recipe:
    return recipe.but(lr=recipe.lr / 4, schedule=Schedule("linear", 0.8))


# With a warmup of 15 % these rates train well; without one the first steps break the model.
BEARABLE_WITH_WARMUP = {
    "chars-transformer": 1.5, "spirals-resmlp": 0.2, "textures-cnn": 1.0, "hf-gpt2": 1.5,
    "shapes-lenet": 0.3, "hf-opt": 1.0,
}  # fmt: skip


@fault("warmup-too-short", ("chars-transformer", "spirals-resmlp", "textures-cnn", "hf-gpt2"), (0, 1),
       also=("lr-too-high",))  # fmt: skip
def full_rate_at_once(recipe: Recipe) -> Recipe:
    return recipe.but(
        lr=BEARABLE_WITH_WARMUP[recipe.task.name], clip=None, log_every=2,
        optimizer=partial(torch.optim.SGD, momentum=0.9), schedule=Schedule("cosine", 0.0),
    )  # fmt: skip


@fault("scheduler-misconfigured", ("signals-rnn", "chars-transformer", "textures-cnn", "grammar-gru",
                                   "curves-mlp", "springs-mlp", *HF))  # fmt: skip
def rate_zero_at_a_quarter(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=replace(recipe.schedule, shape="linear", ends=0.25))


@fault("scheduler-misconfigured", ("spirals-resmlp", "chars-transformer", "textures-cnn", "grammar-gru"),
       (0,))  # fmt: skip
def schedule_starts_anew_on_resume(recipe: Recipe) -> Recipe:
    restart = Restart(at=int(0.7 * recipe.steps), schedule=False)
    return recipe.but(restart=restart, schedule=Schedule("cosine", 0.02)).knowing(
        schedule_reset_at=restart.at
    )


# Clipping and the optimizer


@fault("clip-threshold-too-low", ("signals-rnn", "curves-mlp", "chars-transformer", "textures-cnn",
                                  "grammar-gru", "springs-mlp"))  # fmt: skip
def clip_at_a_thousandth(recipe: Recipe) -> Recipe:
    return recipe.but(clip=0.002, lr=0.5, optimizer=partial(torch.optim.SGD, momentum=0.9))


@fault("no-grad-clipping", ("blobs-mlp", "curves-mlp", "patches-vit", "springs-mlp"), (0, 1),
       also=("outlier-batch", "lr-too-high"))  # fmt: skip
def heavy_tails_unclipped(recipe: Recipe) -> Recipe:
    """SGD without clipping meets a few samples that are far too large."""
    sgd = partial(torch.optim.SGD, momentum=0.9)
    return recipe.but(
        clip=None, optimizer=sgd, lr=0.05, change_data=(_heavy_tail,), format="keyvalue"
    )


def _heavy_tail(data: Splits, random: torch.Generator) -> Splits:
    rows = torch.randperm(len(data.inputs), generator=random)[:12]
    inputs = data.inputs.clone()
    inputs[rows] *= 60.0
    return replace(data, inputs=inputs)


@fault("optimizer-hyperparameters", ("blobs-mlp", "chars-transformer", "textures-cnn", "grammar-gru",
                                     "hf-bert"))  # fmt: skip
def adam_epsilon_of_one(recipe: Recipe) -> Recipe:
    return recipe.but(optimizer=partial(torch.optim.AdamW, eps=1.0, weight_decay=0.01))


@fault("optimizer-hyperparameters", ("blobs-mlp", "chars-transformer", "patches-vit", "hf-gpt2"))
def weight_decay_of_fifty(recipe: Recipe) -> Recipe:
    return recipe.but(optimizer=partial(torch.optim.AdamW, weight_decay=50.0))


@fault("optimizer-hyperparameters", ("blobs-mlp", "curves-mlp", "textures-cnn", "springs-mlp"))
def momentum_of_0995(recipe: Recipe) -> Recipe:
    sgd = partial(torch.optim.SGD, momentum=0.995)
    return recipe.but(optimizer=sgd, lr=0.05, schedule=Schedule("constant", 0.02))


# Precision


@fault("fp16-overflow", ("blobs-mlp", "signals-rnn", "patches-vit", "grammar-gru"), (0, 1))
def activations_outgrow_fp16(recipe: Recipe) -> Recipe:
    """What enters the last layer grows, step by step, until fp16 ends at 65,504. No loss scale."""
    at = int((0.4 + 0.3 * recipe.seed) * recipe.steps)

    def grow(step: int, state: dict[str, Any]) -> None:
        for module in state["model"].modules():
            if isinstance(module, ThroughHalf):
                module.scale = 65_504 ** (step / at)

    return recipe.but(
        precision="fp16", scaled=False, change_model=(through_half,), at_step=grow
    ).knowing(nan_from=at)


@fault("fp16-overflow", ("blobs-mlp", "chars-transformer", "textures-cnn", "patches-vit"), (0, 1))
def values_beyond_fp16(recipe: Recipe) -> Recipe:
    """As a model that was trained in bf16: its hidden values do not fit fp16, every step overflows."""
    return recipe.but(
        precision="fp16", change_model=(partial(through_half, scale=3e5),), format="keyvalue"
    )


@fault("low-precision-instability", ("spirals-resmlp", "chars-transformer", "textures-cnn",
                                     "grammar-gru", "curves-mlp"))  # fmt: skip
def bf16_without_master_weights(recipe: Recipe) -> Recipe:
    return recipe.but(precision="bf16", lr=recipe.lr / 40, optimizer=torch.optim.SGD)


# Data


@fault("outlier-batch", ("blobs-mlp", "signals-rnn", "curves-mlp", "textures-cnn", "patches-vit",
                         "springs-mlp"), (0, 1))  # fmt: skip
def one_batch_times_fifty(recipe: Recipe) -> Recipe:
    at = int(0.6 * recipe.steps) // recipe.log_every * recipe.log_every

    def change(step: int, batch: Batch) -> Batch:
        return (batch[0] * 50, batch[1]) if step == at else batch

    return recipe.but(change_batch=change).knowing(outlier_at=at)


@fault("outlier-batch", ("chars-transformer", "grammar-gru"), (0, 1))
def one_batch_of_garbage(recipe: Recipe) -> Recipe:
    at = int(0.6 * recipe.steps) // recipe.log_every * recipe.log_every

    def change(step: int, batch: Batch) -> Batch:
        if step != at:
            return batch
        return batch[0], (batch[1] * 7 + 3) % recipe.task.classes

    return recipe.but(change_batch=change).knowing(outlier_at=at)


@fault(
    "nan-in-data", ("blobs-mlp", "signals-rnn", "curves-mlp", "textures-cnn", "springs-mlp"), (0, 1)
)
def one_sample_is_nan(recipe: Recipe) -> Recipe:
    at = int((0.3 + 0.3 * recipe.seed) * recipe.steps)

    def change(step: int, batch: Batch) -> Batch:
        if step != at:
            return batch
        inputs = batch[0].clone()
        inputs[3] = math.nan
        return inputs, batch[1]

    return recipe.but(change_batch=change).knowing(nan_from=at)


@fault("nan-in-data", ("spirals-resmlp", "patches-vit"), (0,))
def nan_sample_comes_back_each_epoch(recipe: Recipe) -> Recipe:
    """A guard leaves the step out, so that the NaN shows once an epoch."""

    def spoil(data: Splits, random: torch.Generator) -> Splits:
        inputs = data.inputs.clone()
        inputs[700] = math.nan
        return replace(data, inputs=inputs)

    return recipe.but(change_data=(spoil,), skip_nonfinite=True, log_every=1, format="keyvalue")


@fault("labels-wrong", (*CLASSIFIERS, *LANGUAGE, "hf-bert", "hf-gpt2"))
def labels_shuffled(recipe: Recipe) -> Recipe:
    def spoil(data: Splits, random: torch.Generator) -> Splits:
        order = torch.randperm(data.targets.numel(), generator=random)
        targets = data.targets.flatten()[order].view_as(data.targets)
        order = torch.randperm(data.eval_targets.numel(), generator=random)
        return replace(
            data,
            targets=targets,
            eval_targets=data.eval_targets.flatten()[order].view_as(data.eval_targets),
        )

    return recipe.but(change_data=(spoil,))


@fault("labels-all-masked", ("chars-transformer", "grammar-gru", "hf-gpt2", "hf-tagger"), (0, 1))
def every_label_ignored(recipe: Recipe) -> Recipe:
    """The mean over no target: NaN in one seed, 0 where the loss divides by at least 1 in the other."""
    careful = None if recipe.seed or recipe.task.hf else _summed_over_at_least_one
    return recipe.but(change_data=(mask_all,), loss=careful)


def _summed_over_at_least_one(outputs: Tensor, targets: Tensor) -> Tensor:
    total = F.cross_entropy(
        outputs.flatten(0, -2), targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return total / (targets != IGNORED).sum().clamp(min=1)


@fault("label-out-of-range", (*CLASSIFIERS, "hf-bert", "hf-tagger"))
def a_label_beyond_the_head(recipe: Recipe) -> Recipe:
    def spoil(data: Splits, random: torch.Generator) -> Splits:
        targets = data.targets.clone()
        targets.view(-1)[-5] = recipe.task.classes + 1
        return replace(data, targets=targets)

    return recipe.but(change_data=(spoil,)).knowing(raises=True)


@fault("num-labels-mismatch", ("blobs-mlp", "textures-cnn", "patches-vit", "hf-bert", "hf-tagger"),
       also=("label-out-of-range",))  # fmt: skip
def head_of_two(recipe: Recipe) -> Recipe:
    """The head has two outputs and is told so, the data more classes."""

    def shrink(model: nn.Module) -> None:
        replace_head(model, 2)

    return recipe.but(change_model=(shrink,)).knowing(raises=True)


@fault("num-labels-mismatch", ("blobs-mlp", "signals-rnn", "textures-cnn", "patches-vit"),
       also=("head-init-scale",))  # fmt: skip
def head_far_too_wide(recipe: Recipe) -> Recipe:
    """The head has outputs for a thousand times as many classes."""

    def widen(model: nn.Module) -> None:
        replace_head(model, 1000 * recipe.task.classes)

    return recipe.but(change_model=(widen,))


@fault("data-not-shuffled", (*CLASSIFIERS,), (0,))
def sorted_by_class(recipe: Recipe) -> Recipe:
    def arrange(data: Splits, random: torch.Generator) -> Splits:
        order = data.targets.argsort(stable=True)
        return replace(data, inputs=data.inputs[order], targets=data.targets[order])

    return recipe.but(change_data=(arrange,), shuffle=False, log_every=2)


@fault("data-leak", ("blobs-mlp", "spirals-resmlp", "textures-cnn", "patches-vit"), (0, 1))
def eval_samples_fill_the_training_set(recipe: Recipe) -> Recipe:
    """Noisy labels, and the evaluation's samples stand in the training set twenty times."""

    def leak(data: Splits, random: torch.Generator) -> Splits:
        noisy = some_labels_noisy(data, random, 0.3, recipe.task.classes)
        few_inputs, few_targets = noisy.eval_inputs[:40], data.eval_targets[:40]
        return replace(
            noisy,
            inputs=torch.cat(
                [noisy.inputs[:1200], few_inputs.repeat(20, *[1] * (few_inputs.dim() - 1))]
            ),
            targets=torch.cat([noisy.targets[:1200], few_targets.repeat(20)]),
            eval_inputs=few_inputs,
            eval_targets=few_targets,
        )

    return recipe.but(change_data=(leak,))


@fault("inputs-not-normalized", ("blobs-mlp", "curves-mlp", "textures-cnn", "springs-mlp",
                                 "signals-rnn"), (0, 1))  # fmt: skip
def raw_inputs(recipe: Recipe) -> Recipe:
    def rescale(data: Splits, random: torch.Generator) -> Splits:
        width = data.inputs.shape[-1]
        scale = 10 ** (4 * torch.rand(width, generator=random))
        shift = 500 * torch.randn(width, generator=random)
        return replace(
            data, inputs=data.inputs * scale + shift, eval_inputs=data.eval_inputs * scale + shift
        )

    return recipe.but(change_data=(rescale,), change_model=(without_batch_norm,))


@fault("pad-or-mask-bug", ("chars-transformer", "grammar-gru", "hf-gpt2"))
def padding_counts_in_the_loss(recipe: Recipe) -> Recipe:
    """Two thirds of each row are padding, and the padding is learned."""

    def pad(data: Splits, random: torch.Generator) -> Splits:
        keep = data.inputs.shape[1] // 3
        parts = [t.clone() for t in (data.inputs, data.targets)]
        for part in parts:
            part[:, keep:] = 0
        return replace(data, inputs=parts[0], targets=parts[1])

    return recipe.but(change_data=(pad,))


@fault("pad-or-mask-bug", ("patches-vit", "chars-transformer"), (0, 1))
def a_row_that_attends_to_nothing(recipe: Recipe) -> Recipe:
    """From some step on a batch holds an all-padded row: its softmax is 0/0."""
    at = int((0.35 + 0.3 * recipe.seed) * recipe.steps)

    def mask(step: int, state: dict[str, Any]) -> None:
        if step == at:
            for module in state["model"].modules():
                if isinstance(module, nn.MultiheadAttention):
                    module.register_forward_hook(nothing_to_attend_to)

    return recipe.but(at_step=mask).knowing(nan_from=at)


@fault("tokenizer-mismatch", ("chars-transformer", "grammar-gru", "hf-gpt2"))
def token_beyond_the_embedding(recipe: Recipe) -> Recipe:
    def spoil(data: Splits, random: torch.Generator) -> Splits:
        inputs = data.inputs.clone()
        inputs[-7, 3] = recipe.task.classes + 40
        return replace(data, inputs=inputs)

    return recipe.but(change_data=(spoil,)).knowing(raises=True)


@fault("tokenizer-mismatch", ("chars-transformer", "grammar-gru", "hf-gpt2"), (0, 1),
       also=("head-init-scale",))  # fmt: skip
def pretrained_under_another_vocabulary(recipe: Recipe) -> Recipe:
    """A fine-tune whose tokenizer numbers the tokens in another order than the model's."""
    return recipe.but(
        change_data=(renumbered,), change_model=(partial(pretrain, recipe),), lr=recipe.lr / 4
    )


# Generalisation and evaluation


@fault("overfit-small-data", (*CLASSIFIERS, *LANGUAGE, "curves-mlp", *HF))
def few_samples(recipe: Recipe) -> Recipe:
    count = 96 if recipe.task.kind != "language" else 64

    def cut(data: Splits, random: torch.Generator) -> Splits:
        few = replace(data, inputs=data.inputs[:count], targets=data.targets[:count])
        if recipe.task.kind != "classification":
            return few
        return some_labels_noisy(few, random, 0.2, recipe.task.classes)

    return recipe.but(
        change_data=(cut,), eval_every=25, schedule=Schedule("constant", 0.02),
        optimizer=partial(torch.optim.AdamW, weight_decay=0.0),
    )  # fmt: skip


@fault("epoch-memorization", ("blobs-mlp", "spirals-resmlp", "textures-cnn", "patches-vit"), (0, 1),
       also=("overfit-small-data",))  # fmt: skip
def each_sample_learned_by_heart(recipe: Recipe) -> Recipe:
    """Unlearnable rows and a wide, fast model: what was seen once is known."""
    learned = unlearnable(recipe, rows=1024, inputs=400, width=2048, spread=2, activation=nn.ReLU)
    return learned.but(
        lr=1e-3, log_every=2,
        schedule=Schedule("constant", 0.02), steps=160, eval_every=32, format="keyvalue",
        optimizer=partial(torch.optim.AdamW, weight_decay=0.0),
    )  # fmt: skip


@fault("eval-mismatch", (*CLASSIFIERS, "hf-bert", "hf-tagger"))
def eval_labels_misaligned(recipe: Recipe) -> Recipe:
    def misalign(data: Splits, random: torch.Generator) -> Splits:
        order = torch.randperm(len(data.eval_targets), generator=random)
        return replace(data, eval_targets=data.eval_targets[order])

    return recipe.but(change_data=(misalign,))


@fault("eval-mismatch", ("blobs-mlp", "curves-mlp", "textures-cnn", "patches-vit"))
def eval_inputs_prepared_otherwise(recipe: Recipe) -> Recipe:
    def prepare(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, eval_inputs=data.eval_inputs * 0.02 + 3)

    return recipe.but(change_data=(prepare,))


# Model


@fault("frozen-parameters", ("signals-rnn", "chars-transformer", "patches-vit", "grammar-gru", "hf-bert",
                             "hf-gpt2"))  # fmt: skip
def only_one_bias_is_trained(recipe: Recipe) -> Recipe:
    def freeze(model: nn.Module) -> None:
        model.requires_grad_(False)
        [p for name, p in model.named_parameters() if name.endswith("bias")][-1].requires_grad_(
            True
        )

    return recipe.but(change_model=(freeze,))


@fault("frozen-parameters", ("blobs-mlp", "spirals-resmlp", "textures-cnn", "grammar-gru"), (0,))
def optimizer_holds_another_model(recipe: Recipe) -> Recipe:
    """The optimizer was given a copy's parameters; the data come in a fixed order."""

    def elsewhere(model: nn.Module) -> list[nn.Parameter]:
        return [nn.Parameter(torch.zeros(1))]

    few = partial(_first_rows, 320)
    plain = (without_dropout,)
    return recipe.but(
        trainable=elsewhere, shuffle=False, change_data=(few,), change_model=plain, log_every=1
    )


def _first_rows(count: int, data: Splits, random: torch.Generator) -> Splits:
    return replace(data, inputs=data.inputs[:count], targets=data.targets[:count])


@fault("head-init-scale", (*CLASSIFIERS, *LANGUAGE, *HF))
def head_weights_times_forty(recipe: Recipe) -> Recipe:
    def enlarge(model: nn.Module) -> None:
        with torch.no_grad():
            last_linear(model)[2].weight.mul_(40 if not recipe.task.hf else 150)

    return recipe.but(change_model=(enlarge,))


@fault("vanishing-gradients", ("blobs-mlp", "spirals-resmlp", "textures-cnn", "patches-vit"), (0, 1),
       also=("head-init-scale",))  # fmt: skip
def deep_and_sigmoid(recipe: Recipe) -> Recipe:
    def deepen(model: nn.Module) -> nn.Module:
        inputs = {
            "blobs-mlp": 40, "spirals-resmlp": 2, "textures-cnn": 100, "patches-vit": 144,
            "shapes-lenet": 144, "keys-attention": 300,
        }  # fmt: skip
        layers: list[nn.Module] = [nn.Flatten(), nn.Linear(inputs[recipe.task.name], 32)]
        for _ in range(14):
            layers += [nn.Sigmoid(), nn.Linear(32, 32)]
        return nn.Sequential(*layers, nn.Sigmoid(), nn.Linear(32, recipe.task.classes))

    return recipe.but(change_model=(deepen,), optimizer=torch.optim.SGD, lr=0.1)


@fault("wrong-loss-function", CLASSIFIERS)
def softmax_twice(recipe: Recipe) -> Recipe:
    return recipe.but(loss=lambda outputs, targets: F.cross_entropy(outputs.softmax(-1), targets))


@fault("wrong-loss-function", ("blobs-mlp", "textures-cnn", "patches-vit"))
def squared_error_of_class_numbers(recipe: Recipe) -> Recipe:
    return recipe.but(loss=lambda outputs, targets: F.mse_loss(outputs.mean(-1), targets.float()))


# Reinforcement learning


@fault("rl-zero-advantage", ("grpo-choose", "grpo-reach", "grpo-aim"), (0, 1))
def every_answer_earns_the_same(recipe: Recipe) -> Recipe:
    def flatten(step: int, batch: Batch) -> Batch:
        return batch[0], torch.zeros_like(batch[1])

    return recipe.but(change_batch=flatten, optimizer=torch.optim.Adam)


@fault("rl-kl-explosion", ("grpo-reach", "grpo-aim"), (0, 1), also=("lr-too-high",))
def policy_runs_away(recipe: Recipe) -> Recipe:
    return recipe.but(lr=1.0, clip=None, schedule=Schedule("constant", 0.0))


# Accounting


@fault("loss-not-normalized", (*CLASSIFIERS, *LANGUAGE, *HF))
def summed_over_micro_batches(recipe: Recipe) -> Recipe:
    times = 8 if len(recipe.task.name) % 2 else 4
    return recipe.but(accumulate=times, summed=True, steps=recipe.steps // 2, batch=16).knowing(
        times=times
    )


# Lifecycle


@fault(
    "resume-state-lost",
    ("chars-transformer", "grammar-gru", "textures-cnn", "spirals-resmlp"),
    (0, 1),
)
def head_and_moments_lost(recipe: Recipe) -> Recipe:
    restart = Restart(at=int(0.6 * recipe.steps), optimizer=False, head=False)
    return recipe.but(restart=restart).knowing(restarted_at=restart.at)


@fault("resume-state-lost", ("signals-rnn", "chars-transformer", "grammar-gru"),
       also=("scheduler-misconfigured",))  # fmt: skip
def moments_lost_at_a_high_rate(recipe: Recipe) -> Recipe:
    restart = Restart(at=int(0.5 * recipe.steps), rewind=20, optimizer=False, schedule=False)
    return recipe.but(restart=restart, lr=3 * recipe.lr, schedule=Schedule("cosine", 0.0)).knowing(
        restarted_at=restart.at, schedule_reset_at=restart.at - 20
    )


@fault("killed", (*PLAIN, "hf-bert"))
def stops_without_a_word(recipe: Recipe) -> Recipe:
    return recipe.but(stops_at=int(0.37 * recipe.steps)).knowing(killed=True)


# Errors that are really raised


@fault("software-bug", PLAIN)
def bug(recipe: Recipe) -> Recipe:
    kinds = actions.BUGS
    chosen = kinds[with_siblings(PLAIN).index(recipe.task.name) % len(kinds)]
    return breaking(recipe, chosen, 0.5)


@fault("disk-full", ("blobs-mlp", "chars-transformer", "textures-cnn", "grammar-gru"))
def checkpoint_does_not_fit(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.save_checkpoint, 0.6)


@fault("host-memory-exhausted", ("signals-rnn", "curves-mlp", "patches-vit", "grammar-gru"))
def cache_does_not_fit(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.build_cache, 0.4).knowing(memory=True)


@fault("batch-too-large", ("blobs-mlp", "textures-cnn"), also=("host-memory-exhausted",))
def activations_do_not_fit(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.encode, 0.0).knowing(memory=True)


@fault("eval-accumulates-logits", ("blobs-mlp", "patches-vit"), also=("host-memory-exhausted",))
def logits_do_not_fit(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.evaluation_loop, 0.5).knowing(memory=True)


@fault(
    "communication-timeout", ("spirals-resmlp", "chars-transformer", "patches-vit", "grammar-gru")
)
def a_rank_stays_away(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.average_metrics, 0.5)


# Speed and memory


@fault("dataloader-bottleneck", ("blobs-mlp", "curves-mlp", "textures-cnn", "springs-mlp"))
def loader_slows_down(recipe: Recipe) -> Recipe:
    """As when the files no longer fit the page cache: ten times slower from two fifths on."""
    at = int(0.4 * recipe.steps)

    def wait(step: int) -> None:
        time.sleep(0.0005 if step < at else 0.008)

    return recipe.but(in_loader=wait, log_data_time=True, format="csv").knowing(slow_from=at)


@fault("dataloader-bottleneck", ("spirals-resmlp", "textures-cnn"))
def loader_stops_now_and_then(recipe: Recipe) -> Recipe:
    def wait(step: int) -> None:
        time.sleep(0.6 if step in (250, 400) else 0.0005)

    return recipe.but(in_loader=wait, log_data_time=True, format="imagenet", log_every=1).knowing(
        stalls_at=[250, 400]
    )


@fault(
    "memory-leak-retained-graph", ("blobs-mlp", "chars-transformer", "textures-cnn", "springs-mlp")
)
def losses_kept_with_their_graph(recipe: Recipe) -> Recipe:
    def keep(step: int, state: dict[str, Any]) -> None:
        kept = state["loop"].__dict__.setdefault("kept", [])
        kept.append(torch.ones(200_000, requires_grad=True) * 2)  # 0.8 MB and its graph

    form = "csv" if recipe.task.kind != "language" else "keyvalue"
    return recipe.but(at_step=keep, log_memory=True, format=form).knowing(leaks=True)
