from __future__ import annotations

import pytest
import torch
from torch import nn

from loganalyze.finding import Outcome
from loganalyze.probe import ProbeTarget, probe
from loganalyze.probe.sweep import Sweep, rates
from loganalyze.probed import ProbeResult
from tests.probe import targets


def result(target: ProbeTarget, seconds: float = 60) -> ProbeResult:
    torch.set_num_threads(1)
    (found,) = probe(target, ["lr"], seconds=seconds).results
    assert found.restored.identical, found.restored.changed
    return found


def weights(found: ProbeResult) -> dict[str, float]:
    total: dict[str, float] = {}
    for one in found.evidence:
        total[one.cause] = total.get(one.cause, 0.0) + one.weight
    return total


def many(**fields: object) -> ProbeTarget:
    return targets.healthy(batches=targets.pairs(40, 32), **fields)


def sgd(rate: float) -> ProbeTarget:
    model = targets.mlp()
    return many(model=model, optimizer=torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9))


@pytest.mark.parametrize("rate", [1e-3, 5e-3])
def test_a_usual_rate_is_in_order(rate: float) -> None:
    found = result(many(learning_rate=rate))
    assert found.outcome is Outcome.PASSED, found.summary
    assert weights(found)["lr-too-low"] < 0 > weights(found)["lr-too-high"]
    assert 1e-3 <= found.measurements["lr_suggested"] <= 1e-1
    assert found.measurements["spread_of_suggestions"] < 10


@pytest.mark.parametrize("target", [many(learning_rate=3.0), sgd(20.0)])
def test_a_rate_at_which_the_loss_breaks_is_too_high(target: ProbeTarget) -> None:
    found = result(target)
    assert found.outcome is Outcome.FOUND
    assert weights(found)["lr-too-high"] >= 3 > -3 >= weights(found)["lr-too-low"]
    assert found.fix[0].startswith("learning_rate")


@pytest.mark.parametrize("target", [many(learning_rate=1e-7), sgd(1e-6)])
def test_a_rate_far_below_all_that_works_is_too_low(target: ProbeTarget) -> None:
    found = result(target)
    assert found.outcome is Outcome.FOUND
    assert "below the suggested one" in found.summary
    assert weights(found)["lr-too-low"] >= 3 > -3 >= weights(found)["lr-too-high"]


def test_a_rate_as_of_fine_tuning_is_a_note() -> None:
    found = result(many(learning_rate=2e-4))
    assert found.outcome is Outcome.PASSED, found.summary


def test_labels_that_mean_nothing_are_no_matter_of_the_rate() -> None:
    class Blind(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(torch.zeros_like(x)) * 0

    found = result(targets.healthy(model=Blind(20, 10), batches=targets.pairs(40)))
    assert "falls at no learning rate" in found.summary
    assert weights(found)["lr-too-low"] < 0 > weights(found)["lr-too-high"]


def test_one_batch_is_enough_and_said_so() -> None:
    found = result(targets.healthy(batches=targets.pairs(1)))
    assert found.outcome is Outcome.PASSED, found.summary
    assert any("one batch only" in note for note in found.notes)


def test_a_sweep_that_is_cut_short_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    from loganalyze.probe.clock import Clock

    monkeypatch.setattr(Clock, "is_over", True)
    found = result(many())
    assert found.outcome is Outcome.NOT_APPLICABLE
    assert "no time for a whole sweep" in found.summary


def test_a_loss_that_is_never_finite_is_not_a_matter_of_the_rate() -> None:
    found = result(
        many(loss=lambda output, labels: targets.CRITERION(output, labels) * float("nan"))
    )
    assert "not finite at any learning rate" in found.summary
    assert weights(found)["lr-too-high"] < 0


def test_the_rules_read_a_known_curve() -> None:
    import math

    x = rates(200)
    # Falls about 1e-4, is lowest about 1e-2, and breaks away.
    y = [
        3 - 2 / (1 + math.exp(-3 * (math.log10(r) + 4))) + max(0, math.log10(r) + 2) ** 2 for r in x
    ]
    curve = Sweep(tuple(x), tuple(y), broke=False)
    assert curve.steepest == pytest.approx(1e-4, rel=0.3)
    assert curve.minimum == pytest.approx(1e-2, rel=0.6)
    assert curve.level == pytest.approx(3, abs=0.01)
    assert curve.falls
    flat = Sweep(tuple(x), tuple(2 + (-1) ** i * 0.1 for i in range(200)), broke=False)
    assert not flat.falls


def test_a_start_far_above_a_guess_is_no_word_for_a_larger_rate() -> None:
    model = targets.mlp()
    with torch.no_grad():
        model[3].weight.mul_(60.0)
    found = result(many(model=model, learning_rate=1e-5))
    assert found.outcome is Outcome.PASSED, found.summary
    assert "lr-too-low" not in weights(found)
    assert any("Mend the start first" in note for note in found.notes)
