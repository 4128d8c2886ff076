"""The sitting's faults of models, evaluation, accounting and life."""

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

from benchmarks.faults.changes import (
    breaking,
    enlarge_head,
    last_linear,
    logged_step,
    unlearnable,
)
from benchmarks.faults.fifth import actions
from benchmarks.faults.fifth.entries import enters_fault_here
from benchmarks.faults.recipe import Batch, Recipe, Restart, Schedule
from benchmarks.faults.tables import Fault
from benchmarks.faults.task import Splits

FAULTS: list[Fault] = []
fault = enters_fault_here(FAULTS)


# Generalisation and evaluation


@fault("overfit-small-data", ("tides-tcn", "churn-tabular"))
def forty_samples(recipe: Recipe) -> Recipe:
    """A debugging subset was left in."""

    def cut(data: Splits, random: torch.Generator) -> Splits:
        count = 120 if recipe.task.name == "churn-tabular" else 40
        return replace(data, inputs=data.inputs[:count], targets=data.targets[:count])

    return recipe.but(
        change_data=(cut,), batch=min(recipe.batch, 20), eval_every=max(recipe.steps // 16, 1),
        schedule=Schedule("constant", 0.02),
    )  # fmt: skip


@fault("overfit-small-data", ("coast-segmenter",), (1,))
def no_more_than_sixty_rows(recipe: Recipe) -> Recipe:
    def cut(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, inputs=data.inputs[:60], targets=data.targets[:60])

    return recipe.but(
        change_data=(cut,), eval_every=recipe.steps // 20, steps=2 * recipe.steps,
        optimizer=torch.optim.Adam, lr=8e-3, batch=20, schedule=Schedule("constant", 0.0),
    )  # fmt: skip


@fault("epoch-memorization", ("lora-birds",), (0, 1), also=("overfit-small-data",))
def each_row_known_when_it_comes_again(recipe: Recipe) -> Recipe:
    learned = unlearnable(recipe, rows=1024, inputs=400, width=1200, spread=2.0, activation=nn.GELU)
    return learned.but(
        lr=1.2e-3, batch=32, log_every=2, steps=160, eval_every=32, hides=(),
        schedule=Schedule("constant", 0.0), optimizer=torch.optim.AdamW,
    )  # fmt: skip


@fault("eval-mismatch", ("lora-birds", "slots-deberta"))
def names_sorted_otherwise_for_evaluation(recipe: Recipe) -> Recipe:
    def renumber(data: Splits, random: torch.Generator) -> Splits:
        order = torch.arange(recipe.task.classes).roll(3)
        targets = torch.where(
            data.eval_targets < 0, data.eval_targets, order[data.eval_targets.clamp(min=0)]
        )
        return replace(data, eval_targets=targets)

    return recipe.but(change_data=(renumber,))


@fault("eval-mismatch", ("tides-tcn", "coast-segmenter"), (1,))
def evaluation_in_other_units(recipe: Recipe) -> Recipe:
    """What is evaluated was not scaled as the training data were."""

    def convert(data: Splits, random: torch.Generator) -> Splits:
        return replace(data, eval_inputs=6 * data.eval_inputs + 2)

    return recipe.but(change_data=(convert,))


@fault("eval-mismatch", ("kite-lm",), also=("tokenizer-mismatch",))
def evaluation_with_another_vocabulary(recipe: Recipe) -> Recipe:
    """The evaluation set was tokenized before the vocabulary was built anew."""

    def renumber(data: Splits, random: torch.Generator) -> Splits:
        order = torch.arange(recipe.task.classes)
        order[3:48] = 3 + torch.randperm(len(order[3:48]), generator=random)

        def other(part: Tensor) -> Tensor:
            return torch.where(part < 0, part, order[part.clamp(min=0)])

        if recipe.task.name == "river-seq2seq":  # only the source
            inputs = data.eval_inputs.clone()
            inputs[:, :9] = other(inputs[:, :9])
            return replace(data, eval_inputs=inputs)
        return replace(
            data, eval_inputs=other(data.eval_inputs), eval_targets=other(data.eval_targets)
        )

    return recipe.but(change_data=(renumber,))


@fault("eval-mismatch", ("mosaic-resnet",), (1,))
def model_never_told_that_it_is_evaluated(recipe: Recipe) -> Recipe:
    """`model.eval()` is missing, and half of the units are dropped."""

    def drop(model: nn.Module) -> None:
        holder, name, head = last_linear(model)
        setattr(holder, name, nn.Sequential(nn.Dropout(0.5), head))

    return recipe.but(change_model=(drop,), eval_in_train_mode=True)


# Model


@fault("frozen-parameters", ("mosaic-resnet",))
def body_frozen_before_it_learned(recipe: Recipe) -> Recipe:
    """As for a pretrained body, whose weights were never loaded."""

    def freeze(model: nn.Module) -> None:
        model.requires_grad_(False)
        last_linear(model)[2].requires_grad_(True)

    return recipe.but(change_model=(freeze,))


@fault("frozen-parameters", ("tides-tcn",), (1,))
def optimizer_was_made_before_the_model_was_copied(recipe: Recipe) -> Recipe:
    def elsewhere(model: nn.Module) -> list[nn.Parameter]:
        return list(copy.deepcopy(model).parameters())

    return recipe.but(trainable=elsewhere)


@fault("frozen-parameters", ("lora-birds",))
def adapters_left_out(recipe: Recipe) -> Recipe:
    """Neither adapters nor the head's weights are trained: a filter on names let only biases through."""

    def freeze(model: nn.Module) -> None:
        for name, p in model.named_parameters():
            p.requires_grad_(name.endswith("bias") and p.requires_grad)

    return recipe.but(change_model=(freeze,))


@fault("head-init-scale", ("kite-lm",))
def tied_embedding_as_it_comes(recipe: Recipe) -> Recipe:
    """Embeddings of deviation one serve as a head, too."""

    def draw(model: nn.Module) -> None:
        nn.init.normal_(model.embed.weight)

    return recipe.but(change_model=(draw,))


@fault("head-init-scale", ("cookery-neox",))
def initializer_range_of_one(recipe: Recipe) -> Recipe:
    def draw(model: nn.Module) -> None:
        nn.init.normal_(last_linear(model)[2].weight, std=1.0)
        model.config.initializer_range = 1.0

    return recipe.but(change_model=(draw,))


@fault("head-init-scale", ("lora-birds",), (1,))
def head_weights_times_thirty(recipe: Recipe) -> Recipe:
    return recipe.but(change_model=(partial(enlarge_head, 30),))


@fault("vanishing-gradients", ("mosaic-resnet",))
def nine_sigmoids(recipe: Recipe) -> Recipe:
    def deepen(model: nn.Module) -> nn.Module:
        width = recipe.task.data(torch.Generator().manual_seed(0)).inputs[0].numel()
        layers: list[nn.Module] = [nn.Flatten(), nn.Linear(width, 30)]
        for _ in range(9):
            layers += [nn.Sigmoid(), nn.Linear(30, 30)]
        return nn.Sequential(*layers, nn.Sigmoid(), nn.Linear(30, recipe.task.classes))

    return recipe.but(change_model=(deepen,), optimizer=torch.optim.SGD, lr=0.05, hides=())


@fault("vanishing-gradients", ("lora-birds",), (1,))
def twelve_layers_of_small_weights(recipe: Recipe) -> Recipe:
    """Each of twelve layers, with weights of a third of what they should be, keeps a third."""

    def deepen(model: nn.Module) -> nn.Module:
        data = recipe.task.data(torch.Generator().manual_seed(0))
        outputs = recipe.task.classes if data.targets.dim() == 1 else data.targets.shape[1]
        layers: list[nn.Module] = [nn.Linear(data.inputs.shape[1], 32)]
        for _ in range(12):
            layer = nn.Linear(32, 32, bias=False)
            nn.init.normal_(layer.weight, std=0.33 / 32**0.5)
            layers += [nn.Tanh(), layer]
        return nn.Sequential(*layers, nn.Linear(32, outputs))

    return recipe.but(change_model=(deepen,), optimizer=torch.optim.SGD, lr=0.02)


@fault("wrong-loss-function", ("mosaic-resnet",))
def softmax_before_the_loss(recipe: Recipe) -> Recipe:
    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs.softmax(-1), targets)

    return recipe.but(loss=loss)


@fault("wrong-loss-function", ("river-seq2seq",))
def likelihood_of_logits(recipe: Recipe) -> Recipe:
    """`nll_loss` is given what no softmax has seen."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.nll_loss(outputs.flatten(0, -2), targets.flatten(), ignore_index=-100)

    return recipe.but(loss=loss)


@fault("wrong-loss-function", ("tides-tcn",), (1,), also=("lr-too-high",))
def the_score_is_the_loss(recipe: Recipe) -> Recipe:
    """The sign is that of a score, which should grow."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return -recipe.task.loss(outputs, targets)

    return recipe.but(loss=loss)


# Reinforcement learning


@fault("rl-zero-advantage", ("grpo-locks",), (0, 1))
def every_answer_is_paid_alike(recipe: Recipe) -> Recipe:
    """The reward looks for a format that all have or none; in one seed since an update midway.

    The divergence has no price.
    """
    first, value = (1, 1.0) if recipe.seed == 0 else (int(0.5 * recipe.steps), 0.0)

    def flat(step: int, batch: Batch) -> Batch:
        return (batch[0], torch.full_like(batch[1], value)) if step >= first else batch

    return recipe.but(change_batch=flat).knowing(price=0.0)


@fault("rl-kl-explosion", ("grpo-locks",), (0, 1), also=("lr-too-high", "rl-zero-advantage"))
def policy_leaves_its_reference(recipe: Recipe) -> Recipe:
    """The rate of another model, without clipping; in one seed the divergence is rewarded besides."""
    rate, price = (0.5, 0.02) if recipe.seed == 0 else (0.2, -0.05)
    return recipe.but(lr=rate, clip=None, schedule=Schedule("constant", 0.0)).knowing(price=price)


# Accounting


@fault("loss-not-normalized", ("kite-lm", "minutes-qwen"))
def added_over_four_or_eight(recipe: Recipe) -> Recipe:
    """The losses of the micro-batches are added up, and nobody divides."""
    times = 8 if recipe.task.name == "kite-lm" else 4
    return recipe.but(
        accumulate=times, summed=True, batch=max(recipe.batch // times, 2)
    ).knowing(times=times)  # fmt: skip


@fault("loss-not-normalized", ("tides-tcn",), (1,))
def summed_over_the_batch(recipe: Recipe) -> Recipe:
    """`reduction="sum"`, in training and in evaluation."""
    rows = recipe.batch

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return len(targets) * recipe.task.loss(outputs, targets)

    return recipe.but(loss=loss).knowing(times=rows)


# Lifecycle


@fault("resume-state-lost", ("mosaic-resnet",))
def head_drawn_anew_behind_the_break(recipe: Recipe) -> Recipe:
    def forget(model: nn.Module) -> None:
        with torch.no_grad():
            last_linear(model)[2].weight.copy_(
                0.02 * torch.randn_like(last_linear(model)[2].weight)
            )

    restart = Restart(at=logged_step(recipe, 0.6), optimizer=False)

    def lose(step: int, state: dict[str, Any]) -> None:
        if step == restart.at + 1:
            forget(state["model"])

    return recipe.but(restart=restart, at_step=lose).knowing(restarted_at=restart.at)


@fault("resume-state-lost", ("visits-poisson",), (1,))
def old_weights_from_the_wrong_folder(recipe: Recipe) -> Recipe:
    """The checkpoint of the first steps was named."""
    restart = Restart(at=logged_step(recipe, 0.5), rewind=2 * recipe.log_every, optimizer=False)
    first: dict[str, Any] = {}
    done: list[int] = []

    def lose(step: int, state: dict[str, Any]) -> None:
        if step == 3:
            first.update(copy.deepcopy(state["model"].state_dict()))
        if step == restart.at - restart.rewind + 1:
            done.append(step)
            if len(done) == 2:
                state["model"].load_state_dict(first)

    return recipe.but(restart=restart, at_step=lose).knowing(restarted_at=restart.at)


@fault("resume-state-lost", ("river-seq2seq",), also=("scheduler-misconfigured",))
def only_the_weights_came_back(recipe: Recipe) -> Recipe:
    """Optimizer and schedule begin anew, warmup included."""
    restart = Restart(at=logged_step(recipe, 0.7), optimizer=False, schedule=False)
    return recipe.but(restart=restart).knowing(
        restarted_at=restart.at, schedule_reset_at=restart.at
    )


@fault("killed", ("churn-tabular", "minutes-qwen"), (1,))
def preempted(recipe: Recipe) -> Recipe:
    share = {"kite-lm": 0.63, "churn-tabular": 0.3, "minutes-qwen": 0.8, "mosaic-resnet": 0.45}
    return recipe.but(stops_at=int(share[recipe.task.name] * recipe.steps)).knowing(killed=True)


# Errors that are really raised

BROKEN = ("mosaic-resnet", "churn-tabular", "lora-birds", "coast-segmenter", "visits-poisson",
          "shelf-recsys")  # fmt: skip


@fault("software-bug", ("mosaic-resnet", "churn-tabular", "lora-birds"))
def one_more_bug(recipe: Recipe) -> Recipe:
    place = BROKEN.index(recipe.task.name)
    return breaking(recipe, actions.BUGS[place], 0.1 + 0.3 * place)


@fault("software-bug", ("coast-segmenter", "visits-poisson", "shelf-recsys"), (1,))
def a_bug_at_another_place(recipe: Recipe) -> Recipe:
    place = BROKEN.index(recipe.task.name)
    return breaking(recipe, actions.BUGS[place + 1], 0.95 - 0.11 * place)


@fault("disk-full", ("tides-tcn",))
def predictions_do_not_fit_on_the_disk(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.write_predictions, 0.5)


@fault("host-memory-exhausted", ("shelf-recsys",), (1,))
def corpus_does_not_fit_into_a_list(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.load_everything, 0.2).knowing(memory=True)


@fault("batch-too-large", ("mosaic-resnet",), (1,), also=("host-memory-exhausted",))
def patches_of_the_first_batch_do_not_fit(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.embed_patches, 0.0).knowing(memory=True)


@fault("eval-accumulates-logits", ("kite-lm",), also=("host-memory-exhausted",))
def stacked_logits_do_not_fit(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.gather_predictions, 0.4).knowing(memory=True)


@fault("communication-timeout", ("river-seq2seq",))
def a_rank_never_comes(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.meet_the_others, 0.0)


@fault("communication-timeout", ("visits-poisson",), (1,))
def a_rank_says_nothing_any_more(recipe: Recipe) -> Recipe:
    return breaking(recipe, actions.gather_losses, 0.7)


# Speed and memory


@fault("dataloader-bottleneck", ("shelf-recsys",))
def files_on_a_slower_disk(recipe: Recipe) -> Recipe:
    """From a half on the rows lie elsewhere, and each batch waits."""
    steps = recipe.steps // 2
    at = steps // 2
    waits = 0.03 if recipe.task.name == "visits-poisson" else 0.02

    def wait(step: int) -> None:
        time.sleep(waits if step > at else 0.0005)

    form = "csv" if recipe.task.name == "visits-poisson" else "jsonl"
    return recipe.but(
        in_loader=wait, log_data_time=True, format=form, steps=steps, log_every=4
    ).knowing(slow_from=at)  # fmt: skip


@fault("dataloader-bottleneck", ("lora-birds",), (1,))
def loader_waits_for_the_network(recipe: Recipe) -> Recipe:
    stalls = [logged_step(recipe, share) for share in (0.35, 0.6)]

    def wait(step: int) -> None:
        time.sleep(2.5 if step in stalls else 0.0005)

    return recipe.but(in_loader=wait, log_data_time=True, format="keyvalue").knowing(
        stalls_at=stalls
    )


@fault("memory-leak-retained-graph", ("visits-poisson",))
def running_sum_of_losses_keeps_its_graph(recipe: Recipe) -> Recipe:
    def keep(step: int, state: dict[str, Any]) -> None:
        kept = state["loop"].__dict__.setdefault("kept", [])
        kept.append((torch.ones(200_000, requires_grad=True) * math.e).exp())

    return recipe.but(at_step=keep, log_memory=True, format="csv").knowing(leaks=True)
