"""Batches, outputs and models of every shape go in, and what cannot go in is told in one line."""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from loganalyze.errors import UsageError
from loganalyze.finding import Outcome
from loganalyze.probe import ProbeTarget, probe
from tests.probe import targets

CHECKS = ["init", "gradients", "overfit", "nan", "data"]
PAIRS = targets.pairs()
CRITERION = nn.CrossEntropyLoss()
Named = namedtuple("Named", "x target")


@dataclasses.dataclass(frozen=True)
class Batch:
    pixels: torch.Tensor
    labels: torch.Tensor


class Answers(nn.Module):
    """A model that answers in the shape that `answer` makes of loss and logits."""

    def __init__(self, answer: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.net = targets.mlp()
        self.answer = answer

    def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> Any:
        logits = self.net(x)
        return self.answer(None if labels is None else targets.CRITERION(logits, labels), logits)


class Rows(Dataset):
    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return PAIRS[index // 16][0][index % 16], int(PAIRS[index // 16][1][index % 16])


def with_norm() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))


SHAPES: dict[str, Callable[[], ProbeTarget]] = {
    "tuple": targets.healthy,
    "list": lambda: targets.healthy(batches=[list(pair) for pair in PAIRS]),
    "named tuple": lambda: targets.healthy(batches=[Named(*pair) for pair in PAIRS]),
    "dataclass": lambda: targets.healthy(batches=[Batch(*pair) for pair in PAIRS]),
    "dictionary of other names": lambda: targets.healthy(batches=[{"a": x, "y": y} for x, y in PAIRS]),
    "dictionary with more": lambda: ProbeTarget(
        Answers(lambda loss, logits: {"loss": loss, "logits": logits}),
        [{"x": x, "labels": y, "text": ["a"] * 16} for x, y in PAIRS],
    ),
    "tuple of loss and logits": lambda: ProbeTarget(
        Answers(lambda loss, logits: (loss, logits)), PAIRS
    ),
    "loss of output and batch": lambda: targets.healthy(
        loss=lambda output, batch: targets.CRITERION(output, batch[1])
    ),
    "function": lambda: targets.healthy(batches=lambda: iter(PAIRS)),
    "workers": lambda: targets.healthy(
        batches=DataLoader(Rows(), 16, num_workers=1, persistent_workers=True)
    ),
    "one batch": lambda: targets.healthy(batches=PAIRS[:1]),
    "one sample": lambda: targets.healthy(batches=[(x[:1], y[:1]) for x, y in PAIRS]),
    "double": lambda: targets.healthy(
        model=targets.mlp().double(), batches=[(x.double(), y) for x, y in PAIRS]
    ),
    "batch norm": lambda: targets.healthy(model=with_norm()),
    "yes and no": lambda: ProbeTarget(
        nn.Linear(20, 1), [(x, (x.sum(1, keepdim=True) > 0).float()) for x, _ in PAIRS],
        nn.BCEWithLogitsLoss(),
    ),
    "regression": lambda: ProbeTarget(
        nn.Linear(20, 1), [(x, x.sum(1, keepdim=True)) for x, _ in PAIRS], nn.MSELoss()
    ),
    "scaler": lambda: (lambda m: targets.healthy(
        model=m, optimizer=torch.optim.SGD(m.parameters(), 0.5), scaler=torch.amp.GradScaler("cpu")
    ))(targets.mlp()),
    "LBFGS": lambda: (lambda m: targets.healthy(model=m, optimizer=torch.optim.LBFGS(m.parameters(), 0.1, max_iter=2)))(
        targets.mlp()
    ),
    "bf16": lambda: targets.healthy(precision="bf16"),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_healthy_target_of_any_shape_passes(shape: str) -> None:
    for found in probe(SHAPES[shape](), CHECKS).results:
        assert found.outcome is Outcome.PASSED, (found.check, found.summary)
        assert found.restored.identical


def test_labels_without_a_name_or_a_place_are_no_classification() -> None:
    class Coder(nn.Sequential):
        pass

    model = Coder(nn.Linear(20, 20))
    target = ProbeTarget(model, [x for x, _ in PAIRS], lambda o, b: ((o - b) ** 2).mean())
    found = {one.check: one for one in probe(target, CHECKS).results}
    assert "there is no log(C)" in found["init"].summary


class Nothing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :10]


def test_a_model_without_parameters_cannot_be_trained() -> None:
    found = {one.check: one for one in probe(targets.healthy(model=Nothing()), CHECKS).results}
    assert found["gradients"].summary == "The model has no parameters."
    assert found["overfit"].outcome is Outcome.FOUND


def on_meta() -> nn.Module:
    with torch.device("meta"):
        return nn.Linear(20, 10)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: targets.healthy(loss=None), r"has no loss: give loss=\.\.\."),
        (lambda: targets.healthy(loss=nn.CrossEntropyLoss(reduction="none")), r"the shape \[16\]"),
        (lambda: targets.healthy(loss=lambda o, b: 1.5), "the loss is a float, not a tensor"),
        (lambda: targets.healthy(loss=lambda o, b: 1 / 0), "cannot be run: ZeroDivisionError: .*test_shapes"),
        (lambda: targets.healthy(model=nn.Linear(7, 10)), r"cannot be run: RuntimeError: .*0 float32 \[16, 20\]"),
        (lambda: targets.healthy(batches=[1, 2]), "cannot be run: TypeError"),
        (lambda: targets.healthy(batches=5), "cannot be iterated over"),
        (lambda: targets.healthy(batches=[]), "has no batch"),
        (lambda: targets.healthy(model=on_meta()), "on the meta device"),
        (lambda: targets.healthy(model="m"), "a str, not a torch.nn.Module"),
        (lambda: targets.healthy(loss="mse"), "must be a function"),
        (lambda: targets.healthy(precision="int4"), "not one of fp32, bf16, fp16"),
        (lambda: "no target", "not a ProbeTarget"),
    ],
)  # fmt: skip
def test_what_cannot_be_probed_is_told_in_one_line(made: Callable[[], Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        probe(made(), ["init"])
    assert "\n" not in str(error.value)


def test_the_time_is_bounded_even_where_a_model_does_not_end() -> None:
    class Slow(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            while True:
                pass

    (found,) = probe(targets.healthy(model=Slow(20, 10)), ["nan"], seconds=0.2).results
    assert found.outcome is Outcome.ERROR
    assert "did not come to a result in 0.2 seconds" in found.summary
    assert found.restored.identical
