"""What a run of this sitting may be doing when it dies, each really raising its error.

The names are those of innocent code: they stand in the tracebacks.
"""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from torch import nn

State = dict[str, Any]


def write_summary(state: State) -> None:
    """A tensor is no JSON."""
    json.dumps({"step": 10, "loss": torch.tensor(0.5)})


def normalize_last_batch(state: State) -> None:
    """The last batch of an epoch holds one row, which a norm over the batch does not take."""
    nn.BatchNorm1d(16).train()(torch.zeros(1, 16))


def restore_optimizer(state: State) -> None:
    """The state of an optimizer with other groups."""
    saved = torch.optim.SGD([{"params": [p]} for p in nn.Linear(3, 3).parameters()], lr=0.1)
    state["loop"].optimizer.load_state_dict(saved.state_dict())


def detach_features(state: State) -> None:
    """Nothing leads from the loss to a weight."""
    features = nn.Linear(4, 4)(torch.zeros(2, 4)).detach()
    features.mean().backward()


def update_hidden(state: State) -> None:
    """What the backward pass needs was changed in its place."""
    hidden = torch.ones(3, requires_grad=True).exp()
    hidden += 1
    hidden.sum().backward()


def find_best(state: State) -> None:
    """The largest of nothing."""
    scores: list[float] = []
    print(f"best: {max(scores):.4f}")


def parse_step(state: State) -> None:
    """A name of a checkpoint that ends in a word."""
    print(int("checkpoint-last".removeprefix("checkpoint-")))


def match_types(state: State) -> None:
    """NumPy's doubles meet a layer of floats."""
    features = torch.from_numpy(np.zeros((4, 8)))
    nn.Linear(8, 2)(features)


def read_column(state: State) -> None:
    """A table whose header names the column otherwise."""
    table = csv.DictReader(["text,label_id", "hello,3"])
    print([row["label"] for row in table])


BUGS = (
    write_summary,
    normalize_last_batch,
    restore_optimizer,
    detach_features,
    update_hidden,
    find_best,
    parse_step,
    match_types,
    read_column,
)


def write_predictions(state: State) -> None:
    """A table of predictions goes to a device that is always full."""
    with open("/dev/full", "w", newline="") as file:  # noqa: PTH123 - a device
        table = csv.writer(file)
        for row in range(2_000):
            table.writerow((row, 0.5, 0.25))


def load_everything(state: State) -> None:
    """A list with a place for each token of a corpus."""
    tokens = [0] * 10**15
    print(len(tokens))


def embed_patches(state: State) -> None:
    """The activations of a batch that is far too large."""
    images = torch.zeros(1, 3, 1, 1).expand(400_000_000, 3, 224, 224)
    nn.functional.gelu(images)


def gather_predictions(state: State) -> None:
    """The logits of all batches of an evaluation are stacked."""
    logits = np.broadcast_to(np.float32(0), (16, 4096, 128_256))
    np.vstack([logits] * 6_000)


def meet_the_others(state: State) -> None:
    """A store waits for a rank that never comes."""
    import torch.distributed as dist

    dist.TCPStore(
        "127.0.0.1", 0, world_size=2, is_master=True, timeout=timedelta(seconds=2),
        wait_for_workers=True,
    )  # fmt: skip


def gather_losses(state: State) -> None:
    """Rank 0 waits for what rank 1 was to tell."""
    import torch.distributed as dist

    store = dist.TCPStore("127.0.0.1", 0, is_master=True, timeout=timedelta(seconds=2))
    store.get("rank1/loss")
