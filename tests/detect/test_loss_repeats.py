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
