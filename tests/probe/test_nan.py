from __future__ import annotations

import torch
from torch import nn

from loganalyze.finding import Outcome
from loganalyze.probe import ProbeTarget, probe
from loganalyze.probed import ProbeResult
from tests.probe import targets
from tests.probe.test_init import weights


def result(target: ProbeTarget) -> ProbeResult:
    (found,) = probe(target, ["nan"]).results
    assert found.restored.identical, found.restored.changed
    return found


def test_a_healthy_target_is_finite_to_the_end() -> None:
    found = result(targets.healthy())
    assert found.outcome is Outcome.PASSED
    assert found.measurements == {"batches": 5, "all_batches": "true"}
    assert weights(found)["nan-in-data"] <= -3


def test_a_sample_with_nan_is_named() -> None:
    batches = targets.pairs()
    batches[2][0][5, 3] = float("nan")
    found = result(targets.healthy(batches=batches))
    assert found.summary.startswith("NaN in the input 0 of batch 2, sample 5")
    assert weights(found)["nan-in-data"] >= 5


def test_the_module_that_makes_it_is_named_not_those_it_passes_through() -> None:
    class Root(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sqrt(x)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.root, self.last = nn.Linear(20, 20), Root(), nn.Linear(20, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.root(self.first(x)))

    found = result(targets.healthy(model=Model()))
    assert "The first NaN comes out of root (Root), in batch 0" in found.summary


def test_what_arises_between_modules_is_placed_there() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(20, 20), nn.Linear(20, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(torch.log(self.first(x)))

    found = result(targets.healthy(model=Model()))
    assert "the code between first (Linear) and last (Linear)" in found.summary


def test_a_row_without_a_label_is_a_division_by_zero() -> None:
    batches = targets.pairs()
    batches[1][1][:] = -100
    found = result(targets.healthy(batches=batches))
    assert "No label of batch 1, sample 0 counts" in found.summary
    assert weights(found)["labels-all-masked"] >= 5


def test_a_gradient_alone_can_be_nan() -> None:
    def loss(output: torch.Tensor, batch: object) -> torch.Tensor:
        return torch.sqrt((output * 0).sum()) + output.mean()

    found = result(targets.healthy(loss=loss))
    assert "The gradient of 0.weight is NaN" in found.summary


def test_half_precision_overflows() -> None:
    model = targets.mlp().half()
    with torch.no_grad():
        model[0].weight.fill_(6e4)
    batches = [(x.half().abs(), y) for x, y in targets.pairs()]
    found = result(targets.healthy(model=model, batches=batches))
    assert "The first infinity comes out of 0 (Linear)" in found.summary
    assert weights(found)["fp16-overflow"] >= 3


def test_parameters_that_are_nan_before_any_step() -> None:
    model = targets.mlp()
    with torch.no_grad():
        model[3].weight[0, 0] = float("nan")
    assert "The parameter 3.weight holds NaN" in result(targets.healthy(model=model)).summary
