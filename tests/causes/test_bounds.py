"""Evidence that follows from what a run cannot do: reach, remember before it saw, pay less than an answer costs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from loganalyze.causes.cause import Case
from loganalyze.causes.reach import reach
from loganalyze.run import Run
from loganalyze.signals.accuracy import one_answer
from loganalyze.signals.first_pass import first_pass
from loganalyze.signals.half import norms_in_bf16
from tests.builders import make_run
from tests.causes.test_course_causes import ADAM, FLAT, GUESS, NORM, SGD, STEPS, finding, weight

RNG = np.random.default_rng(5)
AT = np.linspace(50, 600, 12).astype(int)
BROKEN = finding("loss-nonfinite", first_step=301, index_of_first=300)
HIGH = finding(
    "initial-loss-high", ratio_to_log_c=8.0, log_c=math.log(10), initial_loss=18.4, classes=10
)
OVERFIT = finding("overfit-gap", rise=1.0, gap_ratio=9.0, best_step=50)


def run(**more: Any) -> Run:
    steps = {"eval_loss": AT, "eval_accuracy": AT}
    return make_run(steps=steps, **{"loss": FLAT, **more})


def noisy(level: Any, share: float = 0.01) -> np.ndarray:
    return np.asarray(level * (1 + share * RNG.normal(size=600)))


def test_the_reach_does_not_depend_on_the_logging_interval() -> None:
    each = make_run(loss=FLAT, lr=np.full(600, 1e-4), config=ADAM)
    tenth = make_run(loss=FLAT[9::10], lr=np.full(60, 1e-4), steps=STEPS[9::10], config=ADAM)
    found = [reach(Case(one, ())) for one in (each, tenth)]
    assert [one is not None and round(one.travel or 0, 3) for one in found] == [0.06, 0.06]


def test_steps_that_reach_nowhere_are_too_short_and_others_are_not() -> None:
    short = run(lr=np.full(600, 1e-5), config=ADAM)
    ample = run(lr=np.full(600, 1e-3), config=ADAM)
    crawl = run(lr=np.full(600, 3e-2), grad_norm=0.02 * NORM, config=SGD)
    assert weight("lr-too-low", short, GUESS) > 1
    assert weight("lr-too-low", crawl, GUESS) > 1
    assert weight("lr-too-low", ample, GUESS) < -1


def test_norms_that_bf16_holds_are_those_of_weights_in_16_bits() -> None:
    held = np.round(np.round(NORM * 256) / 256, 4)
    bf16 = run(grad_norm=held, config=ADAM)
    other = run(grad_norm=np.round(NORM, 4), config=ADAM)
    assert norms_in_bf16(bf16) is not None
    assert norms_in_bf16(other) is None
    assert norms_in_bf16(run(grad_norm=np.arange(1.0, 601) % 200, config=ADAM)) is None
    assert weight("low-precision-instability", bf16, GUESS) > 3
    assert weight("low-precision-instability", other, GUESS) < 0


SEEN = {"train_samples": 6000, "train_batch_size": 32, "num_classes": 10}  # 187 steps a pass


def test_what_parts_in_the_first_pass_is_no_memory() -> None:
    loss = noisy(np.interp(STEPS, [1, 150, 600], [2.3, 0.8, 0.2]))
    apart = run(loss=loss, eval_loss=np.linspace(2.6, 6, 12), config=SEEN)
    follows = run(loss=loss, eval_loss=np.interp(AT, [1, 150, 600], [2.3, 0.85, 1.5]), config=SEEN)
    seen = first_pass(apart)
    assert seen is not None
    assert seen.apart is not None
    assert seen.apart > 1.4
    assert (
        weight("eval-mismatch", apart, OVERFIT) > 2 > weight("overfit-small-data", apart, OVERFIT)
    )
    assert (
        weight("eval-mismatch", follows, OVERFIT)
        < -2
        < weight("overfit-small-data", follows, OVERFIT)
    )


def test_what_falls_as_samples_come_again_is_remembered() -> None:
    step = noisy(np.where(STEPS <= 187, 2.3, np.interp(STEPS, [188, 600], [1.3, 0.2])))
    slowly = noisy(np.interp(STEPS, [1, 187, 600], [2.3, 2.28, 1.7]))
    at_once, gradual = (
        run(loss=loss, eval_loss=np.linspace(2.4, 5, 12), config=SEEN) for loss in (step, slowly)
    )
    chance = finding("eval-at-chance")
    assert (
        weight("epoch-memorization", at_once, OVERFIT)
        > 1
        > weight("epoch-memorization", gradual, OVERFIT)
    )
    assert weight("labels-wrong", gradual, chance) > 2 > weight("labels-wrong", at_once, chance)


def test_few_samples_may_be_known_before_the_first_evaluation() -> None:
    loss = noisy(np.interp(STEPS, [1, 600], [2.3, 0.05]))
    few, unknown = (
        run(loss=loss, eval_loss=np.linspace(2.6, 6, 12), config=config)
        for config in ({"train_samples": 60, "train_batch_size": 20}, {})
    )
    assert weight("overfit-small-data", few, OVERFIT) > weight(
        "overfit-small-data", unknown, OVERFIT
    )
    assert weight("eval-mismatch", unknown, OVERFIT) > 1 > weight("eval-mismatch", few, OVERFIT)


def test_a_nan_that_spares_the_weights_is_a_mean_over_no_label() -> None:
    loss = np.where(STEPS > 300, np.nan, FLAT)
    zero = run(loss=loss, grad_norm=np.where(STEPS > 300, 0.0, NORM), config=ADAM)
    whole = run(loss=loss, eval_loss=np.full(12, 1.2), config=ADAM)
    dead = run(loss=loss, eval_loss=np.where(AT > 300, np.nan, 1.2), config=ADAM)
    assert weight("labels-all-masked", zero, BROKEN) > 2
    assert weight("labels-all-masked", whole, BROKEN) > 2
    assert weight("labels-all-masked", dead, BROKEN) < 0


def test_answers_cost_a_cross_entropy_at_least_ln_2_when_wrong() -> None:
    cheap = run(eval_loss=np.full(12, 0.02), eval_accuracy=np.linspace(0.5, 0.6, 12), config=ADAM)
    honest = run(eval_loss=np.full(12, 0.4), eval_accuracy=np.linspace(0.8, 0.9, 12), config=ADAM)
    dear = run(eval_loss=np.full(12, 2.1), eval_accuracy=np.linspace(0.8, 0.9, 12), config=ADAM)
    assert weight("wrong-loss-function", cheap, GUESS) > 1
    assert weight("wrong-loss-function", honest, GUESS) < 1
    assert weight("wrong-loss-function", dear, GUESS) > 1


def test_a_classifier_has_no_loss_below_zero() -> None:
    below = run(loss=np.linspace(0, -40, 600), accuracy=np.full(600, 0.5), config=ADAM)
    clipped = finding("clip-saturated")
    assert weight("wrong-loss-function", below, clipped) > 4
    assert weight("wrong-loss-function", run(config=ADAM), clipped) < 0


def test_one_answer_to_all_samples_is_told_from_answers_that_change() -> None:
    evals = 2.303 + RNG.normal(0, 0.005, 12)
    same = run(eval_loss=evals, eval_accuracy=np.tile([0.08, 0.11], 6), config=SGD)
    change = run(eval_loss=evals, eval_accuracy=np.linspace(0.08, 0.13, 12), config=SGD)
    assert one_answer(same)
    assert not one_answer(change)
    for cause, sign in (("vanishing-gradients", 1), ("labels-wrong", -1)):
        assert sign * (weight(cause, same, GUESS) - weight(cause, change, GUESS)) > 0.5


def test_a_limit_far_below_any_norm_speaks_where_no_norm_was_logged() -> None:
    sgd, adam = (run(config={**optimizer, "max_grad_norm": 0.002}) for optimizer in (SGD, ADAM))
    assert weight("clip-threshold-too-low", sgd, GUESS) > 2
    assert weight("clip-threshold-too-low", adam, GUESS) < 0


def test_first_losses_that_rise_are_no_sum_of_even_guesses() -> None:
    rises = np.concatenate([[18.0, 23.0, 15.0, 12.0], np.linspace(10, 1, 596)])
    up, steady = run(loss=rises, config=ADAM), run(loss=np.linspace(18.4, 1, 600), config=ADAM)
    assert weight("head-init-scale", up, HIGH) > weight("head-init-scale", steady, HIGH)
    assert weight("loss-not-normalized", up, HIGH) < weight("loss-not-normalized", steady, HIGH)


def test_the_gradient_of_one_guess_tells_a_sum_from_a_head_and_from_inputs() -> None:
    loss = np.linspace(18.4, 1, 600)
    runs = {
        norm: make_run(loss=loss, grad_norm=np.full(600, norm), config=ADAM)
        for norm in (12.0, 80.0, 300.0)
    }
    sums, heads, inputs = (
        [weight(cause, one, HIGH) for one in runs.values()]
        for cause in ("loss-not-normalized", "head-init-scale", "inputs-not-normalized")
    )
    assert sums[0] > max(sums[1:])
    assert inputs[2] > max(inputs[:2])
    assert heads[2] - heads[0] < inputs[2] - inputs[0]


def test_a_jump_at_a_restart_is_not_the_rate() -> None:
    rose = finding("loss-divergence", ratio=9.0)
    jump = finding("loss-jump-on-resume")
    one = run(lr=np.full(600, 2e-3), config=ADAM)
    assert weight("lr-too-high", one, rose) > weight("lr-too-high", one, rose, jump) + 2


def test_momentum_beyond_use_is_blamed_itself() -> None:
    config = {"optimizer": "sgd", "momentum": 0.998, "learning_rate": 0.05}
    one = run(lr=np.full(600, 0.05), config=config)
    rose = finding("loss-divergence", ratio=9.0)
    assert weight("optimizer-hyperparameters", one, rose) > weight("lr-too-high", one, rose)


def test_an_evaluation_that_stays_digit_for_digit_is_that_of_one_model() -> None:
    still = run(eval_loss=np.full(12, 1.3216), grad_norm=NORM, config=ADAM)
    moves = run(eval_loss=1.32 + RNG.normal(0, 0.01, 12), grad_norm=NORM, config=ADAM)
    assert weight("frozen-parameters", still, GUESS) > 1 > weight("frozen-parameters", moves, GUESS)
