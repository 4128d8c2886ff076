from __future__ import annotations

import pytest
import torch
from torch import nn

from loganalyze.finding import Outcome
from loganalyze.probe import ProbeTarget, probe
from loganalyze.probed import ProbeResult
from tests.probe import targets


def result(target: ProbeTarget) -> ProbeResult:
    torch.set_num_threads(1)
    (found,) = probe(target, ["precision"], seconds=60).results
    assert found.restored.identical, found.restored.changed
    return found


def weights(found: ProbeResult) -> dict[str, float]:
    total: dict[str, float] = {}
    for one in found.evidence:
        total[one.cause] = total.get(one.cause, 0.0) + one.weight
    return total


class Scaled(nn.Module):
    """A model whose inside is far larger than its inputs and outputs."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(20, 64)
        self.large = nn.Linear(64, 64)
        self.head = nn.Linear(64, targets.CLASSES)
        self.factor = factor
        with torch.no_grad():
            self.large.weight.mul_(factor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.large(self.first(x).relu()).float() / self.factor)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_healthy_model_is_the_same_in_every_format(precision: str) -> None:
    found = result(targets.healthy(precision=precision))
    assert found.outcome is Outcome.PASSED, found.summary
    measured = found.measurements
    assert measured["loss_difference_bf16"] < 0.01
    assert measured["loss_difference_fp16"] < 0.002
    assert measured["gradient_cosine_bf16"] > 0.99
    assert measured["loss_scale_fp16"] >= 1024
    assert weights(found)["low-precision-instability"] < 0
    if precision != "bf16":
        assert weights(found)["fp16-overflow"] < 0


def test_a_module_that_passes_the_limit_of_fp16_is_named() -> None:
    found = result(targets.healthy(model=Scaled(1e6), precision="fp16"))
    assert found.outcome is Outcome.FOUND
    assert "In fp16 the output of large is the first that is not finite" in found.summary
    assert weights(found)["fp16-overflow"] >= 5
    assert found.fix == ("precision fp16 -> bf16, in which the same batch is finite",)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_model_is_sound_in_another_format(precision: str) -> None:
    found = result(targets.healthy(model=Scaled(1e6), precision=precision))
    assert found.outcome is Outcome.PASSED, found.summary
    assert any("In fp16 the output of large" in note for note in found.notes)
    assert found.measurements["share_above_fp16"] > 0.5


def test_what_is_not_finite_in_fp32_is_not_the_format() -> None:
    model = targets.mlp()
    with torch.no_grad():
        model[0].weight[0, 0] = float("nan")
    found = result(targets.healthy(model=model, precision="fp16"))
    assert "not finite in fp32 either; it begins in 0" in found.summary
    assert weights(found)["fp16-overflow"] <= -3


def test_a_difference_of_large_numbers_is_lost_in_bf16() -> None:
    class Cancels(nn.Module):
        """The logits are what remains of two large numbers that are nearly the same."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.one = nn.Linear(20, targets.CLASSES)
            self.offset = nn.Parameter(torch.tensor(3000.0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            large = self.one(10 * x) + self.offset
            if torch.is_autocast_enabled("cpu"):
                large = large.to(torch.get_autocast_dtype("cpu"))
            return (large - self.offset.to(large.dtype)).float()

    found = result(targets.healthy(model=Cancels(), precision="bf16"))
    assert found.outcome is Outcome.FOUND, found.summary
    assert weights(found)["low-precision-instability"] > 0


def test_weights_in_bf16_that_a_step_does_not_move() -> None:
    model = targets.mlp().to(torch.bfloat16)
    batches = [(x.to(torch.bfloat16), y) for x, y in targets.pairs()]
    found = result(targets.healthy(model=model, batches=batches, learning_rate=1e-6))
    assert found.outcome is Outcome.FOUND
    assert "smaller than their last bit" in found.summary
    assert found.measurements["share_of_weights_unmoved"] > 0.9
    assert weights(found)["low-precision-instability"] > 0
    fine = result(targets.healthy(model=model, batches=batches, learning_rate=1e-2))
    assert fine.measurements["share_of_weights_unmoved"] < 0.2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_module_is_named_too() -> None:
    target = targets.healthy(model=Scaled(1e6), precision="fp16")
    (found,) = probe(target, ["precision"], device="cuda", seconds=60).results
    assert found.restored.identical, found.restored.changed
    assert "the output of large" in found.summary
