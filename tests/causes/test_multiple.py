"""A loss that starts too high: a multiple from first to last, or an excess that is unlearned first."""

from __future__ import annotations

import math

import numpy as np

from loganalyze.causes import hypotheses, rank
from loganalyze.causes.cause import Case
from loganalyze.causes.multiple import dearness, is_soon_lost, stays_above
from loganalyze.finding import Finding, Severity
from loganalyze.run import Run
from tests.builders import make_run

RNG = np.random.default_rng(5)
COUNT = 60
SHARE = np.linspace(0, 1, COUNT)
NOISE = 1 + RNG.normal(0, 0.01, COUNT)
CLASSES = 4
LOG_C = math.log(CLASSES)
LEARNED = (
    LOG_C * (0.15 + 0.85 * np.exp(-4 * SHARE)) * NOISE
)  # an ordinary course, never far below a guess
# Right answers that cost this loss where the model means what it says, roughly.
RIGHT = 1 - 0.75 * (LEARNED / LOG_C).clip(max=1) ** 1.4
EXCESS = 12 * LOG_C * np.exp(-60 * SHARE)
SETTINGS = {
    "num_classes": CLASSES, "optimizer": "adamw", "learning_rate": 1e-3, "per_device_train_batch_size": 14,
}  # fmt: skip


def high(ratio: float, log_c: float = LOG_C) -> Finding:
    evidence = {
        "ratio_to_log_c": ratio, "log_c": log_c, "classes": round(math.exp(log_c)), "initial_loss": ratio * log_c
    }  # fmt: skip
    return Finding(
        "initial-loss-high", Severity.CRITICAL, 0.9, "t", "s", steps=(1, 10), evidence=evidence
    )


def run_of(loss: np.ndarray, *, right: np.ndarray | None = None, evals: bool = True) -> Run:
    steps = np.arange(1, COUNT + 1) * 10
    columns = {"loss": loss, "lr": np.full(COUNT, 1e-3)}
    at = {"loss": steps, "lr": steps}
    if right is not None:
        columns["train_accuracy"], at["train_accuracy"] = right, steps
    if evals:
        columns["eval_loss"], at["eval_loss"] = loss[5::6] * 1.02, steps[5::6]
    return make_run(steps=at, config=SETTINGS, **columns)


def first(run: Run, finding: Finding) -> str:
    return rank.rank(run, (finding,))[0].id


def test_a_sum_over_positions_is_told_from_a_large_head_though_the_evaluation_has_it_too() -> None:
    summed, finding = run_of(196 * LEARNED), high(196.0)
    assert stays_above(Case(summed, (finding,)))
    assert first(summed, finding) == "loss-not-normalized"


def test_an_excess_is_lost_before_anything_is_learned() -> None:
    head, finding = run_of(LEARNED + EXCESS), high(13.0)
    case = Case(head, (finding,))
    assert is_soon_lost(case)
    assert not stays_above(case)
    assert first(head, finding) != "loss-not-normalized"


def test_answers_of_a_sum_stay_as_dear_and_those_of_an_excess_become_cheap() -> None:
    summed = dearness(Case(run_of(12 * LEARNED, right=RIGHT), (high(12.0),)))
    excess = dearness(Case(run_of(LEARNED + EXCESS, right=RIGHT), (high(13.0),)))
    assert summed is not None
    assert excess is not None
    assert summed > 0.47
    assert excess < 0.3


def test_first_losses_that_scatter_are_no_multiple_of_an_even_guess() -> None:
    wild = 12 * LEARNED * np.exp(RNG.normal(0, 0.4, COUNT))
    assert not stays_above(Case(run_of(wild), (high(12.0),)))
    assert dearness(Case(run_of(wild, right=RIGHT), (high(12.0),))) is None


def test_text_is_no_sum_whose_parts_would_be_certain() -> None:
    config = {"vocab_size": 300, "optimizer": "adamw", "learning_rate": 1e-3}
    log_v = math.log(300)
    loss = log_v * (0.5 + 5 * np.exp(-9 * SHARE))
    finding = high(5.5, log_v)
    steps = np.arange(1, COUNT + 1) * 10
    run = make_run(loss=loss, steps={"loss": steps}, config=config)
    hypothesis = next(h for h in hypotheses() if h.id == "loss-not-normalized")
    texts = [clue.text for clue in hypothesis.weigh(Case(run, (finding,)))]
    assert any("no text is so certain" in text for text in texts)


def test_no_right_answer_at_first_tells_of_outputs_without_labels() -> None:
    loss = np.r_[8.86, 8.8, 8.2, 5.0, np.full(COUNT - 4, 2.0)]
    right = np.r_[0.0, 0.0, np.full(COUNT - 2, 0.3)]
    steps = np.arange(1, COUNT + 1)
    config = {**SETTINGS, "num_classes": 20, "per_device_train_batch_size": 128}
    run = make_run(
        loss=loss,
        train_accuracy=right,
        steps={"loss": steps, "train_accuracy": steps},
        config=config,
    )
    assert first(run, high(2.95, math.log(20))) == "num-labels-mismatch"
