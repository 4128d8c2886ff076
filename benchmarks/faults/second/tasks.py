"""Tasks of other data, models, sizes, optimizers and logging than the first ones."""

from __future__ import annotations

import copy
import math
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.faults.first.tasks import encoder
from benchmarks.faults.recipe import Schedule
from benchmarks.faults.task import IGNORED, Splits, Task, split


def rings(random: torch.Generator, count: int = 2200, classes: int = 16) -> Splits:
    """Colour pictures of a ring; its place in a grid of four by four is the class."""
    targets = torch.randint(0, classes, (count,), generator=random)
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    shift = torch.randn(2, count, generator=random)
    top = 2 + 4 * (targets // 4) + 0.6 * shift[0]
    left = 2 + 4 * (targets % 4) + 0.6 * shift[1]
    far = ((rows - top[:, None, None]) ** 2 + (columns - left[:, None, None]) ** 2).sqrt()
    ring = (-((far - 2.5) ** 2)).exp()
    tint = 0.3 + torch.rand(count, 3, 1, 1, generator=random)
    noise = torch.randn(count, 3, 16, 16, generator=random)
    return split(2.5 * tint * ring[:, None] + noise, targets)


def seasons(random: torch.Generator, count: int = 1800, classes: int = 3) -> Splits:
    """Four channels over time; which of them leads the others is the class."""
    targets = torch.randint(0, classes, (count,), generator=random)
    base = torch.randn(count, 52, generator=random).cumsum(1) * 0.4
    channels = [base[:, 2:50]] * 4
    for leader in range(classes):
        chosen = (targets == leader)[:, None]
        channels[leader] = torch.where(chosen, base[:, 4:52], channels[leader])
    series = torch.stack(channels, 1)
    return split(series + 1.0 * torch.randn(count, 4, 48, generator=random), targets, 300)


def glyphs(random: torch.Generator, count: int = 5200, classes: int = 26) -> Splits:
    """Letters of a made-up alphabet, shifted and worn."""
    letters = (torch.rand(classes, 7, 7, generator=random) < 0.4).float()
    targets = torch.randint(0, classes, (count,), generator=random)
    images = 0.4 * torch.randn(count, 9, 9, generator=random)
    places = torch.randint(0, 3, (count, 2), generator=random).tolist()
    kept = (torch.rand(count, 7, 7, generator=random) < 0.9).float()
    for row, (top, left) in enumerate(places):
        images[row, top : top + 7, left : left + 7] += 1.3 * kept[row] * letters[targets[row]]
    return split(images.unsqueeze(1), targets)


def phrases(random: torch.Generator, count: int = 1900, tags: int = 14) -> Splits:
    """Rows of 4 to 18 tokens; a tag depends on the token and on both its neighbours."""
    tokens = torch.randint(1, 70, (count, 18), generator=random)
    length = torch.randint(4, 19, (count, 1), generator=random)
    around = (torch.roll(tokens, 1, 1) > 35).long() + 2 * (torch.roll(tokens, -1, 1) > 35).long()
    targets = (tokens % 7 + 7 * (around == 3)) % tags
    outside = torch.arange(18) >= length
    return split(tokens.masked_fill(outside, 0), targets.masked_fill(outside, IGNORED))


def bytes_of(random: torch.Generator, vocabulary: int, length: int, count: int) -> Splits:
    """Words of three to six tokens from a small dictionary, one behind the other."""
    words = [torch.randint(1, vocabulary, (3 + n % 4,), generator=random) for n in range(60)]
    rows = []
    for _ in range(count):
        chosen = torch.randint(0, 60, (length // 3 + 1,), generator=random).tolist()
        rows.append(torch.cat([words[n] for n in chosen])[: length + 1])
    tokens = torch.stack(rows)
    return split(tokens[:, :-1], tokens[:, 1:], 300)


def prices(random: torch.Generator, count: int = 4000) -> Splits:
    """A price by size, age, place and two idle columns, with noise of heavy tails."""
    inputs = torch.randn(count, 8, generator=random)
    clean = 1.2 * inputs[:, 0] - inputs[:, 1].abs() + (inputs[:, 2] * inputs[:, 3]).tanh()
    clean = clean + 0.7 * (2 * inputs[:, 4]).sin()
    bell = torch.randn(count, 4, generator=random)
    tails = bell[:, 0] / (bell[:, 1:] ** 2).mean(1).sqrt()  # Student's t of three degrees
    return split(inputs, 2 + clean + 0.4 * tails, 500)


def loads(random: torch.Generator, count: int = 2000) -> Splits:
    """The next value of a load with a daily and a weekly rhythm, from thirty before it."""
    phase = 50 * torch.rand(count, 1, generator=random)
    time = torch.arange(31.0) + phase
    series = (2 * math.pi * time / 12).sin() + 0.6 * (2 * math.pi * time / 31).cos()
    series = series * (1 + 0.5 * torch.rand(count, 1, generator=random))
    series = series + 0.15 * torch.randn(count, 31, generator=random)
    return split(series[:, :-1].unsqueeze(-1), 10 * series[:, -1])


def reviews(random: torch.Generator, count: int = 2000, classes: int = 11) -> Splits:
    """Token rows; the class is the topic of the first of two opinions."""
    targets = torch.randint(0, classes, (count,), generator=random)
    other = torch.randint(0, classes, (count,), generator=random)
    tokens = torch.randint(40, 110, (count, 20), generator=random)
    place = torch.randint(1, 9, (count,), generator=random)
    everything = torch.arange(count)
    for ahead in range(2):
        tokens[everything, place + ahead] = 3 + 3 * targets + ahead
    tokens[everything, place + 10] = 3 + 3 * other
    return split(tokens, targets)


def moods(random: torch.Generator, count: int = 2500, classes: int = 4) -> Splits:
    """The same language as `reviews`, with few classes: groups of topics, and a tenth of them wrong."""

    def grouped(topics: Tensor) -> Tensor:
        wrong = torch.rand(topics.shape, generator=random) < 0.1
        other = torch.randint(0, classes, topics.shape, generator=random)
        return torch.where(wrong, other, topics // 3)

    data = reviews(random, count, 11)
    return Splits(data.inputs, grouped(data.targets), data.eval_inputs, grouped(data.eval_targets))


class Mixer(nn.Module):
    """An MLP-mixer over patches of four by four pixels."""

    def __init__(self, classes: int, width: int = 40, depth: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.blocks = nn.ModuleList(MixerBlock(16, width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


class MixerBlock(nn.Module):
    def __init__(self, places: int, width: int) -> None:
        super().__init__()
        self.across = nn.Sequential(nn.Linear(places, 32), nn.GELU(), nn.Linear(32, places))
        self.along = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.across(self.norms[0](x).transpose(1, 2)).transpose(1, 2)
        return x + self.along(self.norms[1](x))


def conv1d(classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(4, 24, 5, padding=2), nn.BatchNorm1d(24), nn.SiLU(),
        nn.Conv1d(24, 24, 5, 2, padding=2), nn.BatchNorm1d(24), nn.SiLU(),
        nn.AdaptiveMaxPool1d(3), nn.Flatten(), nn.Linear(72, classes),
    )  # fmt: skip


def depthwise(classes: int, width: int = 32) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(1, width, 3, padding=1), nn.GELU()]
    for stride in (1, 2):
        layers += [
            nn.Conv2d(width, width, 3, stride, padding=1, groups=width), nn.GroupNorm(4, width),
            nn.Conv2d(width, width, 1), nn.GELU(),
        ]  # fmt: skip
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(25 * width, classes))


class Tagger(nn.Module):
    """A bidirectional LSTM with a tag for each token."""

    def __init__(self, tags: int, width: int = 36) -> None:
        super().__init__()
        self.embed = nn.Embedding(70, width)
        self.cell = nn.LSTM(width, width, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, tags)

    def forward(self, x: Tensor) -> Tensor:
        with torch.backends.mkldnn.flags(enabled=False):  # its LSTM knows no fp16
            return self.head(self.cell(self.embed(x))[0])


class Decoder(nn.Module):
    """A causal transformer of post-norm layers with a head that is tied to the embedding."""

    def __init__(self, vocabulary: int, length: int, width: int = 64) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embed.weight, std=0.05)
        self.place = nn.Parameter(0.05 * torch.randn(length, width))
        layer = nn.TransformerEncoderLayer(width, 8, 3 * width, 0.0, "gelu", batch_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, vocabulary)
        self.head.weight = nn.Parameter(self.embed.weight.detach().clone())
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.embed(x) + self.place, mask=self.mask.to(self.place.dtype)))


class Forecaster(nn.Module):
    """A gated network that reads a series and guesses its next value."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.cell = nn.GRU(1, width, batch_first=True)
        self.head = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][:, -1])


class Reader(nn.Module):
    """A small transformer encoder over tokens."""

    def __init__(self, classes: int, width: int = 40) -> None:
        super().__init__()
        self.embed = nn.Embedding(110, width)
        self.place = nn.Parameter(0.05 * torch.randn(20, width))
        self.body = encoder(width, 2, 0.05)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.embed(x) + self.place).mean(1))


@cache
def pretrained_reader() -> Reader:
    """Return a reader that knows the eleven topics of `reviews`."""
    with torch.random.fork_rng():
        torch.manual_seed(77)
        random = torch.Generator().manual_seed(77)
        data, model = reviews(random, 3000), Reader(11)
        optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
        for _ in range(500):
            rows = torch.randint(0, len(data.inputs), (48,), generator=random)
            optimizer.zero_grad()
            F.cross_entropy(model(data.inputs[rows]), data.targets[rows]).backward()
            optimizer.step()
    return model


def reader_with_a_new_head() -> nn.Module:
    model = copy.deepcopy(pretrained_reader())
    model.head = nn.Linear(model.head.in_features, 4)
    nn.init.normal_(model.head.weight, std=0.02)
    return model


def hf_roberta() -> nn.Module:
    from transformers import RobertaConfig, RobertaForSequenceClassification

    return RobertaForSequenceClassification(
        RobertaConfig(
            vocab_size=110, hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=96, max_position_embeddings=24, num_labels=11,
        )
    )  # fmt: skip


def hf_llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=160, hidden_size=48, intermediate_size=96, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=32,
        )
    )  # fmt: skip


NESTEROV = partial(torch.optim.SGD, momentum=0.9, nesterov=True)


TASKS = {
    task.name: task
    for task in (
        Task("rings-mixer", "classification", 16, rings, lambda: Mixer(16), 3e-3,
             ("mmengine", "csv", "jsonl"), steps=420, batch=48, habits={
                 "optimizer": partial(torch.optim.Adam, betas=(0.9, 0.99)), "log_every": 3,
                 "eval_every": 42, "clip": None, "schedule": Schedule("linear", 0.08)}),
        Task("seasons-conv", "classification", 3, seasons, lambda: conv1d(3), 1e-3,
             ("keyvalue", "tensorboard", "imagenet"), steps=900, batch=24, habits={
                 "optimizer": torch.optim.RMSprop, "log_every": 10, "eval_every": 75,
                 "schedule": Schedule("step", 0.0), "log_means": True}),
        Task("glyphs-depthwise", "classification", 26, glyphs, lambda: depthwise(26), 0.08,
             ("jsonl", "keyvalue", "mlflow"), steps=380, batch=96, habits={
                 "optimizer": NESTEROV, "log_every": 4, "eval_every": 38, "clip": 5.0,
                 "schedule": Schedule("cosine", 0.1)}),
        Task("adapt-reader", "classification", 4, moods, reader_with_a_new_head, 6e-4,
             ("dicts", "tensorboard", "csv"), steps=320, batch=16, habits={
                 "optimizer": partial(torch.optim.AdamW, weight_decay=0.1), "log_every": 4,
                 "eval_every": 40, "schedule": Schedule("linear", 0.06)}),
        Task("tags-bilstm", "classification", 14, phrases, lambda: Tagger(14), 6e-3,
             ("keyvalue", "dicts", "jsonl"), steps=650, batch=20, habits={
                 "optimizer": torch.optim.NAdam, "log_every": 5, "eval_every": 65, "clip": 0.5,
                 "schedule": Schedule("cosine", 0.02)}),
        Task("bytes-decoder", "language", 130, lambda r: bytes_of(r, 130, 24, 3000),
             lambda: Decoder(130, 24), 1.5e-3, ("megatron", "nanogpt", "jsonl"), steps=500, batch=12,
             habits={
                 "optimizer": partial(torch.optim.AdamW, betas=(0.9, 0.95), weight_decay=0.1),
                 "log_every": 2, "eval_every": 50, "schedule": Schedule("wsd", 0.06)}),
        Task("prices-huber", "regression", 1, prices, lambda: nn.Sequential(
                 nn.Linear(8, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1)), 4e-3,
             ("csv", "keyvalue", "tensorboard"), steps=1200, batch=128, error=F.huber_loss, habits={
                 "optimizer": partial(torch.optim.RMSprop, alpha=0.95), "log_every": 12,
                 "eval_every": 120, "clip": 2.0}),
        Task("loads-gru", "regression", 1, loads, Forecaster, 5e-3,
             ("jsonl", "keyvalue", "mlflow"), steps=550, batch=64,
             error=F.l1_loss, habits={
                 "optimizer": torch.optim.Adamax, "log_every": 5, "eval_every": 55,
                 "schedule": Schedule("constant", 0.02)}),
        Task("hf-roberta", "classification", 11, reviews, hf_roberta, 1.5e-3, ("hf",), steps=280,
             batch=24, hf=True, habits={
                 "log_every": 7, "eval_every": 28, "schedule": Schedule("linear", 0.1)}),
        Task("hf-llama", "language", 160, lambda r: bytes_of(r, 160, 20, 3000), hf_llama, 3e-3,
             ("hf",), steps=240, batch=16, hf=True, habits={
                 "optimizer": partial(torch.optim.AdamW, betas=(0.9, 0.95), weight_decay=0.1),
                 "log_every": 3, "eval_every": 40, "schedule": Schedule("cosine", 0.04)}),
    )
}  # fmt: skip
