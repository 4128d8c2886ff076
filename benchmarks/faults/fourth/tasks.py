"""The tasks of the fourth sitting: other data, models, sizes, optimizers and logging than those before."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch.nn import functional as F  # noqa: N812

from benchmarks.faults.fourth.models import (
    Denoiser,
    Factors,
    GatedForecaster,
    GraphAttention,
    PoolingTagger,
    PsalmModel,
    audio_net,
    conv_next,
    hf_mails,
    hf_names,
    hf_scores,
    self_normalizing,
)
from benchmarks.faults.recipe import Schedule
from benchmarks.faults.task import Splits, Task, split


def walked(
    random: torch.Generator, count: int, length: int, size: int, sharp: float
) -> torch.Tensor:
    """Rows of tokens, each drawn by the two before it."""
    likes = (sharp * torch.randn(size, size, generator=random)).softmax(-1)
    also = (sharp * torch.randn(size, size, generator=random)).softmax(-1)
    rows = torch.randint(0, size, (count, 2), generator=random)
    for _ in range(length - 2):
        p = 0.75 * likes[rows[:, -1]] + 0.25 * also[rows[:, -2]]
        rows = torch.cat([rows, torch.multinomial(p, 1, generator=random)], 1)
    return rows


def psalms(random: torch.Generator, count: int = 2200, length: int = 26) -> Splits:
    """Letters of a made-up script, each by the two before it; every seventh is a stop."""
    rows = walked(random, count, length + 1, 52, 2.6)
    rows[:, 6::7] = 52
    return split(rows[:, :-1], rows[:, 1:], 120)


def beats(random: torch.Generator, count: int = 2700, classes: int = 11) -> Splits:
    """Raw sound of 126 samples: a class is a pitch and how fast it fades, in noise."""
    targets = torch.randint(0, classes, (count,), generator=random)
    time = torch.arange(126.0)
    pitch = 0.16 * 1.28 ** (targets // 2)[:, None]
    fades = torch.where(targets % 2 == 0, 60.0, 18.0)[:, None]
    begins = 40 * torch.rand(count, 1, generator=random)
    after = (time - begins).clamp(min=0)
    sound = 1.6 * (pitch * after).sin() * (-after / fades).exp() * (time > begins)
    sound = sound + 0.9 * torch.randn(count, 126, generator=random)
    return split(sound.unsqueeze(1), targets)


def rivers(random: torch.Generator, count: int = 3300, days: int = 14) -> Splits:
    """The next day's rain, warmth and flow over two weeks; the last flow drains an unseen store."""
    rain = -torch.rand(count, days + 1, generator=random).clamp(min=1e-6).log()
    rain = rain * (torch.rand(count, days + 1, generator=random) < 0.35)
    warm = torch.randn(count, 1, generator=random) + 0.3 * torch.randn(
        count, days + 1, generator=random
    )
    store, flows = torch.rand(count, generator=random), []
    for day in range(days + 1):
        store = store * (0.85 - 0.1 * warm[:, day].sigmoid()) + rain[:, day]
        flows.append(0.15 * store + 0.05 * store**2)
    flow = torch.stack(flows, 1) + 0.03 * torch.randn(count, days + 1, generator=random)
    flow = (flow + 0.2).clamp(min=0.05).log()
    inputs = torch.stack([rain[:, 1:] - 0.35, warm[:, :-1], flow[:, :-1]], -1)
    return split(inputs, 2 * flow[:, -1] + 0.6, 300)


def circuits(random: torch.Generator, count: int = 2400, nodes: int = 9) -> Splits:
    """Wires between nine parts of five kinds; how many wires join two parts of the same kind is the class."""
    kinds = F.one_hot(torch.randint(0, 5, (count, nodes), generator=random), 5).float()
    share = 0.2 + 0.4 * torch.rand(count, 1, 1, generator=random)
    drawn = torch.rand(count, nodes, nodes, generator=random) < share
    wires = torch.triu(drawn, 1).float()
    wires = wires + wires.transpose(1, 2)
    same = torch.einsum("bik,bij,bjk->b", kinds, wires, kinds) / 2
    targets = torch.bucketize(same, torch.tensor([1.5, 2.5, 4.5]))
    return split(torch.cat([kinds, wires], -1), targets)


def scans(random: torch.Generator, count: int = 1100, size: int = 16) -> Splits:
    """Bright ovals on a dark ground, and the same in heavy grain."""
    rows, columns = torch.meshgrid(*2 * (torch.arange(float(size)),), indexing="ij")
    clean = torch.zeros(count, size, size)
    for _ in range(3):
        centre = size * torch.rand(count, 2, 1, 1, generator=random)
        radius = 2 + 3 * torch.rand(count, 2, 1, 1, generator=random)
        far = ((rows - centre[:, 0]) / radius[:, 0]) ** 2
        far = far + ((columns - centre[:, 1]) / radius[:, 1]) ** 2
        clean += torch.sigmoid(6 * (1 - far))
    noisy = clean + 0.7 * torch.randn(clean.shape, generator=random)
    return split(noisy.unsqueeze(1), clean, 150)


READERS, BOOKS = 260, 180


def ratings(random: torch.Generator, count: int = 14_000) -> Splits:
    """Who gave which book how many stars; popular books are read more often."""
    popular = 1 / (3 + torch.arange(float(BOOKS)))
    reader = torch.randint(0, READERS, (count,), generator=random)
    book = torch.multinomial(popular, count, replacement=True, generator=random)
    tastes = [torch.randn(n, 3, generator=random) for n in (READERS, BOOKS)]
    kind, good = (0.5 * torch.randn(n, generator=random) for n in (READERS, BOOKS))
    stars = 3.4 + kind[reader] + good[book] + 0.45 * (tastes[0][reader] * tastes[1][book]).sum(1)
    stars = (stars + 0.4 * torch.randn(count, generator=random)).clamp(0.5, 5.5)
    return split(torch.stack([reader, book], 1), stars, 1500)


def payments(random: torch.Generator, count: int = 6500) -> Splits:
    """Thirty numbers about a payment; seven in a hundred are frauds."""
    inputs = torch.randn(count, 30, generator=random)
    score = inputs[:, 0] * inputs[:, 1] + inputs[:, 2] - 0.8 * inputs[:, 3].abs()
    score = score + 0.25 * torch.randn(count, generator=random)
    return split(inputs, (score > score.quantile(0.93)).long(), 1000)


def crops(random: torch.Generator, count: int = 2200, classes: int = 14) -> Splits:
    """Fields from above in three colours: a class is a direction of furrows and a tint."""
    targets = torch.randint(0, classes, (count,), generator=random)
    rows, columns = torch.meshgrid(*2 * (torch.arange(12.0),), indexing="ij")
    angle = (math.pi / 7 * (targets % 7))[:, None, None]
    phase = 6.3 * torch.rand(count, 1, 1, generator=random)
    furrows = (1.1 * (rows * angle.cos() + columns * angle.sin()) + phase).sin()
    tint = torch.where(
        (targets >= 7)[:, None], torch.tensor([1.0, 0.3, -0.4]), torch.tensor([-0.2, 0.6, 0.9])
    )
    images = furrows[:, None] * tint[:, :, None, None] + 0.7 * torch.randn(
        count, 3, 12, 12, generator=random
    )
    return split(images, targets)


def tracks(random: torch.Generator, count: int = 2500, labels: int = 12) -> Splits:
    """Ten frames of eight bands; each label is a sound that comes in one or two of the frames."""
    chosen = torch.rand(count, labels, generator=random) < 0.18
    sounds = 1.8 * torch.randn(labels, 8, generator=random)
    place = torch.rand(count, 10, labels, generator=random).argsort(1) < 2
    heard = (place & chosen[:, None]).float() @ sounds
    return split(heard + 0.6 * torch.randn(count, 10, 8, generator=random), chosen.float(), 350)


def mails(random: torch.Generator, count: int = 2000, classes: int = 3) -> Splits:
    """Thirteen tokens that pull one way or the other; in the middle lies the third class."""
    pull = torch.randn(72, generator=random)
    tokens = torch.randint(0, 72, (count, 13), generator=random)
    total = pull[tokens].sum(1) + 0.4 * torch.randn(count, generator=random)
    edges = total.quantile(torch.tensor([0.34, 0.67]))
    return split(tokens, torch.bucketize(total, edges))


def scores(random: torch.Generator, count: int = 2600, length: int = 18) -> Splits:
    """Rows of notes, each drawn by the two before it."""
    rows = walked(random, count, length + 1, 66, 2.4)
    return split(rows[:, :-1], rows[:, 1:], 300)


def names(random: torch.Generator, count: int = 1800, tags: int = 7) -> Splits:
    """Sixteen tokens; a title and what follows it are a name of its kind, the rest is nothing (0)."""
    tokens = torch.randint(20, 90, (count, 16), generator=random)
    titles = torch.rand(count, 16, generator=random) < 0.2
    tokens = torch.where(titles, torch.randint(2, 20, (count, 16), generator=random), tokens)
    kind = torch.where(titles, (tokens - 2) % 6 + 1, 0)
    after = kind.roll(1, 1) * (torch.arange(16) > 0)
    kind = torch.where(kind > 0, kind, after)
    worn = torch.rand(count, 16, generator=random) < 0.04
    drawn = torch.randint(0, tags, (count, 16), generator=random)
    return split(tokens, torch.where(worn, drawn, kind), 250)


NESTEROV = partial(torch.optim.SGD, momentum=0.9, nesterov=True, weight_decay=1e-4)

TASKS = {
    task.name: task
    for task in (
        Task("psalms-rope", "language", 53, psalms, lambda: PsalmModel(53, 26), 5e-3,
             ("jsonl", "megatron", "nanogpt", "keyvalue"), steps=200, batch=12, habits={
                 "optimizer": partial(torch.optim.AdamW, betas=(0.9, 0.95), weight_decay=0.1),
                 "log_every": 1, "eval_every": 20, "schedule": Schedule("cosine", 0.08),
                 "facts": {"eval_count": 120}}),
        Task("beats-conv1d", "classification", 11, beats, lambda: audio_net(11), 0.03,
             ("imagenet", "csv", "tensorboard", "keyvalue"), steps=400, batch=48, habits={
                 "optimizer": NESTEROV, "log_every": 10, "eval_every": 40, "clip": None,
                 "schedule": Schedule("cosine", 0.0)}),
        Task("rivers-gru", "regression", 1, rivers, GatedForecaster, 1e-3,
             ("dicts", "csv", "mlflow"), steps=420, batch=40, habits={
                 "optimizer": torch.optim.RMSprop, "log_every": 10, "eval_every": 60,
                 "clip": 1.0, "schedule": Schedule("linear", 0.0), "facts": {"eval_count": 300}}),
        Task("circuits-gat", "classification", 4, circuits, lambda: GraphAttention(5, 4), 4e-3,
             ("keyvalue", "mmengine", "jsonl"), steps=450, batch=36, habits={
                 "optimizer": torch.optim.Adam, "log_every": 5, "eval_every": 45, "clip": 2.0,
                 "schedule": Schedule("exponential", 0.02, decay=0.997)}),
        Task("scans-denoiser", "regression", 1, scans, Denoiser, 3e-3,
             ("nanogpt", "tensorboard", "csv"), steps=240, batch=10, habits={
                 "optimizer": torch.optim.NAdam, "log_every": 2, "eval_every": 30, "clip": 1.0,
                 "schedule": Schedule("constant", 0.05), "hides": ("lr",),
                 "facts": {"eval_count": 150}}),
        Task("ratings-factors", "regression", 1, ratings, lambda: Factors(READERS, BOOKS), 0.15,
             ("csv", "keyvalue", "mlflow"), steps=1120, batch=100, habits={
                 "optimizer": torch.optim.Adagrad, "log_every": 14, "eval_every": 140, "clip": None,
                 "schedule": Schedule("constant", 0.0), "facts": {"eval_count": 1500}}),
        Task("fraud-mlp", "classification", 2, payments, lambda: self_normalizing(30, 2), 0.03,
             ("tensorboard", "keyvalue", "csv"), steps=1200, batch=64, habits={
                 "optimizer": partial(torch.optim.SGD, momentum=0.9), "log_every": 8,
                 "eval_every": 120, "clip": 5.0, "schedule": Schedule("step", 0.01),
                 "facts": {"eval_count": 1000}}),
        Task("crops-convnext", "classification", 14, crops, lambda: conv_next(14), 3e-3,
             ("dicts", "imagenet", "jsonl", "tensorboard"), steps=280, batch=20, habits={
                 "optimizer": partial(torch.optim.AdamW, weight_decay=0.05), "log_every": 4,
                 "eval_every": 28, "schedule": Schedule("cosine", 0.1)}),
        Task("tracks-tags", "regression", 1, tracks, lambda: PoolingTagger(8, 12), 4e-3,
             ("jsonl", "keyvalue", "csv"), steps=700, batch=40,
             error=F.binary_cross_entropy_with_logits, habits={
                 "optimizer": torch.optim.Adam, "log_every": 7, "eval_every": 70,
                 "schedule": Schedule("wsd", 0.03), "hides": ("grad_norm",),
                 "facts": {"eval_count": 350}}),
        Task("hf-mails", "classification", 3, mails, hf_mails, 4e-3, ("hf",), steps=200, batch=20,
             hf=True, habits={
                 "log_every": 5, "eval_every": 25, "schedule": Schedule("linear", 0.1)}),
        Task("hf-scores", "language", 66, scores, hf_scores, 5e-3, ("hf",), steps=150, batch=12,
             hf=True, habits={
                 "accumulate": 2, "log_every": 3, "eval_every": 25,
                 "optimizer": partial(torch.optim.AdamW, betas=(0.9, 0.95), weight_decay=0.1),
                 "schedule": Schedule("cosine", 0.06), "facts": {"eval_count": 300}}),
        Task("hf-names", "classification", 7, names, hf_names, 3e-3, ("hf",), steps=280, batch=16,
             hf=True, habits={
                 "optimizer": torch.optim.Adam, "log_every": 10, "eval_every": 28,
                 "schedule": Schedule("constant", 0.03), "facts": {"eval_count": 250}}),
    )
}  # fmt: skip
