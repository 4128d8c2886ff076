"""The fourth sitting's tasks whose loss is no plain classification, text or regression.

All of them let `recipe.change_batch` change what they learn from: inputs and targets, or actions and rewards.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.faults.fit import Values, fit
from benchmarks.faults.fourth.tasks import rivers
from benchmarks.faults.recipe import Batch, Recipe, Schedule
from benchmarks.faults.task import Task
from benchmarks.faults.writers import Log

Loop = Callable[[Recipe, Log, torch.Generator], None]


def layers(*sizes: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        parts += [nn.Linear(inputs, outputs), nn.SiLU()]
    return nn.Sequential(*parts[:-1])


def batches(recipe: Recipe, given: Batch, random: torch.Generator) -> Callable[[], Batch]:
    """Return what draws the next batch, as the recipe changes it."""
    count = itertools.count(1)

    def draw() -> Batch:
        rows = torch.randint(0, len(given[0]), (recipe.batch,), generator=random)
        batch = given[0][rows], given[1][rows]
        return recipe.change_batch(next(count), batch) if recipe.change_batch else batch

    return draw


def scents(random: torch.Generator, count: int = 2000) -> Batch:
    """What a nose measures, and five words about it, each one of eight."""
    hidden = torch.randn(count, 5, generator=random)
    measured = (1.5 * hidden @ torch.randn(5, 24, generator=random)).tanh()
    words = ((hidden + 0.15 * torch.randn(count, 5, generator=random)) * 1.6 + 4).long().clamp(0, 7)
    return measured + 0.2 * torch.randn(count, 24, generator=random), words + 8 * torch.arange(5)


class TwoTowers(nn.Module):
    """A tower for measurements and one for words, and how sharply they are told apart."""

    def __init__(self) -> None:
        super().__init__()
        self.nose, self.words = layers(24, 64, 20), nn.EmbeddingBag(40, 48)
        self.mouth = layers(48, 48, 20)
        self.sharp = nn.Parameter(torch.tensor(math.log(8.0)))

    def forward(self, measured: Tensor, words: Tensor) -> Tensor:
        first = F.normalize(self.nose(measured), dim=-1)
        second = F.normalize(self.mouth(self.words(words)), dim=-1)
        scores = self.sharp.exp().clamp(max=100) * first @ second.T
        own = torch.arange(len(words))
        return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2


def measured_and_told(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """CLIP: of forty pairs each half finds the other; begins near the log of forty."""
    inputs, words = scents(random)
    held = inputs[-recipe.batch :], words[-recipe.batch :]
    model = TwoTowers()
    draw = batches(recipe, (inputs[:-200], words[:-200]), random)

    def step() -> tuple[Tensor, Values]:
        loss = model(*draw())
        return loss, {"logit_scale": float(model.sharp.detach().exp())}

    fit(recipe, log, model, step, lambda: {"loss": float(model(*held))})


def moths(random: torch.Generator, count: int = 1700) -> Tensor:
    """Black and white wings of eleven by ten, the left one the mirror of the right."""
    rows, columns = torch.meshgrid(torch.arange(11.0), torch.arange(5.0), indexing="ij")
    size = 2 + 3 * torch.rand(count, 4, 1, 1, generator=random)
    upper = ((rows - 3) / size[:, 0] * 1.4) ** 2 + (columns / size[:, 1]) ** 2 < 1
    lower = ((rows - 8) / size[:, 2] * 1.8) ** 2 + (columns / size[:, 3]) ** 2 < 1
    wing = (upper | lower).float()
    image = torch.cat([wing.flip(2), wing], 2).flatten(1)
    spots = torch.rand(image.shape, generator=random) < 0.03
    return torch.where(spots, 1 - image, image)


def pale_moths(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """A VAE of black and white pixels, summed over a picture; what the middle costs counts twice."""
    images = moths(random)
    model = nn.ModuleDict({"encode": layers(110, 64, 12), "decode": layers(6, 64, 110)})
    draw = batches(recipe, (images[:-250], images[:-250]), random)

    def parts(given: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        mean, spread = model["encode"](given).chunk(2, -1)
        hidden = mean + torch.randn(mean.shape, generator=random) * (spread / 2).exp()
        guess = model["decode"](hidden)
        rebuilt = F.binary_cross_entropy_with_logits(guess, wanted, reduction="none").sum(1).mean()
        return rebuilt, 0.5 * (mean**2 + spread.exp() - 1 - spread).sum(1).mean()

    def step() -> tuple[Tensor, Values]:
        rebuilt, kl = parts(*draw())
        named = {"recon_loss": float(rebuilt.detach()), "kl_loss": float(kl.detach())}
        return rebuilt + 2 * kl, named

    def evaluate() -> Values:
        rebuilt, kl = parts(images[-250:], images[-250:])
        return {"loss": float(rebuilt + 2 * kl)}

    fit(recipe, log, model, step, evaluate)


class Maze:
    """Twenty-four walkers on boards of five by five, each with a goal of its own; a step costs a little."""

    def __init__(self, random: torch.Generator) -> None:
        self.random = random
        self.place = self.somewhere(24)
        self.goal, self.age = self.somewhere(24), torch.zeros(24)
        self.moves = torch.tensor([[0, 1], [0, -1], [1, 0], [-1, 0]])

    def somewhere(self, count: int) -> Tensor:
        return torch.randint(0, 5, (count, 2), generator=self.random)

    def seen(self) -> Tensor:
        return torch.cat([self.place, self.goal], 1) / 2.0 - 1

    def go(self, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each walker is paid, and who began anew."""
        self.place = (self.place + self.moves[action]).clamp(0, 4)
        self.age += 1
        there = (self.place == self.goal).all(1)
        over = there | (self.age >= 30)
        paid = torch.where(there, 1.0, -0.03)
        self.place = torch.where(over[:, None], self.somewhere(24), self.place)
        self.goal = torch.where(over[:, None], self.somewhere(24), self.goal)
        self.age = torch.where(over, 0.0, self.age)
        return paid, over


def walkers(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """A2C over rollouts of five steps: the errors of the critic are no measure of what is learned."""
    model = nn.ModuleDict({"actor": layers(4, 48, 4), "critic": layers(4, 48, 1)})
    maze, count = Maze(random), itertools.count(1)
    lately = [0.0]

    def roll() -> tuple[Tensor, Tensor, Tensor]:
        seen, chosen, paid, over = [], [], [], []
        with torch.no_grad():
            for _ in range(5):
                seen.append(maze.seen())
                p = model["actor"](seen[-1]).softmax(-1)
                chosen.append(torch.multinomial(p, 1, generator=random)[:, 0])
                reward, ended = maze.go(chosen[-1])
                if recipe.change_batch:
                    _, reward = recipe.change_batch(next(count), (chosen[-1], reward))
                paid.append(reward)
                over.append(ended)
            later = model["critic"](maze.seen())[:, 0]
            returns: list[Tensor] = []
            for reward, ended in zip(reversed(paid), reversed(over), strict=True):
                later = reward + 0.97 * later * ~ended
                returns.insert(0, later)
        lately.append(float(torch.stack(paid).mean()))
        return torch.cat(seen), torch.cat(chosen), torch.cat(returns)

    def step() -> tuple[Tensor, Values]:
        seen, chosen, returns = roll()
        log_p = model["actor"](seen).log_softmax(-1)
        value = model["critic"](seen)[:, 0]
        advantage = (returns - value).detach()
        policy = -(log_p.gather(1, chosen[:, None])[:, 0] * advantage).mean()
        entropy = -(log_p.exp() * log_p).sum(1).mean()
        wrong = F.mse_loss(value, returns)
        return policy + 0.5 * wrong - 0.01 * entropy, {
            "policy_loss": float(policy.detach()), "value_loss": float(wrong.detach()),
            "entropy": float(entropy.detach()), "reward": sum(lately[-50:]) / len(lately[-50:]),
        }  # fmt: skip

    fit(recipe, log, model, step)


def cards(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """GRPO: one of six cards is played to a table; the one that a hidden rule likes best is paid."""
    policy = layers(9, 32, 1)
    start = copy.deepcopy(policy)
    table, hand = torch.randn(4, 5, generator=random), itertools.count(1)

    def step() -> tuple[Tensor, Values]:
        lies = torch.randn(9, 1, 4, generator=random).expand(-1, 6, -1)
        held = torch.randn(9, 6, 5, generator=random)
        seen = torch.cat([lies, held], -1)
        right = torch.einsum("bcl,lk,bck->bc", lies, table, held).argmax(1)
        log_p = policy(seen)[..., 0].log_softmax(-1)
        played = torch.multinomial(log_p.detach().exp(), 7, replacement=True, generator=random)
        rewards = (played == right[:, None]).float()
        if recipe.change_batch:
            played, rewards = recipe.change_batch(next(hand), (played, rewards))
        spread = rewards.std(1, keepdim=True)
        advantage = (rewards - rewards.mean(1, keepdim=True)) / (spread + 1e-4)
        with torch.no_grad():
            first = start(seen)[..., 0].log_softmax(-1)
        kl = (log_p.exp() * (log_p - first)).sum(1).mean()
        entropy = -(log_p.exp() * log_p).sum(1).mean()
        return 0.02 * kl - (log_p.gather(1, played) * advantage).mean(), {
            "reward": float(rewards.mean()), "reward_std": float(spread.mean()),
            "kl": float(kl.detach()), "entropy": float(entropy.detach()),
        }  # fmt: skip

    fit(recipe, log, policy, step)


def three_questions(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """Tomorrow's flow, whether it rains hard and how warm it is, each weighed by its noise."""
    data = rivers(random, 2400)
    flat, held = data.inputs.flatten(1), data.eval_inputs.flatten(1)
    model = nn.ModuleDict({"body": layers(42, 56, 40), "heads": nn.Linear(40, 3)})
    model.register_parameter("noise", nn.Parameter(torch.zeros(3)))
    draw = batches(recipe, (flat, data.targets), random)

    def parts(inputs: Tensor, flow: Tensor) -> Tensor:
        guess = model["heads"](model["body"](inputs))
        warm, rain = inputs[:, 1::3].mean(1), inputs[:, 0::3].sum(1)
        return torch.stack([
            F.mse_loss(guess[:, 0], flow),
            F.binary_cross_entropy_with_logits(guess[:, 1], (rain > 0.3).float()),
            F.mse_loss(guess[:, 2], warm * flow),
        ])  # fmt: skip

    def whole(terms: Tensor) -> Tensor:
        noise = model.get_parameter("noise")
        return ((-noise).exp() * terms + noise / 2).sum()

    def step() -> tuple[Tensor, Values]:
        terms = parts(*draw())
        named = zip(("flow_loss", "rain_loss", "warm_loss"), terms.detach().tolist(), strict=True)
        return whole(terms), dict(named)

    fit(recipe, log, model, step, lambda: {"loss": float(whole(parts(held, data.eval_targets)))})


def _task(
    name: str,
    loop: Loop,
    lr: float,
    steps: int,
    batch: int,
    log_every: int,
    *formats: str,
    **habits: object,
) -> Task:
    return Task(
        name, "other", 1, rivers, nn.Module, lr, formats, steps, batch, loop=loop,
        habits={"log_every": log_every, "eval_every": steps // 10, **habits},
    )  # fmt: skip


FLAT = Schedule("constant", 0.0)

SPECIAL = {
    task.name: task
    for task in (
        _task("clip-scents", measured_and_told, 2e-3, 600, 40, 5, "jsonl", "dicts", "csv",
              schedule=Schedule("cosine", 0.1)),
        _task("vae-moths", pale_moths, 2e-3, 800, 50, 20, "tensorboard", "keyvalue", clip=10.0,
              schedule=FLAT, optimizer=torch.optim.Adam),
        _task("a2c-maze", walkers, 3e-3, 600, 120, 6, "csv", "jsonl", clip=0.5, schedule=FLAT,
              optimizer=torch.optim.RMSprop),
        _task("grpo-cards", cards, 3e-3, 700, 63, 7, "dicts", "keyvalue", "jsonl", clip=1.0,
              schedule=Schedule("linear", 0.03)),
        _task("three-questions", three_questions, 2e-3, 900, 32, 9, "keyvalue", "csv", clip=None,
              schedule=Schedule("step", 0.0)),
    )
}  # fmt: skip
