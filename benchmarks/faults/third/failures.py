"""The third sitting's faults of models, evaluation, accounting and life: other variants than those before."""

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
    last_linear,
    logged_step,
    some_labels_noisy,
    unlearnable,
)
from benchmarks.faults.recipe import Batch, Recipe, Restart, Schedule
from benchmarks.faults.tables import Fault, enters_fault
from benchmarks.faults.task import Splits

PICTURES = ("leaves-resnet", "spectra-vit")
FAULTS: list[Fault] = []
fault = enters_fault(FAULTS)


# Generalisation and evaluation


@fault("overfit-small-data", ("leaves-resnet", "topics-bce", "molecules-gnn"))
def seventy_samples(recipe: Recipe) -> Recipe:
    def cut(data: Splits, random: torch.Generator) -> Splits:
        few = replace(data, inputs=data.inputs[:70], targets=data.targets[:70])
        if recipe.task.name not in PICTURES:
            return few
        return some_labels_noisy(few, random, 0.15, recipe.task.classes)

    return recipe.but(
        change_data=(cut,), eval_every=recipe.steps // 15, batch=min(recipe.batch, 35),
        schedule=Schedule("constant", 0.02),
    )  # fmt: skip


@fault("epoch-memorization", PICTURES, (0, 1), also=("overfit-small-data",))
def noise_learned_by_heart(recipe: Recipe) -> Recipe:
    """Labels drawn at random, wide inputs and a wide model: only what was seen before is known."""
    learned = unlearnable(recipe, rows=1280, inputs=500, width=1536, spread=1.8, activation=nn.SiLU)
    return learned.but(
        lr=1e-3, batch=32, log_every=2, steps=200, eval_every=40,
        schedule=Schedule("constant", 0.0), optimizer=torch.optim.Adam,
    )  # fmt: skip


@fault("eval-mismatch", ("leaves-resnet", "melody-gru", "hf-albert"))
def eval_classes_numbered_otherwise(recipe: Recipe) -> Recipe:
    """The folders of the evaluation were listed in another order."""

    def renumber(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, eval_targets=(data.eval_targets + 2) % recipe.task.classes)

    return recipe.but(change_data=(renumber,))


@fault("eval-mismatch", ("spectra-vit", "cells-unet", "wells-mae", "topics-bce"), (1,))
def eval_inputs_not_scaled(recipe: Recipe) -> Recipe:
    def convert(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, eval_inputs=15 * data.eval_inputs - 30)

    return recipe.but(change_data=(convert,))


@fault("eval-mismatch", ("leaves-resnet",), (0,))
def statistics_of_another_domain(recipe: Recipe) -> Recipe:
    """The norms keep the means and variances of what the model was made for."""

    def keep(model: nn.Module) -> None:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.0
                module.running_mean.fill_(1.5)
                module.running_var.fill_(0.05)

    return recipe.but(change_model=(keep,))


# Model


@fault("frozen-parameters", ("leaves-resnet", "melody-gru", "hf-albert"))
def only_the_last_bias_is_free(recipe: Recipe) -> Recipe:
    """A filter on names that was meant for a fine-tune lets nothing else through."""

    def freeze(model: nn.Module) -> None:
        model.requires_grad_(False)
        bias = last_linear(model)[2].bias
        assert bias is not None
        bias.requires_grad_(True)

    return recipe.but(change_model=(freeze,))


@fault("frozen-parameters", ("leaves-resnet", "verse-lm"), (1,))
def random_body_frozen(recipe: Recipe) -> Recipe:
    """The body is frozen as if it were pretrained, which it is not; the head learns alone."""

    def freeze(model: nn.Module) -> None:
        model.requires_grad_(False)
        last_linear(model)[2].requires_grad_(True)

    return recipe.but(change_model=(freeze,))


@fault("frozen-parameters", ("turns-seq2seq", "molecules-gnn", "topics-bce"))
def optimizer_of_an_earlier_model(recipe: Recipe) -> Recipe:
    """The optimizer steps a copy; few rows come again and again in one order."""

    def elsewhere(model: nn.Module) -> list[nn.Parameter]:
        return list(copy.deepcopy(model).parameters())

    def few(data: Splits, random: torch.Generator) -> Splits:
        count = 9 * recipe.batch
        return replace(data, inputs=data.inputs[:count], targets=data.targets[:count])

    def plain(model: nn.Module) -> None:
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0

    return recipe.but(
        trainable=elsewhere, shuffle=False, change_data=(few,), change_model=(plain,), log_every=1,
        steps=200,
    )  # fmt: skip


@fault("head-init-scale", ("spectra-vit", "melody-gru"))
def head_weights_times_25(recipe: Recipe) -> Recipe:
    return recipe.but(change_model=(partial(enlarge_head, 25 if not recipe.task.hf else 100),))


@fault("head-init-scale", ("turns-seq2seq", "cells-unet"), (1,))
def head_weights_drawn_far_too_wide(recipe: Recipe) -> Recipe:
    def draw(model: nn.Module) -> None:
        nn.init.normal_(last_linear(model)[2].weight, std=4.0)

    return recipe.but(change_model=(draw,))


@fault("vanishing-gradients", PICTURES, (0, 1), also=("head-init-scale",))
def ten_sigmoids_of_small_weights(recipe: Recipe) -> Recipe:
    """Each layer passes on less than half of its gradient."""

    def deepen(model: nn.Module) -> nn.Module:
        width = recipe.task.data(torch.Generator().manual_seed(0)).inputs[0].numel()
        layers: list[nn.Module] = [nn.Flatten(), nn.Linear(width, 36)]
        for _ in range(10):
            layer = nn.Linear(36, 36)
            nn.init.normal_(layer.weight, std=0.25)
            layers += [nn.Sigmoid(), layer]
        return nn.Sequential(*layers, nn.Sigmoid(), nn.Linear(36, recipe.task.classes))

    return recipe.but(change_model=(deepen,), optimizer=torch.optim.SGD, lr=0.03)


# Reinforcement learning


@fault("rl-zero-advantage", ("grpo-spell", "grpo-dose"), (0, 1))
def no_answer_is_ever_right(recipe: Recipe) -> Recipe:
    """The reward's parser finds nothing; in one seed since a release at two fifths of the run."""
    first = 1 if recipe.seed == 0 else int(0.4 * recipe.steps)

    def nothing(step: int, batch: Batch) -> Batch:
        return (batch[0], torch.zeros_like(batch[1])) if step >= first else batch

    return recipe.but(change_batch=nothing, optimizer=torch.optim.Adam)


@fault("rl-kl-explosion", ("grpo-dose",), (0, 1), also=("lr-too-high", "rl-zero-advantage"))
def far_from_the_reference(recipe: Recipe) -> Recipe:
    return recipe.but(
        lr=0.3 if recipe.seed == 0 else 2.0, clip=None, schedule=Schedule("constant", 0.0)
    )


# Accounting


@fault("loss-not-normalized", ("spectra-vit", "melody-gru", "hf-albert"))
def summed_over_two_or_ten(recipe: Recipe) -> Recipe:
    times = 10 if recipe.task.name == "spectra-vit" else 2
    shorter = recipe.steps // (3 if times == 10 else 1)
    return recipe.but(accumulate=times, summed=True, steps=shorter, batch=10).knowing(times=times)


@fault("loss-not-normalized", ("cells-unet", "turns-seq2seq"), (1,))
def summed_over_positions(recipe: Recipe) -> Recipe:
    """Averaged over rows, summed over the pixels or tokens of a row; in evaluation too."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        total = F.cross_entropy(outputs.flatten(0, -2), targets.flatten(), reduction="sum")
        return total / len(targets)

    times = {"cells-unet": 196, "turns-seq2seq": 7, "verse-lm": 32}[recipe.task.name]
    return recipe.but(loss=loss).knowing(times=times)


# Lifecycle


@fault("resume-state-lost", ("leaves-resnet", "molecules-gnn", "topics-bce"), (1,))
def weights_of_the_first_epoch(recipe: Recipe) -> Recipe:
    """The run goes on at its step and rate with the weights that it had at its start."""
    restart = Restart(at=logged_step(recipe, 0.65), optimizer=False)
    first: dict[str, Any] = {}

    def lose(step: int, state: dict[str, Any]) -> None:
        if step == 1:
            first.update(copy.deepcopy(state["model"].state_dict()))
        if step == restart.at + 1:
            state["model"].load_state_dict(first)

    return recipe.but(restart=restart, at_step=lose).knowing(restarted_at=restart.at)


@fault("resume-state-lost", ("melody-gru", "turns-seq2seq"))
def head_not_in_the_checkpoint(recipe: Recipe) -> Recipe:
    restart = Restart(at=logged_step(recipe, 0.5), rewind=3 * recipe.log_every, head=False)
    return recipe.but(restart=restart).knowing(restarted_at=restart.at)


@fault("killed", ("leaves-resnet", "wells-mae", "verse-lm", "hf-t5"), (1,))
def gone_in_the_night(recipe: Recipe) -> Recipe:
    share = (0.22, 0.5, 0.74)[len(recipe.task.name) % 3]
    return recipe.but(stops_at=int(share * recipe.steps)).knowing(killed=True)


# Errors that are really raised

BROKEN = ("leaves-resnet", "spectra-vit", "cells-unet", "wells-mae", "molecules-gnn", "melody-gru",
          "verse-lm", "turns-seq2seq")  # fmt: skip


@fault("software-bug", BROKEN)
def yet_another_bug(recipe: Recipe) -> Recipe:
    place = BROKEN.index(recipe.task.name)
    return breaking(recipe, actions.RARER_BUGS[place % len(actions.RARER_BUGS)], 0.15 + 0.1 * place)


@fault("disk-full", ("verse-lm",), also=("software-bug",))
def archive_does_not_fit(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.save_archive, 0.45)


@fault("host-memory-exhausted", ("spectra-vit", "topics-bce"))
def table_does_not_fit(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.build_table, 0.33).knowing(memory=True)


@fault(
    "batch-too-large",
    ("cells-unet", "turns-seq2seq"),
    also=("host-memory-exhausted", "sequence-too-long"),
)
def scores_of_the_first_batch_do_not_fit(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.attend, 0.0).knowing(memory=True)


@fault("eval-accumulates-logits", ("verse-lm",), (1,), also=("host-memory-exhausted",))
def predictions_do_not_fit(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.prediction_loop, 0.6).knowing(memory=True)


@fault("communication-timeout", ("verse-lm", "melody-gru"), (1,))
def a_rank_misses_the_barrier(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.wait_for_all, 0.4)


# Speed and memory


@fault("dataloader-bottleneck", ("cells-unet", "topics-bce"))
def loader_slower_all_along(recipe: Recipe) -> Recipe:
    """Files that lie ever further out: from one to twelve milliseconds."""

    def wait(step: int) -> None:
        time.sleep(0.001 + 0.011 * step / recipe.steps)

    form = "mmengine" if recipe.task.name == "cells-unet" else "jsonl"
    return recipe.but(in_loader=wait, log_data_time=True, format=form).knowing(
        slow_from=recipe.steps // 2
    )


@fault("dataloader-bottleneck", ("molecules-gnn",), (1,))
def loader_hangs_three_times(recipe: Recipe) -> Recipe:
    stalls = [logged_step(recipe, share) for share in (0.25, 0.5, 0.8)]

    def wait(step: int) -> None:
        time.sleep(1.5 if step in stalls else 0.0005)

    form = "keyvalue" if recipe.task.name == "molecules-gnn" else "csv"
    return recipe.but(in_loader=wait, log_data_time=True, format=form).knowing(stalls_at=stalls)


@fault("memory-leak-retained-graph", ("topics-bce", "molecules-gnn"))
def history_of_losses_with_their_graphs(recipe: Recipe) -> Recipe:
    def keep(step: int, state: dict[str, Any]) -> None:
        kept = state["loop"].__dict__.setdefault("kept", [])
        kept.append(torch.ones(250_000, requires_grad=True) * math.pi)

    form = {"topics-bce": "jsonl", "spectra-vit": "tensorboard"}.get(recipe.task.name, "csv")
    return recipe.but(at_step=keep, log_memory=True, format=form).knowing(leaks=True)
