"""The models of the fourth sitting's tasks, each small enough for one thread."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class RootMeanSquare(nn.Module):
    """The norm of Llama-like models: no mean is taken away, and there is no bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight


class RotaryAttention(nn.Module):
    """Causal attention whose queries and keys are turned by their place."""

    def __init__(self, width: int, heads: int, length: int) -> None:
        super().__init__()
        self.heads, self.causal = heads, True
        self.three = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        half = width // heads // 2
        angle = torch.arange(length)[:, None] / 1000 ** (torch.arange(half) / half)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def turned(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, -1)
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.three(x).chunk(3, -1)
        query, key, value = (p.unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in parts)
        scores = self.turned(query) @ self.turned(key).transpose(-1, -2) / key.shape[-1] ** 0.5
        if self.causal:
            ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
            scores = scores.masked_fill(ahead, -1e4)
        return self.out((scores.softmax(-1) @ value).transpose(1, 2).flatten(2))


class GatedBlock(nn.Module):
    """Attention, then a gated layer, with a norm before each."""

    def __init__(self, width: int, heads: int, length: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(RootMeanSquare(width) for _ in range(2))
        self.attention = RotaryAttention(width, heads, length)
        self.gate = nn.Linear(width, 2 * width, bias=False)
        self.up = nn.Linear(width, 2 * width, bias=False)
        self.down = nn.Linear(2 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norms[0](x))
        y = self.norms[1](x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class PsalmModel(nn.Module):
    """A causal language model over letters, with rotary places and a head of its own."""

    def __init__(self, letters: int, length: int, width: int = 42) -> None:
        super().__init__()
        self.embed = nn.Embedding(letters, width)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.blocks = nn.Sequential(*(GatedBlock(width, 3, length) for _ in range(2)))
        self.norm = RootMeanSquare(width)
        self.head = nn.Linear(width, letters, bias=False)
        nn.init.normal_(self.head.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.embed(x))))


def audio_net(classes: int) -> nn.Module:
    """Three strided convolutions over raw samples, with norms over the batch."""
    return nn.Sequential(
        nn.Conv1d(1, 14, 11, 3, 5), nn.BatchNorm1d(14), nn.ReLU(),
        nn.Conv1d(14, 22, 7, 3, 3), nn.BatchNorm1d(22), nn.ReLU(),
        nn.Conv1d(22, 34, 5, 2, 2), nn.BatchNorm1d(34), nn.ReLU(),
        nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(34, classes),
    )  # fmt: skip


class GatedForecaster(nn.Module):
    """A gated network over days of three measurements; the last state says tomorrow's."""

    def __init__(self, width: int = 34) -> None:
        super().__init__()
        self.cell = nn.GRU(3, width, batch_first=True)
        self.head = nn.Sequential(nn.Linear(width, 20), nn.Tanh(), nn.Linear(20, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][:, -1])


class GraphAttention(nn.Module):
    """Two rounds in which a node looks at its neighbours, then a mean over the nodes."""

    def __init__(self, kinds: int, classes: int, width: int = 32) -> None:
        super().__init__()
        self.kinds = kinds
        self.embed = nn.Linear(kinds, width)
        self.values = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.scores = nn.ModuleList(nn.Linear(width, 2) for _ in range(2))
        self.mixes = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(2))
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, classes))

    def forward(self, x: Tensor) -> Tensor:
        hidden, wires = self.embed(x[..., : self.kinds]), x[..., self.kinds :]
        for value, score, mix in zip(self.values, self.scores, self.mixes, strict=True):
            asks, tells = score(hidden).unbind(-1)
            weight = F.leaky_relu(asks[:, :, None] + tells[:, None])
            weight = weight.masked_fill(wires == 0, -1e4).softmax(-1) * (wires > 0)
            seen = weight @ value(hidden) * wires.sum(-1, keepdim=True).sqrt()
            hidden = hidden + F.relu(mix(torch.cat([hidden, seen], -1)))
        return self.head(hidden.mean(1))


class Denoiser(nn.Module):
    """Twice down and up again; what it says is taken away from the noisy picture."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 3, 2, 1)
        self.low = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.head = nn.Linear(2 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        across = F.gelu(self.first(x))
        low = F.gelu(self.low(F.gelu(self.down(across))))
        joined = torch.cat([across, F.gelu(self.up(low))], 1).permute(0, 2, 3, 1)
        return x[:, 0, :, :, None] - self.head(joined)


class Factors(nn.Module):
    """Readers and books: each a bias and a row of factors, whose product is the taste."""

    def __init__(self, readers: int, books: int, width: int = 8) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(n, width) for n in (readers, books))
        self.biases = nn.ModuleList(nn.Embedding(n, 1) for n in (readers, books))
        for table in (*self.tables, *self.biases):
            nn.init.normal_(table.weight, std=0.1)
        self.head = nn.Linear(width, 1)
        nn.init.ones_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        (one, two), (more, most) = (
            [table(x[:, n]) for n, table in enumerate(tables)]
            for tables in (self.tables, self.biases)
        )
        return self.head(one * two) + more + most


def self_normalizing(inputs: int, classes: int, width: int = 40) -> nn.Module:
    layers: list[nn.Module] = []
    for size in (inputs, width, width):
        layer = nn.Linear(size, width)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
        layers += [layer, nn.SELU()]
    return nn.Sequential(*layers, nn.AlphaDropout(0.05), nn.Linear(width, classes))


class Norm2d(nn.LayerNorm):
    """A norm over the channels of a picture."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNextBlock(nn.Module):
    """A wide convolution of each channel by itself, then two layers on each pixel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 5, padding=2, groups=width), Norm2d(width),
            nn.Conv2d(width, 3 * width, 1), nn.GELU(), nn.Conv2d(3 * width, width, 1),
        )  # fmt: skip
        self.scale = nn.Parameter(torch.full((width, 1, 1), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.body(x)


def conv_next(classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 20, 2, 2), Norm2d(20), ConvNextBlock(20), ConvNextBlock(20),
        nn.Conv2d(20, 32, 2, 2), ConvNextBlock(32),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(32), nn.Linear(32, classes),
    )  # fmt: skip


class PoolingTagger(nn.Module):
    """A learned question looks at ten frames; a logit for each label."""

    def __init__(self, bands: int, labels: int, width: int = 36) -> None:
        super().__init__()
        self.frames = nn.Sequential(nn.Linear(bands, width), nn.ReLU(), nn.Dropout(0.15))
        self.question = nn.Linear(width, 4)
        self.head = nn.Linear(4 * width, labels)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.frames(x)
        weight = self.question(hidden).softmax(1)
        return self.head((weight.transpose(1, 2) @ hidden).flatten(1))


def hf_mails() -> nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    return BertForSequenceClassification(
        BertConfig(vocab_size=72, hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
                   intermediate_size=80, max_position_embeddings=18, num_labels=3)
    )  # fmt: skip


def hf_scores() -> nn.Module:
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    return GPTNeoXForCausalLM(
        GPTNeoXConfig(vocab_size=66, hidden_size=40, num_hidden_layers=2, num_attention_heads=4,
                      intermediate_size=100, max_position_embeddings=24, rotary_pct=0.5,
                      bos_token_id=0, eos_token_id=0)
    )  # fmt: skip


def hf_names() -> nn.Module:
    from transformers import RobertaConfig, RobertaForTokenClassification

    return RobertaForTokenClassification(
        RobertaConfig(vocab_size=90, hidden_size=36, num_hidden_layers=1, num_attention_heads=3,
                      intermediate_size=72, max_position_embeddings=20, num_labels=7, pad_token_id=1)
    )  # fmt: skip
