import numpy as np
import pytest

from loganalyze.detect.loss_scale_collapse import DETECTOR, ScaleSettings, detect
from loganalyze.finding import NotApplicable, Severity
from loganalyze.run import Event, EventKind, Where
from tests.builders import make_run

S = ScaleSettings()
RNG = np.random.default_rng(0)


def test_a_scale_that_falls_to_its_floor_is_critical() -> None:
    scale = np.r_[np.full(200, 65536.0), 65536.0 / 2 ** np.arange(1, 17)]
    (found,) = detect(make_run(loss=np.ones(216), loss_scale=scale), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.CRITICAL
    assert found.evidence["halvings"] == 16 - 1 + 1


def test_many_halvings_late_are_a_warning() -> None:
    scale = np.r_[np.full(200, 65536.0), 65536.0 / 2 ** np.arange(1, 10)]
    (found,) = detect(make_run(loss=np.ones(209), loss_scale=scale), S)
    assert found.severity is Severity.WARNING


@pytest.mark.parametrize(
    "scale",
    [
        np.r_[2.0**32 / 2 ** np.arange(16), np.full(300, 65536.0)],
        np.r_[np.full(100, 65536.0), 32768.0, np.full(100, 32768.0), 65536.0],
        np.ones(100),
    ],
)
def test_calibration_and_single_halvings_pass(scale) -> None:
    assert detect(make_run(loss=np.ones(len(scale)), loss_scale=scale), S) == ()


def test_the_messages_of_the_scaler_count() -> None:
    events = [
        Event(EventKind.LOSS_SCALE, f"setting loss scale to: {2.0**-k}", Where("a.log", k), 500 + k,
              data={"scale": 2.0**-k})
        for k in range(12)
    ]  # fmt: skip
    (found,) = detect(make_run(loss=np.ones(600), events=events), S)
    assert found.evidence["halvings"] == 11


def test_without_a_scale_it_is_not_judged() -> None:
    assert isinstance(detect(make_run(loss=[1]), S), NotApplicable)


def test_three_steps_in_a_row_that_halve_it_are_a_note() -> None:
    scale = np.r_[np.full(200, 128.0), 64.0, 32.0, 16.0]
    (found,) = detect(make_run(loss=np.ones(203), loss_scale=scale), S)
    assert found.severity is Severity.INFO
    apart = np.r_[np.full(200, 128.0), np.repeat([64.0, 32.0, 16.0], 40)]
    assert detect(make_run(loss=np.ones(320), loss_scale=apart), S) == ()
