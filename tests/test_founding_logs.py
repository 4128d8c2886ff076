"""The two logs that this tool was made for get their diagnosis, and a better one.

One is a classifier of 280 classes whose loss starts at 69.5, where a uniform guess costs
log(280) = 5.63; the other one of 224 classes, at 77.4. Both clip every gradient to a fraction
and both are judged inside a warmup that takes a tenth of the run.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import loganalyze as la
from loganalyze.finding import Diagnosis

ABOUT_THE_START = {
    "loss-not-normalized",
    "head-init-scale",
    "num-labels-mismatch",
    "pad-or-mask-bug",
}


@pytest.fixture(scope="module")
def first() -> Diagnosis:
    return diagnose("report-280-classes")


@pytest.fixture(scope="module")
def second() -> Diagnosis:
    return diagnose("report-224-classes")


def diagnose(name: str) -> Diagnosis:
    root = Path(__file__).resolve().parent.parent / "sample_logs"
    return la.diagnose(la.load(root / name))


def evidence(diagnosis: Diagnosis, identifier: str) -> dict[str, float | str]:
    return dict(next(f.evidence for f in diagnosis.findings if f.id == identifier))


def order(diagnosis: Diagnosis) -> list[str]:
    return [cause.id for cause in diagnosis.causes]


def test_the_first_log_starts_at_12_times_log_280(first: Diagnosis) -> None:
    found = evidence(first, "initial-loss-high")
    assert found["ratio_to_log_c"] == pytest.approx(69.5 / math.log(280), rel=0.01)
    assert round(float(found["ratio_to_log_c"]), 1) == 12.3


def test_every_step_of_the_first_log_is_clipped_to_half_a_percent(first: Diagnosis) -> None:
    found = evidence(first, "clip-saturated")
    assert found["share_clipped"] == 1.0
    assert 0.004 < float(found["median_surviving_share"]) < 0.0065
    assert 157 <= float(found["median_norm"]) <= 214


def test_its_learning_rate_reached_2_84_percent_not_0_003(first: Diagnosis) -> None:
    found = evidence(first, "warmup-too-long")
    assert found["lr_reached"] == pytest.approx(0.0284, rel=0.001)
    text = first.to_json()
    assert "2.84" in text
    assert "0.003 %" not in text
    assert "0.003%" not in text


def test_the_second_log_starts_at_14_times_log_224(second: Diagnosis) -> None:
    found = evidence(second, "initial-loss-high")
    assert round(float(found["ratio_to_log_c"]), 1) == 14.3


def test_the_second_log_spent_500_of_700_warmup_steps(second: Diagnosis) -> None:
    found = evidence(second, "warmup-too-long")
    assert found["warmup_steps"] == 700
    assert found["last_step"] == 500
    assert found["lr_reached"] == pytest.approx(0.714, abs=0.001)
    fixes = " ".join(next(f.fix for f in second.findings if f.id == "warmup-too-long"))
    assert "0.1 -> 0.03" in fixes
    assert "210" in fixes


@pytest.mark.parametrize("log", ["first", "second"])
def test_accounting_head_labels_and_padding_come_before_warmup(
    log: str, request: pytest.FixtureRequest
) -> None:
    ranked = order(request.getfixturevalue(log))
    assert set(ranked) >= ABOUT_THE_START | {"warmup-too-long"}
    assert set(ranked[:4]) == ABOUT_THE_START
    assert ranked.index("warmup-too-long") > 3


@pytest.mark.parametrize("log", ["first", "second"])
def test_warmup_explains_the_slowness_and_not_the_start(
    log: str, request: pytest.FixtureRequest
) -> None:
    diagnosis = request.getfixturevalue(log)
    warmup = next(cause for cause in diagnosis.causes if cause.id == "warmup-too-long")
    assert "warmup-too-long" in warmup.explains
    assert "initial-loss-high" not in warmup.explains
    assert any("log(" in clue.text for clue in warmup.evidence_against)


@pytest.mark.parametrize("log", ["first", "second"])
def test_a_tiny_learning_rate_is_not_called_too_high(
    log: str, request: pytest.FixtureRequest
) -> None:
    diagnosis = request.getfixturevalue(log)
    high = [cause for cause in diagnosis.causes if cause.id == "lr-too-high"]
    assert all(cause.probability < 0.1 for cause in high)
