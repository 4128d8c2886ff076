"""The fourth sitting's faults of generalisation, models, accounting and life."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks.faults import actions
from benchmarks.faults.changes import (
    breaking,
    enlarge_head,
    last_linear,
    logged_step,
    some_labels_noisy,
    unlearnable,
    without_dropout,
)
from benchmarks.faults.recipe import Batch, Recipe, Restart, Schedule
from benchmarks.faults.tables import Fault, enters_fault
from benchmarks.faults.task import Splits

FAULTS: list[Fault] = []
fault = enters_fault(FAULTS)


# Generalisation and evaluation


@fault("overfit-small-data", ("tracks-tags", "hf-mails"))
def fifty_labelled_rows(recipe: Recipe) -> Recipe:
    def cut(data: Splits, random: torch.Generator) -> Splits:
        few = replace(data, inputs=data.inputs[:50], targets=data.targets[:50])
        if recipe.task.name != "crops-convnext":
            return few
        return some_labels_noisy(few, random, 0.2, recipe.task.classes)

    return recipe.but(
        change_data=(cut,), eval_every=max(recipe.steps // 14, 1), batch=min(recipe.batch, 25),
        schedule=Schedule("constant", 0.02),
    )  # fmt: skip


@fault("epoch-memorization", ("beats-conv1d",), also=("overfit-small-data",))
def rows_known_after_one_look(recipe: Recipe) -> Recipe:
    learned = unlearnable(recipe, rows=960, inputs=420, width=1400, spread=2.0, activation=nn.GELU)
    return learned.but(
        lr=1e-3, batch=24, log_every=2, steps=200, eval_every=40,
        schedule=Schedule("constant", 0.0), optimizer=torch.optim.Adam,
    )  # fmt: skip


@fault("eval-mismatch", ("fraud-mlp",))
def eval_inputs_not_standardized(recipe: Recipe) -> Recipe:
    def convert(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, eval_inputs=60 * data.eval_inputs + 110)

    return recipe.but(change_data=(convert,))


@fault("eval-mismatch", ("beats-conv1d",), (1,))
def eval_classes_in_reverse(recipe: Recipe) -> Recipe:
    def reverse(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, eval_targets=recipe.task.classes - 1 - data.eval_targets)

    return recipe.but(change_data=(reverse,))


@fault("eval-mismatch", ("psalms-rope",), (0,), also=("tokenizer-mismatch",))
def eval_read_by_another_tokenizer(recipe: Recipe) -> Recipe:
    def renumber(data: Splits, random: torch.Generator) -> Splits:
        order = torch.randperm(recipe.task.classes, generator=random)
        return replace(
            data, eval_inputs=order[data.eval_inputs], eval_targets=order[data.eval_targets]
        )

    return recipe.but(change_data=(renumber,))


@fault("eval-mismatch", ("tracks-tags",), (1,))
def evaluated_with_dropout(recipe: Recipe) -> Recipe:
    """Nobody called `model.eval()`; little is seen of it."""
    return recipe.but(eval_in_train_mode=True)


# Model


@fault("frozen-parameters", ("crops-convnext",), (1,))
def features_detached(recipe: Recipe) -> Recipe:
    """The body is under `no_grad`; the head learns from what chance made of it."""

    def freeze(model: nn.Module) -> None:
        model.requires_grad_(False)
        last_linear(model)[2].requires_grad_(True)

    return recipe.but(change_model=(freeze,))


@fault("frozen-parameters", ("hf-mails",))
def only_names_with_norm_are_trained(recipe: Recipe) -> Recipe:
    def freeze(model: nn.Module) -> None:
        for name, weight in model.named_parameters():
            weight.requires_grad_("norm" in name.lower() and "weight" in name)

    return recipe.but(change_model=(freeze,))


@fault("frozen-parameters", ("scans-denoiser",))
def optimizer_made_before_the_model_was_rebuilt(recipe: Recipe) -> Recipe:
    def earlier(model: nn.Module) -> list[nn.Parameter]:
        return list(copy.deepcopy(model).parameters())

    def few(data: Splits, random: torch.Generator) -> Splits:
        count = 14 * recipe.batch
        return replace(data, inputs=data.inputs[:count], targets=data.targets[:count])

    return recipe.but(
        trainable=earlier, shuffle=False, change_data=(few,), log_every=1,
        change_model=(_steady,), steps=180, eval_every=45,
    )  # fmt: skip


def _steady(model: nn.Module) -> None:
    without_dropout(model)
    for module in model.modules():
        if isinstance(module, nn.AlphaDropout):
            module.p = 0.0


@fault("head-init-scale", ("psalms-rope",))
def head_drawn_like_an_embedding(recipe: Recipe) -> Recipe:
    def draw(model: nn.Module) -> None:
        nn.init.normal_(last_linear(model)[2].weight, std=1.0)

    return recipe.but(change_model=(draw,))


@fault("head-init-scale", ("crops-convnext",), (1,))
def head_weights_times_18(recipe: Recipe) -> Recipe:
    return recipe.but(change_model=(partial(enlarge_head, 18),))


@fault("vanishing-gradients", ("crops-convnext",), also=("head-init-scale",))
def fourteen_layers_that_squash(recipe: Recipe) -> Recipe:
    def deepen(model: nn.Module) -> nn.Module:
        width = recipe.task.data(torch.Generator().manual_seed(0)).inputs[0].numel()
        layers: list[nn.Module] = [nn.Flatten(), nn.Linear(width, 30)]
        for _ in range(13):
            layer = nn.Linear(30, 30)
            nn.init.normal_(layer.weight, std=0.05)
            layers += [nn.Tanh(), layer]
        return nn.Sequential(*layers, nn.Tanh(), nn.Linear(30, recipe.task.classes))

    return recipe.but(change_model=(deepen,), optimizer=torch.optim.SGD, lr=0.02)


# Reinforcement learning


@fault("rl-zero-advantage", ("grpo-cards",), (0, 1))
def the_judge_likes_everything(recipe: Recipe) -> Recipe:
    """A reward model that answers 0.5; in one seed since three fifths of the run."""
    first = 1 if recipe.seed == 0 else int(0.6 * recipe.steps)

    def flatten(step: int, batch: Batch) -> Batch:
        return (batch[0], torch.full_like(batch[1], 0.5)) if step >= first else batch

    return recipe.but(change_batch=flatten, optimizer=torch.optim.Adam)


@fault("rl-kl-explosion", ("grpo-cards",), (0, 1), also=("lr-too-high", "rl-zero-advantage"))
def leaves_the_reference_at_once(recipe: Recipe) -> Recipe:
    return recipe.but(
        lr=0.1 if recipe.seed == 0 else 1.0, clip=None, schedule=Schedule("constant", 0.0)
    )


# Accounting


@fault("loss-not-normalized", ("crops-convnext",))
def summed_over_five_micro_batches(recipe: Recipe) -> Recipe:
    return recipe.but(
        accumulate=5, summed=True, batch=max(recipe.batch // 3, 1), steps=2 * recipe.steps // 3
    ).knowing(times=5)


@fault("loss-not-normalized", ("tracks-tags",), (1,))
def summed_over_rows(recipe: Recipe) -> Recipe:
    """`reduction="sum"`, in training only as well as in evaluation."""
    return recipe.but(
        loss=lambda outputs, targets: recipe.task.loss(outputs, targets) * recipe.batch
    ).knowing(times=recipe.batch)


# Lifecycle


@fault("resume-state-lost", ("rivers-gru",))
def checkpoint_was_never_read(recipe: Recipe) -> Recipe:
    """A path that is not there is passed over: steps and rate go on, weights are those of the start."""
    restart = Restart(at=logged_step(recipe, 0.45), optimizer=False)
    first: dict[str, Any] = {}

    def lose(step: int, state: dict[str, Any]) -> None:
        if step == 1:
            first.update(copy.deepcopy(state["model"].state_dict()))
        if step == restart.at + 1:
            state["model"].load_state_dict(first)

    return recipe.but(restart=restart, at_step=lose).knowing(restarted_at=restart.at)


@fault("resume-state-lost", ("beats-conv1d",), (1,))
def head_skipped_when_loading(recipe: Recipe) -> Recipe:
    """`strict=False` and another name for the head."""
    restart = Restart(at=logged_step(recipe, 0.7), rewind=2 * recipe.log_every, head=False)
    return recipe.but(restart=restart).knowing(restarted_at=restart.at)


@fault("killed", ("scans-denoiser", "hf-names"))
def preempted(recipe: Recipe) -> Recipe:
    share = (0.31, 0.58, 0.83)[len(recipe.task.name) % 3]
    return recipe.but(stops_at=int(share * recipe.steps)).knowing(killed=True)


# Errors that are really raised

BROKEN = ("rivers-gru", "circuits-gat", "scans-denoiser", "ratings-factors", "psalms-rope",
          "tracks-tags", "beats-conv1d")  # fmt: skip


@fault("software-bug", BROKEN[:4])
def an_odder_bug(recipe: Recipe) -> Recipe:
    place = BROKEN.index(recipe.task.name)
    return breaking(recipe, actions.ODDER_BUGS[place], 0.12 + 0.12 * place)


@fault("disk-full", ("crops-convnext",), (1,), also=("software-bug",))
def history_does_not_fit(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.save_history, 0.62)


@fault("host-memory-exhausted", ("fraud-mlp",), (1,))
def all_pictures_in_memory(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.preload_images, 0.2).knowing(memory=True)


@fault("batch-too-large", ("scans-denoiser",), (1,), also=("host-memory-exhausted",))
def first_batch_does_not_fit(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.forward_features, 0.0).knowing(memory=True)


@fault("eval-accumulates-logits", ("psalms-rope",), (0,), also=("host-memory-exhausted",))
def stacked_outputs_do_not_fit(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.collect_outputs, 0.5).knowing(memory=True)


@fault("communication-timeout", ("tracks-tags",), (1,))
def a_rank_sends_nothing(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.share_metrics, 0.55)


# Speed and memory


@fault("dataloader-bottleneck", ("tracks-tags",))
def loader_slower_from_a_third_on(recipe: Recipe) -> Recipe:
    """The cache is full."""
    at = recipe.steps // 3

    def wait(step: int) -> None:
        time.sleep(0.012 if step > at else 0.0005)

    form = "jsonl" if recipe.task.name == "tracks-tags" else "csv"
    return recipe.but(in_loader=wait, log_data_time=True, format=form).knowing(slow_from=at)


@fault("memory-leak-retained-graph", ("fraud-mlp",), (1,))
def loss_added_up_with_its_graph(recipe: Recipe) -> Recipe:
    each = 250_000_000 // recipe.steps // 4

    def keep(step: int, state: dict[str, Any]) -> None:
        kept = state["loop"].__dict__.setdefault("total", [])
        kept.append(torch.ones(each, requires_grad=True) * math.e)

    return recipe.but(at_step=keep, log_memory=True, format="csv").knowing(leaks=True)
