from __future__ import annotations

import pytest
import torch
from torch import nn

from loganalyze.finding import Outcome
from loganalyze.probe import ProbeTarget, probe
from loganalyze.probed import ProbeResult
from tests.probe import targets


def result(target: ProbeTarget) -> ProbeResult:
    (found,) = probe(target, ["init"]).results
    assert found.restored.identical, found.restored.changed
    return found


def weights(found: ProbeResult) -> dict[str, float]:
    total: dict[str, float] = {}
    for one in found.evidence:
        total[one.cause] = total.get(one.cause, 0.0) + one.weight
    return total


def test_a_healthy_start_is_a_guess() -> None:
    found = result(targets.healthy())
    assert found.outcome is Outcome.PASSED, found.summary
    assert found.measurements["classes"] == 10
    assert found.measurements["ratio_to_log_c"] == pytest.approx(1, abs=0.1)
    assert found.measurements["gradient_of_micro_batches_to_large"] == pytest.approx(1, abs=1e-4)
    assert weights(found)["head-init-scale"] <= -3


def test_a_head_that_is_scaled_explains_its_loss_by_its_logits() -> None:
    found = result(targets.wide_head())
    assert found.outcome is Outcome.FOUND
    assert "the logits explain it" in found.summary
    assert weights(found)["head-init-scale"] >= 3 > -3 >= weights(found)["loss-not-normalized"]


def test_a_loss_that_is_summed_over_the_samples() -> None:
    found = result(targets.healthy(loss=nn.CrossEntropyLoss(reduction="sum")))
    assert "summed over the samples: 8 of them" in found.summary
    assert weights(found)["loss-not-normalized"] >= 5 > 0 > weights(found)["head-init-scale"]


def test_a_loss_that_is_summed_over_micro_batches() -> None:
    found = result(targets.summed_over_accumulation())
    assert "4 micro-batches is 4 x" in found.summary
    assert weights(found)["loss-not-normalized"] >= 3


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda output, labels: targets.CRITERION(output.softmax(-1), labels), "still costs 1.461"),
        (lambda output, labels: -targets.CRITERION(output, labels), "its sign is wrong"),
    ],
)
def test_a_wrong_loss_is_told_by_what_a_perfect_prediction_costs(loss: object, said: str) -> None:
    found = result(targets.healthy(loss=loss))
    assert said in found.summary
    assert weights(found)["wrong-loss-function"] >= 3


def test_shapes_that_broadcast_are_a_wrong_loss() -> None:
    x = torch.randn(16, 20)
    batches = [(x, x.sum(-1))]
    broken = ProbeTarget(nn.Linear(20, 1), batches, nn.MSELoss())  # (16, 1) against (16)
    right = ProbeTarget(nn.Sequential(nn.Linear(20, 1), nn.Flatten(0)), batches, nn.MSELoss())
    found = result(broken)
    assert "The loss prefers wrong answers" in found.summary
    assert weights(found)["wrong-loss-function"] >= 3
    assert result(right).outcome is Outcome.PASSED


def test_padding_that_is_pooled_changes_the_loss() -> None:
    found = result(targets.pools_at_the_last_token())
    assert "Padding changes the loss" in found.summary
    assert weights(found)["pad-or-mask-bug"] >= 3
    right = result(targets.pools_at_the_last_real_token())
    assert right.outcome is Outcome.PASSED, right.summary
    assert weights(right)["pad-or-mask-bug"] <= -3


def test_a_model_that_refuses_a_batch_says_why() -> None:
    class Single(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) > 1:
                raise ValueError("Cannot handle batch sizes > 1 if no padding token is defined.")
            return super().forward(x)

    target = ProbeTarget(Single(20, 10), targets.pairs(), nn.CrossEntropyLoss())
    found = result(target)
    assert found.summary.startswith("The model takes one sample, but no batch of 8: ")
    assert "no padding token is defined" in found.summary
    assert weights(found)["pad-or-mask-bug"] >= 5


def test_labels_beyond_the_outputs_are_named() -> None:
    batches = [(x, y + 3) for x, y in targets.pairs()]
    (found,) = probe(targets.healthy(batches=batches), ["init"]).results
    assert found.outcome is Outcome.FOUND
    assert "out of range: the model has 10 outputs" in found.summary
    assert weights(found)["label-out-of-range"] >= 5
