"""What the first updates, the gradients of all steps and the size of the data tell."""

from __future__ import annotations

import numpy as np
import pytest

from tests.builders import make_run
from tests.causes.test_course_causes import GUESS, SLOW, evaluated, finding, weight

STEPS = np.arange(1, 601)
RNG = np.random.default_rng(5)
GROWING = np.sqrt(STEPS) * RNG.lognormal(0, 0.1, 600)
TO_AND_FRO = 2.303 + RNG.normal(0, 0.05, 12)


def test_gradients_that_are_never_cleared_are_no_frozen_weights_where_those_move() -> None:
    moves = evaluated(TO_AND_FRO, grad_norm=GROWING)
    still = evaluated(np.full(12, 2.303), grad_norm=GROWING)
    assert weight("optimizer-hyperparameters", moves, SLOW) > 2
    assert weight("optimizer-hyperparameters", still, SLOW) < 0
    assert weight("frozen-parameters", moves, SLOW) < 0 < weight("frozen-parameters", still, SLOW)
    usual = evaluated(TO_AND_FRO, grad_norm=RNG.lognormal(0, 0.3, 600))
    assert weight("optimizer-hyperparameters", usual, SLOW) < 0


def test_a_gradient_that_grows_while_the_loss_falls_is_no_sum() -> None:
    falls = evaluated(TO_AND_FRO, loss=np.linspace(2.3, 1.9, 600), grad_norm=GROWING)
    assert weight("optimizer-hyperparameters", falls, SLOW) < 0


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_a_spike_of_a_run_whose_first_updates_burst_is_no_odd_batch(unit: float) -> None:
    loss = unit * np.linspace(2.0, 0.6, 100) * RNG.lognormal(0, 0.05, 100)
    burst = loss.copy()
    loss[60] = burst[60] = 25 * unit
    burst[2:5] = [400 * unit, 30 * unit, 6 * unit]
    spike = finding("loss-spike", step=60, steps_to_recover=1, count=1)
    calm, wild = (make_run(loss=curve) for curve in (loss, burst))
    assert weight("outlier-batch", wild, spike) < weight("outlier-batch", calm, spike) - 1
    assert weight("lr-too-high", wild, spike) > weight("lr-too-high", calm, spike) + 1


def test_sgd_whose_momentum_is_not_told_is_not_slow_at_an_ordinary_rate() -> None:
    def at(rate: float, **config: float) -> float:
        run = make_run(
            loss=np.full(100, 2.303), lr=np.full(100, rate), config={"optimizer": "sgd", **config}
        )
        return weight("lr-too-low", run, GUESS)

    assert at(0.02) < 1 < at(0.02, momentum=0.0)
    assert at(0.002) > 2


def test_a_start_that_is_far_too_high_is_no_matter_of_the_warmup() -> None:
    early = finding("warmup-too-short", sign="leap")
    high = finding("initial-loss-high", ratio_to_log_c=400.0)
    run = make_run(loss=np.r_[900.0, 4e14, np.full(50, 2.4)], lr=np.full(52, 0.05))
    assert weight("warmup-too-short", run, early, high) < weight("warmup-too-short", run, early) - 1


def test_an_accuracy_of_none_counted_is_no_nan_of_the_data() -> None:
    at, bad = np.arange(10, 110, 10), np.full(10, np.nan)
    steps = {"loss": np.arange(1, 101), "eval_loss": at, "eval_accuracy": at}
    loss, broken = np.linspace(2.0, 0.8, 100), finding("eval-nonfinite")
    none = make_run(loss=loss, eval_loss=bad, eval_accuracy=bad, steps=steps)
    some = make_run(loss=loss, eval_loss=bad, eval_accuracy=np.full(10, 0.4), steps=steps)
    assert weight("labels-all-masked", none, broken) > 2
    assert weight("labels-all-masked", some, broken) < 0


def test_a_regression_that_learns_the_mean_alone_may_compare_each_with_every_target() -> None:
    config = {"loss": "mse"}
    stands = 1.59 * (1 + RNG.normal(0, 0.002, 12))
    norm = RNG.lognormal(-1, 0.3, 600)
    loss = 1.6 * RNG.lognormal(0, 0.3, 600)
    mean = evaluated(stands, loss=loss, grad_norm=norm, config=config)
    learns = evaluated(np.linspace(1.59, 0.9, 12), loss=loss, grad_norm=norm, config=config)
    assert (
        weight("wrong-loss-function", mean, SLOW) > 0 > weight("wrong-loss-function", learns, SLOW)
    )


@pytest.mark.parametrize("samples", [48, 5000])
def test_a_handful_of_samples_is_known_by_heart_after_a_few_passes(samples: int) -> None:
    at = np.arange(14, 210, 14)
    loss = np.interp(np.arange(1, 211), [1, 12, 25, 50, 210], [1.10, 1.06, 0.5, 0.03, 0.003])
    evals = np.interp(at, [14, 56, 200], [1.13, 2.4, 4.0])
    run = make_run(
        loss=loss, eval_loss=evals, steps={"loss": np.arange(1, 211), "eval_loss": at},
        config={"num_classes": 3, "train_batch_size": 16, "train_samples": samples},
    )  # fmt: skip
    gap = finding("overfit-gap", rise=2.5, gap_ratio=500.0, best_step=14)
    assert (weight("overfit-small-data", run, gap) > 2) == (samples == 48)
