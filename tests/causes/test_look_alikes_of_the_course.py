"""One batch, single rows, an order, a restart: what is rare in a run is told from what lasts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from loganalyze.causes.rank import rank
from loganalyze.finding import Severity
from tests.builders import make_run
from tests.causes.test_course_causes import finding, weight

STEPS = np.arange(1, 601)
RNG = np.random.default_rng(3)
FALL = np.interp(STEPS, [1, 600], [2.3, 0.8]) * (1 + 0.05 * RNG.normal(size=600))


@pytest.mark.parametrize("top", [50.0, 1e6, 1e20])
def test_one_spike_of_any_height_that_is_mended_is_one_batch(top: float) -> None:
    once = np.where(STEPS == 320, top, FALL)
    astray = np.where((STEPS > 10) & (STEPS < 90), 30.0, once)
    spike = finding(
        "loss-spike", step=320, value=top, level_before=1.4, steps_to_recover=1, count=1
    )
    broke = finding("loss-divergence", ratio=top)
    one, lasting = (make_run(loss=loss, lr=np.full(600, 3e-3)) for loss in (once, astray))
    assert weight("outlier-batch", one, spike, broke) > 2
    assert weight("outlier-batch", lasting, spike, broke) < weight("outlier-batch", one, spike)
    assert weight("lr-too-high", one, spike, broke) < 0 < weight("lr-too-high", lasting, broke)
    assert weight("outlier-batch", lasting, broke) < -2


@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("share", [0.03, 0.3])
def test_batches_that_cost_far_more_than_those_beside_them_hold_large_rows(
    scale: float, share: float
) -> None:
    large = np.where(RNG.random(600) < share, 60.0, 1.0)
    rows = make_run(loss=scale * FALL * large, config={"optimizer": "sgd", "loss": "mse"})
    waves = scale * FALL * np.exp(3 * np.sin(STEPS / 6))  # as large a swing, and no sudden one
    swings = make_run(loss=waves, config={"optimizer": "sgd", "loss": "mse"})
    swing = finding("loss-oscillation")
    assert weight("no-grad-clipping", rows, swing) > 1 > weight("no-grad-clipping", swings, swing)
    assert weight("inputs-not-normalized", rows, swing) < weight(
        "inputs-not-normalized", swings, swing
    )


def test_repeated_losses_differ_by_more_than_two_batches_only_if_state_was_lost() -> None:
    def weigh(differ: float, noise: float, first: int = 0) -> float:
        loss = 2 * np.exp(noise * RNG.normal(size=60))
        run = make_run(loss=loss, segments={"loss": [first] * 30 + [1] * 30})
        told = {"median_relative_difference": differ, "losses_compared": 3}
        return weight("resume-state-lost", run, finding("steps-overlap", **told))

    assert weigh(0.4, 0.03) > 1
    assert weigh(0.4, 0.2) < 0.1
    assert weigh(0.1, 0.005) < 0.1
    assert weigh(0.4, 0.03, first=1) < 0.1


def test_a_machine_that_others_slow_down_does_not_hide_what_is_learned() -> None:
    slow = finding("throughput-drop")
    gap = replace(
        finding("overfit-gap", rise=0.5, gap_ratio=3.0, best_step=100), severity=Severity.INFO
    )
    at = np.linspace(50, 600, 12).astype(int)
    curves = {"loss": FALL, "eval_loss": np.interp(at, [50, 100, 600], [1.9, 1.5, 2.2])}
    busy = make_run(steps={"loss": STEPS, "eval_loss": at}, **curves)
    waits = make_run(
        steps={"loss": STEPS, "eval_loss": at}, **curves,
        **{"perf/data_seconds": np.full(600, 0.8), "perf/step_seconds": np.ones(600)},
    )  # fmt: skip
    assert rank(busy, (slow, gap))[0].id == "overfit-small-data"
    assert rank(waits, (slow, gap))[0].id == "dataloader-bottleneck"


@pytest.mark.parametrize("block", [60, 150])
def test_a_class_after_the_other_is_known_at_once_and_nothing_of_it_is_shown(block: int) -> None:
    loss = 0.01 + 2.5 * np.exp(-(STEPS % block) / 10)
    at = np.linspace(block // 3, 600, 20).astype(int)
    leap = finding("loss-spike", step=2 * block, count=3), finding("loss-divergence", ratio=90.0)
    apart, shown = (
        make_run(loss=loss, eval_loss=evals, steps={"loss": STEPS, "eval_loss": at})
        for evals in (np.full(20, 2.8), np.linspace(1.5, 0.4, 20))
    )
    assert weight("data-not-shuffled", apart, *leap) > 2 > weight("data-not-shuffled", shown, *leap)
    assert weight("lr-too-high", apart, *leap) < weight("lr-too-high", shown, *leap)


def test_a_loss_that_was_high_and_came_back_before_a_nan_had_not_blown_up() -> None:
    broken = finding("loss-nonfinite", first_step=301, index_of_first=300)
    single, grows = FALL.copy(), FALL.copy()
    single[296] = 9.0
    grows[295:300] = [2, 4, 8, 16, 40]
    for loss in (single, grows):
        loss[300:] = np.nan
    batch, blows = (make_run(loss=loss, lr=np.full(600, 1e-3)) for loss in (single, grows))
    assert weight("nan-in-data", batch, broken) > 0 > weight("nan-in-data", blows, broken)
    assert weight("lr-too-high", blows, broken) > 1 > weight("lr-too-high", batch, broken)
