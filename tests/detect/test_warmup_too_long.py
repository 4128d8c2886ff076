import numpy as np
import pytest

from loganalyze.detect.warmup_too_long import DETECTOR, WarmupSettings, detect
from loganalyze.finding import NotApplicable, Severity
from loganalyze.run import Event, EventKind, Status, Where
from tests.builders import make_run

S = WarmupSettings()


def linear(steps: int, warmup: int, peak: float = 1e-4, plan: int | None = None) -> np.ndarray:
    at = np.arange(1, steps + 1)
    plan = plan or steps
    down = np.clip((plan - at) / max(plan - warmup, 1), 0, 1)
    return peak * np.where(at <= warmup, at / max(warmup, 1), down)


def run(lr: np.ndarray, **more):
    return make_run(lr=lr, loss=np.linspace(2, 1, len(lr)), **more)


def test_a_warmup_over_most_of_the_run_is_critical() -> None:
    (found,) = detect(run(linear(500, 420), planned_steps=500), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.CRITICAL
    assert found.evidence["warmup_steps"] == pytest.approx(420, abs=6)
    assert "-> 0.03" in found.fix[0]


def test_a_run_that_ends_inside_its_warmup_states_what_it_reached() -> None:
    lr = linear(500, 700, 1e-5, 7002)
    config = {"warmup_ratio": 0.1, "learning_rate": 1e-5}
    (found,) = detect(run(lr, config=config, planned_steps=7002), S)
    assert found.severity is Severity.WARNING
    assert found.evidence["warmup_steps"] == 700
    assert found.evidence["lr_reached"] == pytest.approx(500 / 700, rel=1e-3)
    assert "210 instead of 700" in found.fix[0]


def test_the_length_is_extrapolated_from_a_linear_rise_to_the_target() -> None:
    (found,) = detect(run(linear(20, 700, 1e-5, 7002), config={"learning_rate": 1e-5}), S)
    assert found.evidence["warmup_steps"] == pytest.approx(700, abs=2)
    assert found.evidence["lr_reached"] == pytest.approx(0.0286, abs=0.001)
    assert found.severity is Severity.INFO  # the plan is not known
    assert found.confidence <= 0.5


@pytest.mark.parametrize("warmup", [1, 15, 50, 100])
def test_an_ordinary_warmup_passes(warmup: int) -> None:
    assert detect(run(linear(1000, warmup), planned_steps=1000), S) == ()


def test_a_constant_small_rate_passes() -> None:
    assert detect(run(np.full(300, 1e-6), planned_steps=300), S) == ()


def test_one_cycle_passes() -> None:
    at = np.arange(1000)
    up = (1 - np.cos(np.pi * at / 300)) / 2
    down = (1 + np.cos(np.pi * (at - 300) / 700)) / 2
    lr = 1e-3 * np.where(at < 300, up, down) + 1e-8
    assert detect(run(lr, planned_steps=1000), S) == ()


def test_a_warmup_over_the_whole_plan_is_told_though_it_reaches_its_target() -> None:
    for rate in ({"learning_rate": 1e-5}, {}):
        config = {"warmup_steps": 1000, **rate}
        (found,) = detect(run(linear(990, 1000, 1e-5), config=config, planned_steps=1000), S)
        assert found.severity is Severity.CRITICAL


def test_a_crash_early_inside_the_warmup_is_no_more_than_a_note() -> None:
    config = {"warmup_steps": 700, "learning_rate": 1e-4}
    crashed = run(
        linear(30, 700, 1e-4, 7000), config=config, planned_steps=7000, status=Status.CRASHED
    )
    assert [f.severity for f in detect(crashed, S)] == [Severity.INFO]
    error = Event(
        EventKind.TRACEBACK, "IndexError: Target 7 is out of bounds", Where("train.log", 9)
    )
    cut = run(linear(30, 700, 1e-4, 7000), config=config, planned_steps=7000, events=[error])
    assert [f.severity for f in detect(cut, S)] == [Severity.INFO]


def test_a_rise_to_the_end_with_an_unknown_target_is_not_judged() -> None:
    found = detect(run(linear(50, 700, 1e-4, 7000)), S)
    assert isinstance(found, NotApplicable)
    assert "learning_rate" in found.reason


def test_cosine_restarts_pass() -> None:
    at = np.arange(900) % 300
    lr = 1e-3 * (1 + np.cos(np.pi * at / 300)) / 2
    assert detect(run(lr, planned_steps=900), S) == ()


@pytest.mark.parametrize("share", [0.3, 0.4, 0.6])
def test_one_cycle_seen_before_it_has_decayed_passes(share: float) -> None:
    at = np.arange(1000)
    up = (1 - np.cos(np.pi * at / 300)) / 2
    down = (1 + np.cos(np.pi * (at - 300) / 700)) / 2
    lr = 1e-3 * np.where(at < 300, 0.04 + 0.96 * up, down)
    assert detect(run(lr[: int(share * 1000) + 2], planned_steps=1000), S) == ()


def test_a_share_of_a_log_without_a_plan_is_no_more_than_a_note() -> None:
    lr = linear(700, 500)
    (found,) = detect(run(lr, status=Status.UNKNOWN), S)
    assert found.severity is Severity.INFO
    assert "planned" in found.summary
    (found,) = detect(run(lr, status=Status.COMPLETED), S)
    assert found.severity is Severity.WARNING


def test_it_says_where_a_shorter_warmup_would_have_stood() -> None:
    rate = np.arange(1, 501) / 700 * 1e-5
    more = {"config": {"learning_rate": 1e-5, "warmup_steps": 700}, "planned_steps": 7002}
    (found,) = detect(make_run(loss=np.ones(500), lr=rate, **more), S)
    assert found.evidence["lr_at_end_with_shorter_warmup"] == 1e-5
    assert "With a warmup of 3% (210 steps) the rate at step 500 would be 1e-05" in found.summary
    ((label, (steps, values)),) = found.what_if.items()
    assert label == "warmup of 3%"
    assert steps[-1] == 500
    assert max(values) == 1e-5
    # Full from step 210 against 5 sevenths at the end: areas of 395 and 178.6.
    assert abs(found.evidence["lr_sum_ratio"] - 395 / 178.6) < 0.02


def test_an_error_says_why_a_warmup_did_not_end() -> None:
    event = Event(EventKind.TRACEBACK, "Traceback", Where("train.log", 9))
    config = {"learning_rate": 1e-4, "warmup_steps": 90}
    rate = 1e-4 * np.arange(1, 11) / 90
    short = {"loss": np.ones(10), "lr": rate, "config": config, "planned_steps": 300}
    (sure,) = detect(make_run(**short, status=Status.TRUNCATED), S)
    (noted,) = detect(make_run(**short, status=Status.TRUNCATED, events=[event]), S)
    assert sure.severity is not Severity.INFO
    assert noted.severity is Severity.INFO


def test_the_settings_alone_tell_where_no_rate_was_logged() -> None:
    half = make_run(loss=np.ones(50), config={"warmup_ratio": 0.5}, planned_steps=600)
    (found,) = detect(half, S)
    assert found.severity is Severity.WARNING
    assert found.evidence["warmup_steps"] == 300
    usual = make_run(loss=np.ones(50), config={"warmup_ratio": 0.05}, planned_steps=600)
    assert detect(usual, S) == ()
    assert isinstance(detect(make_run(loss=np.ones(50)), S), NotApplicable)
