"""The tasks of the fifth sitting that bring a loop of their own."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.faults.fifth.tasks import NESTEROV, coasts, kites, mosaics
from benchmarks.faults.fit import Values, fit
from benchmarks.faults.recipe import Recipe, Schedule
from benchmarks.faults.task import Task
from benchmarks.faults.writers import Log

Loop = Callable[[Recipe, Log, torch.Generator], None]


def rows(count: int, size: int, random: torch.Generator) -> Tensor:
    return torch.randint(0, count, (size,), generator=random)


def detection_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """The sum of the parts; kept for its name, which the settings print."""
    return (outputs - targets).abs().mean()


def boats(random: torch.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Pictures of four by four cells: in each cell a boat or none, its kind, place and size."""
    there = torch.rand(count, 4, 4, generator=random) < 0.25
    kind = torch.randint(0, 3, (count, 4, 4), generator=random)
    box = torch.rand(count, 4, 4, 4, generator=random)
    images = 0.35 * torch.randn(count, 1, 20, 20, generator=random)
    place = torch.arange(20) / 5
    cell = place.long()
    inside = place - cell

    def along(centre: Tensor, size: Tensor, axis: int) -> Tensor:
        shape = (1, 20, 1) if axis == 1 else (1, 1, 20)
        far = (inside.view(shape) - centre).abs()
        return torch.sigmoid(14 * (0.2 + 0.3 * size - far))

    grown = [
        part.repeat_interleave(5, 1).repeat_interleave(5, 2)
        for part in (*box.unbind(-1), there, kind)
    ]
    top, left, high, wide, seen, shade = grown
    body = along(top, high, 1) * along(left, wide, 2) * seen
    images[:, 0] += body * (0.8 + 0.6 * shade)
    labels = torch.cat([there.float().unsqueeze(-1), kind.float().unsqueeze(-1), box], -1)
    return images, labels


def detector(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """One network names, places and measures what lies in each cell of a picture: three losses, weighed."""
    images, labels = boats(random, 1300)
    for change in recipe.change_data:
        images, labels = change((images, labels), random)  # type: ignore[arg-type, misc]
    model: nn.Module = nn.Sequential(
        nn.Conv2d(1, 12, 5, padding=2), nn.BatchNorm2d(12), nn.SiLU(),
        nn.Conv2d(12, 24, 5, stride=5), nn.SiLU(), nn.Conv2d(24, 8, 1),
    )  # fmt: skip
    for alter in recipe.change_model:
        model = alter(model) or model

    def parts(seen: Tensor, told: Tensor) -> dict[str, Tensor]:
        guess = model(seen).permute(0, 2, 3, 1)
        there = told[..., 0] > 0
        kind = F.cross_entropy(guess[there][:, 1:4], told[there][:, 1].long())
        return {
            "loss_obj": F.binary_cross_entropy_with_logits(guess[..., 0], told[..., 0]),
            "loss_cls": 0.5 * kind,
            "loss_box": 2 * F.smooth_l1_loss(guess[there][:, 4:], told[there][:, 2:].log()),
        }

    count = itertools.count(1)

    def step() -> tuple[Tensor, Values]:
        some = rows(len(images) - 200, recipe.batch, random)
        batch = images[some], labels[some]
        if recipe.change_batch:
            batch = recipe.change_batch(next(count), batch)
        terms = parts(*batch)
        return sum(terms.values()), {n: float(t.detach()) for n, t in terms.items()}  # type: ignore[return-value]

    def evaluate() -> Values:
        model.eval()
        terms = parts(images[-200:], labels[-200:])
        model.train()
        return {"loss": float(sum(terms.values()))}

    fit(recipe, log, model, step, evaluate)


def two_views(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """SimCLR: two noisy views of a mosaic find each other among all others of the batch."""
    images = mosaics(random, 1600).inputs
    model = nn.Sequential(
        nn.Conv2d(3, 16, 4, 4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(144, 64),
        nn.ReLU(),
        nn.Linear(64, 20),
    )
    itself = torch.eye(2 * recipe.batch, dtype=torch.bool)
    other = (torch.arange(2 * recipe.batch) + recipe.batch) % (2 * recipe.batch)

    def view(seen: Tensor) -> Tensor:
        light = 1 + 0.2 * torch.randn(len(seen), 3, 1, 1, generator=random)
        return light * seen + 0.4 * torch.randn(seen.shape, generator=random)

    def step() -> tuple[Tensor, Values]:
        seen = images[rows(len(images), recipe.batch, random)]
        out = F.normalize(model(torch.cat([view(seen), view(seen)])), dim=-1)
        scores = (out @ out.T / 0.2).masked_fill(itself, -1e9)
        right = (scores.argmax(-1) == other).float().mean()
        return F.cross_entropy(scores, other), {"top1": float(right)}

    fit(recipe, log, model, step)


def noise_guessed(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """DDPM on maps: the noise is guessed; evaluation is of a moving average of the weights."""
    data = coasts(random, 1500)
    maps, held = (part[:, :, ::2, ::2].flatten(1) for part in (data.inputs, data.eval_inputs))
    model: nn.Module = nn.Sequential(
        nn.Linear(64 + 8, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 64)
    )
    for change in recipe.change_model:
        model = change(model) or model
    slow = copy.deepcopy(model)
    kept = torch.linspace(1e-3, 0.12, 60).neg().exp().cumprod(0)
    waves = torch.arange(1, 5) * math.pi
    count = itertools.count(1)

    def loss(net: nn.Module, seen: Tensor) -> Tensor:
        level = rows(60, len(seen), random)
        share = kept[level][:, None]
        noise = torch.randn(seen.shape, generator=random)
        when = (level[:, None] + 0.5) / 60 * waves
        mixed = share.sqrt() * seen + (1 - share).sqrt() * noise
        return F.mse_loss(net(torch.cat([mixed, when.sin(), when.cos()], 1)), noise)

    def step() -> tuple[Tensor, Values]:
        with torch.no_grad():
            for old, new in zip(slow.parameters(), model.parameters(), strict=True):
                old.lerp_(new, 0.01)
        batch = maps[rows(len(maps), recipe.batch, random)], maps[:1]
        if recipe.change_batch:
            batch = recipe.change_batch(next(count), batch)
        return loss(model, batch[0]), {}

    fit(recipe, log, model, step, lambda: {"loss": float(loss(slow, held.repeat(4, 1)))})


class Replier(nn.Module):
    """The next token from the two before: enough to tell a good answer from a bad one."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(55, 20)
        self.body = nn.Sequential(nn.Linear(60, 64), nn.Tanh(), nn.Linear(64, 55))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        x = torch.cat([x[:, :1].expand(-1, x.shape[1] - 2, -1), x[:, :-2], x[:, 1:-1]], -1)
        scores = self.body(x).log_softmax(-1)
        return scores.gather(-1, tokens[:, 2:, None])[..., 0].sum(-1)


def preferred(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """DPO: of two answers the one that was liked gains on a frozen copy, the other one loses."""
    tokens = kites(random, 1500).inputs
    liked, other = tokens[:, :14], tokens[:, :14].clone()
    worn = torch.rand(other.shape, generator=random) < 0.2
    worn[:, :2] = False
    drawn = torch.randint(0, 48, other.shape, generator=random)
    other = torch.where(worn, drawn, other)
    swapped = torch.rand(len(liked), 1, generator=random) < 0.1
    liked, other = torch.where(swapped, other, liked), torch.where(swapped, liked, other)
    policy = Replier()
    optimizer = torch.optim.Adam(policy.parameters(), lr=5e-3)
    for _ in range(60):
        optimizer.zero_grad()
        (-policy(tokens[rows(len(tokens), 64, random)]).mean()).backward()
        optimizer.step()
    start = copy.deepcopy(policy).requires_grad_(False)
    beta = float(recipe.facts.get("beta", 0.3))
    count = itertools.count(1)

    def parts(first: Tensor, second: Tensor) -> tuple[Tensor, Values]:
        up = beta * (policy(first) - start(first))
        down = beta * (policy(second) - start(second))
        margin = up - down
        return -F.logsigmoid(margin).mean(), {
            "rewards/chosen": float(up.mean().detach()),
            "rewards/rejected": float(down.mean().detach()),
            "rewards/accuracies": float((margin > 0).float().mean()),
            "rewards/margins": float(margin.mean().detach()),
        }

    def step() -> tuple[Tensor, Values]:
        some = rows(1000, recipe.batch, random)
        pair = liked[some], other[some]
        if recipe.change_batch:
            pair = recipe.change_batch(next(count), pair)
        return parts(*pair)

    fit(recipe, log, policy, step, lambda: {"loss": float(parts(liked[1000:], other[1000:])[0])})


def locks(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """GRPO: four dials of six places are set at once for a lock that is described; a dial is paid alone.

    `recipe.change_batch` may change the rewards. A price of the divergence may stand among the facts.
    """
    policy = nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 24))
    start = copy.deepcopy(policy).requires_grad_(False)
    rule = torch.randn(12, 24, generator=random)
    price = float(recipe.facts.get("price", 0.02))
    count = itertools.count(1)

    def step() -> tuple[Tensor, Values]:
        lock = torch.randn(10, 12, generator=random).repeat_interleave(10, 0)
        now = policy(lock).view(-1, 4, 6).log_softmax(-1)
        before = start(lock).view(-1, 4, 6).log_softmax(-1)
        drawn = torch.multinomial(now.detach().exp().view(-1, 6), 1, generator=random).view(-1, 4)
        wanted = (lock @ rule).view(-1, 4, 6).argmax(-1)
        opened = (drawn == wanted).float().mean(1)
        if recipe.change_batch:
            drawn, opened = recipe.change_batch(next(count), (drawn, opened))
        groups = opened.view(-1, 10)
        spread = groups.std(1, keepdim=True)
        advantage = ((groups - groups.mean(1, keepdim=True)) / (spread + 1e-4)).view(-1, 1)
        chosen = now.gather(-1, drawn.unsqueeze(-1))[..., 0]
        kl = (now.exp() * (now - before)).sum((-1, -2)).mean()
        entropy = -(now.exp() * now).sum((-1, -2)).mean()
        loss = price * kl - (chosen * advantage).mean()
        return loss, {
            "reward": float(opened.mean()), "reward_std": float(spread.mean()),
            "kl": float(kl.detach()), "entropy": float(entropy.detach()),
            "frac_reward_zero_std": float((spread < 1e-6).float().mean()),
        }  # fmt: skip

    fit(recipe, log, policy, step)


def _task(
    name: str, loop: Loop, lr: float, steps: int, batch: int, *formats: str, kind: str = "other",
    **habits: object,
) -> Task:  # fmt: skip
    error = detection_loss if loop is detector else F.mse_loss
    return Task(
        name, kind, 1, coasts, nn.Module, lr, formats, steps, batch, loop=loop, error=error,
        habits={"eval_every": steps // 10, **habits},
    )  # fmt: skip


FLAT = Schedule("constant", 0.0)

SPECIAL = {
    task.name: task
    for task in (
        _task("boats-detector", detector, 0.05, 220, 16, "mmengine", "jsonl", "csv", kind="regression",
              optimizer=NESTEROV, log_every=4, clip=10.0, schedule=Schedule("step", 0.03),
              facts={"eval_count": 200}),
        _task("simclr-mosaic", two_views, 3e-3, 240, 40, "keyvalue", "tensorboard", log_every=3,
              schedule=Schedule("cosine", 0.1), clip=None),
        _task("ddpm-coast", noise_guessed, 2e-3, 700, 24, "jsonl", "nanogpt", "tensorboard",
              kind="regression", log_every=10, schedule=Schedule("constant", 0.03)),
        _task("dpo-replies", preferred, 1e-3, 220, 16, "dicts", "jsonl", log_every=5,
              schedule=Schedule("linear", 0.1), optimizer=torch.optim.RMSprop),
        _task("grpo-locks", locks, 5e-3, 320, 1, "dicts", "csv", "keyvalue", log_every=5,
              schedule=Schedule("linear", 0.0), clip=0.2),
    )
}  # fmt: skip
