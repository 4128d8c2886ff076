"""Signs in the course of a loss: kinds of samples in turn, a sigmoid twice, rewards alike, a gradient from nowhere."""

from __future__ import annotations

import math

import numpy as np

from loganalyze.causes.cause import Case
from loganalyze.causes.course import is_constant, kinds_in_turn
from loganalyze.causes.onset import onset
from loganalyze.signals.reference import left_reference, reward_lost
from tests.builders import make_run
from tests.causes.test_course_causes import finding, weight

RNG = np.random.default_rng(31)
COUNT = 400
STEPS = np.arange(COUNT)
SLOW = finding("slow-convergence")
PLATEAU = finding("loss-plateau")
ZERO = finding("loss-zero", first_step=1, grad_norm="0", from_start="yes")


def in_turn() -> np.ndarray:
    """Return the loss of a model that learns one class for ten batches, then gets the next."""
    return np.asarray(1.0 + 1.6 * np.exp(-(STEPS % 10) / 5) + 0.02 * RNG.normal(size=COUNT))


def test_a_loss_that_slides_and_leaps_meets_one_kind_of_sample_after_the_other() -> None:
    sorted_, shuffled = (make_run(loss=loss) for loss in (in_turn(), RNG.permutation(in_turn())))
    assert kinds_in_turn(Case(sorted_, (SLOW,))) is not None
    assert kinds_in_turn(Case(shuffled, (SLOW,))) is None
    for cause, sign in (("data-not-shuffled", 1), ("labels-wrong", -1)):
        assert sign * (weight(cause, sorted_, SLOW) - weight(cause, shuffled, SLOW)) > 1


def test_a_leap_with_its_gradient_is_an_overshoot() -> None:
    burst = finding("grad-explosion", first_step=8)
    assert kinds_in_turn(Case(make_run(loss=in_turn()), (SLOW, burst))) is None


def bce(first: float, last: float) -> np.ndarray:
    return last + (first - last) * np.exp(-STEPS / 15) + 0.001 * RNG.normal(size=COUNT)


def test_a_sigmoid_applied_twice_starts_above_ln_2_and_stops_below_it() -> None:
    settings = {"loss": "binary_cross_entropy_with_logits", "batch_size": 32}
    twice = make_run(loss=bce(0.89, 0.686), config=settings)
    honest = make_run(loss=bce(0.70, 0.40), config=settings)
    unnamed = make_run(loss=bce(0.89, 0.686), config={"batch_size": 32})
    assert weight("wrong-loss-function", twice, PLATEAU) > 1
    assert weight("wrong-loss-function", honest, PLATEAU) < 0
    assert weight("wrong-loss-function", unnamed, PLATEAU) < 0


def test_a_method_of_rewards_has_no_labels_to_mask() -> None:
    nothing = np.zeros(COUNT)
    by_reward = make_run(loss=nothing, grad_norm=nothing, config={"model": "grpo-speller"})
    by_label = make_run(loss=nothing, grad_norm=nothing, config={"model": "speller"})
    rewards, labels = "rl-zero-advantage", "labels-all-masked"
    assert weight(rewards, by_reward, ZERO) > 1 + weight(labels, by_reward, ZERO)
    assert weight(labels, by_label, ZERO) > 1 + weight(rewards, by_label, ZERO)


def test_a_gradient_that_never_was_a_number_is_of_no_rate() -> None:
    broken = finding("loss-nonfinite", first_step=2, index_of_first=1)
    loss = np.r_[2.3, np.full(COUNT - 1, np.nan)]
    never = make_run(loss=loss, grad_norm=np.full(COUNT, np.nan))
    later = make_run(loss=loss, grad_norm=np.r_[1.0, np.full(COUNT - 1, np.nan)])
    found = [onset(Case(one, (broken,))) for one in (never, later)]
    assert [one is not None and one.is_untouched for one in found] == [True, False]
    assert weight("lr-too-high", never, broken) < weight("lr-too-high", later, broken) - 1
    assert weight("nan-in-data", never, broken) > weight("nan-in-data", later, broken)


def test_an_even_guess_to_the_digit_is_of_dead_units_not_of_frozen_ones() -> None:
    log_c = math.log(10)
    stuck = finding("loss-at-chance", log_c=log_c, ratio_to_log_c=1.0)
    at = np.linspace(40, 400, 10).astype(int)
    dead, frozen = (
        make_run(
            loss=level + spread * RNG.normal(size=COUNT), eval_loss=np.full(10, level),
            steps={"eval_loss": at}, config={"num_classes": 10, "optimizer": "Adam(lr=0.1)"},
        )
        for level, spread in ((log_c, 4e-4), (log_c + 0.08, 0.05))
    )  # fmt: skip
    assert is_constant(Case(dead, (stuck,)))
    assert not is_constant(Case(frozen, (stuck,)))
    assert weight("frozen-parameters", dead, stuck) < weight("frozen-parameters", frozen, stuck)
    assert weight("lr-too-high", dead, stuck) > weight("frozen-parameters", dead, stuck)


def test_an_evaluation_by_chance_beside_a_training_that_is_right_took_no_part() -> None:
    at = np.arange(20, 401, 20)
    gap = finding("overfit-gap", best_step=60, rise=0.1, gap_ratio=40.0)
    right = 1 - 0.5 * np.exp(-STEPS / 20)

    def run(held: np.ndarray) -> object:
        return make_run(
            loss=1 - right + 0.05, train_accuracy=right, eval_loss=np.full(20, 6.0) + 0.1 * (at % 3),
            eval_accuracy=held, steps={"eval_loss": at, "eval_accuracy": at},
        )  # fmt: skip

    by_chance, for_a_while = run(0.1 + 0.01 * (at % 3)), run(np.linspace(0.6, 0.5, 20))
    assert weight("eval-mismatch", by_chance, gap) > 1 + weight("eval-mismatch", for_a_while, gap)


def test_a_reward_that_falls_back_as_the_policy_drifts_left_its_reference() -> None:
    drift = 0.01 * np.exp(STEPS / 60)
    rise = 1 - np.exp(-STEPS / 60)
    lost, kept = (
        make_run(loss=0.01 * RNG.normal(size=COUNT), kl=drift, reward=reward)
        for reward in (rise - np.maximum(0, STEPS - 200) * 0.005, rise)
    )
    assert left_reference(lost)
    assert (reward_lost(lost) or 0.0) > 0.5
    assert not left_reference(kept)
    away = finding("loss-divergence", best_step=0)
    assert weight("rl-kl-explosion", lost, away) > weight("rl-kl-explosion", kept, away)


def test_a_limit_of_a_hundredth_is_decisive_for_what_follows_the_gradient() -> None:
    settings = {"optim": "sgd", "max_grad_norm": 0.01}
    clipped = finding("clip-saturated", median_norm=330.0, max_grad_norm=0.01)
    low = make_run(loss=np.linspace(4.2, 3.9, COUNT), config=settings)
    usual = make_run(
        loss=np.linspace(4.2, 3.9, COUNT), config={"optim": "adam", "max_grad_norm": 0.01}
    )
    assert weight("clip-threshold-too-low", low, clipped) > 1 + weight(
        "clip-threshold-too-low", usual, clipped
    )
