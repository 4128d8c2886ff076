"""What tells causes apart that share their finding: one sign each, with and without it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from loganalyze.causes.cause import Case
from loganalyze.causes.course import hardly_moves
from loganalyze.causes.reads import reads_tokens
from loganalyze.causes.untrained import answers_better, best_evaluation
from loganalyze.finding import Finding
from loganalyze.run import Run
from loganalyze.signals.accuracy import one_answer
from tests.builders import make_run
from tests.causes.test_course_causes import ADAM, FLAT, finding, weight

RNG = np.random.default_rng(9)
COUNT = 600
STEPS = np.arange(1, COUNT + 1)
AT = np.linspace(50, 600, 12).astype(int)
TEN = {"num_classes": 10, "batch_size": 32}
LOG_C = math.log(10)
CHANCE = finding("loss-at-chance", ratio_to_log_c=1.0)
SLOW = finding("slow-convergence", ratio_to_log_c=1.0)
OVERFIT = finding("overfit-gap", rise=1.0, gap_ratio=9.0, best_step=50)
PLATEAU = finding("loss-plateau")


def run(**more: Any) -> Run:
    steps = {"eval_loss": AT, "eval_accuracy": AT}
    return make_run(steps=steps, **{"loss": FLAT, **more})


def compared(cause: str, other: str, one: Run, *findings: Finding) -> float:
    return weight(cause, one, *findings) - weight(other, one, *findings)


def test_adam_that_moves_nothing_trains_few_weights_or_has_short_steps() -> None:
    rate = np.full(COUNT, 2e-3)
    wander = LOG_C * (1 + 2e-4 * RNG.normal(size=12))
    still = run(lr=rate, eval_loss=wander, config=ADAM | TEN)
    astray = run(lr=rate, eval_loss=LOG_C * (1 + 2e-2 * RNG.normal(size=12)), config=ADAM | TEN)
    assert hardly_moves(Case(still, (CHANCE,))) is not None
    assert hardly_moves(Case(astray, (CHANCE,))) is None
    assert compared("frozen-parameters", "labels-wrong", still, CHANCE) > 1
    assert compared("frozen-parameters", "labels-wrong", astray, CHANCE) < 0


def test_answers_below_a_guess_come_of_sorted_data() -> None:
    never = make_run(loss=FLAT + 0.2, train_accuracy=np.zeros(COUNT), config=TEN)
    guess = make_run(loss=FLAT + 0.2, train_accuracy=RNG.binomial(32, 0.1, COUNT) / 32, config=TEN)
    assert weight("data-not-shuffled", never, SLOW) > weight("data-not-shuffled", guess, SLOW) + 2
    spike = finding("loss-spike", step=300, steps_to_recover=5, count=1)
    assert weight("outlier-batch", never, spike) < weight("outlier-batch", guess, spike)


def test_no_batch_acts_ahead_of_its_time() -> None:
    spike = finding("loss-spike", step=480, steps_to_recover=5, count=1)
    calm = run(eval_loss=np.linspace(2, 1, 12))
    risen = run(eval_loss=np.r_[np.linspace(2, 1, 5), np.linspace(1.5, 4, 4), 1, 1, 1])
    assert weight("outlier-batch", risen, spike) < weight("outlier-batch", calm, spike) - 1


def test_a_loss_that_takes_long_to_recover_was_not_hurt_by_one_batch() -> None:
    soon, late = (
        finding("loss-spike", step=300, steps_to_recover=steps, count=1) for steps in (5, 120)
    )
    one = make_run(loss=FLAT)
    assert weight("outlier-batch", one, late) < weight("outlier-batch", one, soon)


def test_a_limit_that_shortens_every_step_is_no_low_rate() -> None:
    settings = {"optimizer": "sgd", "max_grad_norm": 0.004, **TEN}
    one = make_run(
        loss=FLAT, lr=np.full(COUNT, 0.1), grad_norm=np.full(COUNT, 0.4), config=settings
    )
    clipped = finding("clip-saturated", median_norm=0.4, max_grad_norm=0.004)
    assert weight("lr-too-low", one, SLOW) > 0 > weight("lr-too-low", one, SLOW, clipped)


@pytest.mark.parametrize("cause", ["lr-too-high", "no-grad-clipping"])
def test_nothing_that_updates_do_explains_a_nan_before_the_first(cause: str) -> None:
    broken = np.full(COUNT, math.nan)
    at_once = finding("loss-nonfinite", first_step=1, index_of_first=0)
    assert weight(cause, make_run(loss=broken, config=TEN), at_once) < -2
    epochs = make_run(loss=broken, steps=STEPS * 100, config=TEN)
    later = finding("loss-nonfinite", first_step=100, index_of_first=0)
    assert weight(cause, epochs, later) > -2


def test_a_blow_up_passes_the_start_of_the_run() -> None:
    near_zero = np.geomspace(3, 1e-3, 300)
    near_zero[-3:] *= [1, 4, 9]
    one = make_run(loss=np.r_[near_zero, np.full(300, math.nan)])
    broken = finding("loss-nonfinite", first_step=301, index_of_first=300)
    assert weight("nan-in-data", one, broken) > 0


def test_models_that_read_tokens_meet_no_nan_and_no_scale() -> None:
    broken = finding("loss-nonfinite", first_step=301, index_of_first=300)
    loss = np.r_[np.linspace(2, 1, 300), np.full(300, math.nan)]
    text, image = (
        make_run(loss=loss, config={"model": name, **TEN}) for name in ("bert-base", "vit-base")
    )
    assert reads_tokens(Case(text, ()))
    assert not reads_tokens(Case(image, ()))
    assert weight("nan-in-data", text, broken) < -1 < weight("nan-in-data", image, broken)
    assert compared("pad-or-mask-bug", "nan-in-data", text, broken) > 1
    high = finding("initial-loss-high", ratio_to_log_c=3.0, log_c=LOG_C)
    starts = np.geomspace(7, 1, COUNT) * RNG.lognormal(0, 0.2, COUNT)
    words, pixels = (
        make_run(loss=starts, config={"model": name, **TEN}) for name in ("bert-base", "vit-base")
    )
    assert (
        weight("inputs-not-normalized", words, high)
        < -2
        < weight("inputs-not-normalized", pixels, high)
    )


def test_an_evaluation_that_is_answered_better_has_the_better_labels() -> None:
    train = np.linspace(0.1, 0.4, COUNT)
    better = run(train_accuracy=train, eval_accuracy=np.linspace(0.3, 0.95, 12), config=TEN)
    alike = run(train_accuracy=train, eval_accuracy=np.linspace(0.1, 0.4, 12), config=TEN)
    dropped = run(
        train_accuracy=train,
        eval_accuracy=np.linspace(0.3, 0.95, 12),
        config=TEN | {"dropout": 0.5},
    )
    assert "95%" in answers_better(Case(better, ()))
    assert answers_better(Case(alike, ())) == answers_better(Case(dropped, ())) == ""
    assert weight("labels-wrong", better, PLATEAU) > weight("labels-wrong", alike, PLATEAU) + 1
    assert weight("overfit-small-data", better, OVERFIT) < weight(
        "overfit-small-data", alike, OVERFIT
    )


def test_an_evaluation_that_no_untrained_model_costs_is_of_another_kind() -> None:
    settings = {"loss": "mse", "optimizer": "adam"}
    train = 5 * np.exp(-STEPS / 100) + 0.5
    follows, stands, elsewhere = (
        run(loss=train, eval_loss=level * np.linspace(1, 1.5, 12), config=settings)
        for level in (1.0, 5.5, 60.0)
    )
    found = [best_evaluation(Case(one, ())) for one in (follows, stands, elsewhere)]
    assert found == pytest.approx([1 / 5.45, 5.5 / 5.45, 60 / 5.45], rel=0.02)
    assert weight("eval-mismatch", elsewhere, OVERFIT) > 2
    assert weight("labels-wrong", stands, OVERFIT) > 0 > weight("labels-wrong", follows, OVERFIT)
    assert weight("overfit-small-data", follows, OVERFIT) > weight(
        "overfit-small-data", stands, OVERFIT
    )


def test_batches_that_leap_out_alone_ask_for_a_limit() -> None:
    peaks = FLAT.copy()
    peaks[[100, 250, 400, 550]] = 80.0
    rose = finding("loss-divergence", best_step=50, ratio=3.0)
    for cause, sign in (("no-grad-clipping", 1), ("warmup-too-short", -1)):
        leaps, calm = (weight(cause, make_run(loss=one, config=TEN), rose) for one in (peaks, FLAT))
        assert sign * (leaps - calm) > 0


def test_a_constant_accuracy_is_one_answer_unless_the_task_is_solved() -> None:
    settings = {"num_classes": 300}
    assert one_answer(run(eval_accuracy=np.full(12, 0.05), config=settings))
    assert not one_answer(run(eval_accuracy=np.ones(12), config={"num_classes": 2}))


def test_no_softmax_applied_twice_costs_more_than_its_ceiling() -> None:
    floor = math.log(1 + 9 / math.e)
    loss = np.r_[np.linspace(LOG_C, floor, 300), np.full(300, floor)]
    below = run(loss=loss, eval_loss=np.full(12, floor), config=TEN)
    above = run(loss=loss, eval_loss=np.linspace(floor, 4, 12), config=TEN)
    assert weight("wrong-loss-function", below, PLATEAU) > 2
    assert weight("wrong-loss-function", above, PLATEAU) < 0


def test_a_train_loss_of_zero_at_an_evaluation_is_no_error() -> None:
    loss = np.r_[np.linspace(40, 1, 40), np.zeros(560)]
    high = finding("initial-loss-high", ratio_to_log_c=17.0, log_c=LOG_C, initial_loss=40.0)
    one = run(loss=loss, eval_loss=np.full(12, 1e-8), config=TEN)
    assert math.isfinite(weight("loss-not-normalized", one, high))


def test_answers_that_are_compared_are_made_of_tokens() -> None:
    answers = make_run(loss=np.ones(COUNT), **{"logps/chosen": np.full(COUNT, math.nan)})
    assert reads_tokens(Case(answers, ()))
