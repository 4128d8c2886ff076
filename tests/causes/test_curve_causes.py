"""Why a loss jumps, rises, stays, or parts from the evaluation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from loganalyze.diagnosis import diagnose
from loganalyze.finding import Cause
from tests.builders import make_run

RNG = np.random.default_rng(1)
SMOOTH = np.geomspace(3, 1, 300) * (1 + RNG.normal(0, 0.02, 300))


def causes(**curves: Any) -> dict[str, Cause]:
    return {cause.id: cause for cause in diagnose(make_run(**curves)).causes}


def spiked(*at: int, height: float = 12.0) -> np.ndarray:
    loss = SMOOTH.copy()
    loss[list(at)] = height
    return loss


def test_one_spike_that_recovers_at_an_ordinary_rate_is_a_batch() -> None:
    found = causes(loss=spiked(150), lr=np.full(300, 1e-4), config={"max_grad_norm": 1.0})
    assert next(iter(found)) == "outlier-batch"
    high = found.get("lr-too-high")
    assert high is None or high.probability < 0.1


def test_a_spike_without_clipping_names_the_missing_clipping() -> None:
    norm = np.full(300, 1.0) * (1 + RNG.normal(0, 0.05, 300))
    norm[150] = 900.0
    on, off = (
        causes(loss=spiked(150), grad_norm=norm, config={"max_grad_norm": limit})
        for limit in (1.0, 0.0)
    )
    assert "no-grad-clipping" not in on
    assert off["no-grad-clipping"].probability > 0.2
    assert "max_grad_norm 0.0 -> 1.0" in off["no-grad-clipping"].fix[0]


def test_many_spikes_at_a_high_rate_are_the_rate_s() -> None:
    one = causes(loss=spiked(150), lr=np.full(300, 2e-2), config={"optim": "adamw"})
    many = causes(
        loss=spiked(100, 130, 160, 190, 220, 260), lr=np.full(300, 2e-2), config={"optim": "adamw"}
    )
    assert next(iter(many)) == "lr-too-high"
    assert many["lr-too-high"].probability > one["lr-too-high"].probability + 0.2


DIVERGED = np.r_[np.geomspace(3, 1, 100), np.geomspace(1, 12, 60)] * (1 + RNG.normal(0, 0.02, 160))


def test_a_divergence_at_a_high_rate_is_the_rate_s() -> None:
    config = {"optim": "adamw_torch", "max_grad_norm": 1.0}
    found = causes(loss=DIVERGED, lr=np.full(160, 2e-2), config=config)
    assert next(iter(found)) == "lr-too-high"
    assert found["lr-too-high"].probability > 0.8
    assert "0.02 -> 0.004" in found["lr-too-high"].fix[0]


@pytest.mark.parametrize(
    ("optimizer", "is_high"), [("adamw_torch", True), ("sgd", False), (None, True)]
)
def test_whether_a_rate_is_high_depends_on_the_optimizer(
    optimizer: str | None, is_high: bool
) -> None:
    found = causes(loss=DIVERGED, lr=np.full(160, 0.1), config={"optim": optimizer})
    texts = [clue.text for clue in found["lr-too-high"].evidence_for]
    assert any("learning rate reaches 0.1" in text for text in texts) is is_high


def test_a_divergence_without_clipping_names_it_too() -> None:
    found = causes(loss=DIVERGED, config={"max_grad_norm": None})
    assert found["no-grad-clipping"].probability > 0.2


CHANCE = math.log(10) + RNG.normal(0, 0.004, 300)


def test_chance_level_with_flowing_gradients_is_wrong_labels() -> None:
    found = causes(
        loss=CHANCE, grad_norm=np.full(300, 0.5), lr=np.full(300, 1e-3), config={"num_classes": 10}
    )
    assert next(iter(found)) == "labels-wrong"


def test_chance_level_with_a_gradient_of_zero_is_frozen_parameters() -> None:
    found = causes(
        loss=CHANCE, grad_norm=np.zeros(300), lr=np.full(300, 1e-3), config={"num_classes": 10}
    )
    assert next(iter(found)) == "frozen-parameters"
    assert found["frozen-parameters"].probability > 0.7


def test_chance_level_at_a_rate_of_1e_9_is_too_low_a_rate() -> None:
    config = {"num_classes": 10}
    tiny, usual = (
        causes(loss=CHANCE, lr=np.full(300, rate), config=config) for rate in (1e-9, 1e-3)
    )
    assert tiny["lr-too-low"].probability > usual["lr-too-low"].probability + 0.3
    assert "1e-09 -> 1e-08" in tiny["lr-too-low"].fix[0]


def test_an_evaluation_that_turns_is_learning_by_heart() -> None:
    train = np.geomspace(2, 0.02, 400)
    evals = np.r_[np.linspace(2, 1.1, 6), np.linspace(1.15, 2.2, 14)]
    found = causes(loss=train, eval_loss=evals, steps={"eval_loss": list(range(20, 401, 20))})
    assert list(found) == ["overfit-small-data"]
    assert "step 120" in found["overfit-small-data"].fix[0]
