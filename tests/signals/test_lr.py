import numpy as np
import pytest

from loganalyze.signals.lr import is_alive, is_range_test, restarts, rises_in_a_curve, warmup
from tests.builders import make_run

AT = np.arange(1, 1001)
LINEAR = np.where(AT <= 100, AT / 100, (1000 - AT) / 900)


def test_a_completed_warmup_is_measured_in_the_log() -> None:
    found = warmup(make_run(lr=LINEAR))
    assert found is not None
    assert (found.done, found.source) == (True, "log")
    assert found.steps == pytest.approx(100, abs=1)


def test_a_configured_length_counts_before_a_measured_one() -> None:
    found = warmup(make_run(lr=LINEAR, config={"warmup_steps": 80, "learning_rate": 1.0}))
    assert found is not None
    assert (found.steps, found.source) == (80, "config")


def test_an_unfinished_linear_rise_is_extrapolated_to_its_target() -> None:
    found = warmup(make_run(lr=LINEAR[:40], config={"learning_rate": 1.0}))
    assert found is not None
    assert (found.steps, found.done, found.source) == (100, False, "slope")
    assert found.reached == pytest.approx(0.4)


@pytest.mark.parametrize("lr", [np.full(50, 1e-5), np.linspace(1, 0, 50)])
def test_a_rate_that_never_rises_has_no_warmup(lr: np.ndarray) -> None:
    assert warmup(make_run(lr=lr)) is None


def test_without_a_recorded_rate_nothing_is_said() -> None:
    assert warmup(make_run(loss=[1, 2])) is None
    assert is_alive(make_run(loss=[1, 2]), 1) is None
    assert len(restarts(make_run(loss=[1, 2]))) == 0


def test_a_rate_far_below_its_peak_is_not_alive() -> None:
    run = make_run(lr=LINEAR)
    assert is_alive(run, 300) is True
    assert is_alive(run, 990) is False


def test_restarts_are_jumps_up_and_a_warmup_is_none() -> None:
    assert restarts(make_run(lr=np.tile(np.linspace(1, 0.01, 100), 3))).tolist() == [101, 201]
    assert restarts(make_run(lr=LINEAR)).tolist() == []


def test_a_half_cosine_is_told_from_a_straight_rise() -> None:
    cosine = (1 - np.cos(np.pi * AT / 1000)) / 2
    assert rises_in_a_curve(make_run(lr=cosine), 1000)
    assert not rises_in_a_curve(make_run(lr=LINEAR), 100)
    assert not rises_in_a_curve(make_run(lr=LINEAR[:2]), 100)


def test_a_range_test_grows_by_one_factor_and_a_warmup_does_not() -> None:
    assert is_range_test(make_run(lr=np.geomspace(1e-6, 1, 100)))
    assert not is_range_test(make_run(lr=np.linspace(1e-6, 1, 100)))
    assert not is_range_test(make_run(lr=np.geomspace(1e-3, 1e-2, 100)))
    assert not is_range_test(make_run(lr=LINEAR))


def test_a_rate_that_does_not_follow_the_settings_tells_its_warmup_itself() -> None:
    stairs = 0.0015 * (1 + np.arange(400) // 40)
    config = {"learning_rate": 0.03, "warmup_ratio": 0.05}
    found = warmup(make_run(lr=stairs, config=config, planned_steps=400))
    assert found is not None
    assert not found.done
    assert found.source == "slope"
    assert found.steps == pytest.approx(800, rel=0.1)
    follows = np.r_[np.linspace(0, 0.03, 20), np.full(380, 0.03)]
    found = warmup(make_run(lr=follows, config=config, planned_steps=400))
    assert found is not None
    assert found.done
    assert found.source == "config"
