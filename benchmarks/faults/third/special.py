"""The third sitting's tasks whose loss is no plain classification, text or regression."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.faults.fit import Values, fit
from benchmarks.faults.recipe import Recipe, Schedule
from benchmarks.faults.task import Task
from benchmarks.faults.third.models import GRUTagger, bag_of_words, tabular
from benchmarks.faults.third.tasks import articles, leaves, molecules, notes, spectra, wells
from benchmarks.faults.writers import Log

Loop = Callable[[Recipe, Log, torch.Generator], None]


def two_layers(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, outputs))


def rows(count: int, size: int, random: torch.Generator) -> Tensor:
    return torch.randint(0, count, (size,), generator=random)


class Speller(nn.Module):
    """Three letters, one after the other, each from the prompt and the letter before."""

    def __init__(self, letters: int = 10) -> None:
        super().__init__()
        self.letters = letters
        self.body = two_layers(6 + 2 * letters, 40, letters)
        with torch.no_grad():
            self.body[2].weight.mul_(6)  # it has habits, as a pretrained model has

    def scores(self, prompt: Tensor, before: Tensor, place: int) -> Tensor:
        told = F.one_hot(before, self.letters).float()
        where = F.one_hot(torch.full_like(before, place), self.letters).float()
        return self.body(torch.cat([prompt, told, where], 1)).log_softmax(-1)

    def log_p(self, prompt: Tensor, word: Tensor) -> Tensor:
        before = torch.cat([torch.zeros_like(word[:, :1]), word[:, :-1]], 1)
        places = range(word.shape[1])
        parts = [self.scores(prompt, before[:, n], n) for n in places]
        return torch.stack([p.gather(1, word[:, n, None])[:, 0] for n, p in enumerate(parts)], 1)

    @torch.no_grad()
    def say(self, prompt: Tensor, random: torch.Generator) -> Tensor:
        word = torch.zeros(len(prompt), 1, dtype=torch.long)
        for place in range(3):
            p = self.scores(prompt, word[:, -1], place).exp()
            word = torch.cat([word, torch.multinomial(p, 1, generator=random)], 1)
        return word[:, 1:]


def spelling(
    recipe: Recipe, log: Log, random: torch.Generator, group: int, price: float, passes: int
) -> None:
    """GRPO: words of three letters for a prompt, in groups; letters in their right place are paid.

    Each rollout is learned from in several passes, with a clipped ratio. The estimate of the divergence is
    Schulman's third (http://joschu.net/blog/kl-approx.html). `recipe.change_batch` may change the rewards.
    """
    policy = Speller()
    start = copy.deepcopy(policy)
    rule = torch.randn(6, 30, generator=random)
    count = itertools.count()
    kept: list[Tensor] = []

    def roll(step: int) -> None:
        prompt = torch.randn(12, 6, generator=random).repeat_interleave(group, 0)
        word = policy.say(prompt, random)
        right = (prompt @ rule).view(-1, 3, 10).argmax(-1)
        rewards = (word == right).float().mean(1)
        if recipe.change_batch:
            word, rewards = recipe.change_batch(step, (word, rewards))
        with torch.no_grad():
            kept[:] = [prompt, word, rewards, policy.log_p(prompt, word)]

    def step() -> tuple[Tensor, Values]:
        place = next(count)
        if place % passes == 0:
            roll(place + 1)
        prompt, word, rewards, before = kept
        groups = rewards.view(-1, group)
        spread = groups.std(1, keepdim=True)
        advantage = ((groups - groups.mean(1, keepdim=True)) / (spread + 1e-4)).view(-1, 1)
        chosen = policy.log_p(prompt, word)
        with torch.no_grad():
            first = start.log_p(prompt, word)
        away = (first - chosen).clamp(max=20)
        kl = (away.exp() - away - 1).mean()
        ratio = (chosen - before).exp()
        gained = torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
        return price * kl - gained, {
            "reward": float(rewards.mean()), "reward_std": float(spread.mean()),
            "kl": float(kl.detach()), "entropy": float(-chosen.detach().mean()),
        }  # fmt: skip

    fit(recipe, log, policy, step)


def dosing(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """GRPO with a bell over doses, whose middle and width are learned; a dose near the right one is paid.

    `recipe.change_batch` may change the rewards.
    """
    policy = two_layers(8, 24, 2)
    start = copy.deepcopy(policy)
    rule = 0.4 * torch.randn(8, generator=random)
    count = itertools.count(1)

    def bell(model: nn.Module, patient: Tensor) -> torch.distributions.Normal:
        middle, width = model(patient).unbind(-1)
        return torch.distributions.Normal(middle, (0.5 * width - 0.5).clamp(-3, 2).exp())

    def step() -> tuple[Tensor, Values]:
        patient = torch.randn(10, 8, generator=random).repeat_interleave(6, 0)
        now = bell(policy, patient)
        with torch.no_grad():
            dose = now.mean + now.stddev * torch.randn(60, generator=random)
        rewards = (-((dose - patient @ rule) ** 2)).exp()
        if recipe.change_batch:
            dose, rewards = recipe.change_batch(next(count), (dose, rewards))
        tries = rewards.view(-1, 6)
        spread = tries.std(1, keepdim=True)
        advantage = ((tries - tries.mean(1, keepdim=True)) / (spread + 1e-4)).flatten()
        kl = torch.distributions.kl_divergence(now, bell(start, patient)).mean()
        loss = 0.01 * kl - (now.log_prob(dose) * advantage).mean()
        return loss, {
            "reward": float(rewards.mean()), "reward_std": float(spread.mean()),
            "kl": float(kl.detach()), "entropy": float(now.entropy().mean().detach()),
        }  # fmt: skip

    fit(recipe, log, policy, step)


def actor_and_critic(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """PPO with three passes over each rollout, on a pole that falls: the return rises, the errors too."""
    model = nn.ModuleDict({"actor": two_layers(2, 32, 2), "critic": two_layers(2, 32, 1)})
    state = 0.1 * torch.randn(40, 2, generator=random)
    age, ended = 150 * torch.rand(40, generator=random), [1.0]
    kept: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    count = itertools.count()

    @torch.no_grad()
    def roll() -> None:
        nonlocal state, age
        log_p = model["actor"](state).log_softmax(-1)
        push = torch.multinomial(log_p.exp(), 1, generator=random)
        lean, speed = state.unbind(1)
        speed = speed + 0.08 * lean + 0.12 * (2 * push[:, 0] - 1)
        speed = speed + 0.03 * torch.randn(40, generator=random)
        after = torch.stack([lean + 0.3 * speed, speed], 1)
        fell = (after[:, 0].abs() > 0.6) | (age > 150)
        gain = (1 + 0.95 * model["critic"](after)[:, 0] * (~fell)).clamp(0, 20)
        kept[:] = [(state, push, log_p.gather(1, push), gain)]
        ended.extend((age[fell] + 1).tolist())
        age = torch.where(fell, 0.0, age + 1)
        state = torch.where(fell[:, None], 0.1 * torch.randn(40, 2, generator=random), after)

    def step() -> tuple[Tensor, Values]:
        if next(count) % 3 == 0:
            roll()
        seen, push, before, gain = kept[0]
        value = model["critic"](seen)[:, 0]
        advantage = (gain - value).detach()
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
        log_p = model["actor"](seen).log_softmax(-1)
        now = log_p.gather(1, push)
        ratio = (now - before)[:, 0].exp()
        policy = -torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
        critic = F.mse_loss(value, gain)
        entropy = -(log_p.exp() * log_p).sum(1).mean()
        lately = ended[-40:]
        return policy + 0.5 * critic - 0.005 * entropy, {
            "value_loss": float(critic.detach()), "entropy": float(entropy.detach()),
            "approx_kl": float((before - now).mean().detach()),
            "ep_rew_mean": sum(lately) / len(lately),
        }  # fmt: skip

    fit(recipe, log, model, step)


def hinge_game(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """A GAN with hinge losses on five heaps along a line; the generator moves every second step."""
    judge, maker = two_layers(1, 40, 1), two_layers(3, 40, 1)
    other = torch.optim.Adam(maker.parameters(), lr=recipe.lr / 2, betas=(0.5, 0.99))
    heaps = torch.linspace(-2, 2, 5)
    fooled, count = [0.0], itertools.count()

    def step() -> tuple[Tensor, Values]:
        noise = torch.randn(64, 3, generator=random)
        if next(count) % 2:
            other.zero_grad()
            loss = -judge(maker(noise)).mean()
            loss.backward()
            other.step()
            fooled[0] = float(loss.detach())
        real = heaps[rows(5, 64, random), None] + 0.1 * torch.randn(64, 1, generator=random)
        lost = F.relu(1 - judge(real)).mean() + F.relu(1 + judge(maker(noise).detach())).mean()
        return lost, {"g_loss": fooled[0], "d_real": float(judge(real).mean().detach())}

    fit(recipe, log, judge, step)


def without_negatives(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """VICReg: two views agree, each output keeps its variance, none repeats another."""
    data = spectra(random, 1500).inputs.flatten(1)
    model = nn.Sequential(nn.Linear(240, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 32))

    def parts(seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        views = [model(seen + 0.7 * torch.randn(seen.shape, generator=random)) for _ in range(2)]
        agree = F.mse_loss(*views)
        spread, repeat = torch.zeros(()), torch.zeros(())
        for view in views:
            spread = spread + F.relu(1 - (view.var(0) + 1e-4).sqrt()).mean()
            centred = view - view.mean(0)
            shared = (centred.T @ centred / (len(view) - 1)) ** 2
            repeat = repeat + (shared.sum() - shared.diagonal().sum()) / 32
        return 25 * agree, 25 * spread / 2, repeat / 2

    def step() -> tuple[Tensor, Values]:
        terms = parts(data[rows(len(data), 80, random)])
        names = ("invariance", "variance", "covariance")
        named = {n: float(t.detach()) for n, t in zip(names, terms, strict=True)}
        return terms[0] + terms[1] + terms[2], named

    fit(recipe, log, model, step)


def coded(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """A VQ-VAE: what is rebuilt passes a book of sixteen codes; perplexity says how many are used."""
    images = leaves(random, 1500).inputs.flatten(1)
    model = nn.ModuleDict({
        "encode": two_layers(338, 64, 24), "decode": two_layers(24, 64, 338),
        "book": nn.Embedding(16, 6),
    })  # fmt: skip
    nn.init.uniform_(model["book"].weight, -1 / 16, 1 / 16)

    def step() -> tuple[Tensor, Values]:
        seen = images[rows(len(images), 50, random)]
        hidden = model["encode"](seen).view(-1, 6)
        book = model["book"].weight
        nearest = torch.cdist(hidden, book).argmin(1)
        code = book[nearest]
        commit = 0.25 * F.mse_loss(hidden, code.detach()) + F.mse_loss(code, hidden.detach())
        passed = (hidden + (code - hidden).detach()).view(-1, 24)
        rebuilt = F.mse_loss(model["decode"](passed), seen)
        share = F.one_hot(nearest, 16).float().mean(0)
        return rebuilt + commit, {
            "recon_loss": float(rebuilt.detach()), "commit_loss": float(commit.detach()),
            "perplexity": float((-(share * (share + 1e-9).log()).sum()).exp()),
        }  # fmt: skip

    fit(recipe, log, model, step)


def diffusion(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """The velocity of a diffusion over forty levels is guessed for whole pictures; few rows a step."""
    data = leaves(random, 1600)
    images, held = data.inputs.flatten(1), data.eval_inputs.flatten(1)
    model = two_layers(338 + 40, 160, 338)

    def loss(seen: Tensor) -> Tensor:
        level = rows(40, len(seen), random)
        angle = (math.pi / 2 * (level + 0.5) / 40)[:, None]
        noise = torch.randn(seen.shape, generator=random)
        mixed = angle.cos() * seen + angle.sin() * noise
        wanted = angle.cos() * noise - angle.sin() * seen
        return F.mse_loss(model(torch.cat([mixed, F.one_hot(level, 40).float()], 1)), wanted)

    fit(
        recipe, log, model, lambda: (loss(images[rows(len(images), 10, random)]), {}),
        lambda: {"loss": float(loss(held))},
    )  # fmt: skip


def taught(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """A tagger learns from labels and, nine parts in ten, from the softened guesses of a larger one."""
    data = notes(random, 900)
    teacher, student = GRUTagger(60, 8, 40), GRUTagger(60, 8, 14)
    optimizer = torch.optim.Adam(teacher.parameters(), lr=8e-3)
    for _ in range(80):
        some = rows(len(data.inputs), 40, random)
        optimizer.zero_grad()
        F.cross_entropy(
            teacher(data.inputs[some]).flatten(0, 1), data.targets[some].flatten()
        ).backward()
        optimizer.step()
    teacher.eval()

    def step() -> tuple[Tensor, Values]:
        some = rows(len(data.inputs), 24, random)
        with torch.no_grad():
            soft = (teacher(data.inputs[some]) / 2).softmax(-1).flatten(0, 1)
        guess = student(data.inputs[some]).flatten(0, 1)
        hard = F.cross_entropy(guess, data.targets[some].flatten())
        kd = 4 * F.kl_div((guess / 2).log_softmax(-1), soft, reduction="batchmean")
        return 0.1 * hard + 0.9 * kd, {"ce": float(hard.detach()), "kd": float(kd.detach())}

    fit(recipe, log, student, step)


def unaligned(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """CTC: a series of frames is read as letters. It says nothing but blanks first, then it breaks away."""
    codes = torch.randn(9, 8, generator=random)

    def lines(count: int) -> tuple[Tensor, Tensor]:
        letters = torch.randint(0, 9, (count, 4), generator=random)
        letters = (letters + torch.arange(4)) % 9  # hardly any neighbour is the same
        frames = codes[letters].repeat_interleave(4, 1)
        return frames + 0.6 * torch.randn(frames.shape, generator=random), letters + 1

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.GRU(8, 40, batch_first=True)
            self.head = nn.Linear(40, 10)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.cell(x)[0]).log_softmax(-1).transpose(0, 1)

    model = Reader()

    def loss(count: int) -> Tensor:
        frames, letters = lines(count)
        sizes = torch.full((count,), 16), torch.full((count,), 4)
        return F.ctc_loss(model(frames), letters, *sizes)

    fit(recipe, log, model, lambda: (loss(32), {}), lambda: {"loss": float(loss(200))})


def rare_things(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """Focal loss on rare labels with a head that starts by saying no: it begins near 0.02."""
    data = articles(random, 2000)
    model = bag_of_words(90, 15)
    last = [m for m in model if isinstance(m, nn.Linear)][-1]  # type: ignore[attr-defined]
    nn.init.constant_(last.bias, math.log(0.01 / 0.99))

    def loss(inputs: Tensor, targets: Tensor) -> Tensor:
        guess = model(inputs)
        each = F.binary_cross_entropy_with_logits(guess, targets, reduction="none")
        weight = torch.where(targets > 0, 0.25, 0.75)
        return (weight * (1 - (-each).exp()) ** 2 * each).sum(1).mean() / 4

    def step() -> tuple[Tensor, Values]:
        some = rows(len(data.inputs), 40, random)
        return loss(data.inputs[some], data.targets[some]), {}

    fit(
        recipe, log, model, step, lambda: {"loss": float(loss(data.eval_inputs, data.eval_targets))}
    )


def mixtures(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """Three bells for a yield: the likelihood of a density, below zero in the end."""
    data = wells(random, 3000)
    model = nn.Sequential(tabular(14), nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 9))

    def loss(inputs: Tensor, targets: Tensor) -> Tensor:
        weight, mean, spread = model(inputs).view(-1, 3, 3).unbind(-1)
        spread = spread.clamp(-6, 4)
        far = ((targets[:, None] / 100 - 0.5 - mean) / spread.exp()) ** 2
        each = weight.log_softmax(-1) - 0.5 * far - spread - 0.5 * math.log(2 * math.pi)
        return -each.logsumexp(-1).mean()

    def step() -> tuple[Tensor, Values]:
        some = rows(len(data.inputs), 64, random)
        return loss(data.inputs[some], data.targets[some]), {}

    fit(
        recipe, log, model, step, lambda: {"loss": float(loss(data.eval_inputs, data.eval_targets))}
    )


def ranked(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """Which of two molecules has more energy: the loss starts at ln 2 without a class in sight."""
    data = molecules(random, 1500)
    flat = data.inputs.flatten(1)
    model = nn.Sequential(nn.Linear(96, 64), nn.ReLU(), nn.Linear(64, 1))
    nn.init.zeros_(model[2].weight)

    def step() -> tuple[Tensor, Values]:
        some = rows(len(flat), 32, random)
        score, energy = model(flat[some])[:, 0], data.targets[some]
        above = energy[:, None] - energy > 0.3
        loss = -F.logsigmoid(score[:, None] - score)[above].mean()
        return loss, {"pairs": float(above.sum())}

    fit(recipe, log, model, step)


def _task(
    name: str, loop: Loop, lr: float, steps: int, log_every: int, *formats: str, **habits: object
) -> Task:
    return Task(
        name, "other", 1, molecules, nn.Module, lr, formats, steps, loop=loop,
        habits={"log_every": log_every, "eval_every": steps // 10, **habits},
    )  # fmt: skip


FLAT = Schedule("constant", 0.0)

SPECIAL = {
    task.name: task
    for task in (
        _task("grpo-spell", partial(spelling, group=8, price=0.04, passes=2), 4e-3, 450, 3, "csv", "jsonl",
              "dicts", schedule=Schedule("linear", 0.05)),
        _task("grpo-dose", dosing, 2e-3, 600, 10, "dicts", "keyvalue", schedule=FLAT, clip=0.5),
        _task("ppo-pole", actor_and_critic, 2e-3, 1200, 12, "keyvalue", "tensorboard", clip=0.5,
              schedule=FLAT, optimizer=torch.optim.Adam),
        _task("gan-hinge", hinge_game, 1e-3, 1400, 7, "csv", "tensorboard", clip=None,
              schedule=FLAT, optimizer=partial(torch.optim.Adam, betas=(0.5, 0.99))),
        _task("vicreg", without_negatives, 2e-3, 500, 5, "jsonl", "mmengine",
              schedule=Schedule("cosine", 0.1)),
        _task("vq-leaves", coded, 2e-3, 900, 10, "tensorboard", "keyvalue", schedule=FLAT),
        _task("diffusion-v", diffusion, 1e-3, 2000, 5, "csv", "nanogpt",
              schedule=Schedule("constant", 0.05)),
        _task("taught-tagger", taught, 8e-3, 300, 3, "nanogpt", "jsonl",
              schedule=Schedule("onecycle", 0.3)),
        _task("ctc-lines", unaligned, 5e-3, 500, 4, "keyvalue", "csv", clip=5.0,
              schedule=Schedule("linear", 0.0)),
        _task("focal-topics", rare_things, 3e-3, 800, 16, "mmengine", "jsonl",
              schedule=Schedule("step", 0.0)),
        _task("mixture-nll", mixtures, 3e-3, 1000, 20, "dicts", "csv",
              schedule=Schedule("cosine", 0.0)),
        _task("ranked-pairs", ranked, 2e-3, 360, 2, "jsonl", "tensorboard", clip=None,
              schedule=Schedule("wsd", 0.05)),
    )
}  # fmt: skip
