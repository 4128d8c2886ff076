"""Each figure of a finding shows what proves it."""

from __future__ import annotations

import re

import numpy as np
import pytest

import loganalyze as la
from loganalyze.finding import Diagnosis
from loganalyze.report.charts import of_finding, overview
from loganalyze.report.figure import Chart
from loganalyze.report.labels import LONGEST, Label, packed, shortened
from tests.builders import make_run

N = 600
STEPS = np.arange(1, N + 1)
NOISE = np.random.default_rng(0).normal(0.0, 0.02, N)
LOSS = 2.3 * np.exp(-STEPS / 150) + 0.5 + NOISE


def _charts(diagnosis: Diagnosis, identifier: str) -> list[Chart]:
    finding = next(f for f in diagnosis.findings if f.id == identifier)
    return of_finding(diagnosis, finding, "f")


def _texts(chart: Chart) -> str:
    return " | ".join(re.findall(r"<text[^>]*>([^<]*)</text>", chart.svg))


def test_a_spike_has_its_band_its_value_and_the_whole_run_beside_it() -> None:
    loss = LOSS.copy()
    loss[400] = 30.0
    whole, near = _charts(la.diagnose(make_run(loss=loss)), "loss-spike")
    assert "30 at step 401" in _texts(near)
    assert "3 x its scatter" in _texts(near)
    assert near.axis[3] > whole.axis[3]
    assert near.axis[4] < whole.axis[4]
    assert any("1 point lies above the axis" in note for note in whole.notes)
    assert any(
        row.step == 401 and row.value == 30.0 and row.where == "train.log:401" for row in near.cited
    )


def test_clipping_shows_the_limit_and_what_survives() -> None:
    run = make_run(
        loss=LOSS,
        grad_norm=200 * np.exp(10 * NOISE),
        lr=np.full(N, 1e-3),
        config={"max_grad_norm": 1.0},
    )
    limit, share = _charts(la.diagnose(run), "clip-saturated")
    assert "max_grad_norm = 1" in _texts(limit)
    assert any("survives" in note for note in limit.notes)
    assert "% of the gradient that survives clipping" in _texts(share)
    assert np.median(share.curves[0].series.value) == pytest.approx(0.5, rel=0.05)


def test_overfitting_shows_both_losses_and_the_best_evaluation() -> None:
    at = np.arange(50, N + 1, 50)
    evals = 1.0 + np.abs(at - 200) / 300
    run = make_run(loss=LOSS, eval_loss=evals, steps={"loss": STEPS, "eval_loss": at})
    [chart] = _charts(la.diagnose(run), "overfit-gap")
    assert [c.label for c in chart.curves] == ["train/loss", "eval/loss"]
    assert "best evaluation, step 200" in _texts(chart)


def test_a_loss_above_a_guess_has_the_guess_as_a_line() -> None:
    run = make_run(loss=np.linspace(30, 25, 60), config={"num_labels": 10})
    charts = _charts(la.diagnose(run), "initial-loss-high")
    assert "ln(10) = 2.30" in _texts(charts[-1])
    assert "ln(10) = 2.30" in charts[-1].description


def test_values_that_are_no_numbers_stand_on_a_rail() -> None:
    loss = LOSS.copy()
    loss[300:] = np.nan
    charts = _charts(la.diagnose(make_run(loss=loss)), "loss-nonfinite")
    assert "NaN or infinite" in _texts(charts[0])
    assert any("300 values are NaN or infinite" in note for note in charts[0].notes)
    assert any(
        row.why == "loss-nonfinite, first" and np.isnan(row.value) for row in charts[0].cited
    )


def test_a_log_that_ends_early_shows_what_was_planned() -> None:
    run = make_run(loss=LOSS[:100], planned_steps=N)
    [chart] = _charts(la.diagnose(run), "run-truncated")
    assert "planned, not run" in _texts(chart)
    assert chart.axis[4] >= N


def test_the_overview_has_one_axis() -> None:
    run = make_run(
        loss=LOSS, lr=np.full(300, 1e-3), grad_norm=np.ones(40),
        **{"perf/tokens_per_second": np.full(N, 1e5), "gpu/memory_allocated": np.full(N, 8e9)},
    )  # fmt: skip
    charts = overview(la.diagnose(run))
    keys = [chart.key for chart in charts]
    assert keys == ["c-loss", "c-grad-norm", "c-learning-rate", "c-throughput", "c-memory"]
    assert len({chart.axis for chart in charts}) == 1


def test_a_schedule_that_ends_at_zero_stays_on_a_linear_axis_and_a_wide_loss_does_not() -> None:
    cosine = 1e-3 * (1 + np.cos(np.pi * np.arange(N) / N)) / 2
    falling = np.exp(-STEPS / 60)
    charts = {c.key: _texts(c) for c in overview(la.diagnose(make_run(loss=falling, lr=cosine)))}
    assert "0.0005" in charts["c-learning-rate"]
    assert "0.001" in charts["c-loss"]


def test_labels_cover_no_other_and_those_without_room_are_counted() -> None:
    labels = [Label(100.0 + i, f"finding-{i}", "#000") for i in range(5)]
    placed, dropped = packed(labels, 50, 600, 3)
    assert sorted(label.row for label in placed) == [0, 1, 2]
    assert dropped == 2


def test_a_long_name_keeps_its_ends() -> None:
    name = "train/" + "x" * 1_000_000 + "/loss"
    short = shortened(name)
    assert len(short) == LONGEST
    assert short.startswith("train/")
    assert short.endswith("/loss")
