"""The tasks: made-up data, a small model, and the settings under which it trains well.

They are the first that were made.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - everybody's name for it

from benchmarks.faults.task import Splits, Task, split


def blobs(random: torch.Generator, count: int = 2400, classes: int = 10, width: int = 20) -> Splits:
    """Clouds around random centres, bent, so that a line does not part them."""
    centres = torch.randn(classes, width, generator=random)
    targets = torch.randint(0, classes, (count,), generator=random)
    noise = torch.randn(count, width, generator=random)
    inputs = centres[targets] + 1.3 * noise
    return split(torch.cat([inputs, (2 * inputs).sin()], 1), targets)


def spirals(random: torch.Generator, count: int = 2400, arms: int = 4) -> Splits:
    """Points on interleaved spirals."""
    targets = torch.randint(0, arms, (count,), generator=random)
    radius = torch.rand(count, generator=random) ** 0.5
    angle = 2 * math.pi * (1.2 * radius + targets / arms)
    inputs = torch.stack([radius * angle.cos(), radius * angle.sin()], 1) * 2
    return split(inputs + 0.06 * torch.randn(count, 2, generator=random), targets)


def textures(random: torch.Generator, count: int = 1600, classes: int = 8) -> Splits:
    """Gratings whose direction and frequency are the class."""
    targets = torch.randint(0, classes, (count,), generator=random)
    rows, columns = torch.meshgrid(torch.arange(10.0), torch.arange(10.0), indexing="ij")
    angle = math.pi * (targets % 4) / 4
    pitch = torch.where(targets < 4, 1.1, 2.0)
    phase = 2 * math.pi * torch.rand(count, generator=random)
    wave = rows * angle.cos()[:, None, None] + columns * angle.sin()[:, None, None]
    images = (wave * pitch[:, None, None] + phase[:, None, None]).sin()
    noise = torch.randn(count, 10, 10, generator=random)
    return split((images + 1.1 * noise).unsqueeze(1), targets)


def signals(random: torch.Generator, count: int = 2000, classes: int = 6) -> Splits:
    """Series whose rhythm is the class."""
    targets = torch.randint(0, classes, (count,), generator=random)
    time = torch.arange(24.0)
    phase = 6.28 * torch.rand(count, 1, generator=random)
    wave = ((0.3 + 0.25 * targets[:, None]) * time + phase).sin()
    return split((wave + 0.5 * torch.randn(count, 24, generator=random)).unsqueeze(-1), targets)


def patches(random: torch.Generator, count: int = 1800, classes: int = 12) -> Splits:
    """Rows of patches; the class is which prototype stands among distractors."""
    prototypes = torch.randn(classes, 16, generator=random)
    targets = torch.randint(0, classes, (count,), generator=random)
    images = torch.randn(count, 9, 16, generator=random)
    place = torch.randint(0, 9, (count,), generator=random)
    images[torch.arange(count), place] = (
        1.4 * prototypes[targets] + 0.5 * images[torch.arange(count), place]
    )
    return split(images, targets)


def text(random: torch.Generator, vocabulary: int, length: int, count: int = 1400) -> Splits:
    """Sequences in which a token depends on the two before it, with some noise."""
    table = torch.randint(0, vocabulary, (vocabulary, 4), generator=random)
    tokens = torch.randint(0, vocabulary, (count, length + 1), generator=random)
    for position in range(2, length + 1):
        follows = table[tokens[:, position - 1], tokens[:, position - 2] % 4]
        known = torch.rand(count, generator=random) < 0.85
        tokens[:, position] = torch.where(known, follows, tokens[:, position])
    return split(tokens[:, :-1], tokens[:, 1:])


def curves(random: torch.Generator, count: int = 2400, width: int = 6) -> Splits:
    """A smooth function of a few numbers, with noise."""
    inputs = torch.randn(count, width, generator=random)
    clean = (1.5 * inputs[:, 0]).sin() + inputs[:, 1] * inputs[:, 2] + 0.5 * inputs[:, 3]
    return split(inputs, clean + 0.2 * torch.randn(count, generator=random))


def springs(random: torch.Generator, count: int = 2400) -> Splits:
    """Where a damped spring stands after a while."""
    stiffness, damping, start = torch.rand(3, count, generator=random)
    clean = 3 * start * (-2 * damping).exp() * (6 * stiffness).cos()
    inputs = torch.stack([stiffness, damping, start], 1) * 2 - 1
    return split(inputs, clean + 0.1 * torch.randn(count, generator=random))


def shapes(random: torch.Generator, count: int = 1600, classes: int = 5) -> Splits:
    """A bar, a cross, a ring, a corner or a dot somewhere in a noisy picture."""
    figures = torch.zeros(classes, 5, 5)
    figures[0, 2] = 1
    figures[1, 2] = figures[1, :, 2] = 1
    figures[2] = 1
    figures[2, 1:4, 1:4] = 0
    figures[3, 0] = figures[3, :, 0] = 1
    figures[4, 1:4, 1:4] = 1
    targets = torch.randint(0, classes, (count,), generator=random)
    images = 0.5 * torch.randn(count, 12, 12, generator=random)
    places = torch.randint(0, 8, (count, 2), generator=random)
    for image, target, (top, left) in zip(images, targets, places.tolist(), strict=True):
        image[top : top + 5, left : left + 5] += 1.5 * figures[target]
    return split(images.unsqueeze(1), targets)


def keys(random: torch.Generator, count: int = 1800, classes: int = 7) -> Splits:
    """Token rows that name a slot at their start; the token in that slot decides the class."""
    tokens = torch.randint(0, 30, (count, 10), generator=random)
    tokens[:, 0] = torch.randint(0, 3, (count,), generator=random)
    chosen = tokens.gather(1, 1 + 3 * tokens[:, :1]).squeeze(1)
    return split(F.one_hot(tokens, 30).float(), chosen % classes)


def motors(random: torch.Generator, count: int = 2400) -> Splits:
    """The torque of a motor by voltage, speed, heat and load, which saturates."""
    voltage, speed, heat, load = torch.randn(4, count, generator=random)
    clean = 2 * (voltage - 0.6 * speed).tanh() - 0.4 * heat.relu() * load.abs()
    inputs = torch.stack([voltage, speed, heat, load], 1)
    return split(inputs, 5 + 3 * clean + 0.3 * torch.randn(count, generator=random))


def mlp(inputs: int, classes: int, width: int = 64, depth: int = 2) -> nn.Module:
    layers: list[nn.Module] = [nn.Linear(inputs, width), nn.ReLU()]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, classes))


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def residual_mlp(inputs: int, classes: int, width: int = 32, depth: int = 4) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, width),
        *(Residual(width) for _ in range(depth)),
        nn.Linear(width, classes),
    )


def cnn(classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
        nn.Flatten(), nn.Dropout(0.1), nn.Linear(96, classes),
    )  # fmt: skip


def lenet(classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, classes),
    )  # fmt: skip


class KeyReader(nn.Module):
    """A transformer over one-hot tokens with a head on the first of them."""

    def __init__(self, classes: int, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Linear(30, width)
        self.place = nn.Parameter(0.3 * torch.randn(10, width))
        self.body = encoder(width, 2, 0.0)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.embed(x) + self.place)[:, 0])


class LongShortText(nn.Module):
    """A language model of two LSTM layers."""

    def __init__(self, vocabulary: int, width: int = 72) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.cell = nn.LSTM(width, width, num_layers=2, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, x: Tensor) -> Tensor:
        with torch.backends.mkldnn.flags(enabled=False):  # its LSTM knows no fp16
            return self.head(self.cell(self.embed(x))[0])


class Recurrent(nn.Module):
    """A plain recurrent network that reads a series and names its class."""

    def __init__(self, classes: int, width: int = 48) -> None:
        super().__init__()
        self.cell = nn.RNN(1, width, batch_first=True)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0].mean(1))


class RecurrentText(nn.Module):
    """A gated recurrent language model."""

    def __init__(self, vocabulary: int, width: int = 64) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.cell = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(self.embed(x))[0])


def encoder(width: int, depth: int, dropout: float) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        width, 4, 2 * width, dropout, batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)


class Transformer(nn.Module):
    """A causal language model."""

    def __init__(self, vocabulary: int, length: int, width: int = 48, depth: int = 2) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.place = nn.Parameter(0.02 * torch.randn(length, width))
        self.body = encoder(width, depth, 0.0)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, vocabulary))
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.embed(x) + self.place, mask=self.mask.to(self.place.dtype)))


class PatchTransformer(nn.Module):
    """A transformer over patches, with a mean over them at its end."""

    def __init__(self, classes: int, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Linear(16, width)
        self.place = nn.Parameter(0.02 * torch.randn(9, width))
        self.body = encoder(width, 2, 0.1)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.embed(x) + self.place).mean(1))


def hf_classifier() -> nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    return BertForSequenceClassification(
        BertConfig(
            vocab_size=60, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=64, max_position_embeddings=16, num_labels=6,
        )
    )  # fmt: skip


def hf_language_model() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(vocab_size=96, n_positions=16, n_embd=32, n_layer=2, n_head=2,
                   bos_token_id=0, eos_token_id=0)
    )  # fmt: skip


def hf_electra() -> nn.Module:
    from transformers import ElectraConfig, ElectraForSequenceClassification

    return ElectraForSequenceClassification(
        ElectraConfig(
            vocab_size=60, embedding_size=32, hidden_size=32, num_hidden_layers=2,
            num_attention_heads=2, intermediate_size=64, max_position_embeddings=16, num_labels=6,
        )
    )  # fmt: skip


def hf_opt() -> nn.Module:
    from transformers import OPTConfig, OPTForCausalLM

    return OPTForCausalLM(
        OPTConfig(vocab_size=80, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, ffn_dim=64,
                  max_position_embeddings=16, word_embed_proj_dim=32, bos_token_id=0, eos_token_id=0,
                  pad_token_id=1)
    )  # fmt: skip


def hf_tagger() -> nn.Module:
    from transformers import DistilBertConfig, DistilBertForTokenClassification

    return DistilBertForTokenClassification(
        DistilBertConfig(vocab_size=50, dim=32, n_layers=2, n_heads=2, hidden_dim=64,
                         max_position_embeddings=16, num_labels=9)
    )  # fmt: skip


def sentences(random: torch.Generator, count: int = 1600, classes: int = 6) -> Splits:
    """Token rows; the class is the keyword family that occurs most."""
    targets = torch.randint(0, classes, (count,), generator=random)
    tokens = torch.randint(0, 60, (count, 12), generator=random)
    keyword = targets[:, None] * 10 + torch.randint(0, 10, (count, 12), generator=random)
    chosen = torch.rand(count, 12, generator=random) < 0.4
    return split(torch.where(chosen, keyword, tokens), targets)


def tagged(random: torch.Generator, count: int = 1600, tags: int = 9) -> Splits:
    """Token rows with a tag for each token, which depends on the token and its neighbour."""
    tokens = torch.randint(0, 50, (count, 12), generator=random)
    targets = (tokens + (torch.roll(tokens, 1, 1) > 25)) % tags
    noisy = torch.rand(count, 12, generator=random) < 0.1
    return split(
        tokens,
        torch.where(noisy, torch.randint(0, tags, (count, 12), generator=random), targets),
    )


# What is done to a task is done to its sibling, too: a new task meets every fault with one line here.
SIBLINGS = {
    "textures-cnn": "shapes-lenet", "patches-vit": "keys-attention", "grammar-gru": "words-lstm",
    "springs-mlp": "motors-mlp", "hf-bert": "hf-electra", "hf-gpt2": "hf-opt", "grpo-aim": "grpo-rank",
}  # fmt: skip


def with_siblings(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of tasks with those of their siblings behind them."""
    return (*names, *(SIBLINGS[name] for name in names if name in SIBLINGS))


TASKS = {
    task.name: task
    for task in (
        Task("blobs-mlp", "classification", 10, blobs, lambda: mlp(40, 10), 2e-3,
             ("keyvalue", "csv", "imagenet", "dicts")),
        Task("spirals-resmlp", "classification", 4, spirals, lambda: residual_mlp(2, 4), 2e-3,
             ("tensorboard", "keyvalue", "jsonl")),
        Task("signals-rnn", "classification", 6, signals, lambda: Recurrent(6), 2e-3,
             ("imagenet", "tensorboard", "csv"), steps=800),
        Task("chars-transformer", "language", 48, lambda r: text(r, 48, 16, 4000),
             lambda: Transformer(48, 16), 3e-3, ("nanogpt", "dicts", "tensorboard")),
        Task("curves-mlp", "regression", 1, curves, lambda: mlp(6, 1), 3e-3,
             ("csv", "keyvalue", "mlflow")),
        Task("hf-bert", "classification", 6, sentences, hf_classifier, 2e-3, ("hf",),
             steps=300, hf=True),
        Task("textures-cnn", "classification", 8, textures, lambda: cnn(8), 3e-3,
             ("tensorboard", "imagenet", "csv", "keyvalue")),
        Task("patches-vit", "classification", 12, patches, lambda: PatchTransformer(12), 2e-3,
             ("keyvalue", "tensorboard", "dicts"), steps=500),
        Task("grammar-gru", "language", 32, lambda r: text(r, 32, 14, 3000), lambda: RecurrentText(32),
             4e-3, ("nanogpt", "jsonl", "csv")),
        Task("springs-mlp", "regression", 1, springs, lambda: mlp(3, 1), 3e-3,
             ("csv", "keyvalue")),
        Task("hf-gpt2", "language", 96, lambda r: text(r, 96, 14, 4000), hf_language_model, 4e-3,
             ("hf",), steps=300, hf=True),
        Task("shapes-lenet", "classification", 5, shapes, lambda: lenet(5), 2e-3,
             ("keyvalue", "imagenet", "tensorboard", "csv")),
        Task("keys-attention", "classification", 7, keys, lambda: KeyReader(7), 2e-3,
             ("dicts", "keyvalue", "tensorboard"), steps=700),
        Task("words-lstm", "language", 64, lambda r: text(r, 64, 12, 4000), lambda: LongShortText(64),
             4e-3, ("nanogpt", "keyvalue", "jsonl"), steps=700),
        Task("motors-mlp", "regression", 1, motors, lambda: mlp(4, 1), 4e-3,
             ("csv", "jsonl", "tensorboard")),
        Task("hf-electra", "classification", 6, sentences, hf_electra, 2e-3, ("hf",),
             steps=300, hf=True),
        Task("hf-opt", "language", 80, lambda r: text(r, 80, 14, 4000), hf_opt, 4e-3,
             ("hf",), steps=300, hf=True),
        Task("hf-tagger", "classification", 9, tagged, hf_tagger, 3e-3, ("hf",), steps=300, hf=True),
    )
}  # fmt: skip
