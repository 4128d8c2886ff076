from __future__ import annotations

import pytest
import torch
from torch import nn

from loganalyze.finding import Outcome
from loganalyze.probe import ProbeTarget, probe
from loganalyze.probed import ProbeResult
from tests.probe import targets
from tests.probe.test_init import weights


def result(target: ProbeTarget) -> ProbeResult:
    (found,) = probe(target, ["overfit"]).results
    assert found.restored.identical, found.restored.changed
    return found


def with_rate(rate: float, kind: type = torch.optim.Adam) -> ProbeTarget:
    model = targets.mlp()
    return targets.healthy(model=model, optimizer=kind(model.parameters(), lr=rate))


def test_a_sound_model_learns_one_batch() -> None:
    found = result(with_rate(0.01))
    assert found.outcome is Outcome.PASSED
    assert found.measurements["loss_last"] <= 0.01
    assert found.measurements["best_learning_rate"] == 0.01
    said = weights(found)
    assert said["frozen-parameters"] <= -3
    assert said["labels-wrong"] > 0  # even labels that mean nothing can be learned by heart


def test_a_rate_that_is_too_low_is_told_by_a_higher_one() -> None:
    found = result(with_rate(1e-6))
    assert found.outcome is Outcome.PASSED
    assert "at the training's own, 1e-06, it falls to" in found.summary
    assert weights(found)["lr-too-low"] > 0 > weights(found)["lr-too-high"]


def test_a_rate_that_is_too_high_is_told_by_a_lower_one() -> None:
    found = result(with_rate(1e4, torch.optim.SGD))
    assert found.outcome is Outcome.FOUND
    assert "at the training's own, 1e+04, it becomes NaN" in found.summary
    assert weights(found)["lr-too-high"] >= 3
    assert found.fix[0].startswith("learning_rate 1e+04 -> ")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (
            lambda: targets.healthy(model=targets.mlp().requires_grad_(False)),
            "No parameter requires",
        ),
        (
            lambda: targets.healthy(loss=lambda o, b: targets.CRITERION(o.detach(), b[1])),
            "is cut off",
        ),
        (
            lambda: targets.healthy(optimizer=torch.optim.SGD(targets.mlp().parameters(), lr=0.1)),
            "holds none of the model's parameters",
        ),
    ],
)
def test_what_is_not_trained_is_told_why(target: object, said: str) -> None:
    found = result(target())  # type: ignore[operator]
    assert found.outcome is Outcome.FOUND
    assert said in found.summary
    assert weights(found)["frozen-parameters"] >= 5


def test_a_loss_with_the_wrong_sign_has_no_bottom() -> None:
    found = result(targets.healthy(loss=lambda o, b: -targets.CRITERION(o, b[1])))
    assert "falls below 0" in found.summary
    assert weights(found)["wrong-loss-function"] >= 3


def test_softmax_twice_leaves_another_bottom() -> None:
    found = result(targets.healthy(loss=lambda o, b: targets.CRITERION(o.softmax(-1), b[1])))
    assert "Every prediction is right, and the loss stays at 1.46" in found.summary
    assert weights(found)["wrong-loss-function"] > 0


def test_a_loss_that_does_not_look_at_the_model() -> None:
    class Constant(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * 0

    found = result(ProbeTarget(Constant(20, 10), targets.pairs(), nn.CrossEntropyLoss()))
    assert "does not fall on one batch" in found.summary
    assert found.outcome is Outcome.FOUND


def test_contradicting_labels_are_named() -> None:
    x = torch.randn(1, 20).repeat(8, 1)
    found = result(targets.healthy(batches=[(x, torch.arange(8))]))
    assert found.outcome is Outcome.FOUND
    assert any(
        "7 samples of the batch have the input of another" in line for line in found.problems
    )


def test_dropout_does_not_stand_in_the_way() -> None:
    found = result(targets.healthy(model=targets.mlp(dropout=0.9), learning_rate=0.01))
    assert found.outcome is Outcome.PASSED, found.summary
