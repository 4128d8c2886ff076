"""The models of the third sitting's tasks, each small enough for one thread."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class ResidualBlock(nn.Module):
    """Two convolutions with norms over the batch, and a way around them."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip
        self.around = nn.Conv2d(inputs, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.around(x))


class ResidualCNN(nn.Sequential):
    """A residual network of three blocks."""

    def __init__(self, classes: int) -> None:
        super().__init__(
            ResidualBlock(2, 10, 1), ResidualBlock(10, 16, 2), ResidualBlock(16, 28, 2),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(28, classes),
        )  # fmt: skip


class Block(nn.Module):
    """A pre-norm transformer block of the usual kind."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.body = nn.Sequential(
            nn.Linear(width, 3 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(3 * width, width)
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        y = self.norms[0](x)
        x = x + self.attention(y, y, y, attn_mask=mask, need_weights=False)[0]
        return x + self.body(self.norms[1](x))


class SmallViT(nn.Module):
    """A vision transformer over patches of four by four with a class token."""

    def __init__(self, classes: int, width: int = 36) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.place = nn.Parameter(0.02 * torch.randn(1, 16, width))
        self.blocks = nn.ModuleList(Block(width, 3, 0.05) for _ in range(2))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x.unsqueeze(1)).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.place
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class SmallUNet(nn.Module):
    """Down once and up again, with a way across; a class for each pixel."""

    def __init__(self, classes: int = 4, width: int = 12) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU())
        self.low = nn.Sequential(
            nn.MaxPool2d(2), nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.up = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.join = nn.Sequential(nn.Conv2d(2 * width, width, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        across = self.down(x)
        x = self.join(torch.cat([across, self.up(self.low(across))], 1))
        return self.head(x.permute(0, 2, 3, 1))


def tabular(inputs: int, width: int = 56) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.LayerNorm(width), nn.SiLU(),
        nn.Linear(width, width), nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, 1),
    )  # fmt: skip


def bag_of_words(words: int, topics: int) -> nn.Module:
    return nn.Sequential(nn.Linear(words, 80), nn.ReLU(), nn.Dropout(0.2), nn.Linear(80, topics))


class MoleculeNet(nn.Module):
    """Three rounds of messages along the bonds, then a sum over the atoms."""

    def __init__(self, atoms: int, width: int = 28) -> None:
        super().__init__()
        self.atoms = atoms
        self.embed = nn.Linear(4, width)
        self.rounds = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(3))
        self.head = nn.Sequential(nn.Linear(width, width), nn.ELU(), nn.Linear(width, 1))

    def forward(self, x: Tensor) -> Tensor:
        kinds, bonds = x[..., :4], x[..., 4:]
        hidden = self.embed(kinds)
        for layer in self.rounds:
            hidden = hidden + F.elu(layer(torch.cat([hidden, bonds @ hidden], -1)))
        return self.head(hidden).mean(1)


class GRUTagger(nn.Module):
    """A gated network in both directions with a tag for each token."""

    def __init__(self, tokens: int, tags: int, width: int = 30) -> None:
        super().__init__()
        self.embed = nn.Embedding(tokens, width)
        self.cell = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(2 * width, tags)

    def forward(self, x: Tensor) -> Tensor:
        with torch.backends.mkldnn.flags(enabled=False):  # its GRU knows no fp16
            return self.head(self.drop(self.cell(self.embed(x))[0]))


class VerseModel(nn.Module):
    """A causal language model over letters."""

    def __init__(self, letters: int, length: int, width: int = 56) -> None:
        super().__init__()
        self.embed = nn.Embedding(letters, width)
        self.place = nn.Embedding(length, width)
        for table in (self.embed, self.place):
            nn.init.normal_(table.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(width, 4) for _ in range(2))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, letters, bias=False)
        mask = torch.full((length, length), -1e9).triu(1)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        places = torch.arange(x.shape[1])
        x = self.embed(x) + self.place(places)
        for block in self.blocks:
            x = block(x, self.mask.to(x.dtype))
        return self.head(self.norm(x))


class Translator(nn.Module):
    """An encoder, and a decoder that attends to it and is told the right answer so far."""

    def __init__(self, tokens: int, length: int, width: int = 44) -> None:
        super().__init__()
        self.length = length
        self.embed = nn.Embedding(tokens, width)
        self.encode = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.decode = nn.GRU(width, 2 * width, batch_first=True)
        self.head = nn.Linear(4 * width, tokens)

    def forward(self, x: Tensor) -> Tensor:
        with torch.backends.mkldnn.flags(enabled=False):  # its GRU knows no fp16
            seen, last = self.encode(self.embed(x[:, : self.length]))
            first = last.transpose(0, 1).flatten(1).unsqueeze(0)
            said = self.decode(self.embed(x[:, self.length :]), first)[0]
        scores = (said @ seen.transpose(1, 2) / seen.shape[-1] ** 0.5).softmax(-1)
        return self.head(torch.cat([said, scores @ seen], -1))


def hf_masked() -> nn.Module:
    from transformers import DistilBertConfig, DistilBertForMaskedLM

    return DistilBertForMaskedLM(
        DistilBertConfig(vocab_size=84, dim=40, n_layers=2, n_heads=4, hidden_dim=80,
                         max_position_embeddings=20)
    )  # fmt: skip


def hf_t5() -> nn.Module:
    from transformers import T5Config, T5ForConditionalGeneration

    return T5ForConditionalGeneration(
        T5Config(vocab_size=24, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
                 decoder_start_token_id=0, pad_token_id=0, eos_token_id=1)
    )  # fmt: skip


def hf_albert() -> nn.Module:
    from transformers import AlbertConfig, AlbertForSequenceClassification

    return AlbertForSequenceClassification(
        AlbertConfig(vocab_size=48, embedding_size=24, hidden_size=40, num_hidden_layers=2,
                     num_attention_heads=4, intermediate_size=80, max_position_embeddings=18,
                     num_labels=5)
    )  # fmt: skip
