"""Figures: what they show, and that nothing in them is a formula or a smear."""

from __future__ import annotations

import re

import numpy as np

import loganalyze as la
from loganalyze.report.charts import Chart, of_finding, overview
from tests.builders import make_run

STEPS = np.arange(0, 2000, 10)
NOISE = np.random.default_rng(0).normal(0.0, 0.1, len(STEPS))
LOSS = 2.3 * np.exp(-STEPS / 500) + 0.5 + NOISE
LINEAR = np.interp(STEPS, [0, 1200, 2000], [0.0, 1e-3, 0.0])


def _texts(chart: Chart) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", chart.svg)


def test_a_noisy_curve_gets_an_average_and_a_schedule_does_not() -> None:
    run = make_run(steps=STEPS, loss=LOSS, lr=LINEAR, planned_steps=2000)
    charts = {chart.key: chart for chart in overview(la.diagnose(run))}
    assert "moving average" in charts["c-loss"].svg
    assert "moving average" not in charts["c-learning-rate"].svg


def test_the_learning_rate_is_headed_by_its_schedule() -> None:
    run = make_run(steps=STEPS, loss=LOSS, lr=LINEAR, planned_steps=2000)
    charts = {chart.key: chart for chart in overview(la.diagnose(run))}
    assert "linear" in charts["c-learning-rate"].title


def test_a_logarithmic_axis_has_plain_numbers() -> None:
    falling = np.exp(-STEPS / 200) * np.exp(NOISE)
    [chart] = overview(la.diagnose(make_run(steps=STEPS, loss=falling)))
    assert "0.01" in _texts(chart)
    assert not [text for text in _texts(chart) if re.search(r"[\\^${}]", text)]


def test_a_long_warmup_is_drawn_against_a_short_one() -> None:
    run = make_run(steps=STEPS, loss=LOSS, lr=LINEAR, planned_steps=2000)
    diagnosis = la.diagnose(run)
    found = next(f for f in diagnosis.findings if f.id == "warmup-too-long")
    [chart] = of_finding(diagnosis, found, "f-1")
    assert "warmup of 3%" in _texts(chart)
