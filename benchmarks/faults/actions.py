"""What a run may be doing when it dies, each really raising its error.

The names are those of innocent code: they stand in the tracebacks.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import torch

State = dict[str, Any]


def load_metric(state: State) -> None:
    """A dictionary lacks the key that is asked for."""
    history = {"train": [], "val": []}
    history["valid"].append(0.0)


def concatenate_features(state: State) -> None:
    """Two shapes do not fit."""
    hidden = torch.zeros(32, 64)
    torch.nn.Linear(128, 8)(hidden)


def average_scores(state: State) -> None:
    """A mean over nothing."""
    scores: list[float] = []
    print(sum(scores) / len(scores))


def log_learning_rate(state: State) -> None:
    """A method that this object does not have."""
    state["loop"].optimizer.get_last_lr()


def collate(state: State) -> None:
    """Rows of different lengths in one batch."""
    torch.stack([torch.zeros(14), torch.zeros(12)])


def backward_twice(state: State) -> None:
    """The graph is gone after the first backward pass."""
    loss = (torch.ones(3, requires_grad=True) ** 2).sum()
    loss.backward()
    loss.backward()


BUGS = (
    load_metric,
    concatenate_features,
    average_scores,
    log_learning_rate,
    collate,
    backward_twice,
)


def save_checkpoint(state: State) -> None:
    """A checkpoint goes to a device that is always full."""
    with open("/dev/full", "wb", buffering=0) as file:  # noqa: PTH123 - a device
        file.write(bytes(4096))


def build_cache(state: State) -> None:
    """The whole data set is decoded into memory that there is not."""
    np.ones((60_000_000, 3, 224, 224), dtype=np.float32)


def encode(state: State) -> None:
    """The first layer's outputs for a batch far too large."""
    torch.zeros(200_000_000, 4096, 64).relu()


def evaluation_loop(state: State) -> None:
    """The logits of a whole evaluation set are joined in the host's memory."""
    logits = [np.zeros((1, 2048, 50_304), dtype=np.float32) for _ in range(1)]
    nested_concat(logits, batches=4_000)


def nested_concat(logits: list[np.ndarray], batches: int) -> np.ndarray:
    return np.concatenate([np.broadcast_to(logits[0], (8 * batches, 2048, 50_304))])


def average_metrics(state: State) -> None:
    """Rank 0 waits at a collective operation that rank 1 never reaches."""
    _with_an_absent_rank(lambda dist: dist.all_reduce(torch.ones(10)))


def wait_for_all(state: State) -> None:
    """Rank 0 waits at a barrier that rank 1 never reaches."""
    _with_an_absent_rank(lambda dist: dist.barrier())


def _with_an_absent_rank(collective: Callable[[Any], Any]) -> None:
    import torch.distributed as dist

    process = os.fork()
    store = "127.0.0.1"
    port = 29_000 + os.getppid() % 900 if process == 0 else 29_000 + os.getpid() % 900
    rank = 1 if process == 0 else 0
    try:
        dist.init_process_group(
            "gloo", init_method=f"tcp://{store}:{port}", rank=rank, world_size=2,
            timeout=timedelta(seconds=3),
        )  # fmt: skip
        if rank == 1:
            import time

            time.sleep(5)
        else:
            collective(dist)
    finally:
        if process == 0:
            os._exit(0)
        dist.destroy_process_group()
        os.waitpid(process, 0)


def open_vocabulary(state: State) -> None:
    """A file that is not there."""
    with open("data/vocabulary.txt") as file:  # noqa: PTH123 - as scripts do
        file.read()


def read_config(state: State) -> None:
    """A file that is no JSON."""
    json.loads('{"lr": 0.001,}')


def build_scheduler(state: State) -> None:
    """An argument that there is not."""
    torch.optim.lr_scheduler.CosineAnnealingLR(state["loop"].optimizer, steps=10)


def pick_sample(state: State) -> None:
    """An index past the end of a list."""
    samples = list(range(8))
    samples[len(samples)]


def move_batch(state: State) -> None:
    """Two dtypes in one product."""
    torch.ones(4, 4).half() @ torch.ones(4, 4)


def load_weights(state: State) -> None:
    """A checkpoint of another size."""
    torch.nn.Linear(8, 4).load_state_dict(torch.nn.Linear(8, 5).state_dict())


def check_shapes(state: State) -> None:
    """An assertion of the script's author."""
    predicted = torch.zeros(3, 2)
    assert predicted.shape[0] == 4, f"expected 4 rows, got {predicted.shape[0]}"


MORE_BUGS = (
    open_vocabulary,
    read_config,
    build_scheduler,
    pick_sample,
    move_batch,
    load_weights,
    check_shapes,
)


def save_weights(state: State) -> None:
    """The weights go to a device that is always full."""
    values = np.ones(100_000)
    with open("/dev/full", "wb") as file:  # noqa: PTH123 - a device
        np.save(file, values)
        file.flush()


def join_features(state: State) -> None:
    """Features of all rows are joined in the host's memory."""
    parts = [np.broadcast_to(np.float64(1), (40_000_000, 2_048)) for _ in range(8)]
    np.concatenate(parts)


def log_images(state: State) -> None:
    """A tensor that is part of a graph is asked for its numbers."""
    torch.ones(3, requires_grad=True).numpy()


def unpack_batch(state: State) -> None:
    """Three names for two things."""
    inputs, _targets, _weights = torch.zeros(2, 4)
    print(inputs.shape)


def scale_weights(state: State) -> None:
    """A leaf of the graph is changed in its place."""
    weight = torch.nn.Parameter(torch.ones(4))
    weight.mul_(2)


def read_annotations(state: State) -> None:
    """Text in another encoding."""
    bytes((0x4D, 0xFC, 0x6C, 0x6C)).decode("utf-8")


def to_device(state: State) -> None:
    """A GPU that this build of PyTorch knows nothing of."""
    torch.zeros(2).to("cuda")


def count_steps(state: State) -> None:
    """A sampler's length that nobody defined."""
    len(iter(state["loop"].batches))  # type: ignore[arg-type]


def best_so_far(state: State) -> None:
    """A comparison with what was never set."""
    best = None
    if state["loop"].smoothed < best:
        raise AssertionError


def format_summary(state: State) -> None:
    """A tensor of many numbers where one is wanted."""
    print(f"accuracy: {torch.zeros(3).item():.3f}")


RARER_BUGS = (
    log_images,
    unpack_batch,
    scale_weights,
    read_annotations,
    to_device,
    count_steps,
    best_so_far,
    format_summary,
)


def save_archive(state: State) -> None:
    """PyTorch's own archive goes to a device that is always full."""
    torch.save({"model": torch.ones(50_000)}, "/dev/full")


def build_table(state: State) -> None:
    """A table of all pairs of rows."""
    rows = np.zeros(3_000_000, dtype=np.float64)
    np.subtract.outer(rows, rows)


def attend(state: State) -> None:
    """The scores of every position with every other, for a batch of long rows."""
    torch.empty(4096, 16, 32_768, 32_768).softmax(-1)


def prediction_loop(state: State) -> None:
    """The outputs of a whole evaluation set are kept, then joined."""
    predictions = [torch.zeros(1, 1, 1).expand(1_000, 1024, 32_000) for _ in range(500)]
    torch.cat(predictions)


def normalize_features(state: State) -> None:
    """The last batch holds one row, which has no variance."""
    torch.nn.BatchNorm1d(16).train()(torch.zeros(1, 16))


def pack_targets(state: State) -> None:
    """A row of the table has no value."""
    torch.tensor([0.5, None, 1.0])


def start_workers(state: State) -> None:
    """What loader processes are to run cannot be sent to them."""

    def collate_rows(rows: list[torch.Tensor]) -> torch.Tensor:
        return torch.stack(rows)

    pickle.dumps(collate_rows)


def resume_optimizer(state: State) -> None:
    """The state of an optimizer for another number of weights."""
    saved = torch.optim.Adam([torch.zeros(1), torch.zeros(1)]).state_dict()
    torch.optim.Adam([torch.zeros(1)]).load_state_dict(saved)


def rescale_hidden(state: State) -> None:
    """What the backward pass needs was changed in its place."""
    hidden = torch.ones(4, requires_grad=True).exp()
    hidden.mul_(2)
    hidden.sum().backward()


def write_metrics(state: State) -> None:
    """A tensor among the numbers of a JSON file."""
    json.dumps({"val_loss": torch.tensor(0.5)})


def parse_options(state: State) -> None:
    """A count of steps written as a float is."""
    int("1e4")


ODDER_BUGS = (
    normalize_features,
    pack_targets,
    start_workers,
    resume_optimizer,
    rescale_hidden,
    write_metrics,
    parse_options,
)


def save_history(state: State) -> None:
    """A growing text file on a device that is always full."""
    with open("/dev/full", "w") as file:  # noqa: PTH123 - a device
        json.dump({"loss": [0.1] * 100}, file)
        file.flush()


def preload_images(state: State) -> None:
    """All pictures are unpacked before the next epoch begins."""
    np.zeros((9_000_000, 3, 256, 256), dtype=np.float32)


def forward_features(state: State) -> None:
    """The channels of the first layer for a batch of large pictures."""
    torch.empty(65_536, 64, 1024, 1024).exp()


def collect_outputs(state: State) -> None:
    """The scores of every evaluation batch are kept and stacked."""
    outputs = [torch.zeros(1, 1).expand(2_000_000, 50_000) for _ in range(60)]
    torch.stack(outputs)


def share_metrics(state: State) -> None:
    """Rank 0 gathers what rank 1 never sends."""
    parts = [torch.zeros(4) for _ in range(2)]
    _with_an_absent_rank(lambda dist: dist.all_gather(parts, torch.ones(4)))
