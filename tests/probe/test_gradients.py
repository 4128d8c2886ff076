from __future__ import annotations

import torch
from torch import nn

from loganalyze.finding import Outcome
from loganalyze.probe import ProbeTarget, probe
from loganalyze.probed import ProbeResult
from tests.probe import targets
from tests.probe.test_init import weights


def result(target: ProbeTarget) -> ProbeResult:
    (found,) = probe(target, ["gradients"]).results
    assert found.restored.identical, found.restored.changed
    return found


def test_a_healthy_model_has_a_gradient_everywhere() -> None:
    found = result(targets.healthy())
    assert found.outcome is Outcome.PASSED, found.summary
    assert found.measurements["layers_trained"] == 4
    assert 1e-4 < found.measurements["typical_update"] < 0.1
    assert weights(found)["vanishing-gradients"] <= -3


def test_it_vanishes_through_a_stack_of_sigmoids() -> None:
    torch.manual_seed(0)
    layers = [layer for _ in range(10) for layer in (nn.Linear(64, 64), nn.Sigmoid())]
    model = nn.Sequential(nn.Linear(20, 64), nn.Sigmoid(), *layers, nn.Linear(64, 10))
    found = result(targets.healthy(model=model))
    assert "The gradient vanishes in" in found.summary
    assert "0.weight" in found.summary
    assert weights(found)["vanishing-gradients"] >= 3


def test_frozen_layers_are_told_from_disconnected_ones() -> None:
    frozen = targets.mlp()
    frozen[0].requires_grad_(False)
    found = result(targets.healthy(model=frozen))
    assert found.outcome is Outcome.PASSED
    assert found.measurements["layers_frozen"] == 2
    assert "67.4% of the parameters are frozen" in found.summary

    class Cut(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self[1](torch.relu(self[0](x)).detach())

    cut = Cut(nn.Linear(20, 64), nn.Linear(64, 10))
    found = result(targets.healthy(model=cut))
    assert (
        "2 layers require a gradient and get none (67% of what is trained): 0.weight"
        in found.summary
    )


def test_an_adapter_alone_is_as_it_should_be() -> None:
    class Adapted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base = nn.Linear(20, 10).requires_grad_(False)
            self.lora_A = nn.Linear(20, 4, bias=False)
            self.lora_B = nn.Linear(4, 10, bias=False)
            nn.init.zeros_(self.lora_B.weight)  # so that A has no gradient at first

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.base(x) + self.lora_B(self.lora_A(x))

    found = result(targets.healthy(model=Adapted(), learning_rate=1e-2))
    assert found.outcome is Outcome.PASSED, found.summary
    assert "LoRA: as it should be" in found.summary


def test_what_the_optimizer_does_not_hold_is_named() -> None:
    model = targets.mlp()
    held = torch.optim.SGD(model[3].parameters(), lr=0.1)
    found = result(targets.healthy(model=model, optimizer=held))
    assert (
        "2 layers get a gradient and are not in the optimizer (67% of what is trained)"
        in found.summary
    )
    assert weights(found)["frozen-parameters"] > 0


def test_dead_units_and_an_exploding_gradient_are_named() -> None:
    model = targets.mlp()
    with torch.no_grad():
        model[0].bias.fill_(-1e4)
    found = result(targets.healthy(model=model))
    assert found.outcome is Outcome.FOUND
    found = result(targets.healthy(batches=[(x * 1e5, y) for x, y in targets.pairs()]))
    assert any("The gradient explodes" in line for line in found.problems)


def test_an_embedding_of_which_a_batch_uses_a_few_rows_is_not_dead() -> None:
    found = result(targets.pools_at_the_last_real_token())
    assert found.outcome is Outcome.PASSED, found.summary
