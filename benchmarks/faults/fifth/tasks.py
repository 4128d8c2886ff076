"""The tasks of the fifth sitting: data, models, and settings under which they train well."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.faults.fifth.models import (
    Adapter,
    Ferry,
    Shelf,
    Surveyor,
    TideNet,
    TiedLM,
    churn_net,
    hf_deberta,
    hf_neox,
    hf_qwen,
    mosaic_resnet,
    turnstile_net,
)
from benchmarks.faults.fifth.rates import Floored, InverseRoot, Lion
from benchmarks.faults.recipe import Schedule
from benchmarks.faults.task import IGNORED, Splits, Task, split


def kites(random: torch.Generator, count: int = 2600, length: int = 26) -> Splits:
    """Rows of one of six dialects, named by their first token; each moves the tokens in its own way."""
    dialect = torch.randint(0, 6, (count,), generator=random)
    moves = torch.stack([torch.randperm(48, generator=random) for _ in range(6)])
    rare = (torch.rand(count, length, generator=random) ** 2.5 * 48).long()
    known = torch.rand(count, length, generator=random) < 0.8
    tokens = [dialect + 49, rare[:, 0]]
    for place in range(1, length):
        follows = moves[dialect, tokens[-1]]
        tokens.append(torch.where(known[:, place], follows, rare[:, place]))
    rows = torch.stack(tokens, 1)
    return split(rows[:, :-1], rows[:, 1:], 300)


def crossings(random: torch.Generator, count: int = 3000, length: int = 9) -> Splits:
    """Four to eight words: each has its word in the other tongue, and neighbours change places."""
    word = torch.randint(3, 30, (count, length), generator=random)
    size = torch.randint(4, 9, (count, 1), generator=random)
    there = torch.arange(length) < size
    other = 3 + torch.randperm(27, generator=random)
    order = torch.arange(length)
    order[: length - 1] = order[: length - 1].view(-1, 2).flip(1).flatten()
    order = torch.where(order < size, order, torch.arange(length))
    answer = other[word - 3].gather(1, order)
    source = word.masked_fill(~there, 0)
    answer = torch.where(torch.arange(length) == size, 2, answer)
    told = torch.arange(length) <= size
    said = torch.cat([torch.ones(count, 1, dtype=torch.long), answer[:, :-1]], 1)
    said = said.masked_fill(~told, 0)
    return split(torch.cat([source, said], 1), answer.masked_fill(~told, IGNORED), 250)


def mosaics(random: torch.Generator, count: int = 1900, classes: int = 11) -> Splits:
    """Twelve by twelve points in three colours: four by four tiles laid by one of eleven plans."""
    plans = torch.randn(classes, 3, 3, 3, generator=random)
    targets = torch.randint(0, classes, (count,), generator=random)
    shift = torch.randint(0, 3, (count,), generator=random)
    laid = torch.stack([plans[t].roll(int(s), 2) for t, s in zip(targets, shift, strict=True)])
    images = laid.repeat_interleave(4, 2).repeat_interleave(4, 3)
    light = 1 + 0.3 * torch.randn(count, 1, 1, 1, generator=random)
    noise = torch.randn(images.shape, generator=random)
    return split(0.5 * light * images + 0.9 * noise, targets, 450)


def coasts(random: torch.Generator, count: int = 900, size: int = 16) -> Splits:
    """Maps of heights through fog; what lies above the sea is land."""
    coarse = torch.randn(count, 1, 5, 5, generator=random)
    height = F.interpolate(coarse, (size, size), mode="bicubic", align_corners=True)[:, 0]
    fog = 0.5 * torch.randn(height.shape, generator=random)
    return split((height + fog).unsqueeze(1), (height > 0.35).float(), 150)


def subscribers(random: torch.Generator, count: int = 5200) -> Splits:
    """Twenty-two columns about a customer; one in twenty leaves, for reasons that are half known."""
    inputs = torch.randn(count, 22, generator=random)
    inputs[:, :6] = inputs[:, :6].exp() - 1.6
    risk = 1.6 * inputs[:, 6] - 1.2 * inputs[:, 7] + inputs[:, 8] * inputs[:, 9]
    risk = risk + 0.8 * (inputs[:, 0] > 1).float() - 0.7 * inputs[:, 10]
    risk = risk + 0.5 * torch.randn(count, generator=random)
    return split(inputs, (risk > risk.quantile(0.95)).long(), 700)


def turnstiles(random: torch.Generator, count: int = 4400) -> Splits:
    """People through a gate in an hour: time of day, weekday, weather and the three hours before."""
    hour = torch.rand(count, generator=random) * 2 * math.pi
    day = torch.randint(0, 7, (count,), generator=random)
    weather = torch.randn(count, 3, generator=random)
    rate = 1.6 + 0.9 * hour.sin() - 0.5 * (2 * hour).cos() + 0.3 * (day < 5).float()
    rate = rate + 0.35 * weather[:, 0] - 0.3 * weather[:, 1].abs()
    lately = torch.poisson(rate.exp()[:, None].repeat(1, 3), generator=random).log1p() - 1.5
    counts = torch.poisson(rate.exp(), generator=random)
    clock = torch.stack([hour.sin(), hour.cos(), (2 * hour).sin(), (2 * hour).cos()], 1)
    inputs = torch.cat([clock, F.one_hot(day, 7).float(), weather, lately], 1)
    return split(inputs, counts, 600)


def tides(random: torch.Generator, count: int = 2850, back: int = 40, ahead: int = 6) -> Splits:
    """The level at a pier: two tides, a drift and gusts; forty hours tell the six that follow."""
    hours = torch.arange(float(back + ahead))
    phase = 6.28 * torch.rand(count, 2, 1, generator=random)
    size = 0.6 + torch.rand(count, 2, 1, generator=random)
    level = size[:, 0] * (hours / 1.977 + phase[:, 0]).sin()
    level = level + 0.5 * size[:, 1] * (hours / 3.82 + phase[:, 1]).sin()
    level = level + 0.02 * hours * torch.randn(count, 1, generator=random)
    level = level + 0.12 * torch.randn(level.shape, generator=random)
    return split(level[:, :back], level[:, back:], 350)


def ratings(
    random: torch.Generator, count: int = 9000, readers: int = 160, books: int = 90
) -> Splits:
    """What readers think of books, from one to five stars."""
    taste = torch.randn(readers, 4, generator=random)
    kind = torch.randn(books, 4, generator=random)
    mood, worth = torch.randn(readers, generator=random), torch.randn(books, generator=random)
    pair = torch.stack([
        torch.randint(0, readers, (count,), generator=random),
        torch.randint(0, books, (count,), generator=random),
    ], 1)  # fmt: skip
    liked = 0.45 * (taste[pair[:, 0]] * kind[pair[:, 1]]).sum(1)
    liked = 3.4 + liked + 0.4 * mood[pair[:, 0]] + 0.5 * worth[pair[:, 1]]
    liked = liked + 0.4 * torch.randn(count, generator=random)
    return split(pair, liked.round().clamp(1, 5), 1000)


def calls(random: torch.Generator, count: int = 2300, classes: int = 14) -> Splits:
    """Forty-two numbers of a bird's call; fourteen species share the twelve sounds they are made of."""
    fixed = torch.Generator().manual_seed(77)
    sounds = torch.randn(12, 42, generator=fixed)
    use = torch.randn(classes, 12, generator=random)
    targets = torch.randint(0, classes, (count,), generator=random)
    amount = use[targets] + 0.6 * torch.randn(count, 12, generator=random)
    heard = amount.tanh() @ sounds / 3
    return split(heard + 0.3 * torch.randn(count, 42, generator=random), targets, 380)


def listener(classes: int, rank: int = 4) -> nn.Module:
    """A body that learned the calls of twenty other birds, frozen; adapters and a new head beside it."""
    fixed = torch.Generator().manual_seed(78)
    others = calls(fixed, 1800, 20)
    body = nn.Sequential(nn.Linear(42, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU())
    known = nn.Sequential(body, nn.Linear(64, 20))
    optimizer = torch.optim.AdamW(known.parameters(), lr=4e-3)
    for _ in range(120):
        rows = torch.randint(0, len(others.inputs), (64,), generator=fixed)
        optimizer.zero_grad()
        F.cross_entropy(known(others.inputs[rows]), others.targets[rows]).backward()
        optimizer.step()
    adapted = [Adapter(m, rank) if isinstance(m, nn.Linear) else m for m in body]
    return nn.Sequential(*adapted, nn.LayerNorm(64), nn.Linear(64, classes))


def orders(random: torch.Generator, count: int = 1900, length: int = 13) -> Splits:
    """What a guest says: a mark of a kind of thing, then the thing; a tag for each word but the first."""
    kind = torch.randint(0, 4, (count, length), generator=random)
    marks = torch.rand(count, length, generator=random) < 0.3
    marks[:, 0] = True
    tokens = torch.randint(8, 66, (count, length), generator=random)
    tokens = torch.where(marks, 3 + kind, tokens)
    targets = torch.zeros_like(tokens)
    for place in range(1, length):
        began = marks[:, place - 1] & ~marks[:, place]
        goes_on = (tokens[:, place] % 3 == 0) & (targets[:, place - 1] > 0) & ~marks[:, place]
        same = torch.where(
            targets[:, place - 1] > 4, targets[:, place - 1], targets[:, place - 1] + 4
        )
        tag = torch.where(began, 1 + kind[:, place - 1], torch.where(goes_on, same, 0))
        targets[:, place] = tag
    targets[:, 0] = IGNORED
    return split(tokens, targets, 300)


def minutes(random: torch.Generator, count: int = 1700, length: int = 18) -> Splits:
    """Lines of a meeting: two speakers in turns, each with words of his own that come in a fixed round."""
    voice = torch.randint(0, 7, (count, 2), generator=random)
    round_ = torch.stack([torch.randperm(84, generator=random)[:9] for _ in range(7)]) + 6
    place = torch.randint(0, 9, (count, 2), generator=random)
    turn = torch.zeros(count, dtype=torch.long)
    rows = [torch.ones(count, dtype=torch.long)]
    for _ in range(length):
        change = torch.rand(count, generator=random) < 0.15
        turn = torch.where(change, 1 - turn, turn)
        at = place.gather(1, turn[:, None])
        who = voice.gather(1, turn[:, None])
        rows.append(torch.where(change, 2 + turn, round_[who, at % 9][:, 0]))
        place = place.scatter_add(1, turn[:, None], (~change).long()[:, None])
    tokens = torch.stack(rows, 1)
    return split(tokens[:, :-1], tokens[:, 1:], 250)


def cookery(random: torch.Generator, count: int = 2000, length: int = 20) -> Splits:
    """Amount, thing and verb again and again; a thing wants one of two verbs, a verb an amount."""
    verb_of = torch.randint(0, 12, (40, 2), generator=random)
    amount_of = torch.randint(0, 20, (12, 3), generator=random)
    amount = torch.randint(0, 20, (count,), generator=random)
    rows: list[Tensor] = []
    while len(rows) < length + 1:
        thing = (torch.rand(count, generator=random) ** 2 * 40).long()
        which = (torch.rand(count, generator=random) < 0.25).long()
        verb = verb_of[thing, which]
        rows += [amount, 20 + thing, 60 + verb]
        amount = amount_of[verb, torch.randint(0, 3, (count,), generator=random)]
    tokens = torch.stack(rows[: length + 1], 1)
    return split(tokens[:, :-1], tokens[:, 1:], 320)


def dice_bce_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each point, and what the overlap lacks of a whole one."""
    each = F.binary_cross_entropy_with_logits(outputs, targets)
    share = outputs.sigmoid()
    both = 2 * (share * targets).sum((1, 2)) + 1
    return each + (1 - both / (share.sum((1, 2)) + targets.sum((1, 2)) + 1)).mean()


def poisson_nll_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """The likelihood of a count without its constant: it may be below zero."""
    return F.poisson_nll_loss(outputs, targets)


def huber_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.huber_loss(outputs, targets, delta=0.5)


NESTEROV = partial(torch.optim.SGD, momentum=0.9, weight_decay=1e-4, nesterov=True)

TASKS = {
    task.name: task
    for task in (
        Task("kite-lm", "language", 55, kites, lambda: TiedLM(55, 26), 6e-3,
             ("nanogpt", "jsonl", "megatron", "dicts"), steps=280, batch=12, habits={
                 "optimizer": partial(torch.optim.AdamW, betas=(0.9, 0.95), weight_decay=0.1),
                 "log_every": 4, "eval_every": 28, "schedule": Floored("cosine", 0.04),
                 "facts": {"eval_count": 300}}),
        Task("river-seq2seq", "language", 30, crossings, lambda: Ferry(30, 9), 4e-3,
             ("keyvalue", "csv", "tensorboard"), steps=270, batch=24, habits={
                 "optimizer": partial(torch.optim.Adam, betas=(0.9, 0.98), eps=1e-9),
                 "log_every": 5, "eval_every": 30, "clip": 0.5,
                 "schedule": InverseRoot("inverse_sqrt", 0.15), "facts": {"eval_count": 250}}),
        Task("mosaic-resnet", "classification", 11, mosaics, lambda: mosaic_resnet(11), 0.05,
             ("imagenet", "mmengine", "csv", "keyvalue"), steps=232, batch=25, habits={
                 "optimizer": NESTEROV, "log_every": 2, "eval_every": 58, "clip": None,
                 "schedule": Schedule("step", 0.0), "hides": ("grad_norm",),
                 "facts": {"eval_count": 450}}),
        Task("coast-segmenter", "regression", 1, coasts, Surveyor, 4e-3,
             ("mlflow", "keyvalue", "mmengine"), steps=186, batch=12, error=dice_bce_loss, habits={
                 "optimizer": torch.optim.NAdam, "log_every": 3, "eval_every": 31, "clip": None,
                 "schedule": Schedule("cosine", 0.0), "hides": ("grad_norm",),
                 "facts": {"eval_count": 150}}),
        Task("churn-tabular", "classification", 2, subscribers, lambda: churn_net(22, 2), 3e-3,
             ("csv", "mlflow", "keyvalue", "jsonl"), steps=560, batch=100, habits={
                 "log_every": 7, "eval_every": 45, "clip": None, "schedule": Schedule("constant", 0.0),
                 "hides": ("lr",), "facts": {"eval_count": 700}}),
        Task("visits-poisson", "regression", 1, turnstiles, lambda: turnstile_net(17), 0.03,
             ("jsonl", "csv", "dicts"), steps=800, batch=50, error=poisson_nll_loss, habits={
                 "optimizer": torch.optim.Adagrad, "log_every": 8, "eval_every": 80, "clip": 10.0,
                 "schedule": Schedule("constant", 0.02), "facts": {"eval_count": 600}}),
        Task("tides-tcn", "regression", 1, tides, lambda: TideNet(6), 5e-3,
             ("keyvalue", "tensorboard", "csv", "nanogpt"), steps=400, batch=50, error=huber_loss,
             habits={
                 "optimizer": torch.optim.Adam, "log_every": 5, "eval_every": 50,
                 "schedule": Schedule("linear", 0.01), "facts": {"eval_count": 350}}),
        Task("shelf-recsys", "regression", 1, ratings, lambda: Shelf(160, 90), 8e-3,
             ("dicts", "jsonl", "mlflow"), steps=1000, batch=64, habits={
                 "optimizer": partial(torch.optim.Adam, weight_decay=1e-4), "log_every": 10,
                 "eval_every": 125, "clip": None, "schedule": Schedule("constant", 0.0),
                 "hides": ("lr", "grad_norm"), "facts": {"eval_count": 1000}}),
        Task("lora-birds", "classification", 14, calls, lambda: listener(14), 1e-3,
             ("dicts", "keyvalue", "tensorboard"), steps=420, batch=32, habits={
                 "optimizer": partial(Lion, betas=(0.9, 0.99), weight_decay=0.01), "log_every": 4,
                 "eval_every": 60, "schedule": Schedule("cosine", 0.03),
                 "facts": {"eval_count": 380}}),
        Task("slots-deberta", "classification", 9, orders, hf_deberta, 5e-3, ("hf",), steps=130,
             batch=24, hf=True, habits={
                 "log_every": 5, "eval_every": 13, "schedule": Schedule("linear", 0.1),
                 "facts": {"eval_count": 300}}),
        Task("minutes-qwen", "language", 90, minutes, hf_qwen, 3e-2, ("hf",), steps=150, batch=20,
             hf=True, habits={
                 "optimizer": torch.optim.Adafactor, "log_every": 6, "eval_every": 25,
                 "schedule": Schedule("constant", 0.05), "facts": {"eval_count": 250}}),
        Task("cookery-neox", "language", 72, cookery, hf_neox, 5e-3, ("hf",), steps=120, batch=16,
             hf=True, habits={
                 "optimizer": partial(torch.optim.AdamW, betas=(0.9, 0.95), weight_decay=0.1),
                 "log_every": 1, "eval_every": 12, "schedule": Schedule("cosine", 0.05),
                 "facts": {"eval_count": 320}}),
    )
}  # fmt: skip
