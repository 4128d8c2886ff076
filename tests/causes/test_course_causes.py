"""What the course of a run tells of its cause, each beside the look-alike that it is told from."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from loganalyze.causes import hypotheses, rank
from loganalyze.causes.cause import STATED, Case
from loganalyze.finding import Finding, Severity
from loganalyze.run import Run
from loganalyze.signals.batch_order import accuracy_spread, same_order
from tests.builders import make_run

RNG = np.random.default_rng(3)
STEPS = np.arange(1, 601)
COSINE = 1e-3 * (1 + np.cos(np.pi * STEPS / 600)) / 2
FLAT = math.log(10) + RNG.normal(0, 0.02, 600)
NORM = RNG.lognormal(math.log(0.5), 0.1, 600)
ADAM = {"num_classes": 10, "optimizer": "adamw"}
SGD = {"num_classes": 10, "optimizer": "sgd"}
WORDS = {"vocab_size": 50_000, "architectures": "GPT2LMHeadModel", "optimizer": "adamw"}


def finding(identifier: str, **evidence: Any) -> Finding:
    return Finding(identifier, Severity.WARNING, 0.9, "t", "s", steps=(1, 600), evidence=evidence)


GUESS = finding("loss-at-chance", ratio_to_log_c=1.0, log_c=math.log(10), classes=10)
SLOW = finding("slow-convergence")
SPIKE = finding("loss-spike", step=300, steps_to_recover=3, count=1)


def weight(cause: str, run: Run, *findings: Finding) -> float:
    """Return the sum of the weights of the clues that a cause finds."""
    hypothesis = next(h for h in hypotheses() if h.id == cause)
    return sum(clue.weight for clue in hypothesis.weigh(Case(run, findings)))


def probabilities(run: Run, *findings: Finding) -> dict[str, float]:
    return {cause.id: cause.probability for cause in rank.rank(run, findings)}


def evaluated(evals: Any, *, loss: np.ndarray = FLAT, **more: Any) -> Run:
    at = np.linspace(50, 600, len(evals)).astype(int)
    steps = dict.fromkeys(("loss", "lr", "grad_norm", "train_accuracy"), STEPS)
    return make_run(loss=loss, eval_loss=evals, steps=steps | {"eval_loss": at}, **more)


# Steps that are too short, weights that die, nothing to learn

CREEP = np.linspace(2.303, 2.29, 12)
WANDER = 2.303 + RNG.normal(0, 0.01, 12)


def test_a_straight_creep_at_an_ordinary_rate_of_adam_is_an_epsilon() -> None:
    short = evaluated(CREEP, lr=COSINE, grad_norm=NORM, config=ADAM)
    lower = evaluated(CREEP, lr=COSINE / 300, grad_norm=NORM, config=ADAM)
    wrong = evaluated(WANDER, lr=COSINE, grad_norm=NORM, config=ADAM)
    assert weight("optimizer-hyperparameters", short, GUESS) > 1
    assert weight("optimizer-hyperparameters", lower, GUESS) < 0
    assert weight("optimizer-hyperparameters", wrong, GUESS) < 0
    assert next(iter(probabilities(lower, GUESS))) == "lr-too-low"
    assert next(iter(probabilities(wrong, GUESS))) == "labels-wrong"


def test_what_learns_changes_its_gradient_and_does_not_creep() -> None:
    grows = evaluated(CREEP, lr=COSINE, grad_norm=np.linspace(0.05, 1, 600), config=ADAM)
    assert weight("optimizer-hyperparameters", grows, SLOW) < 0


def test_a_creep_with_a_tiny_gradient_is_few_weights() -> None:
    few = evaluated(CREEP, lr=COSINE, grad_norm=NORM / 50, config=ADAM)
    all_of_them = evaluated(CREEP, lr=COSINE, grad_norm=NORM, config=ADAM)
    assert weight("frozen-parameters", few, GUESS) > weight("frozen-parameters", all_of_them, GUESS)


def test_a_gradient_that_is_lost_while_every_batch_costs_a_guess_is_a_pull_to_zero() -> None:
    lost = np.r_[np.linspace(3, 0.2, 60), np.full(540, 0.16)]
    even = math.log(10) + RNG.normal(0, 2e-4, 600)
    pulled = evaluated(WANDER, loss=even, lr=COSINE, grad_norm=lost, config=ADAM)
    switched_off = evaluated(WANDER, loss=FLAT, lr=COSINE, grad_norm=lost, config=ADAM)
    assert weight("optimizer-hyperparameters", pulled, GUESS) > 2
    assert weight("optimizer-hyperparameters", switched_off, GUESS) < 0
    assert weight("lr-too-high", switched_off, GUESS) > weight("lr-too-high", pulled, GUESS)


@pytest.mark.parametrize(("decay", "is_absurd"), [(0.1, False), (1.0, False), (50.0, True)])
def test_a_setting_that_no_training_uses_is_as_good_as_stated(
    decay: float, is_absurd: bool
) -> None:
    run = make_run(loss=FLAT, lr=COSINE, config=ADAM | {"weight_decay": decay})
    assert (weight("optimizer-hyperparameters", run, GUESS) >= STATED) is is_absurd


def test_adam_is_not_stopped_by_a_small_gradient() -> None:
    run, plain = (make_run(loss=FLAT, grad_norm=NORM / 20, config=c) for c in (ADAM, SGD))
    assert (
        weight("vanishing-gradients", run, GUESS) < weight("vanishing-gradients", plain, GUESS) - 1
    )


def test_a_gradient_that_came_through_at_first_has_not_vanished() -> None:
    lost = np.r_[np.full(60, 3.0), np.full(540, 0.2)]
    run, same = (make_run(loss=FLAT, grad_norm=n, config=SGD) for n in (lost, np.full(600, 0.2)))
    assert weight("vanishing-gradients", run, GUESS) < weight("vanishing-gradients", same, GUESS)


def test_tokens_whose_frequency_is_all_that_is_learned_have_wrong_labels() -> None:
    at_once = np.r_[np.linspace(10.8, 9.9, 40), 9.9 + RNG.normal(0, 0.02, 560)]
    slowly = np.linspace(10.8, 9.9, 600)
    wrong, slow = (make_run(loss=loss, lr=COSINE, config=WORDS) for loss in (at_once, slowly))
    assert weight("labels-wrong", wrong, SLOW) > weight("labels-wrong", slow, SLOW)
    assert weight("frozen-parameters", wrong, SLOW) < weight("frozen-parameters", slow, SLOW)


def test_the_log_that_counts_its_trainable_parameters_is_believed() -> None:
    config = ADAM | {"num_parameters": 43_440, "trainable_parameters": 48}
    run = evaluated(np.linspace(4.0, 3.8, 12), loss=np.linspace(4, 3.8, 600), config=config)
    assert weight("frozen-parameters", run, SLOW) > 2


def test_saturated_units_have_a_large_first_gradient_and_give_a_guess() -> None:
    lost = np.r_[np.linspace(8, 0.4, 60), np.full(540, 0.4)]
    run, same = (make_run(loss=FLAT, grad_norm=n, config=ADAM) for n in (lost, np.full(600, 0.4)))
    assert weight("inputs-not-normalized", run, GUESS) > 0
    assert weight("inputs-not-normalized", same, GUESS) < -2


def test_an_evaluation_that_only_falls_does_not_jump() -> None:
    falls, jumps = [2.1, 0.5, 0.01, 0.002, 0.001], [49, 261, 13, 8, 211]
    high = finding("initial-loss-high", ratio_to_log_c=4.0)
    one, other = (evaluated(v, loss=np.full(600, 9.0), config=ADAM) for v in (falls, jumps))
    assert weight("inputs-not-normalized", other, high) > weight("inputs-not-normalized", one, high)


def test_what_the_decay_of_the_rate_makes_a_model_remember_is_no_sign_of_a_high_rate() -> None:
    loss = np.r_[np.full(300, 2.4), np.linspace(2.4, 1.9, 300)]
    learned = evaluated(np.r_[np.full(6, 2.4), np.linspace(2.3, 1.9, 6)], loss=loss, lr=COSINE)
    remembered = evaluated(np.linspace(2.4, 2.7, 12), loss=loss, lr=COSINE)
    assert weight("lr-too-high", learned, SLOW) > weight("lr-too-high", remembered, SLOW) + 1


# The order of the data


def sorted_batches(epochs: int = 12, per_epoch: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Losses and accuracies of classes that come one after the other."""
    place = np.arange(epochs * per_epoch) % per_epoch
    right = np.where(place // 10 % 2 == 0, 0.95, 0.1)
    accuracy = RNG.binomial(32, right) / 32
    return 3 - 2 * accuracy + RNG.normal(0, 0.05, len(accuracy)), accuracy


def test_batches_of_one_kind_in_one_order_are_not_shuffled() -> None:
    config = ADAM | {"train_batch_size": 32, "train_samples": 1600}
    loss, accuracy = sorted_batches()
    mixed = RNG.permutation(len(loss))
    right = RNG.binomial(32, 0.5, len(loss)) / 32
    in_order = make_run(loss=loss, train_accuracy=accuracy, config=config)
    shuffled = make_run(loss=loss[mixed], train_accuracy=right, config=config)
    assert (accuracy_spread(in_order) or 0) > 10 > 2 > (accuracy_spread(shuffled) or 9)
    assert (same_order(in_order) or 0) > 0.8
    assert same_order(shuffled) == 0
    assert weight("data-not-shuffled", in_order, SLOW) > 5
    assert weight("data-not-shuffled", shuffled, SLOW) < 0
    assert weight("labels-wrong", in_order, SLOW) < weight("labels-wrong", shuffled, SLOW)


def test_the_order_of_the_data_shows_without_an_accuracy_and_not_in_repeats() -> None:
    config = ADAM | {"train_batch_size": 32, "train_samples": 1600}
    run = make_run(loss=sorted_batches()[0], config=config)
    assert weight("data-not-shuffled", run, SLOW) > 2
    assert weight("data-not-shuffled", run, SLOW, finding("loss-repeats")) < 0


def test_few_points_say_nothing_of_the_order() -> None:
    assert accuracy_spread(make_run(loss=[1, 2], train_accuracy=[0.5, 0.6])) is None
    assert same_order(make_run(loss=FLAT[:50])) is None
    assert (
        same_order(make_run(loss=FLAT, config={"train_batch_size": 32, "train_samples": 64}))
        is None
    )


# A loss of probabilities


def test_loss_and_accuracy_on_one_line_are_a_softmax_applied_twice() -> None:
    accuracy = np.clip(np.linspace(0.2, 0.8, 600) + RNG.normal(0, 0.08, 600), 0, 1)
    top = math.log(math.e + 9)
    twice = make_run(loss=top - accuracy, train_accuracy=accuracy, config=ADAM)
    once = make_run(loss=top - 0.3 - 0.3 * accuracy, train_accuracy=accuracy, config=ADAM)
    assert weight("wrong-loss-function", twice, SLOW) > 2
    assert weight("wrong-loss-function", once, SLOW) < 0


# How a loss starts

HIGH = finding("initial-loss-high", ratio_to_log_c=4.0, initial_loss=9.2, log_c=2.303, classes=10)
A_LITTLE_HIGH = finding("initial-loss-high", ratio_to_log_c=1.4, initial_loss=15.1, log_c=10.8)


def started(norm: float, *, right: float = 0.1, **config: Any) -> Run:
    falls = 7 * np.exp(-STEPS / 30) + 2.2 * np.exp(-STEPS / 300)  # the excess is unlearned first
    learned = np.where(STEPS < 20, right, 1 - 0.9 * np.exp(-STEPS / 300))
    values = {"train_accuracy": RNG.binomial(32, learned) / 32, "grad_norm": np.full(600, norm)}
    return evaluated(np.linspace(8, 0.5, 12), loss=falls, config=ADAM | config, **values)


def test_the_first_gradient_tells_large_weights_from_a_guess_over_more_outputs() -> None:
    head, wide = started(60.0), started(0.8, right=0.0)
    assert weight("head-init-scale", head, HIGH) > weight("head-init-scale", wide, HIGH) + 1
    assert weight("num-labels-mismatch", wide, HIGH) > weight("num-labels-mismatch", head, HIGH) + 1
    assert next(iter(probabilities(head, HIGH))) == "head-init-scale"
    assert next(iter(probabilities(wide, HIGH))) == "num-labels-mismatch"


def test_answers_that_are_right_as_often_as_a_guess_are_no_guess_over_more_outputs() -> None:
    assert weight("num-labels-mismatch", started(0.8, right=0.1), HIGH) < weight(
        "num-labels-mismatch", started(0.8, right=0.0), HIGH
    )


def test_a_gradient_of_thousands_is_more_than_a_head_makes() -> None:
    assert weight("head-init-scale", started(3000.0), HIGH) < weight(
        "head-init-scale", started(60.0), HIGH
    )


def test_a_pretrained_model_that_reads_noise_loses_a_little_more_than_a_guess() -> None:
    norm = np.full(600, 2.0)
    run = evaluated([14.0, 13.5], loss=np.linspace(15.1, 13, 600), grad_norm=norm, config=WORDS)
    assert next(iter(probabilities(run, A_LITTLE_HIGH))) == "tokenizer-mismatch"
    far = dataclasses.replace(
        A_LITTLE_HIGH, evidence={**A_LITTLE_HIGH.evidence, "ratio_to_log_c": 9.0}
    )
    assert (
        weight("tokenizer-mismatch", run, far)
        < weight("tokenizer-mismatch", run, A_LITTLE_HIGH) - 3
    )


def test_a_writer_of_text_needs_no_pad_token_and_a_classifier_does() -> None:
    classifier = WORDS | {"architectures": "GPT2ForSequenceClassification"}
    loss = np.linspace(15.1, 13, 600)
    writes, pools = (
        make_run(loss=loss, config=config | {"pad_token_id": None})
        for config in (WORDS, classifier)
    )
    assert weight("pad-or-mask-bug", pools, HIGH) > weight("pad-or-mask-bug", writes, HIGH) + 1


def test_a_later_evaluation_tells_where_the_first_one_does_not() -> None:
    falls = 9.2 * np.exp(-STEPS / 60)
    model = evaluated([2.2, 1.9, 1.8, 1.8], loss=falls, config=ADAM)
    summed = evaluated(falls[49::50] / 4, loss=falls, config=ADAM)
    assert (
        weight("loss-not-normalized", model, HIGH) < weight("loss-not-normalized", summed, HIGH) - 2
    )


# What breaks a run

NAN = finding("loss-nonfinite", first_step=301)


def broken(before: np.ndarray, *, norm: np.ndarray | None = None, **more: Any) -> Run:
    norm = np.full(300, 1.0) if norm is None else norm
    tail = np.full(300, np.nan)
    return make_run(loss=np.r_[before, tail], grad_norm=np.r_[norm, tail], **more)


def test_the_noise_of_a_loss_near_zero_is_no_rise() -> None:
    near_zero = RNG.lognormal(math.log(0.03), 1.0, 300)
    near_zero[-2] = 0.12
    blows_up = np.r_[np.full(295, 1.0), 2, 9, 60, 900, 8000]
    quiet, rise = (
        broken(near_zero),
        broken(blows_up, norm=np.r_[np.full(295, 1.0), 3, 9, 80, 900, 1e4]),
    )
    assert weight("lr-too-high", quiet, NAN) < 0 < weight("lr-too-high", rise, NAN)
    assert weight("nan-in-data", rise, NAN) < 0 < weight("nan-in-data", quiet, NAN)


def test_a_loss_that_creeps_up_alone_in_fp16_is_an_overflow() -> None:
    creeps = np.r_[np.full(290, 1.5), np.linspace(1.6, 2.8, 10)] * RNG.lognormal(0, 0.02, 300)
    alone = broken(creeps, config={"precision": "fp16"})
    both = broken(
        creeps, norm=np.r_[np.full(290, 1.0), np.geomspace(1, 50, 10)], config={"precision": "fp16"}
    )
    assert weight("fp16-overflow", alone, NAN) > weight("fp16-overflow", both, NAN)
    assert weight("lr-too-high", alone, NAN) < 0 < weight("lr-too-high", both, NAN)


def test_a_rate_that_was_higher_before_did_not_break_the_run() -> None:
    decays = np.linspace(1e-3, 0, 600)
    steady = np.full(300, 1.5) * RNG.lognormal(0, 0.02, 300)
    late, constant = (broken(steady, lr=rate, config=ADAM) for rate in (decays, np.full(600, 1e-3)))
    assert weight("lr-too-high", late, NAN) < weight("lr-too-high", constant, NAN)


def test_a_model_that_attends_may_have_a_row_that_attends_to_nothing() -> None:
    steady = np.full(300, 1.5) * RNG.lognormal(0, 0.02, 300)
    attends, convolves = (
        broken(steady, config=ADAM | {"model": m}) for m in ("deit-small", "resnet")
    )
    assert weight("pad-or-mask-bug", attends, NAN) > weight("pad-or-mask-bug", convolves, NAN) + 1


def test_gradients_that_jump_before_the_fault_miss_a_limit() -> None:
    steady = np.full(300, 1.5)
    jumps = np.full(300, 1.0)
    jumps[[100, 200, 290]] = 80
    wild, calm = (broken(steady, norm=n, config=SGD) for n in (jumps, np.full(300, 1.0)))
    assert weight("no-grad-clipping", wild, NAN) > weight("no-grad-clipping", calm, NAN)


def test_an_evaluation_that_jumps_again_and_again_is_not_one_batch() -> None:
    jumps, calm = [0.8, 3.1, 0.4, 2.3, 0.5, 0.4], [0.8, 0.7, 0.6, 0.5, 0.45, 0.4]
    one, other = (evaluated(v, config=ADAM) for v in (jumps, calm))
    assert weight("outlier-batch", one, SPIKE) < weight("outlier-batch", other, SPIKE) - 1


def test_without_a_gap_nothing_was_learned_by_heart() -> None:
    numbers = {"rise": 0.5, "best_step": 50, "train_at_best": 2.0}
    none = finding("overfit-gap", gap_ratio=0.01, train_at_end=1.97, **numbers)
    wide = finding("overfit-gap", gap_ratio=9.0, train_at_end=0.2, **numbers)
    run = make_run(loss=FLAT)
    assert weight("overfit-small-data", run, none) < 0 < weight("overfit-small-data", run, wide)


@pytest.mark.parametrize(("momentum", "is_high"), [(0.0, False), (0.9, True), (0.995, True)])
def test_momentum_makes_steps_add_up(momentum: float, is_high: bool) -> None:
    run = make_run(loss=FLAT, lr=np.full(600, 0.5), config=SGD | {"momentum": momentum})
    clues = next(h for h in hypotheses() if h.id == "lr-too-high").weigh(Case(run, (SLOW, SPIKE)))
    assert (
        any(clue.weight > 0 and "learning rate reaches" in clue.text for clue in clues) is is_high
    )


def test_a_slow_lane_of_speed_comes_after_what_is_not_learned() -> None:
    config = SGD | {"precision": "bf16"}
    run = evaluated(np.full(12, 2.303), lr=COSINE, config=config)
    causes = rank.rank(run, (SLOW, finding("throughput-drop")))
    assert causes[0].id == "low-precision-instability"
    assert causes[-1].id == "dataloader-bottleneck"


def test_hard_clipping_alone_is_no_sign_of_a_low_rate() -> None:
    clipped = finding("clip-saturated", median_norm=20.0, max_grad_norm=1.0)
    steep = evaluated(
        np.linspace(40, 26, 12), loss=np.linspace(45, 25, 600), lr=COSINE / 10, config=ADAM
    )
    flat = make_run(loss=FLAT, lr=COSINE / 1000, config=ADAM)
    assert weight("lr-too-low", steep, clipped) > 0 > weight("lr-too-low", flat, clipped)


# What the evaluation tells of the loss and of itself


def test_a_train_loss_that_stays_a_multiple_of_the_evaluation_is_a_sum() -> None:
    below = finding("eval-below-train")
    falls = 3 * np.exp(-STEPS / 300)
    summed = evaluated(falls[49::50], loss=6 * falls)
    leaks = evaluated(np.linspace(1.0, 0.02, 12), loss=1 + falls)
    assert weight("loss-not-normalized", summed, below) > 2
    assert weight("loss-not-normalized", leaks, below) < 0
    assert next(iter(probabilities(summed, below))) == "loss-not-normalized"


def test_the_evaluation_is_compared_with_the_train_loss_about_its_step() -> None:
    at = [1, 26, 51, 76, 101]
    loss = [9.2, 6.0, 2.2, 1.0, 0.5]
    steps = {"loss": at, "eval_loss": [50, 100]}
    run = make_run(loss=loss, eval_loss=[2.1, 0.6], steps=steps, config=ADAM)
    alone = make_run(loss=loss, steps=steps, config=ADAM)
    assert weight("loss-not-normalized", run, HIGH) < weight("loss-not-normalized", alone, HIGH)


TURNED = {"rise": 3.0, "gap_ratio": 50.0, "train_at_best": 1.39, "train_at_end": 0.05}


def test_an_evaluation_that_never_beats_a_guess_does_not_belong_to_the_training() -> None:
    learned = np.geomspace(2.3, 0.05, 600)
    never = evaluated(np.linspace(2.3, 5, 12), loss=learned, config=ADAM)
    first = evaluated(np.r_[1.4, 1.1, np.linspace(1.2, 5, 10)], loss=learned, config=ADAM)
    from_the_start = finding("overfit-gap", best_step=50, **TURNED)
    later = finding("overfit-gap", best_step=100, **TURNED)
    assert weight("eval-mismatch", never, from_the_start) > 0
    assert weight("eval-mismatch", first, later) < -2
    assert weight("overfit-small-data", never, from_the_start) < weight(
        "overfit-small-data", first, later
    )


def test_an_accuracy_that_does_not_move_tells_without_the_classes() -> None:
    evals, learned = np.linspace(1.9, 5, 12), np.geomspace(2.3, 0.05, 600)
    turn = finding("overfit-gap", best_step=50, **TURNED)
    at = np.linspace(50, 600, 12).astype(int)
    steps = {"loss": STEPS, "eval_loss": at, "eval_accuracy": at}
    still, moves = (
        make_run(loss=learned, eval_loss=evals, eval_accuracy=accuracy, steps=steps)
        for accuracy in (np.full(12, 0.25), np.linspace(0.3, 0.6, 12))
    )
    assert weight("eval-mismatch", still, turn) > 0 > weight("eval-mismatch", moves, turn)


def test_an_evaluation_loss_that_follows_while_its_accuracy_does_not_is_the_wrong_loss() -> None:
    chance = finding("eval-at-chance")
    learned = np.geomspace(9, 0.02, 600)
    follows = evaluated(learned[49::50], loss=learned, config=ADAM)
    apart = evaluated(np.full(12, 9.0), loss=learned, config=ADAM)
    assert (
        weight("wrong-loss-function", follows, chance)
        > 2
        > weight("wrong-loss-function", apart, chance)
    )
    assert weight("eval-mismatch", follows, chance) < 0 < weight("eval-mismatch", apart, chance)


def test_nothing_bounds_the_step_of_a_regression_by_plain_sgd() -> None:
    steady = np.full(300, 1.5) * RNG.lognormal(0, 0.02, 300)
    plain = {"loss": "mse", "optimizer": "sgd"}
    free, limited = (broken(steady, config=plain | more) for more in ({}, {"max_grad_norm": 1.0}))
    assert weight("nan-in-data", free, NAN) < weight("nan-in-data", limited, NAN)
    assert weight("no-grad-clipping", free, NAN) > 0 > weight("no-grad-clipping", limited, NAN)
    assert weight("lr-too-high", free, NAN) > weight("lr-too-high", limited, NAN)


def test_saturated_units_have_wild_gradients() -> None:
    wild = RNG.lognormal(0, 1.5, 600)
    run, calm = (make_run(loss=FLAT, grad_norm=n, config=ADAM) for n in (wild, NORM))
    assert weight("inputs-not-normalized", run, SLOW) > weight("inputs-not-normalized", calm, SLOW)


def test_a_log_without_epochs_cannot_deny_an_order() -> None:
    assert weight("data-not-shuffled", make_run(loss=FLAT[:20]), SLOW) > -1


def test_squares_scatter_and_an_even_guess_does_not() -> None:
    high = finding("initial-loss-high", ratio_to_log_c=12.4)
    even, squares = (
        make_run(loss=loss, config=ADAM) for loss in ([28.5, 28.52, 28.49], [27, 31, 28])
    )
    assert (
        weight("wrong-loss-function", squares, high) > 0 > weight("wrong-loss-function", even, high)
    )


# Next to nothing, and never cleared


def test_a_rate_of_next_to_nothing_leaves_the_evaluation_all_but_as_it_was() -> None:
    creep = 2.31 - 5e-7 * np.arange(12)
    run = evaluated(creep, lr=np.full(600, 2e-7), config=ADAM)
    assert next(iter(probabilities(run, GUESS))) == "lr-too-low"
    still = evaluated(np.full(12, 2.31), lr=np.full(600, 1e-3), config=ADAM)
    assert next(iter(probabilities(still, GUESS))) == "frozen-parameters"


def test_a_gradient_that_only_grows_over_a_loss_that_stands_is_never_cleared() -> None:
    adds_up = make_run(loss=FLAT, grad_norm=0.5 * STEPS, lr=COSINE, config=ADAM)
    cleared = make_run(loss=FLAT, grad_norm=NORM, lr=COSINE, config=ADAM)
    assert next(iter(probabilities(adds_up, GUESS))) == "frozen-parameters"
    more = weight("frozen-parameters", adds_up, GUESS) - weight("frozen-parameters", cleared, GUESS)
    assert more > 2


def test_a_momentum_without_an_optimizer_is_that_of_sgd() -> None:
    told = make_run(loss=FLAT, lr=np.full(600, 0.1), config={"num_classes": 10, "momentum": 0.9})
    assert weight("lr-too-high", told, GUESS) < weight(
        "lr-too-high", make_run(loss=FLAT, lr=np.full(600, 0.1), config=ADAM), GUESS
    )
