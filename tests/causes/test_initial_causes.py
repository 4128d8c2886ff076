"""Why a loss starts too high: a sum, the head, the labels, the padding, and not the rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from loganalyze.causes import lr_too_high
from loganalyze.causes.cause import Case
from loganalyze.diagnosis import diagnose
from loganalyze.finding import Cause
from tests.builders import make_run

STEPS = [*range(1, 11), 20]
RATE = np.array(STEPS) * 1e-5 / 700
LOSS = [69.53, 69.25, 69.33, 69.6, 69.4, 69.5, 69.2, 69.3, 69.1, 69.4, 69.0]
NORM = [190, 196, 204, 214, 201, 199, 205, 210, 196, 204, 208]
CONFIG = {
    "num_labels": 280,
    "learning_rate": 1e-5,
    "warmup_steps": 700,
    "max_grad_norm": 1.0,
    "max_steps": 7002,
}
ABOUT_THE_MODEL = ("head-init-scale", "num-labels-mismatch", "pad-or-mask-bug")


def causes(config: dict[str, Any], **curves: Any) -> dict[str, Cause]:
    run = make_run(config=config, **curves)
    return {cause.id: cause for cause in diagnose(run).causes}


def reported(**config: Any) -> dict[str, Cause]:
    return causes(
        {**CONFIG, **config}, steps=STEPS, loss=LOSS, grad_norm=NORM, lr=RATE, planned_steps=7002
    )


def falling(start: float, end: float, points: int = 200) -> np.ndarray:
    """A noisy fall."""
    noise = np.random.default_rng(0).normal(0, 0.01, points)
    return np.geomspace(start, end, points) * (1 + noise)


def test_280_classes_from_69_is_a_sum_then_the_model_then_the_warmup() -> None:
    order = list(reported())
    assert order[0] == "loss-not-normalized"
    assert set(order[1:4]) == set(ABOUT_THE_MODEL)
    assert order.index("warmup-too-long") > 3


def test_the_warmup_says_that_it_cannot_explain_12_times_log_c() -> None:
    warmup = reported()["warmup-too-long"]
    assert warmup.explains == ("warmup-too-long",)
    (clue,) = warmup.evidence_against
    assert "12.3 x log(280)" in clue.text


def test_hard_clipping_at_a_tiny_rate_is_not_blamed_on_the_rate() -> None:
    assert "lr-too-high" not in reported()


def test_even_without_the_classes_a_high_norm_at_a_tiny_rate_is_not_the_rate_s() -> None:
    found = reported(num_labels=None)
    assert found["loss-not-normalized"].explains == ("clip-saturated",)
    assert "lr-too-high" not in found


def test_eight_times_log_c_with_8_accumulation_steps_and_a_normal_evaluation_is_a_sum() -> None:
    chance = math.log(20)
    found = causes(
        {"num_labels": 20, "gradient_accumulation_steps": 8},
        loss=falling(8 * chance * 1.03, 8 * 1.5),
        eval_loss=[2.6, 1.5],
        steps={"eval_loss": [50, 200]},
    )
    assert found["loss-not-normalized"].probability > 0.85
    assert all(found[i].probability < 0.05 for i in ABOUT_THE_MODEL if i in found)
    assert "loss / 8" in found["loss-not-normalized"].fix[0]


def probability_of_a_sum(factor: float, **config: Any) -> float:
    loss = falling(factor * math.log(20), factor)[:9]  # too few for the course to tell
    return causes({"num_labels": 20, **config}, loss=loss)["loss-not-normalized"].probability


def test_a_factor_near_a_small_integer_raises_the_odds_of_a_sum() -> None:
    assert probability_of_a_sum(4.0) > probability_of_a_sum(4.45) + 0.05


def test_near_a_large_integer_it_does_not_for_every_number_is() -> None:
    found = causes({"num_labels": 20}, loss=falling(12 * math.log(20), 12))
    assert not any("integer" in clue.text for clue in found["loss-not-normalized"].clues)


def test_a_normal_evaluation_alone_already_points_at_a_sum() -> None:
    found = causes(
        {"num_labels": 20},
        loss=falling(8.4 * math.log(20), 8.4 * 1.5),
        eval_loss=[2.6, 1.5],
        steps={"eval_loss": [50, 200]},
    )
    assert found["loss-not-normalized"].probability > 0.7
    assert "only the training loss" in found["loss-not-normalized"].evidence_for[0].text


def test_hard_clipping_from_the_first_tiny_rate_on_is_not_the_rate_s() -> None:
    rate = np.minimum(np.arange(1, 201) / 100, 1) * 2e-2
    norm = np.full(200, 200.0)
    run = make_run(
        config={"optim": "adamw", "max_grad_norm": 1.0, "learning_rate": 2e-2},
        loss=falling(9, 4),
        grad_norm=norm,
        lr=rate,
    )
    case = Case(run, diagnose(run).findings)
    assert case.found("clip-saturated")
    against = [clue.text for clue in lr_too_high.weigh(case) if clue.weight < 0]
    assert any("200 at step 1 already, at 1.0% of the rate" in text for text in against)


def test_a_first_loss_above_the_log_of_any_vocabulary_is_a_sum_whatever_the_classes() -> None:
    curves = {"grad_norm": np.full(200, 200.0), "lr": np.full(200, 5e-5)}
    high = causes({"max_grad_norm": 1.0}, loss=falling(22.6, 15), **curves)
    low = causes({"max_grad_norm": 1.0}, loss=falling(2.26, 1.5), **curves)
    assert next(iter(high)) == "loss-not-normalized"
    assert low["loss-not-normalized"].probability < 0.5 < high["loss-not-normalized"].probability


def test_a_factor_equal_to_the_batch_size_raises_the_odds_of_a_sum() -> None:
    assert probability_of_a_sum(16, train_batch_size=16) > probability_of_a_sum(16) + 0.1


def test_without_accumulation_a_sum_is_less_likely() -> None:
    unknown = probability_of_a_sum(4.45)
    assert probability_of_a_sum(4.45, gradient_accumulation_steps=1) < unknown


def test_an_evaluation_that_is_as_high_points_at_the_model() -> None:
    found = causes(
        {"num_labels": 20},
        loss=falling(8.4 * math.log(20), 20),
        eval_loss=[24.5, 20.5],
        steps={"eval_loss": [10, 200]},
    )
    order = list(found)
    assert order[0] == "head-init-scale"
    assert set(order) >= set(ABOUT_THE_MODEL)
    assert any("out" in c.text for c in found["loss-not-normalized"].evidence_against)


def test_an_evaluation_after_the_loss_has_fallen_does_not_clear_the_model() -> None:
    """At step 200 both are 1.5: the model recovered, no sum hides in the train loss."""
    found = causes(
        {"num_labels": 20},
        loss=falling(8.4 * math.log(20), 1.5),
        eval_loss=[1.55],
        steps={"eval_loss": [200]},
    )
    assert any("out" in c.text for c in found["loss-not-normalized"].evidence_against)
    assert found["loss-not-normalized"].probability < 0.4
    assert found["head-init-scale"].probability > 0.25


def test_contradicting_numbers_of_classes_point_at_the_labels() -> None:
    found = causes(
        {"num_labels": 20, "data.n_classes": 35, "gradient_accumulation_steps": 1},
        loss=falling(2.4 * math.log(20), 3),
    )
    clue = found["num-labels-mismatch"].evidence_for[0]
    assert "20, 35" in clue.text


def test_a_pad_token_that_ends_the_text_points_at_the_padding() -> None:
    without = causes({"num_labels": 20}, loss=falling(9, 3))
    config = {"num_labels": 20, "pad_token_id": 2, "eos_token_id": 2}
    found = causes(config, loss=falling(9, 3))
    assert found["pad-or-mask-bug"].probability > without["pad-or-mask-bug"].probability + 0.05
