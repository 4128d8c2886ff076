"""The tasks of the third sitting: other data, models, sizes, optimizers and logging than those before."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch.nn import functional as F  # noqa: N812

from benchmarks.faults.recipe import Schedule
from benchmarks.faults.task import IGNORED, Splits, Task, split
from benchmarks.faults.third.models import (
    GRUTagger,
    MoleculeNet,
    ResidualCNN,
    SmallUNet,
    SmallViT,
    Translator,
    VerseModel,
    bag_of_words,
    hf_albert,
    hf_masked,
    hf_t5,
    tabular,
)


def leaves(random: torch.Generator, count: int = 2600, classes: int = 18) -> Splits:
    """Two-colour pictures: six outlines, each in three shadings, turned by a quarter now and then."""
    rows, columns = torch.meshgrid(
        torch.linspace(-1, 1, 13), torch.linspace(-1, 1, 13), indexing="ij"
    )
    angle, far = torch.atan2(rows, columns), (rows**2 + columns**2).sqrt()
    targets = torch.randint(0, classes, (count,), generator=random)
    lobes, shade = (targets // 3 + 1)[:, None, None], (targets % 3)[:, None, None]
    turned = math.pi / 2 * torch.randint(0, 4, (count, 1, 1), generator=random)
    outline = 0.55 + 0.3 * (lobes * (angle + turned)).cos()
    inside = torch.sigmoid(9 * (outline - far))
    ramp = torch.where(shade == 0, far, torch.where(shade == 1, 1 - far, torch.full_like(far, 0.5)))
    images = torch.stack([inside, inside * ramp], 1) - 0.4
    return split(images + 0.45 * torch.randn(images.shape, generator=random), targets, 500)


def spectra(random: torch.Generator, count: int = 2300, classes: int = 9) -> Splits:
    """Spectrograms of twelve bands and twenty moments; a class is a chirp from one band to another."""
    targets = torch.randint(0, classes, (count,), generator=random)
    time = torch.linspace(0, 1, 20)
    first = 1.5 + 4.0 * (targets // 3)[:, None]
    last = 1.5 + 4.0 * (targets % 3)[:, None]
    path = first + (last - first) * time + 0.8 * torch.randn(count, 1, generator=random)
    bands = torch.arange(12.0)[None, :, None]
    power = (-((bands - path[:, None]) ** 2) / 1.5).exp()
    return split(2.2 * power + torch.randn(count, 12, 20, generator=random), targets)


def cells(random: torch.Generator, count: int = 900, size: int = 14) -> Splits:
    """Blots of three kinds on a noisy ground: each pixel is ground, rim, body or core."""
    rows, columns = torch.meshgrid(
        torch.arange(float(size)), torch.arange(float(size)), indexing="ij"
    )
    centre = 3 + (size - 6) * torch.rand(count, 2, 1, 1, generator=random)
    radius = 2.5 + 2.5 * torch.rand(count, 1, 1, generator=random)
    far = ((rows - centre[:, 0]) ** 2 + (columns - centre[:, 1]) ** 2).sqrt() / radius
    targets = (far < 1.0).long() + (far < 0.75).long() + (far < 0.35).long()
    bright = torch.tensor([0.0, 1.3, 0.6, 2.0])[targets]
    images = bright + 0.6 * torch.randn(bright.shape, generator=random)
    return split(images.unsqueeze(1), targets, 200)


def wells(random: torch.Generator, count: int = 5000) -> Splits:
    """The yield of a well by fourteen measurements, five of which matter; a tenth is far off."""
    inputs = torch.randn(count, 14, generator=random)
    clean = inputs[:, 0] + 0.8 * inputs[:, 1] * inputs[:, 2].sigmoid()
    clean = clean + (inputs[:, 3] + inputs[:, 4]).abs()
    spread = torch.where(torch.rand(count, generator=random) < 0.1, 1.5, 0.25)
    return split(inputs, 40 + 12 * (clean + spread * torch.randn(count, generator=random)), 600)


def molecules(random: torch.Generator, count: int = 1700, atoms: int = 8) -> Splits:
    """Random graphs of eight atoms of four kinds; bonded pairs and triangles make the energy."""
    kinds = F.one_hot(torch.randint(0, 4, (count, atoms), generator=random), 4).float()
    drawn = torch.rand(count, atoms, atoms, generator=random) < 0.3
    bonds = torch.triu(drawn, 1).float()
    bonds = bonds + bonds.transpose(1, 2)
    worth = torch.tensor([-1.0, 0.2, 0.7, 1.5])
    charge = kinds @ worth
    pairs = torch.einsum("bi,bij,bj->b", charge, bonds, charge) / 2
    rings = torch.einsum("bij,bjk,bki->b", bonds, bonds, bonds) / 6
    energy = 0.5 * pairs - 0.3 * rings + 0.15 * torch.randn(count, generator=random)
    return split(torch.cat([kinds, bonds], -1), energy, 350)


def articles(random: torch.Generator, count: int = 2800, topics: int = 15) -> Splits:
    """Counts of ninety words; an article has one to four of fifteen topics."""
    chosen = torch.rand(count, topics, generator=random) < 0.15
    typical = (torch.rand(topics, 90, generator=random) < 0.12).float()
    rate = 0.25 + 1.6 * (chosen.float() @ typical).clamp(max=2)
    counts = torch.poisson(rate, generator=random)
    return split((counts + 1).log() - 0.4, chosen.float())


def notes(random: torch.Generator, count: int = 1500, tags: int = 8) -> Splits:
    """Rows of sixteen tokens of a melody; a tag is the interval to the note before, as far as it goes."""
    steps = torch.randint(-3, 4, (count, 16), generator=random)
    pitch = (30 + steps.cumsum(1)).clamp(1, 58)
    before = torch.cat([pitch[:, :1], pitch[:, :-1]], 1)
    targets = ((pitch - before) + 3).clamp(0, 6)
    targets[:, 0] = 7
    worn = torch.rand(count, 16, generator=random) < 0.05
    drawn = torch.randint(0, tags, (count, 16), generator=random)
    return split(pitch, torch.where(worn, drawn, targets), 300)


def verses(random: torch.Generator, count: int = 2200, length: int = 32) -> Splits:
    """Text of a made-up tongue: syllables of two or three letters, rhymes at the end of each line."""
    onset = torch.randint(1, 20, (14,), generator=random).tolist()
    vowel = torch.randint(20, 27, (9,), generator=random).tolist()
    coda = torch.randint(27, 40, (6,), generator=random).tolist()
    rows = []
    for _ in range(count):
        drawn = torch.rand(64, generator=random).tolist()
        letters: list[int] = []
        rhyme = vowel[int(drawn[0] * 9)]
        for place in range(1, 61, 3):
            at = int(drawn[place] ** 2 * 14)
            last = place % 12 == 10
            letters += [onset[at], rhyme if last else vowel[(at + int(drawn[place + 1] * 3)) % 9]]
            if drawn[place + 2] < 0.35:
                letters.append(coda[at % 6])
            if last:
                letters.append(41)
        rows.append(torch.tensor(letters[: length + 1]))
    tokens = torch.stack(rows)
    return split(tokens[:, :-1], tokens[:, 1:], 240)


def turns(random: torch.Generator, count: int = 3600, length: int = 7) -> Splits:
    """A row of tokens, then a mark, then the same backwards with every second token raised by one."""
    source = torch.randint(2, 22, (count, length), generator=random)
    answer = source.flip(1)
    answer[:, ::2] += 1
    mark = torch.ones(count, 1, dtype=torch.long)
    return split(torch.cat([source, mark, answer[:, :-1]], 1), answer, 400)


def hidden_words(random: torch.Generator, count: int = 2400, length: int = 16) -> Splits:
    """Rows in which a token is its neighbour's successor in one of ten cycles; a fifth is masked."""
    cycle = torch.randint(0, 10, (count, 1), generator=random)
    place = torch.arange(length) + torch.randint(0, 8, (count, 1), generator=random)
    tokens = 4 + 8 * cycle + place % 8
    worn = torch.rand(tokens.shape, generator=random) < 0.08
    tokens = torch.where(worn, torch.randint(4, 84, tokens.shape, generator=random), tokens)
    masked = torch.rand(tokens.shape, generator=random) < 0.2
    masked[:, 0] |= ~masked.any(1)
    return split(tokens.masked_fill(masked, 3), tokens.masked_fill(~masked, IGNORED))


def sums(random: torch.Generator, count: int = 3600) -> Splits:
    """Two numbers of three digits, and which of their digits are larger: short rows of answers."""
    digits = torch.randint(0, 10, (count, 2, 3), generator=random)
    larger = digits.max(1).values
    tokens = torch.cat([digits[:, 0] + 2, torch.full((count, 1), 12), digits[:, 1] + 2], 1)
    end = torch.ones(count, 1, dtype=torch.long)
    return split(tokens, torch.cat([larger + 13, end], 1))


def claims(random: torch.Generator, count: int = 2100, classes: int = 5) -> Splits:
    """Token rows of fourteen; how many marks stand among them is the class."""
    tokens = torch.randint(5, 48, (count, 14), generator=random)
    targets = torch.randint(0, classes, (count,), generator=random)
    order = torch.rand(count, 14, generator=random).argsort(1)
    for mark in range(4):
        wanted = (targets > mark)[:, None] & (order == mark)
        tokens = tokens.masked_fill(wanted, 2)
    worn = torch.rand(count, generator=random) < 0.06
    drawn = torch.randint(0, classes, (count,), generator=random)
    return split(tokens, torch.where(worn, drawn, targets))


MOMENTUM = partial(torch.optim.SGD, momentum=0.9, weight_decay=5e-4)

TASKS = {
    task.name: task
    for task in (
        Task("leaves-resnet", "classification", 18, leaves, lambda: ResidualCNN(18), 0.06,
             ("imagenet", "tensorboard", "mlflow", "csv"), steps=420, batch=40, habits={
                 "optimizer": MOMENTUM, "log_every": 6, "eval_every": 35, "clip": None,
                 "schedule": Schedule("onecycle", 0.25), "facts": {"eval_count": 500}}),
        Task("spectra-vit", "classification", 9, spectra, lambda: SmallViT(9), 4e-3,
             ("jsonl", "keyvalue", "tensorboard", "dicts"), steps=405, batch=32, habits={
                 "optimizer": partial(torch.optim.AdamW, betas=(0.9, 0.98), weight_decay=0.05),
                 "log_every": 5, "eval_every": 45, "schedule": Schedule("cosine", 0.1)}),
        Task("cells-unet", "classification", 4, cells, SmallUNet, 2e-3,
             ("mmengine", "csv", "keyvalue", "nanogpt"), steps=350, batch=14, habits={
                 "optimizer": torch.optim.Adam, "log_every": 5, "eval_every": 50, "clip": None,
                 "schedule": Schedule("exponential", 0.0, decay=0.995), "hides": ("grad_norm",),
                 "facts": {"eval_count": 200}}),
        Task("wells-mae", "regression", 1, wells, lambda: tabular(14), 4e-3,
             ("csv", "keyvalue", "mlflow"), steps=1500, batch=100, error=F.l1_loss, habits={
                 "optimizer": partial(torch.optim.Adam, amsgrad=True), "log_every": 1,
                 "eval_every": 150, "clip": 5.0, "schedule": Schedule("step", 0.0)}),
        Task("molecules-gnn", "regression", 1, molecules, lambda: MoleculeNet(8), 3e-3,
             ("dicts", "tensorboard", "jsonl"), steps=720, batch=40, habits={
                 "optimizer": torch.optim.RAdam, "log_every": 8, "eval_every": 60,
                 "schedule": Schedule("constant", 0.0)}),
        Task("topics-bce", "regression", 1, articles, lambda: bag_of_words(90, 15), 3e-3,
             ("mlflow", "jsonl", "keyvalue"), steps=640, batch=32,
             error=F.binary_cross_entropy_with_logits, habits={
                 "optimizer": partial(torch.optim.AdamW, weight_decay=1e-3), "log_every": 4,
                 "eval_every": 80, "clip": None, "schedule": Schedule("linear", 0.0),
                 "hides": ("lr",)}),
        Task("melody-gru", "classification", 8, notes, lambda: GRUTagger(60, 8), 4e-3,
             ("dicts", "nanogpt", "csv"), steps=300, batch=30, habits={
                 "optimizer": torch.optim.Adam, "log_every": 2, "eval_every": 30, "clip": 5.0,
                 "schedule": Schedule("wsd", 0.03), "facts": {"eval_count": 300}}),
        Task("verse-lm", "language", 42, verses, lambda: VerseModel(42, 32), 2e-3,
             ("megatron", "nanogpt", "dicts", "tensorboard"), steps=220, batch=12, habits={
                 "optimizer": partial(torch.optim.AdamW, betas=(0.9, 0.99), weight_decay=0.02),
                 "log_every": 1, "eval_every": 22,
                 "schedule": Schedule("cosine", 0.05)}),
        Task("turns-seq2seq", "language", 24, turns, lambda: Translator(24, 7), 5e-3,
             ("keyvalue", "csv", "jsonl"), steps=400, batch=32, habits={
                 "optimizer": torch.optim.Adam, "log_every": 10, "eval_every": 40, "clip": 1.0,
                 "schedule": Schedule("linear", 0.02)}),
        Task("hf-masked", "language", 84, hidden_words, hf_masked, 4e-3, ("hf",), steps=260,
             batch=32, hf=True, causal=False, habits={
                 "log_every": 10, "eval_every": 40, "schedule": Schedule("linear", 0.06)}),
        Task("hf-t5", "language", 24, sums, hf_t5, 5e-3, ("hf",), steps=260, batch=32, hf=True,
             causal=False, habits={
                 "optimizer": torch.optim.Adam, "log_every": 4, "eval_every": 26,
                 "schedule": Schedule("constant", 0.0)}),
        Task("hf-albert", "classification", 5, claims, hf_albert, 1e-3, ("hf",), steps=288,
             batch=20, hf=True, habits={
                 "log_every": 4, "eval_every": 32,
                 "schedule": Schedule("cosine", 0.1)}),
    )
}  # fmt: skip
