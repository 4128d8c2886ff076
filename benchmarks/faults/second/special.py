"""More tasks whose loss is no plain classification, text or regression."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.faults.first.tasks import mlp
from benchmarks.faults.fit import Values, fit
from benchmarks.faults.recipe import Recipe, Schedule
from benchmarks.faults.second.tasks import glyphs, loads, prices, seasons
from benchmarks.faults.task import Splits, Task
from benchmarks.faults.writers import Log


def some(data: Splits, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    rows = torch.randint(0, len(data.inputs), (count,), generator=random)
    return data.inputs[rows], data.targets[rows]


def leave_one_out(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """RLOO: a policy puts the larger of two numbers first; four tries, each measured by the others.

    `recipe.change_batch` may change the rewards.
    """
    policy = mlp(6, 6, 40, 2)
    start = copy.deepcopy(policy)
    count = itertools.count(1)

    def step() -> tuple[Tensor, Values]:
        inputs = torch.randn(20, 6, generator=random).repeat_interleave(4, 0)
        with torch.no_grad():
            scores = policy(inputs).softmax(-1)
            actions = torch.multinomial(scores, 1, generator=random)
        rewards = (inputs.gather(1, actions) > 0.8).float().squeeze(1)
        if recipe.change_batch:
            actions, rewards = recipe.change_batch(next(count), (actions, rewards))
        log_p = policy(inputs).log_softmax(-1)
        chosen = log_p.gather(1, actions).squeeze(1)
        with torch.no_grad():
            behind = start(inputs).log_softmax(-1).gather(1, actions).squeeze(1)
            kl = chosen - behind
        tries = rewards.view(-1, 4)
        paid = (rewards - 0.02 * kl).view(-1, 4)  # the distance from the start is paid for
        advantage = ((4 * paid - paid.sum(1, keepdim=True)) / 3).flatten()
        loss = -(chosen * advantage).mean()
        return loss, {
            "reward": float(rewards.mean()), "reward_std": float(tries.std(1).mean()),
            "kl": float(kl.mean()),
        }  # fmt: skip

    fit(recipe, log, policy, step)


def proximal(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """PPO on a cart that is pushed towards the middle: a clipped ratio, a critic and an entropy bonus."""
    model = nn.ModuleDict({"actor": mlp(2, 3, 32, 1), "critic": mlp(2, 1, 32, 1)})
    place = torch.randn(32, 2, generator=random)
    rollout: list[tuple[Tensor, ...]] = []

    def collect() -> None:
        nonlocal place
        with torch.no_grad():
            log_p = model["actor"](place).log_softmax(-1)
            actions = torch.multinomial(log_p.exp(), 1, generator=random)
            speed = place[:, 1] + 0.3 * (actions.squeeze(1) - 1)
            moved = torch.stack([place[:, 0] + 0.3 * speed, 0.9 * speed], 1)
            moved = moved + 0.05 * torch.randn(32, 2, generator=random)
            rewards = -moved[:, 0].abs()
            gained = rewards + 0.9 * model["critic"](moved).squeeze(1)
            rollout[:] = [(place, actions, log_p.gather(1, actions), rewards, gained)]
        lost = moved[:, :1].abs() > 4
        place = torch.where(lost, torch.randn(32, 2, generator=random), moved)

    def step() -> tuple[Tensor, Values]:
        collect()
        seen, actions, before, rewards, gained = rollout[0]
        values = model["critic"](seen).squeeze(1)
        advantage = (gained - values).detach()
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        log_p = model["actor"](seen).log_softmax(-1)
        ratio = (log_p.gather(1, actions) - before).exp().squeeze(1)
        policy = -torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
        value = F.mse_loss(values, gained)
        entropy = -(log_p.exp() * log_p).sum(-1).mean()
        return policy + 0.5 * value - 0.01 * entropy, {
            "policy_loss": float(policy.detach()), "value_loss": float(value.detach()),
            "entropy": float(entropy.detach()), "reward": float(rewards.mean()),
        }  # fmt: skip

    fit(recipe, log, model, step)


def deep_q(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """Q-learning on a walk: the error rises while the values grow to their size."""
    model, target = mlp(5, 4, 48), mlp(5, 4, 48)
    target.load_state_dict(model.state_dict())
    rule = torch.randn(4, 5, 5, generator=random) / 3
    count = itertools.count(1)

    def step() -> tuple[Tensor, Values]:
        if next(count) % 60 == 0:
            target.load_state_dict(model.state_dict())
        seen = torch.randn(48, 5, generator=random)
        actions = torch.randint(0, 4, (48,), generator=random)
        after = torch.einsum("bij,bj->bi", rule[actions], seen).tanh()
        rewards = 1 + after[:, 0]
        with torch.no_grad():
            goal = rewards + 0.95 * target(after).max(-1).values
        value = model(seen).gather(1, actions[:, None]).squeeze(1)
        return F.smooth_l1_loss(value, goal), {"q_mean": float(value.mean().detach())}

    fit(recipe, log, model, step)


def wasserstein(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """The critic of a WGAN with a gradient penalty, whose generator learns beside it: below zero is right."""
    critic, generator = mlp(2, 1), mlp(3, 2)
    other = torch.optim.Adam(generator.parameters(), lr=recipe.lr / 3, betas=(0.5, 0.9))

    def step() -> tuple[Tensor, Values]:
        angle = 6.28 * torch.rand(48, 1, generator=random)
        real = 2 * torch.cat([angle.cos(), 0.5 * angle.sin()], 1)
        noise = torch.randn(48, 3, generator=random)
        other.zero_grad()
        fooled = -critic(generator(noise)).mean()
        fooled.backward()
        other.step()
        fake = generator(noise).detach()
        share = torch.rand(48, 1, generator=random)
        between = (share * real + (1 - share) * fake).requires_grad_()
        slope = torch.autograd.grad(critic(between).sum(), between, create_graph=True)[0]
        penalty = 10 * ((slope.norm(dim=1) - 1) ** 2).mean()
        distance = critic(real).mean() - critic(fake).mean()
        return penalty - distance, {
            "gp": float(penalty.detach()), "g_loss": float(fooled.detach()),
        }  # fmt: skip

    fit(recipe, log, critic, step)


def annealed(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """A VAE whose KL term is faded in over the first half: the loss rises while its weight does."""
    data = glyphs(random, 2000)
    model = nn.ModuleDict({"encode": mlp(81, 12), "decode": mlp(6, 81)})
    count = itertools.count(1)

    def parts(inputs: Tensor) -> tuple[Tensor, Tensor]:
        mean, spread = model["encode"](inputs.flatten(1)).chunk(2, -1)
        hidden = mean + torch.randn(mean.shape, generator=random) * (spread / 2).exp()
        rebuilt = F.mse_loss(model["decode"](hidden), inputs.flatten(1), reduction="none").sum(-1)
        return rebuilt.mean(), 0.5 * (mean**2 + spread.exp() - 1 - spread).sum(-1).mean()

    def step() -> tuple[Tensor, Values]:
        beta = min(next(count) / (recipe.steps / 2), 1.0)
        rebuilt, kl = parts(some(data, 48, random)[0])
        return rebuilt + beta * kl, {
            "recon_loss": float(rebuilt.detach()), "kl_loss": float(kl.detach()), "beta": beta,
        }  # fmt: skip

    fit(recipe, log, model, step)


def supervised_contrast(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """Rows of one class attract each other in a batch: the floor is far above zero."""
    data = glyphs(random, 3000)
    model = mlp(81, 24, 96)

    def loss(inputs: Tensor, targets: Tensor) -> Tensor:
        places = F.normalize(model(inputs.flatten(1)), dim=-1)
        same = (targets[:, None] == targets).float() - torch.eye(len(targets))
        scores = (places @ places.T / 0.1).masked_fill(torch.eye(len(targets)).bool(), -1e9)
        gained = (scores.log_softmax(-1) * same).sum(1) / same.sum(1).clamp(min=1)
        return -gained[same.sum(1) > 0].mean()

    def step() -> tuple[Tensor, Values]:
        return loss(*some(data, 120, random)), {}

    fit(recipe, log, model, step, lambda: {"loss": float(loss(data.eval_inputs[:120],
                                                              data.eval_targets[:120]))})  # fmt: skip


def flow(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """Coupling layers that turn two moons into a bell: nats, which go below zero."""
    model = nn.ModuleList(mlp(1, 2, 32) for _ in range(6))

    def step() -> tuple[Tensor, Values]:
        angle = 3.14 * torch.rand(96, generator=random)
        lower = torch.rand(96, generator=random) < 0.5
        x = torch.stack([angle.cos() + 0.5 * lower, angle.sin() * (1 - 2 * lower.float())], 1)
        x = 0.3 * (x + 0.05 * torch.randn(96, 2, generator=random))
        volume = torch.zeros(96)
        for layer in model:
            kept, moved = x[:, :1], x[:, 1:]
            scale, shift = layer(kept).chunk(2, -1)
            x = torch.cat([moved * scale.tanh().exp() + shift, kept], 1)
            volume = volume + scale.tanh().squeeze(1)
        return (0.5 * (x**2).sum(1) + math.log(2 * math.pi) - volume).mean(), {}

    fit(recipe, log, model, step)


def quantiles(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """The ninth decile of a price whose noise has heavy tails."""
    data = prices(random)
    model = mlp(8, 1, 48)

    def loss(inputs: Tensor, targets: Tensor) -> Tensor:
        short = targets - model(inputs).squeeze(-1)
        return torch.maximum(0.9 * short, -0.1 * short).mean()

    def step() -> tuple[Tensor, Values]:
        return loss(*some(data, 12, random)), {}

    def evaluate() -> Values:
        return {"loss": float(loss(data.eval_inputs, data.eval_targets))}

    fit(recipe, log, model, step, evaluate)


def hinted(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """A student learns from labels and from a teacher's hidden values: two losses of different size."""
    data = seasons(random)
    flat = data.inputs.flatten(1)
    teacher = nn.Sequential(nn.Linear(192, 24), nn.Tanh())
    model = nn.ModuleDict({"body": nn.Sequential(nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, 24)),
                           "head": nn.Linear(24, 3)})  # fmt: skip

    def step() -> tuple[Tensor, Values]:
        rows = torch.randint(0, len(flat), (32,), generator=random)
        with torch.no_grad():
            wanted = teacher(flat[rows])
        hidden = model["body"](flat[rows])
        hint = 5 * F.mse_loss(hidden, wanted)
        label = F.cross_entropy(model["head"](hidden), data.targets[rows])
        return hint + label, {"hint_loss": float(hint.detach()), "ce_loss": float(label.detach())}

    fit(recipe, log, model, step)


def masked_series(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """Half of a series is hidden and guessed: only the hidden half counts."""
    series = loads(random, 1600).inputs.squeeze(-1)
    model = mlp(60, 30, 80)

    def step() -> tuple[Tensor, Values]:
        rows = series[torch.randint(0, len(series), (28,), generator=random)]
        hidden = (torch.rand(rows.shape, generator=random) < 0.5).float()
        guess = model(torch.cat([rows * (1 - hidden), hidden], 1))
        return ((guess - rows) ** 2 * hidden).sum() / hidden.sum(), {}

    fit(recipe, log, model, step)


def word_vectors(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """Skip-gram with five drawn words: a few pairs a step, so the loss is mostly noise."""
    model = nn.ModuleList(nn.Embedding(300, 16) for _ in range(2))
    for part in model:
        nn.init.uniform_(part.weight, -0.5 / 16, 0.5 / 16)
    near = torch.randint(0, 300, (300, 8), generator=random)

    def step() -> tuple[Tensor, Values]:
        word = torch.randint(0, 300, (10,), generator=random)
        beside = near[word, torch.randint(0, 8, (10,), generator=random)]
        drawn = torch.randint(0, 300, (10, 5), generator=random)
        place = model[0](word)
        good = F.logsigmoid((place * model[1](beside)).sum(-1))
        bad = F.logsigmoid(-(model[1](drawn) * place[:, None]).sum(-1)).sum(-1)
        return -(good + bad).mean(), {}

    fit(recipe, log, model, step)


def siamese(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """Two views of a row, no negatives: the loss is a cosine and goes from 0 towards -1."""
    data = seasons(random)
    model = nn.ModuleDict({
        "encode": nn.Sequential(nn.Linear(192, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 32),
                                nn.BatchNorm1d(32)),
        "guess": nn.Sequential(nn.Linear(32, 12), nn.ReLU(), nn.Linear(12, 32)),
    })  # fmt: skip

    def step() -> tuple[Tensor, Values]:
        rows = some(data, 40, random)[0].flatten(1)
        views = [model["encode"](rows + 0.4 * torch.randn(rows.shape, generator=random))
                 for _ in range(2)]  # fmt: skip
        first, second = (
            F.cosine_similarity(model["guess"](a), b.detach(), dim=-1).mean()
            for a, b in (views, reversed(views))
        )
        return -(first + second) / 2, {}

    fit(recipe, log, model, step)


def _task(
    name: str, loop: Callable[[Recipe, Log, torch.Generator], None], lr: float, steps: int, log_every: int,
    *formats: str, **habits: object,
) -> Task:  # fmt: skip
    return Task(
        name, "other", 1, prices, nn.Module, lr, formats, steps, loop=loop,
        habits={"log_every": log_every, "eval_every": steps // 9, **habits},
    )  # fmt: skip


_ADAM = partial(torch.optim.Adam, betas=(0.5, 0.9))
_FLAT = Schedule("constant", 0.0)

SPECIAL = {
    task.name: task
    for task in (
        _task("rloo-pick", leave_one_out, 3e-3, 500, 4, "jsonl", "csv", "dicts",
              schedule=_FLAT),
        _task("ppo-cart", proximal, 1e-3, 700, 7, "keyvalue", "tensorboard", clip=0.5),
        _task("dqn-walk", deep_q, 1e-3, 1500, 15, "tensorboard", "jsonl",
              clip=10.0, schedule=_FLAT),
        _task("wgan-moon", wasserstein, 1e-3, 900, 6, "keyvalue", "csv", clip=None,
              optimizer=_ADAM, schedule=_FLAT),
        _task("vae-annealed", annealed, 3e-3, 800, 8, "jsonl", "tensorboard"),
        _task("supcon", supervised_contrast, 1e-3, 400, 2, "nanogpt", "keyvalue"),
        _task("flow-moons", flow, 2e-3, 600, 5, "jsonl", "dicts"),
        _task("quantile-mlp", quantiles, 2e-3, 2000, 4, "csv", "keyvalue", clip=None),
        _task("hinted-student", hinted, 2e-3, 450, 9, "keyvalue", "jsonl"),
        _task("masked-series", masked_series, 3e-3, 700, 3, "tensorboard", "nanogpt"),
        _task("word-vectors", word_vectors, 3e-2, 3000, 20, "nanogpt", "keyvalue", clip=None,
              schedule=Schedule("linear", 0.0)),
        _task("simsiam", siamese, 2e-3, 480, 3, "mmengine", "csv"),
    )
}  # fmt: skip
