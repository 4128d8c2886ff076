"""Two records of one metric, made in memory: the look-alikes are named, the rest is a warning."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loganalyze.detect.sources_disagree import DETECTOR, DisagreeSettings, detect
from loganalyze.finding import NotApplicable, Severity
from loganalyze.frame import metrics_frame
from loganalyze.run import Problem, Run, Source
from loganalyze.signals.same_metric import rounding
from tests.builders import make_run

RNG = np.random.default_rng(0)
STEPS = np.arange(1, 401)
LOSS = 0.5 + 2 * np.exp(-STEPS / 100) + RNG.normal(0, 0.05, 400)


def run(one, two, *, steps=STEPS, other=None, metric="train/loss", config=None, **more) -> Run:
    frames = [
        metrics_frame(
            {
                "metric": [metric] * len(value), "step": axis, "value": value, "source": source,
                "epoch": more.get("epoch", np.full(len(value), np.nan))[: len(value)],
            }
        )
        for source, axis, value in (
            ("events.out", steps, one), ("train.log", steps if other is None else other, two)
        )
    ]  # fmt: skip
    metrics = pd.concat(frames, ignore_index=True)
    for column in ("metric", "source", "name"):
        metrics[column] = metrics[column].astype("category")
    problems = more.get("problems", ())
    return dataclasses.replace(
        make_run(config=config),
        metrics=metrics,
        preferred={metric: ("events.out",)},
        sources=(
            Source("events.out", "tfevents", len(one)),
            Source("train.log", "text", len(two), problems=problems),
        ),
    )


def found(case: Run):
    (finding,) = detect(case, DisagreeSettings())
    return finding


def explanation(case: Run) -> str:
    finding = found(case)
    assert finding.severity is Severity.INFO
    return str(finding.evidence["explanation"])


def test_different_values_are_a_warning_with_both_places() -> None:
    finding = found(run(LOSS, LOSS * np.linspace(1, 1.5, 400)))
    assert finding.id == DETECTOR.id
    assert finding.severity is Severity.WARNING
    row = finding.evidence["step"]
    assert [str(place) for place in finding.where] == [f"events.out:{row}", f"train.log:{row}"]
    assert finding.evidence["points_compared"] == 400
    assert finding.evidence["largest_difference"] == pytest.approx(
        float(np.max(LOSS * np.linspace(0, 0.5, 400)))
    )


@pytest.mark.parametrize(
    "shown",
    [
        lambda v: np.round(v, 4),
        lambda v: np.round(v, 2),
        lambda v: np.trunc(v * 1000) / 1000,
        lambda v: v.astype(np.float32).astype(float),
        lambda v: np.array([float(f"{x:.3g}") for x in v]),
        lambda v: np.array([float(f"{x:.2e}") for x in v]),
    ],
)
def test_rounding_is_no_disagreement(shown) -> None:
    assert detect(run(LOSS, shown(LOSS)), DisagreeSettings()) == ()


def test_rounded_learning_rates_agree() -> None:
    rate = 5e-5 * (1 - STEPS / 500)
    case = run(rate, np.array([float(f"{x:.3e}") for x in rate]), metric="train/learning_rate")
    assert detect(case, DisagreeSettings()) == ()


def test_a_nan_in_one_source_only_differs() -> None:
    other = LOSS.copy()
    other[100:200] = np.nan
    finding = found(run(LOSS, other))
    assert finding.evidence["points_differing"] == 100
    assert finding.severity is Severity.WARNING
    assert "hides it" in finding.summary
    assert detect(run(other, other), DisagreeSettings()) == ()


def test_a_few_points_are_no_finding() -> None:
    other = LOSS.copy()
    other[-2:] += 1
    assert detect(run(LOSS, other), DisagreeSettings()) == ()


def test_a_step_counted_from_zero_is_named() -> None:
    assert "one counts from 0" in explanation(run(LOSS, LOSS, other=STEPS - 1))


def test_percent_and_fraction_are_named() -> None:
    accuracy = np.linspace(0.1, 0.9, 400) + RNG.normal(0, 0.01, 400)
    told = explanation(run(accuracy, np.round(100 * accuracy, 2), metric="eval/accuracy"))
    assert "percent" in told


def test_a_sum_over_accumulated_batches_is_named() -> None:
    case = run(LOSS, 8 * LOSS, config={"gradient_accumulation_steps": 8})
    assert "8 batches" in explanation(case)
    assert "4 ranks" in explanation(run(LOSS, 4 * LOSS, config={"world_size": 4}))
    assert "constant factor 3" in explanation(run(LOSS, 3 * LOSS))


def test_a_perplexity_under_the_loss_s_name_is_named() -> None:
    assert "perplexity" in explanation(run(LOSS, np.exp(LOSS)))


def test_the_mean_over_the_logging_interval_is_named() -> None:
    mean = LOSS.reshape(-1, 10).mean(axis=1)
    told = explanation(run(LOSS, np.round(mean, 4), other=STEPS[9::10]))
    assert told == "train.log holds the mean over the logging interval"


def test_smoothing_is_named() -> None:
    noisy = LOSS + RNG.normal(0, 0.3, 400)
    weights = 0.9 ** np.arange(400)[::-1]
    biased = np.array([np.average(noisy[: i + 1], weights=weights[-i - 1 :]) for i in range(400)])
    assert "exponential average (weight 0.9)" in explanation(run(noisy, biased))


def test_a_running_mean_of_the_epoch_is_named() -> None:
    epoch = STEPS / 100 - 1e-9
    running = np.concatenate([np.cumsum(part) / np.arange(1, 101) for part in LOSS.reshape(4, 100)])
    told = explanation(run(LOSS, running, epoch=epoch))
    assert "since the epoch began" in told


def test_epochs_for_steps_are_named() -> None:
    at = np.arange(1, 9)
    told = explanation(run(LOSS, LOSS[at * 50 - 1], other=at, epoch=STEPS / 50))
    assert "counts epochs" in told


def test_scatter_without_bias_is_named() -> None:
    flat = 1.0 + RNG.normal(0, 0.1, 400)
    assert "ranks" in explanation(run(flat, 1.0 + RNG.normal(0, 0.1, 400)))


def test_counted_steps_clocks_and_single_sources_are_not_compared() -> None:
    counted = Problem("no step in some lines: they were counted instead", lossy=False)
    for case in (
        run(LOSS, 2 * LOSS, problems=(counted,)),
        run(LOSS, 2 * LOSS, metric="eval/runtime"),
        run(LOSS, 2 * LOSS, metric="perf/step_seconds"),
        run(LOSS, LOSS, other=STEPS + 10_000),
        make_run(loss=LOSS),
    ):
        assert isinstance(detect(case, DisagreeSettings()), NotApplicable)


@given(
    st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=10, max_size=50),
    st.integers(0, 6),
)
def test_what_is_printed_lies_within_its_rounding(values: list[float], decimals: int) -> None:
    exact = np.array(values)
    fixed = np.array([float(f"{value:.{decimals}f}") for value in values])
    assert (np.abs(fixed - exact) <= rounding(fixed) + 1e-9 * np.abs(exact)).all()
    digits = np.array([float(f"{value:.{decimals}e}") for value in values])
    assert (np.abs(digits - exact) <= rounding(digits) + 1e-9 * np.abs(exact)).all()


@given(st.lists(st.floats(), max_size=30), st.lists(st.floats(), max_size=30))
def test_it_takes_any_numbers(one: list[float], two: list[float]) -> None:
    n = min(len(one), len(two))
    case = run(np.array(one[:n]), np.array(two[:n]), steps=np.arange(n))
    detect(case, DisagreeSettings())
