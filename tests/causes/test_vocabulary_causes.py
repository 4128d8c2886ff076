"""One run for each cause that its own evidence decides, and what speaks against it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from loganalyze.causes import hypotheses
from loganalyze.causes.cause import Case
from loganalyze.diagnosis import diagnose
from loganalyze.finding import Finding, Severity
from loganalyze.run import Event, EventKind, Run, Where
from tests.builders import make_run

RNG = np.random.default_rng(0)
STEPS = np.arange(1, 601)
COSINE = 1e-3 * (1 + np.cos(np.pi * STEPS / 600)) / 2
FALL = (0.3 + 2 * np.exp(-STEPS / 100)) * RNG.lognormal(0, 0.05, 600)
FLAT = np.log(10) + RNG.normal(0, 0.02, 600)
TEN = {"num_classes": 10, "optimizer": "adamw"}


def order(run: Run) -> list[str]:
    return [cause.id for cause in diagnose(run).causes]


def weight(cause: str, run: Run, *findings: Finding) -> float:
    """Return the sum of the weights of the clues that a cause finds."""
    hypothesis = next(h for h in hypotheses() if h.id == cause)
    return sum(clue.weight for clue in hypothesis.weigh(Case(run, findings)))


def finding(identifier: str, **evidence: Any) -> Finding:
    return Finding(identifier, Severity.WARNING, 0.9, "t", "s", steps=(1, 600), evidence=evidence)


def test_a_rate_far_above_the_usual_keeps_a_loss_at_chance() -> None:
    run = make_run(loss=FLAT, lr=np.full(600, 0.3), config=TEN)
    assert order(run)[0] == "lr-too-high"


def test_a_rate_far_below_the_usual_keeps_a_loss_at_chance() -> None:
    run = make_run(loss=FLAT, lr=np.full(600, 1e-6), config=TEN)
    assert order(run)[0] == "lr-too-low"


def test_weight_decay_of_fifty_is_named_with_a_usual_value() -> None:
    run = make_run(loss=FLAT, lr=np.full(600, 1e-3), config=TEN | {"weight_decay": 50})
    causes = diagnose(run).causes
    assert causes[0].id == "optimizer-hyperparameters"
    assert causes[0].fix == ("weight_decay 50 -> 0.01",)


def test_a_limit_far_below_an_ordinary_norm() -> None:
    norm = RNG.lognormal(0.5, 0.2, 600)
    run = make_run(loss=FALL, grad_norm=norm, lr=COSINE, config=TEN | {"max_grad_norm": 0.001})
    causes = diagnose(run).causes
    assert causes[0].id == "clip-threshold-too-low"
    assert "90th percentile" in causes[0].fix[0]


def test_a_schedule_that_ends_early_is_misconfigured() -> None:
    rate = np.r_[np.linspace(1e-3, 0, 150), np.zeros(450)]
    assert order(make_run(loss=FALL, lr=rate, config=TEN))[0] == "scheduler-misconfigured"


def test_a_level_that_breaks_at_a_restart_lost_its_state() -> None:
    loss = np.r_[FALL[:300], FALL[300:] + 1.2 * np.exp(-np.arange(300) / 60)]
    run = make_run(loss=loss, lr=COSINE, segments={"loss": [0] * 300 + [1] * 300})
    assert order(run)[0] == "resume-state-lost"


def test_memory_that_grows_is_retained() -> None:
    run = make_run(loss=FALL, gpu_mem=4 + 0.01 * STEPS)
    assert order(run)[0] == "memory-leak-retained-graph"


def test_time_spent_on_data_is_the_loader() -> None:
    step = np.r_[RNG.lognormal(-2, 0.1, 300), RNG.lognormal(-0.5, 0.1, 300)]
    run = make_run(loss=FALL, step_time=step, data_time=step - 0.05)
    assert order(run)[0] == "dataloader-bottleneck"
    slow = make_run(loss=FALL, step_time=step, data_time=np.full(600, 0.001))
    assert (
        "dataloader-bottleneck" not in order(slow)[:1] or diagnose(slow).causes[0].probability < 0.5
    )


def test_an_evaluation_at_chance_beside_a_training_that_learns() -> None:
    at = np.arange(100, 601, 100)
    run = make_run(
        loss=FALL,
        eval_accuracy=np.full(6, 0.1),
        steps={"eval_accuracy": at},
        config={"num_classes": 10},
    )
    assert order(run)[0] == "eval-mismatch"


def test_equal_rewards_leave_no_advantage() -> None:
    zeros = np.zeros(100)
    run = make_run(loss=zeros, grad_norm=zeros, reward=np.ones(100), reward_std=zeros)
    assert order(run)[0] == "rl-zero-advantage"


def test_a_kl_divergence_that_grows_a_thousandfold() -> None:
    norm = np.r_[RNG.lognormal(0, 0.2, 100), RNG.lognormal(9, 0.2, 50)]
    kl = np.r_[np.full(100, 0.02), np.full(50, 500.0)]
    run = make_run(loss=np.zeros(150), grad_norm=norm, reward=np.ones(150), kl=kl)
    assert order(run)[0] == "rl-kl-explosion"


def test_a_policy_that_one_update_far_too_long_made_certain() -> None:
    norm = np.r_[0.1, np.zeros(99)]
    config = {"model": "rloo-pick", "optimizer": "adamw"}
    far, usual = (
        make_run(loss=-0.1 * norm, grad_norm=norm, lr=np.full(100, rate), config=config)
        for rate in (3.0, 1e-4)
    )
    assert order(far)[0] == "rl-kl-explosion"
    assert order(usual)[0] == "rl-zero-advantage"


def test_instability_in_the_first_steps_without_a_warmup() -> None:
    loss = np.r_[2.3, 2.0, np.geomspace(4, 40, 30), np.full(568, 40.0)]
    run = make_run(
        loss=loss, lr=np.full(600, 5e-4), planned_steps=600, config={"optimizer": "adamw"}
    )
    assert "warmup-too-short" in order(run)[:2]


def test_losses_that_repeat_are_those_of_frozen_weights() -> None:
    run = make_run(loss=np.tile(RNG.normal(1.2, 0.2, 40).round(4), 4))
    assert order(run)[0] == "frozen-parameters"


def test_a_gradient_that_is_gone_has_vanished() -> None:
    run = make_run(loss=FLAT, grad_norm=np.full(600, 1e-6) * RNG.lognormal(0, 0.3, 600), config=TEN)
    assert weight("vanishing-gradients", run, finding("loss-at-chance")) > 0
    usual = make_run(loss=FLAT, grad_norm=RNG.lognormal(0.5, 0.1, 600), config=TEN)
    assert weight("vanishing-gradients", usual, finding("loss-at-chance")) < 0


def test_a_loss_at_the_floor_of_two_softmaxes() -> None:
    floor = np.log(1 + 9 / np.e)
    run = make_run(loss=np.r_[np.linspace(2.3, floor, 300), np.full(300, floor + 0.01)], config=TEN)
    assert weight("wrong-loss-function", run, finding("slow-convergence")) > 2
    assert weight("wrong-loss-function", make_run(loss=FALL, config=TEN)) < 0


def test_large_inputs_make_large_first_losses_and_jumping_evaluations() -> None:
    loss = np.r_[2.8e10, np.full(20, 3e9)]
    run = make_run(loss=loss, eval_loss=[49, 261, 13, 8, 6, 211, 2], config={"loss": "mse"})
    assert weight("inputs-not-normalized", run, finding("loss-divergence")) > 2
    assert weight("inputs-not-normalized", make_run(loss=FALL, config=TEN)) < 0


def test_weights_in_sixteen_bits_are_told_from_autocast() -> None:
    pure = make_run(loss=FLAT, config={"precision": "bf16-true"})
    mixed = make_run(loss=FLAT, config={"precision": "bf16-mixed"})
    plateau = finding("loss-plateau")
    assert weight("low-precision-instability", pure, plateau) > 0
    assert weight("low-precision-instability", mixed, plateau) < 0


@pytest.mark.parametrize(("shuffle", "positive"), [(False, True), (True, False)])
def test_the_setting_tells_whether_data_are_shuffled(shuffle: bool, positive: bool) -> None:
    run = make_run(loss=FALL, config={"shuffle": shuffle})
    assert (weight("data-not-shuffled", run, finding("loss-oscillation")) > 0) == positive


def test_a_perfect_evaluation_leaks_and_dropout_explains_a_gap() -> None:
    perfect = make_run(loss=FALL, eval_accuracy=[0.999, 1.0])
    assert weight("data-leak", perfect, finding("eval-below-train")) > 0
    dropout = make_run(loss=FALL, eval_accuracy=[0.8], config={"dropout": 0.3})
    assert weight("data-leak", dropout, finding("eval-below-train")) < 0


def test_steps_down_with_each_pass_are_memory() -> None:
    assert weight("epoch-memorization", make_run(loss=FALL), finding("epoch-sawtooth")) > 0
    assert weight("epoch-memorization", make_run(loss=FALL), finding("overfit-gap")) < 0


def test_a_vocabulary_that_does_not_fit_shows_in_the_evaluation_too() -> None:
    high = finding("initial-loss-high", ratio_to_log_c=1.4, log_c=10.8)
    config = {"vocab_size": 50_000}
    loss = np.linspace(15.1, 13, 600)
    both = make_run(loss=loss, eval_loss=[14.0], config=config)
    only_train = make_run(loss=loss, eval_loss=[9.0], config=config)
    assert (
        weight("tokenizer-mismatch", both, high)
        > 0
        > weight("tokenizer-mismatch", only_train, high)
    )


def test_every_cause_can_be_asked_about_any_run() -> None:
    error = Event(
        EventKind.TRACEBACK, "ValueError: x", Where("a.log", 1), 3, data={"exception": "ValueError"}
    )
    findings = tuple(finding(i) for h in hypotheses() for i in h.explains)
    for run in (make_run(), make_run(loss=[1.0]), make_run(loss=FALL, events=[error])):
        case = Case(run, findings)
        for hypothesis in hypotheses():
            assert all(np.isfinite(clue.weight) for clue in hypothesis.weigh(case)), hypothesis.id
            assert all(isinstance(line, str) and line for line in hypothesis.fix(case)), (
                hypothesis.id
            )
            assert dataclasses.is_dataclass(hypothesis)


def test_a_bias_alone_is_trainable() -> None:
    few = TEN | {"num_parameters": 43440, "trainable_parameters": 10}
    adapter = TEN | {"num_parameters": 6_700_000_000, "trainable_parameters": 4_194_304}
    guess = finding("loss-at-chance")
    assert weight("frozen-parameters", make_run(loss=FLAT, config=few), guess) > 2
    assert weight("frozen-parameters", make_run(loss=FLAT, config=adapter), guess) < 2


def evaluated(values: np.ndarray, **more: Any) -> Run:
    at = np.linspace(50, 600, len(values)).astype(int)
    return make_run(
        loss=FLAT, eval_loss=values, steps={"loss": STEPS, "lr": STEPS, "eval_loss": at}, **more
    )


def test_an_evaluation_that_never_moves_is_a_frozen_model_or_lost_updates() -> None:
    guess = finding("loss-at-chance")
    still, walk = np.full(12, 2.3101), 2.3 + RNG.normal(0, 0.01, 12)
    assert weight("frozen-parameters", evaluated(still, config=TEN), guess) > weight(
        "frozen-parameters", evaluated(walk, config=TEN), guess
    )
    half = evaluated(still, config=TEN | {"precision": "bf16"})
    assert weight("low-precision-instability", half, guess) > 2
    assert weight("lr-too-low", evaluated(still, lr=np.full(600, 1e-6), config=TEN), guess) < 0


def test_what_is_learned_slowly_and_holds_wants_longer_steps() -> None:
    slow = finding("slow-convergence")
    run = evaluated(np.linspace(2.29, 2.16, 12), lr=np.full(600, 5e-5), config=TEN)
    assert weight("lr-too-low", run, slow) > 1
    assert weight("frozen-parameters", run, slow) < -1


def test_a_loss_that_falls_only_with_the_rate() -> None:
    loss = np.r_[np.linspace(2.0, 3.2, 50), np.full(350, 3.2), np.linspace(3.2, 2.9, 200)]
    rate = np.r_[np.full(400, 0.3), np.linspace(0.3, 0, 200)]
    run = make_run(loss=loss, lr=rate, config=TEN)
    steady = make_run(loss=np.linspace(3.2, 2.0, 600), lr=rate, config=TEN)
    slow = finding("slow-convergence")
    assert weight("lr-too-high", run, slow) > weight("lr-too-high", steady, slow) + 1


def test_batches_that_are_all_right_or_all_wrong() -> None:
    accuracy = RNG.choice([0.0, 0.5, 1.0], 600, p=[0.5, 0.2, 0.3])
    run = make_run(loss=FLAT, accuracy=accuracy, config=TEN | {"train_batch_size": 32})
    assert weight("data-not-shuffled", run, finding("slow-convergence")) > 2
    mixed = {"train_accuracy": RNG.binomial(32, 0.4, 600) / 32}
    shuffled = make_run(loss=FLAT, config=TEN | {"train_batch_size": 32}, **mixed)
    assert weight("data-not-shuffled", shuffled, finding("slow-convergence")) < -1


def test_the_squares_of_class_numbers() -> None:
    high = finding("initial-loss-high")
    assert weight("wrong-loss-function", make_run(loss=[28.0, 29, 27, 20], config=TEN), high) > 2
    assert weight("wrong-loss-function", make_run(loss=[69.0, 66, 60, 50], config=TEN), high) < -2


def test_a_mask_breaks_a_reader_of_sequences_and_tokens_are_no_nan() -> None:
    loss = np.r_[FALL[:200], np.full(20, np.nan)]
    tokens = make_run(loss=loss, config={"vocab_size": 48})
    table = make_run(loss=loss, config=TEN)
    nan = finding("loss-nonfinite", first_step=201)
    assert weight("pad-or-mask-bug", tokens, nan) > weight("pad-or-mask-bug", table, nan)
    assert weight("nan-in-data", tokens, nan) < weight("nan-in-data", table, nan)


def test_a_start_at_139_times_log_c_is_more_than_a_head_makes() -> None:
    towering = finding("initial-loss-high", ratio_to_log_c=139.0)
    scattered = np.geomspace(320, 2, 600) * RNG.uniform(0.8, 1.25, 600)
    run = make_run(loss=scattered, config=TEN)
    plain = finding("initial-loss-high", ratio_to_log_c=4.0)
    assert weight("inputs-not-normalized", run, towering) > weight(
        "inputs-not-normalized", run, plain
    )


def test_a_note_asks_for_a_cause_only_where_evidence_speaks_for_one() -> None:
    hint = Event(
        EventKind.HINT,
        "UserWarning: Detected call of `lr_scheduler.step()` before `optimizer.step()`.",
        Where("train.log", 1),
    )
    run = make_run(loss=FALL, lr=COSINE, events=[hint])
    assert order(run)[:1] == ["scheduler-misconfigured"]
    flat = make_run(loss=np.full(8, 11.17), steps=range(50, 450, 50))
    assert order(flat)[:1] == ["frozen-parameters"]
    restless = np.tile([11.2, 11.1, 11.3, 11.15], 3)
    assert order(make_run(loss=restless)) == []


def test_a_loss_that_falls_without_the_accuracy_is_the_wrong_loss_and_no_mismatch() -> None:
    guessing = {"train_accuracy": RNG.binomial(32, 0.1, 600) / 32}
    run = make_run(loss=FALL, config=TEN, **guessing)
    chance = finding("eval-at-chance")
    assert weight("wrong-loss-function", run, chance) > 2
    assert weight("eval-mismatch", run, chance) < weight(
        "eval-mismatch", make_run(loss=FALL, config=TEN), chance
    )


def test_class_numbers_as_targets_start_at_their_mean_square() -> None:
    run = make_run(loss=FALL / FALL[:3].mean() * 28.5, config=TEN)
    high = finding("initial-loss-high")
    assert weight("wrong-loss-function", run, high) > 2
    right = make_run(loss=FALL / FALL[:3].mean() * 28.5, config=TEN, eval_accuracy=[0.9])
    assert weight("wrong-loss-function", right, high) < 0


def test_a_nan_from_the_first_step_without_a_gradient_is_a_mean_over_no_label() -> None:
    run = make_run(loss=[np.nan] * 60, grad_norm=[0.0] * 60, config=TEN)
    assert order(run)[0] == "labels-all-masked"


def test_a_model_that_follows_the_class_counts_alone_does_not_see_its_inputs() -> None:
    counts = RNG.multinomial(32, np.full(10, 0.1), 600)
    norm = 5 * np.linalg.norm(0.1 - counts / 32, axis=1)
    plain = {"num_classes": 10, "optimizer": "sgd", "train_batch_size": 32}
    blind = make_run(loss=FLAT, grad_norm=norm, lr=100 * COSINE, config=plain)
    assert order(blind)[0] == "vanishing-gradients"
    bias = make_run(loss=FLAT, grad_norm=norm / 5, lr=COSINE, config=TEN | {"train_batch_size": 32})
    assert weight("frozen-parameters", bias, finding("loss-at-chance")) > weight(
        "frozen-parameters", blind, finding("loss-at-chance")
    )
