"""Targets with a known fault, and the same without it: small, real, on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from loganalyze.probe import ProbeTarget

CLASSES = 10
CRITERION = nn.functional.cross_entropy


def pairs(count: int = 5, size: int = 16, seed: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Batches that can be learned: the label is the largest of the first ten inputs."""
    made = torch.Generator().manual_seed(seed)
    batches = []
    for _ in range(count):
        x = torch.randn(size, 20, generator=made)
        batches.append((x, x[:, :CLASSES].argmax(-1)))
    return batches


def mlp(dropout: float = 0.1) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, CLASSES))


def healthy(**fields: Any) -> ProbeTarget:
    return ProbeTarget(
        fields.pop("model", mlp()), fields.pop("batches", pairs()),
        **{"loss": nn.CrossEntropyLoss(), **fields},
    )  # fmt: skip


def wide_head(factor: float = 30.0) -> ProbeTarget:
    model = mlp()
    with torch.no_grad():
        model[3].weight.mul_(factor)
    return healthy(model=model)


def summed_over_accumulation(count: int = 4) -> ProbeTarget:
    def accumulate(model: nn.Module, micro: Sequence[Any]) -> None:
        for x, y in micro:
            CRITERION(model(x), y).backward()

    return healthy(accumulate=accumulate, accumulation=count)


class Pooler(nn.Module):
    """A classifier of texts that reads one place of each, chosen by `place`."""

    def __init__(self, place: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(50, 32)
        self.mix = nn.GRU(32, 32, batch_first=True)
        self.head = nn.Linear(32, CLASSES)
        self.place = place

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        hidden, _ = self.mix(self.embed(input_ids))
        at = self.place(input_ids, attention_mask)
        logits = self.head(hidden[torch.arange(len(at)), at])
        found = {"logits": logits}
        return found if labels is None else {"loss": CRITERION(logits, labels), **found}


def texts(size: int = 8, seed: int = 1) -> list[dict[str, torch.Tensor]]:
    """Batches of padded texts; the padding token, 2, is also the end of each text."""
    made = torch.Generator().manual_seed(seed)
    batches = []
    for _ in range(4):
        lengths = torch.randint(3, 12, (size,), generator=made)
        lengths[0] = 12
        ids = torch.randint(3, 50, (size, 12), generator=made)
        mask = (torch.arange(12)[None, :] < lengths[:, None]).long()
        ids = torch.where(mask == 1, ids, torch.full_like(ids, 2))
        labels = torch.randint(0, CLASSES, (size,), generator=made)
        batches.append({"input_ids": ids, "attention_mask": mask, "labels": labels})
    return batches


def pools_at_the_last_token() -> ProbeTarget:
    """The fault: the last place of a padded text is padding."""
    return ProbeTarget(Pooler(lambda ids, mask: torch.full((len(ids),), ids.shape[1] - 1)), texts())


def pools_at_the_last_real_token() -> ProbeTarget:
    return ProbeTarget(Pooler(lambda ids, mask: mask.sum(-1) - 1), texts())
