"""Healthy runs that look odd: each changes how a task is trained or logged without harming it.

The plain runs of every task (`recipe.base`) are healthy, too; these are the look-alikes of faults.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import nn

from benchmarks.faults.changes import pretrain
from benchmarks.faults.first.faults import LANGUAGE
from benchmarks.faults.first.tasks import with_siblings
from benchmarks.faults.recipe import Recipe, Restart, Schedule
from benchmarks.faults.tables import Healthy, enters_healthy

HEALTHY: list[Healthy] = []
healthy = enters_healthy(HEALTHY, 2, with_siblings)


@healthy("chars-transformer", "textures-cnn", "spirals-resmlp")
def warm_restarts(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("restarts", 0.02, cycles=3))


@healthy("blobs-mlp", "patches-vit", "grammar-gru")
def one_cycle(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("onecycle", 0.3), lr=2 * recipe.lr)


@healthy("blobs-mlp", "textures-cnn", seeds=(2, 3))
def heavy_dropout(recipe: Recipe) -> Recipe:
    """The train loss is measured with dropout, the evaluation without: it lies below."""

    def drop(model: nn.Module) -> nn.Module:
        layers = [m for layer in model for m in (layer, *_dropout_after(layer))]  # type: ignore[attr-defined]
        return nn.Sequential(*layers)

    return recipe.but(change_model=(drop,), steps=900)


def _dropout_after(layer: nn.Module) -> tuple[nn.Module, ...]:
    return (nn.Dropout(0.5),) if isinstance(layer, nn.ReLU) else ()


@healthy("blobs-mlp", "textures-cnn", "patches-vit")
def smooth_labels(recipe: Recipe) -> Recipe:
    return recipe.but(label_smoothing=0.1)


@healthy("blobs-mlp", "chars-transformer", "textures-cnn", "springs-mlp", "hf-bert", "hf-gpt2")
def few_points(recipe: Recipe) -> Recipe:
    return recipe.but(log_every=recipe.steps // 8, eval_every=recipe.steps // 4)


@healthy("curves-mlp", "patches-vit")
def five_points(recipe: Recipe) -> Recipe:
    return recipe.but(log_every=recipe.steps // 5, eval_every=recipe.steps)


@healthy("curves-mlp", "springs-mlp")
def twenty_thousand_points(recipe: Recipe) -> Recipe:
    return recipe.but(steps=20_000, log_every=1, eval_every=1000, format="csv")


@healthy("spirals-resmlp", "textures-cnn")
def every_step_logged(recipe: Recipe) -> Recipe:
    return recipe.but(steps=1500, log_every=1, format="nanogpt")


@healthy(*LANGUAGE, "hf-gpt2")
def fine_tune_near_its_optimum(recipe: Recipe) -> Recipe:
    return recipe.but(change_model=(partial(pretrain, recipe),), lr=recipe.lr / 10)


@healthy("blobs-mlp", "curves-mlp", "springs-mlp")
def batch_of_one(recipe: Recipe) -> Recipe:
    return recipe.but(batch=1, lr=recipe.lr / 6, steps=3000, log_every=15, eval_every=300)


@healthy("spirals-resmlp", "curves-mlp", "grammar-gru", "springs-mlp")
def goes_on_after_convergence(recipe: Recipe) -> Recipe:
    schedule = Schedule("constant", 0.01)
    return recipe.but(
        steps=3 * recipe.steps, lr=recipe.lr / 3, schedule=schedule, log_every=10, eval_every=150
    )


@healthy("chars-transformer", "grammar-gru")
def norm_logged_after_clipping(recipe: Recipe) -> Recipe:
    return recipe.but(log_norm_after_clip=True, clip=0.1)


@healthy("signals-rnn", "chars-transformer", "textures-cnn", "grammar-gru")
def resumed_with_all_state(recipe: Recipe) -> Recipe:
    return recipe.but(restart=Restart(at=int(0.55 * recipe.steps)))


@healthy("blobs-mlp", "textures-cnn", "springs-mlp")
def resumed_a_little_earlier(recipe: Recipe) -> Recipe:
    return recipe.but(restart=Restart(at=int(0.55 * recipe.steps), rewind=30))


@healthy("blobs-mlp", "signals-rnn", "patches-vit", "textures-cnn")
def mixed_fp16(recipe: Recipe) -> Recipe:
    """The loss scale is found by a few overflows at the start, and tried higher now and then."""
    return recipe.but(precision="fp16", format="keyvalue")


@healthy("blobs-mlp", "chars-transformer", "textures-cnn", "patches-vit")
def pure_bf16(recipe: Recipe) -> Recipe:
    return recipe.but(precision="bf16")


@healthy("signals-rnn", "textures-cnn", "patches-vit", "springs-mlp")
def step_decay(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("step", 0.02))


@healthy("chars-transformer", "grammar-gru", "hf-bert")
def warmup_stable_decay(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("wsd", 0.05))


@healthy("blobs-mlp", "textures-cnn", "hf-tagger")
def constant_rate(recipe: Recipe) -> Recipe:
    return recipe.but(schedule=Schedule("constant", 0.0), lr=recipe.lr / 4)


@healthy("blobs-mlp", "curves-mlp", "textures-cnn", "springs-mlp")
def plain_momentum(recipe: Recipe) -> Recipe:
    sgd = partial(torch.optim.SGD, momentum=0.9)
    return recipe.but(optimizer=sgd, lr=0.03, schedule=Schedule("step", 0.0))


@healthy("blobs-mlp", "textures-cnn", "springs-mlp", "spirals-resmlp")
def epoch_lines(recipe: Recipe) -> Recipe:
    per_epoch = 2000 // recipe.batch if "mlp" in recipe.task.name else 1200 // recipe.batch
    return recipe.but(steps=15 * per_epoch, log_every=1, eval_every=per_epoch, format="keras")


@healthy("blobs-mlp", "chars-transformer", "textures-cnn", "hf-bert", "hf-gpt2")
def accumulated_rightly(recipe: Recipe) -> Recipe:
    return recipe.but(accumulate=4, batch=recipe.batch // 4)


@healthy("chars-transformer", "textures-cnn", "springs-mlp")
def mlflow_store(recipe: Recipe) -> Recipe:
    return recipe.but(format="mlflow", log_every=10)


@healthy("blobs-mlp", "textures-cnn")
def memory_and_loader_logged(recipe: Recipe) -> Recipe:
    return recipe.but(log_memory=True, log_data_time=True, format="csv")


@healthy("blobs-mlp", "textures-cnn")
def noisy_labels(recipe: Recipe) -> Recipe:
    """A fifth of the labels is wrong in both splits: the loss ends high, and that is its floor."""

    def spoil(data, random):  # type: ignore[no-untyped-def]
        def noisy(targets: torch.Tensor) -> torch.Tensor:
            wrong = torch.rand(targets.shape, generator=random) < 0.2
            other = torch.randint(0, recipe.task.classes, targets.shape, generator=random)
            return torch.where(wrong, other, targets)

        return replace(data, targets=noisy(data.targets), eval_targets=noisy(data.eval_targets))

    return recipe.but(change_data=(spoil,), steps=300, lr=recipe.lr / 2)
