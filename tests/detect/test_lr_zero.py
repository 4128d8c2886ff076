import numpy as np
import pytest

from loganalyze.detect.lr_zero import DETECTOR, ZeroRateSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = ZeroRateSettings()
RNG = np.random.default_rng(0)


def test_a_schedule_that_ends_at_a_quarter_of_the_run() -> None:
    rate = np.r_[np.linspace(1e-3, 0, 100), np.zeros(300)]
    (found,) = detect(make_run(loss=np.ones(400), lr=rate), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.CRITICAL
    assert found.evidence["first_step"] == 100
    assert found.evidence["share"] == pytest.approx(0.75, abs=0.01)


def test_a_rate_of_zero_throughout() -> None:
    (found,) = detect(make_run(loss=np.ones(50), lr=np.zeros(50)), S)
    assert found.evidence["from_start"] == "yes"


@pytest.mark.parametrize(
    "rate",
    [
        np.linspace(1e-3, 0, 400),
        np.r_[0.0, np.linspace(0, 1e-3, 40), np.linspace(1e-3, 0, 400)],
        1e-3 * (1 + np.cos(np.pi * np.linspace(0, 1, 400))) / 2,
        np.r_[np.zeros(14), np.full(85, 1e-4)],
    ],
)
def test_ends_of_decays_first_rows_and_calibration_pass(rate) -> None:
    assert detect(make_run(loss=np.ones(len(rate)), lr=rate), S) == ()


def test_few_rates_are_not_judged() -> None:
    assert isinstance(detect(make_run(loss=[1, 1], lr=[0, 0]), S), NotApplicable)


def test_a_rate_below_the_last_digit_of_the_log_is_not_zero() -> None:
    rate = np.round(7e-6 * (1 + np.cos(np.pi * np.arange(400) / 400)) / 2, 6)
    assert (rate[-60:] == 0).all()
    assert detect(make_run(loss=np.ones(400), lr=rate), S) == ()


def test_an_exponential_decay_that_is_all_but_over_early_and_three_drops_of_ten() -> None:
    rate = 1e-3 * 0.97 ** np.arange(0, 320, 4)
    (found,) = detect(make_run(loss=np.ones(80), lr=rate), S)
    assert "all but 0" in found.title
    assert 0.15 < float(found.evidence["share"]) < 0.3
    drops = np.repeat([1e-3, 1e-4, 1e-5, 1e-6], 25)
    assert detect(make_run(loss=np.ones(100), lr=drops), S) == ()
