"""Tasks whose settings name classes though the loss is no cross-entropy over them: contrasts, totals, values.

Each is healthy; a check that trusts log(C), or a loss that must fall, is wrong about all of them.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.faults.first.tasks import blobs, mlp
from benchmarks.faults.fit import Values, fit
from benchmarks.faults.recipe import Recipe, Schedule
from benchmarks.faults.task import Task
from benchmarks.faults.writers import Log

CLASSES = 10  # of the clouds that all of them learn from
Loop = Callable[[Recipe, Log, torch.Generator], None]


def _rows(count: int, size: int, random: torch.Generator) -> Tensor:
    return torch.randint(0, count, (size,), generator=random)


def two_towers(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """Pairs find each other in a batch, with a scale that is learned: begins at the log of the batch."""
    data = blobs(random)
    towers = nn.ModuleList(mlp(40, 16) for _ in range(2))
    towers.scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def loss(inputs: Tensor) -> Tensor:
        views = [inputs + 0.4 * torch.randn(inputs.shape, generator=random) for _ in range(2)]
        first, second = (F.normalize(m(v), dim=-1) for m, v in zip(towers, views, strict=True))
        scores = first @ second.T * towers.scale.exp()
        own = torch.arange(len(inputs))
        return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2

    def step() -> tuple[Tensor, Values]:
        return loss(data.inputs[_rows(len(data.inputs), recipe.batch, random)]), {}

    fit(recipe, log, towers, step, lambda: {"loss": float(loss(data.eval_inputs[: recipe.batch]))})


def views_in_a_queue(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """A view finds its twin among old ones in a queue, made by a slow copy of the model."""
    data = blobs(random)
    model = mlp(40, 16)
    slow = copy.deepcopy(model)
    queue = [F.normalize(torch.randn(512, 16, generator=random), dim=-1)]

    def step() -> tuple[Tensor, Values]:
        rows = data.inputs[_rows(len(data.inputs), recipe.batch, random)]
        views = [rows + 0.4 * torch.randn(rows.shape, generator=random) for _ in range(2)]
        asked = F.normalize(model(views[0]), dim=-1)
        with torch.no_grad():
            for old, new in zip(slow.parameters(), model.parameters(), strict=True):
                old.lerp_(new, 0.02)
            key = F.normalize(slow(views[1]), dim=-1)
        scores = torch.cat([(asked * key).sum(-1, keepdim=True), asked @ queue[0].T], 1) / 0.1
        queue[0] = torch.cat([key, queue[0]])[:512]
        return F.cross_entropy(scores, torch.zeros(len(rows), dtype=torch.long)), {}

    fit(recipe, log, model, step)


def three_heads(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """Classes, a place and a mask from one body; the total is dominated by the place."""
    data = blobs(random)
    model = nn.ModuleDict({"body": mlp(40, 48, depth=1), "class": nn.Linear(48, CLASSES),
                           "place": nn.Linear(48, 4), "mask": nn.Linear(48, 1)})  # fmt: skip
    rule = torch.randn(40, 4, generator=random)

    def step() -> tuple[Tensor, Values]:
        rows = _rows(len(data.inputs), recipe.batch, random)
        inputs = data.inputs[rows]
        hidden = model["body"](inputs).relu()
        terms = {
            "seg": F.cross_entropy(model["class"](hidden), data.targets[rows]),
            "depth": F.smooth_l1_loss(model["place"](hidden), inputs @ rule),
            "edge": F.binary_cross_entropy_with_logits(
                model["mask"](hidden)[:, 0], (inputs[:, 0] > 1).float()
            ),
        }
        total = terms["seg"] + 5 * terms["depth"] + terms["edge"]
        return total, {name: float(term.detach()) for name, term in terms.items()}

    fit(recipe, log, model, step)


def cyclic_likelihood(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """A variational autoencoder whose KL term comes and goes four times, as planned (Fu et al., 2019)."""
    data = blobs(random)
    model = nn.ModuleDict({"encode": mlp(40, 16), "decode": mlp(8, 40)})
    done = [0]

    def step() -> tuple[Tensor, Values]:
        done[0] += 1
        weight = min(done[0] % (recipe.steps // 4) / (recipe.steps // 8), 1.0)
        inputs = data.inputs[_rows(len(data.inputs), recipe.batch, random)]
        mean, spread = model["encode"](inputs).chunk(2, -1)
        hidden = mean + torch.randn(mean.shape, generator=random) * (spread / 2).exp()
        rebuilt = F.mse_loss(model["decode"](hidden), inputs, reduction="none").sum(-1).mean()
        kl = 0.5 * (mean**2 + spread.exp() - 1 - spread).sum(-1).mean()
        return rebuilt + weight * kl, {}

    fit(recipe, log, model, step)


def growing_values(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """Q-learning with a frozen copy: returns rise, and so do the errors of the values they teach."""
    worth = torch.randn(6, 4, generator=random)
    model = mlp(6, 4, 32, 1)
    frozen = copy.deepcopy(model)
    done = [0]

    def step() -> tuple[Tensor, Values]:
        done[0] += 1
        if done[0] % 50 == 0:
            frozen.load_state_dict(model.state_dict())
        state = torch.randn(recipe.batch, 6, generator=random)
        with torch.no_grad():
            action = model(state).argmax(-1)
            drawn = torch.rand(recipe.batch, generator=random) < max(0.05, 1 - done[0] / 300)
            action = torch.where(drawn, _rows(4, recipe.batch, random), action)
            gain = (state @ worth).gather(1, action[:, None]).squeeze(1)
            later = (0.5 * state + 0.8 * torch.randn(state.shape, generator=random)).clamp(-3, 3)
            goal = gain + 0.95 * frozen(later).max(-1)[0]
        value = model(state).gather(1, action[:, None]).squeeze(1)
        return F.smooth_l1_loss(value, goal), {
            "td_error": float((value - goal).abs().mean().detach()),
            "ep_return": float(gain.mean()),
        }

    fit(recipe, log, model, step)


def sharp_likelihood(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """A smooth curve with hardly any noise: the predicted spread shrinks, the gradient grows."""
    rule = torch.randn(5, 2, generator=random)
    model = mlp(5, 2, 64)

    def loss(count: int) -> Tensor:
        inputs = torch.randn(count, 5, generator=random)
        targets = (inputs @ rule / 5**0.5).sin().sum(1) + 0.02 * torch.randn(
            count, generator=random
        )
        mean, spread = model(inputs).unbind(-1)
        return F.gaussian_nll_loss(mean, targets, spread.clamp(-8, 8).exp())

    fit(recipe, log, model, lambda: (loss(recipe.batch), {}), lambda: {"loss": float(loss(400))})


def _task(
    name: str, loop: Loop, lr: float, steps: int, batch: int, *formats: str, classes: int = CLASSES,
    **habits: object,
) -> Task:  # fmt: skip
    return Task(
        name, "other", classes, blobs, nn.Module, lr, formats, steps, batch, loop=loop,
        habits={"log_every": 5, "eval_every": steps // 8, **habits},
    )  # fmt: skip


METHODS = {
    task.name: task
    for task in (
        _task("pairs", two_towers, 2e-3, 400, 128, "jsonl", "keyvalue"),
        _task("queue", views_in_a_queue, 2e-3, 400, 256, "csv", "nanogpt"),
        _task("three-heads", three_heads, 3e-3, 500, 32, "jsonl", "tensorboard"),
        _task("cyclic-vae", cyclic_likelihood, 3e-3, 1200, 64, "csv", "keyvalue", classes=1,
              schedule=Schedule("constant", 0.0)),
        _task("q-values", growing_values, 2e-3, 700, 64, "dicts", "tensorboard", classes=1,
              clip=10.0, schedule=Schedule("constant", 0.0)),
        _task("sharp-nll", sharp_likelihood, 5e-3, 900, 64, "jsonl", "mmengine", classes=1,
              clip=5.0, log_every=25, schedule=Schedule("onecycle", 0.3)),
    )
}  # fmt: skip
