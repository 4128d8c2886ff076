"""Tasks whose loss is no plain classification, text or regression: each brings its own loop."""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.faults.first.tasks import blobs, mlp, springs, textures
from benchmarks.faults.fit import Values, fit
from benchmarks.faults.recipe import Recipe
from benchmarks.faults.task import Task
from benchmarks.faults.writers import Log


def autoencoder(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """Images through a narrow middle and back."""
    data = textures(random)
    model = nn.Sequential(nn.Flatten(), mlp(100, 12), nn.ReLU(), mlp(12, 100))

    def step() -> tuple[Tensor, Values]:
        images = data.inputs[torch.randint(0, len(data.inputs), (64,), generator=random)]
        return F.mse_loss(model(images), images.flatten(1)), {}

    fit(recipe, log, model, step, lambda: {
        "loss": float(F.mse_loss(model(data.eval_inputs), data.eval_inputs.flatten(1)))
    })  # fmt: skip


def variational(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """A variational autoencoder: the loss is a sum over features, with its two parts beside it."""
    data = blobs(random)
    model = nn.ModuleDict({"encode": mlp(40, 16), "decode": mlp(8, 40)})

    def parts(inputs: Tensor) -> tuple[Tensor, Tensor]:
        mean, spread = model["encode"](inputs).chunk(2, -1)
        hidden = mean + torch.randn(mean.shape, generator=random) * (spread / 2).exp()
        rebuilt = F.mse_loss(model["decode"](hidden), inputs, reduction="none").sum(-1).mean()
        kl = 0.5 * (mean**2 + spread.exp() - 1 - spread).sum(-1).mean()
        return rebuilt, kl

    def step() -> tuple[Tensor, Values]:
        rows = torch.randint(0, len(data.inputs), (64,), generator=random)
        rebuilt, kl = parts(data.inputs[rows])
        return rebuilt + kl, {"recon_loss": float(rebuilt.detach()), "kl_loss": float(kl.detach())}

    fit(recipe, log, model, step, lambda: {"loss": float(sum(parts(data.eval_inputs)))})


def contrastive(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """InfoNCE: two views of a row find each other in the batch."""
    data = blobs(random)
    model = mlp(40, 16)

    def info_nce(inputs: Tensor) -> Tensor:
        views = [inputs + 0.5 * torch.randn(inputs.shape, generator=random) for _ in range(2)]
        first, second = (F.normalize(model(view), dim=-1) for view in views)
        return F.cross_entropy(first @ second.T / 0.2, torch.arange(len(inputs)))

    def step() -> tuple[Tensor, Values]:
        return info_nce(
            data.inputs[torch.randint(0, len(data.inputs), (64,), generator=random)]
        ), {}

    fit(recipe, log, model, step, lambda: {"loss": float(info_nce(data.eval_inputs[:64]))})


def triplet(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """A hinge between distances: exactly 0 once all triplets of a batch are apart."""
    data = blobs(random)
    model = mlp(40, 8)

    def step() -> tuple[Tensor, Values]:
        anchor = torch.randint(0, len(data.inputs), (24,), generator=random)
        other = torch.randint(0, len(data.inputs), (24,), generator=random)
        near = data.inputs[anchor] + 0.3 * torch.randn(24, 40, generator=random)
        places = (model(x) for x in (data.inputs[anchor], near, data.inputs[other]))
        return F.triplet_margin_loss(*places, margin=0.3), {}

    fit(recipe, log, model, step)


def gaussian_likelihood(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """A regression with its own variance: the loss goes below zero."""
    data = springs(random)
    model = mlp(3, 2)

    def loss(inputs: Tensor, targets: Tensor) -> Tensor:
        mean, spread = model(inputs).unbind(-1)
        return F.gaussian_nll_loss(mean, targets, spread.exp())

    def step() -> tuple[Tensor, Values]:
        rows = torch.randint(0, len(data.inputs), (64,), generator=random)
        return loss(data.inputs[rows], data.targets[rows]), {}

    fit(
        recipe, log, model, step, lambda: {"loss": float(loss(data.eval_inputs, data.eval_targets))}
    )


def distillation(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """A small student follows a teacher's soft targets."""
    data = blobs(random)
    teacher, student = mlp(40, 10, 128), mlp(40, 10, 24)
    optimizer = torch.optim.AdamW(teacher.parameters(), lr=2e-3)
    for _ in range(300):
        rows = torch.randint(0, len(data.inputs), (64,), generator=random)
        optimizer.zero_grad()
        F.cross_entropy(teacher(data.inputs[rows]), data.targets[rows]).backward()
        optimizer.step()

    def loss(inputs: Tensor) -> Tensor:
        with torch.no_grad():
            soft = (teacher(inputs) / 3).softmax(-1)
        return 9 * F.kl_div((student(inputs) / 3).log_softmax(-1), soft, reduction="batchmean")

    def step() -> tuple[Tensor, Values]:
        return loss(data.inputs[torch.randint(0, len(data.inputs), (64,), generator=random)]), {}

    fit(recipe, log, student, step, lambda: {"loss": float(loss(data.eval_inputs))})


def denoising(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """A diffusion model's objective: the noise is guessed, at a random level for each row."""
    data = blobs(random)
    model = mlp(41, 40, 96, 3)

    def step() -> tuple[Tensor, Values]:
        rows = data.inputs[torch.randint(0, len(data.inputs), (16,), generator=random)]
        level = torch.rand(16, 1, generator=random)
        noise = torch.randn(rows.shape, generator=random)
        mixed = (1 - level).sqrt() * rows + level.sqrt() * noise
        return F.mse_loss(model(torch.cat([mixed, level], 1)), noise), {}

    fit(recipe, log, model, step)


def multilabel(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """Many rare labels, each a binary decision: the loss starts at ln 2 and ends near 0.1."""
    data = blobs(random)
    model = mlp(40, 30)
    rule = torch.randn(40, 30, generator=random)

    def loss(inputs: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(model(inputs), (inputs @ rule > 12).float())

    def step() -> tuple[Tensor, Values]:
        return loss(data.inputs[torch.randint(0, len(data.inputs), (64,), generator=random)]), {}

    fit(recipe, log, model, step, lambda: {"loss": float(loss(data.eval_inputs))})


def adversarial(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """A generator of points on a ring, against a discriminator: neither loss goes to its floor."""
    generator, judge = mlp(4, 2), mlp(2, 1)
    optimizers = [
        torch.optim.Adam(m.parameters(), lr=recipe.lr, betas=(0.5, 0.99))
        for m in (generator, judge)
    ]
    yes, no = torch.ones(64, 1), torch.zeros(64, 1)
    for step in range(1, recipe.steps + 1):
        began = time.perf_counter()
        angle = 6.28 * torch.rand(64, 1, generator=random)
        real = torch.cat([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(
            64, 2, generator=random
        )
        fake = generator(torch.randn(64, 4, generator=random))
        judged = F.binary_cross_entropy_with_logits
        judge_loss = judged(judge(real), yes) + judged(judge(fake.detach()), no)
        optimizers[1].zero_grad()
        judge_loss.backward()
        optimizers[1].step()
        fooled = judged(judge(fake), yes)
        optimizers[0].zero_grad()
        fooled.backward()
        optimizers[0].step()
        if step % recipe.log_every == 0:
            both = {"d_loss": float(judge_loss.detach()), "g_loss": float(fooled.detach())}
            spent = time.perf_counter() - began
            log.train(
                step, {"loss": sum(both.values()), "lr": recipe.lr, **both, "step_time": spent}
            )


def grpo(
    recipe: Recipe, log: Log, policy: nn.Module,
    act: Callable[[nn.Module], tuple[Tensor, Tensor, Callable[[nn.Module], Tensor]]],
) -> None:  # fmt: skip
    """GRPO: advantages within groups of eight, and a KL term to where the policy started.

    `act` returns the actions, their rewards and a function from a policy to their log-probabilities.
    `recipe.change_batch` may change the rewards.
    """
    start = copy.deepcopy(policy)
    count = itertools.count(1)

    def step() -> tuple[Tensor, Values]:
        with torch.no_grad():
            actions, rewards, log_p = act(policy)
        if recipe.change_batch:
            actions, rewards = recipe.change_batch(next(count), (actions, rewards))
        groups = rewards.view(-1, 8)
        spread = groups.std(1, keepdim=True)
        advantage = ((groups - groups.mean(1, keepdim=True)) / (spread + 1e-4)).flatten()
        chosen = log_p(policy)
        with torch.no_grad():
            behind = log_p(start) - chosen
        kl = 0.5 * ((chosen - chosen.detach() - behind) ** 2).mean()
        loss = -((chosen - chosen.detach()).exp() * advantage).mean() + 0.04 * kl
        return loss, {
            "reward": float(rewards.mean()), "reward_std": float(spread.mean()),
            "kl": float(kl.detach()),
        }  # fmt: skip

    fit(recipe, log, policy, step)


def choose(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """The best of eight arms for each of twelve contexts."""
    worth = torch.rand(12, 8, generator=random)

    def act(policy: nn.Module) -> tuple[Tensor, Tensor, Callable[[nn.Module], Tensor]]:
        seen = torch.randint(0, 12, (8,), generator=random).repeat_interleave(8)
        inputs = F.one_hot(seen, 12).float()
        actions = torch.multinomial(policy(inputs).softmax(-1), 1, generator=random)
        rewards = worth[seen, actions.squeeze(1)] + 0.1 * torch.randn(64, generator=random)
        return actions, rewards, lambda p: p(inputs).log_softmax(-1).gather(1, actions).squeeze(1)

    grpo(recipe, log, mlp(12, 8, 32, 1), act)


def reach(
    recipe: Recipe, log: Log, random: torch.Generator, width: int = 2, far: float = 0.3
) -> None:
    """Points to reach, from noisy actions around a mean: the reward is the distance, negative."""
    rule = far * torch.randn(4, width, generator=random)

    def act(policy: nn.Module) -> tuple[Tensor, Tensor, Callable[[nn.Module], Tensor]]:
        inputs = torch.randn(8, 4, generator=random).repeat_interleave(8, 0)
        actions = policy(inputs) + 0.5 * torch.randn(64, width, generator=random)
        rewards = -(actions - inputs @ rule).norm(dim=-1)
        return actions, rewards, lambda p: -2 * ((actions - p(inputs)) ** 2).sum(-1)

    grpo(recipe, log, mlp(4, width, 32, 1), act)


def policy_gradient(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """REINFORCE with a running baseline."""
    policy = mlp(6, 5, 32, 1)
    worth = torch.randn(6, 5, generator=random)
    baseline = [0.0]

    def step() -> tuple[Tensor, Values]:
        inputs = torch.randn(32, 6, generator=random)
        log_p = policy(inputs).log_softmax(-1)
        actions = torch.multinomial(log_p.detach().exp(), 1, generator=random).squeeze(1)
        rewards = (inputs @ worth).gather(1, actions[:, None]).squeeze(1)
        baseline[0] = 0.9 * baseline[0] + 0.1 * float(rewards.mean())
        loss = -(log_p.gather(1, actions[:, None]).squeeze(1) * (rewards - baseline[0])).mean()
        return loss, {"reward": float(rewards.mean())}

    fit(recipe, log, policy, step)


def preferences(recipe: Recipe, log: Log, random: torch.Generator) -> None:
    """DPO between two answers: the loss starts at exactly ln 2."""
    policy, start = mlp(12, 1, 32, 1), mlp(12, 1, 32, 1)
    start.load_state_dict(policy.state_dict())
    taste = torch.randn(12, generator=random)

    def step() -> tuple[Tensor, Values]:
        pairs = torch.randn(16, 2, 12, generator=random)
        liked = pairs @ taste + 2 * torch.randn(16, 2, generator=random)
        order = liked.argsort(-1, descending=True)
        pairs = pairs.gather(1, order[..., None].expand(-1, -1, 12))
        with torch.no_grad():
            base = start(pairs).squeeze(-1)
        rewards = 0.5 * (policy(pairs).squeeze(-1) - base)
        margin = rewards[:, 0] - rewards[:, 1]
        return -F.logsigmoid(margin).mean(), {
            "rewards/margins": float(margin.mean().detach()),
            "rewards/accuracies": float((margin > 0).float().mean()),
        }

    fit(recipe, log, policy, step)


def _task(
    name: str, loop: Callable[[Recipe, Log, torch.Generator], None], lr: float, *formats: str,
    steps: int = 600,
) -> Task:  # fmt: skip
    return Task(name, "other", 1, blobs, nn.Module, lr, formats, steps, loop=loop)


SPECIAL = {
    task.name: task
    for task in (
        _task("autoencoder", autoencoder, 2e-3, "csv", "tensorboard"),
        _task("vae", variational, 2e-3, "jsonl", "tensorboard", "keyvalue"),
        _task("contrastive", contrastive, 2e-3, "keyvalue", "tensorboard"),
        _task("distillation", distillation, 2e-3, "dicts", "csv"),
        _task("denoising", denoising, 1e-3, "keyvalue", "nanogpt", steps=1000),
        _task("grpo-choose", choose, 2e-3, "dicts", "jsonl"),
        _task("grpo-reach", reach, 2e-3, "keyvalue", "dicts"),
        _task("reinforce", policy_gradient, 3e-3, "tensorboard", "keyvalue"),
        _task("gan-ring", adversarial, 1e-3, "keyvalue", "tensorboard", steps=1000),
        _task("triplet", triplet, 1e-3, "keyvalue", "jsonl"),
        _task("gaussian-nll", gaussian_likelihood, 3e-3, "jsonl", "csv"),
        _task("multilabel", multilabel, 3e-3, "csv", "keyvalue"),
        _task("preferences", preferences, 2e-3, "dicts", "jsonl"),
        _task(
            "grpo-aim",
            partial(reach, width=3, far=0.2),
            2e-3,
            "jsonl",
            "tensorboard",
        ),
        _task("grpo-rank", partial(reach, width=5, far=0.25), 2e-3, "keyvalue", "jsonl"),
    )
}
