"""The models of this sitting's tasks, each small enough for one thread."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class CausalBlock(nn.Module):
    """A pre-norm block with norms of the root mean square and a gated body."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.RMSNorm(width) for _ in range(2))
        self.mix = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.gate = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(2 * width, width, bias=False)
        self.sees_ahead = False

    def forward(self, x: Tensor) -> Tensor:
        rows, length, width = x.shape
        parts = self.mix(self.norms[0](x)).view(rows, length, 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=not self.sees_ahead)
        x = x + self.out(seen.transpose(1, 2).reshape(rows, length, width))
        up, gate = self.gate(self.norms[1](x)).chunk(2, -1)
        return x + self.down(up * F.silu(gate))


class TiedLM(nn.Module):
    """A causal language model whose head is its embedding."""

    def __init__(self, vocabulary: int, length: int, width: int = 36) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.place = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.ModuleList(CausalBlock(width, 4) for _ in range(2))
        self.norm = nn.RMSNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.head.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x) + self.place[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Ferry(nn.Module):
    """An encoder and a decoder with norms behind each sum, as the first transformer had them."""

    def __init__(self, tokens: int, length: int, width: int = 40, dropout: float = 0.05) -> None:
        super().__init__()
        self.length = length
        self.embed = nn.Embedding(tokens, width)
        nn.init.normal_(self.embed.weight, std=width**-0.5)
        self.place = nn.Parameter(0.1 * torch.randn(length, width))
        each = {"nhead": 4, "dim_feedforward": 96, "dropout": dropout, "batch_first": True}
        self.read = nn.ModuleList(nn.TransformerEncoderLayer(width, **each) for _ in range(1))
        self.say = nn.ModuleList(nn.TransformerDecoderLayer(width, **each) for _ in range(1))
        self.head = nn.Linear(width, tokens)
        ahead = torch.full((length, length), -1e9).triu(1)
        self.register_buffer("ahead", ahead, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        source, said = x[:, : self.length], x[:, self.length :]
        empty = (source == 0).float() * -1e9
        memory = self.embed(source) * 4 + self.place
        for layer in self.read:
            memory = layer(memory, src_key_padding_mask=empty)
        out = self.embed(said) * 4 + self.place
        for layer in self.say:
            out = layer(out, memory, tgt_mask=self.ahead, memory_key_padding_mask=empty)
        return self.head(out)


class BasicBlock(nn.Module):
    """The block of an eighteen-layer residual network."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(2))
        self.around: nn.Module = nn.Identity()
        if stride > 1 or inputs != width:
            self.around = nn.Sequential(
                nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.norms[1](self.second(F.relu(self.norms[0](self.first(x)))))
        return F.relu(y + self.around(x))


def mosaic_resnet(classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 10, 3, 2, 1, bias=False), nn.BatchNorm2d(10), nn.ReLU(),
        BasicBlock(10, 10, 1), BasicBlock(10, 20, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(20, classes),
    )  # fmt: skip


class Surveyor(nn.Module):
    """Widening convolutions with norms over groups; one logit for each point of the map."""

    def __init__(self, width: int = 14) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, hole in ((1, 1), (width, 2), (width, 4)):
            layers += [
                nn.Conv2d(inputs, width, 3, padding=hole, dilation=hole),
                nn.GroupNorm(2, width), nn.LeakyReLU(0.1),
            ]  # fmt: skip
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).permute(0, 2, 3, 1))


def churn_net(columns: int, classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(columns, 40), nn.BatchNorm1d(40), nn.ReLU(), nn.Dropout(0.15),
        nn.Linear(40, 24), nn.ReLU(), nn.Linear(24, classes),
    )  # fmt: skip


class TideNet(nn.Module):
    """Convolutions that look back only, ever further, and a head for the hours to come."""

    def __init__(self, ahead: int, width: int = 14) -> None:
        super().__init__()
        holes = (1, 2, 4, 8)
        self.layers = nn.ModuleList(
            nn.Conv1d(1 if n == 0 else width, width, 3, dilation=hole)
            for n, hole in enumerate(holes)
        )
        self.holes = holes
        self.head = nn.Linear(width, ahead)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unsqueeze(1)
        for layer, hole in zip(self.layers, self.holes, strict=True):
            y = F.relu(layer(F.pad(x, (2 * hole, 0))))
            x = y if x.shape[1] == 1 else x + y
        return self.head(x[..., -1])


def turnstile_net(inputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, 48), nn.ELU(), nn.Linear(48, 32), nn.ELU(), nn.Linear(32, 1)
    )


class Shelf(nn.Module):
    """Readers and books as vectors whose product, with a bias for each, is a rating."""

    def __init__(self, readers: int, books: int, width: int = 10) -> None:
        super().__init__()
        self.readers, self.books = nn.Embedding(readers, width + 1), nn.Embedding(books, width + 1)
        for table in (self.readers, self.books):
            nn.init.normal_(table.weight, std=0.1)
        self.head = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        reader, book = self.readers(x[:, 0]), self.books(x[:, 1])
        product = self.head(reader[:, 1:] * book[:, 1:])
        return product + reader[:, :1] + book[:, :1]


class Adapter(nn.Module):
    """A frozen layer and a trained product of two thin matrices beside it, zero at first."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.lora_a = nn.Linear(layer.in_features, rank, bias=False)
        self.lora_b = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.zeros_(self.lora_b.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + 2 * self.lora_b(self.lora_a(x))


def hf_deberta() -> nn.Module:
    from transformers import DebertaV2Config, DebertaV2ForTokenClassification

    return DebertaV2ForTokenClassification(
        DebertaV2Config(vocab_size=66, hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
                        intermediate_size=64, max_position_embeddings=16, relative_attention=True,
                        position_buckets=8, pos_att_type=["p2c", "c2p"], num_labels=9)
    )  # fmt: skip


def hf_neox() -> nn.Module:
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    return GPTNeoXForCausalLM(
        GPTNeoXConfig(vocab_size=72, hidden_size=36, num_hidden_layers=2, num_attention_heads=3,
                      intermediate_size=96, max_position_embeddings=32)
    )  # fmt: skip


def hf_qwen() -> nn.Module:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2ForCausalLM(
        Qwen2Config(vocab_size=90, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                    num_key_value_heads=2, intermediate_size=72, max_position_embeddings=24,
                    tie_word_embeddings=True)
    )  # fmt: skip
