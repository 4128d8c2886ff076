import numpy as np
import pytest

from loganalyze.detect.loss_repeats import DETECTOR, RepeatSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = RepeatSettings()
RNG = np.random.default_rng(0)
EPOCH = RNG.normal(1.2, 0.2, 40).round(4)


def test_losses_that_repeat_with_every_epoch_are_critical() -> None:
    (found,) = detect(make_run(loss=np.tile(EPOCH, 3)), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.CRITICAL
    assert found.evidence["period_points"] == 40
    assert found.evidence["repeated"] == 80


def test_a_cut_second_epoch_shows_it_already() -> None:
    (found,) = detect(make_run(loss=np.r_[EPOCH[:8], EPOCH[:6]]), S)
    assert found.evidence["repeated"] == 6


@pytest.mark.parametrize(
    "loss",
    [
        np.full(100, 0.5),
        np.tile([0.5, 0.4], 50),
        RNG.normal(0.5, 0.05, 300).round(1),
        RNG.normal(1, 0.1, 500).round(4),
        np.geomspace(3, 0.1, 300),
    ],
)
def test_constants_rounding_and_ordinary_curves_pass(loss) -> None:
    assert detect(make_run(loss=loss), S) == ()


def test_few_losses_are_not_judged() -> None:
    assert isinstance(detect(make_run(loss=[1, 2, 1, 2]), S), NotApplicable)


def test_a_log_that_ends_in_one_value_of_many_digits() -> None:
    (found,) = detect(make_run(loss=[11.2306, 87.3365, 87.3365, 87.3365]), S)
    assert found.severity is Severity.WARNING
    assert found.evidence["value"] == 87.3365
    (found,) = detect(make_run(loss=np.r_[2.0, np.full(20, 10.3735)]), S)
    assert found.severity is Severity.CRITICAL


def test_few_digits_or_zero_may_stand() -> None:
    for value in (0.6931, 0.01, 0.0):
        found = detect(make_run(loss=[0.7, value, value, value]), S)
        assert not found or isinstance(found, NotApplicable)


def test_the_logarithm_of_two_to_four_digits_is_an_even_guess() -> None:
    before = [0.677, 2.4587, 5.3353, 1.0234, 10.69, 1.9899]
    (found,) = detect(make_run(loss=np.r_[before, np.full(12, 0.6931)]), S)
    assert found.evidence["period_points"] == 1
    assert detect(make_run(loss=np.r_[before, np.full(12, 0.7412)]), S) == ()
