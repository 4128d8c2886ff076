import numpy as np
import pytest

from loganalyze.detect.loss_nonfinite import DETECTOR, NonfiniteSettings, detect
from loganalyze.finding import NotApplicable, Severity
from loganalyze.run import Event, EventKind, Where
from tests.builders import make_run

S = NonfiniteSettings()


def test_nan_to_the_end_is_critical_and_tells_what_came_before() -> None:
    loss = np.r_[np.full(50, 1.0), [1.5, 2.5, 5, 9, 20], np.full(20, np.nan)]
    (found,) = detect(make_run(loss=loss, lr=np.full(75, 1e-3)), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.CRITICAL
    assert found.evidence["first_step"] == 56
    assert found.evidence["rise_before"] == pytest.approx(20)
    assert found.evidence["recovered"] == "no"
    assert found.evidence["lr_at_first"] == pytest.approx(1e-3)


def test_no_rise_before_is_told_too() -> None:
    loss = np.r_[np.linspace(2, 1, 50), np.full(20, np.inf)]
    (found,) = detect(make_run(loss=loss), S)
    assert float(found.evidence["rise_before"]) < 1.1
    assert found.evidence["first_value"] == "Infinity"


def test_one_skipped_step_is_a_note() -> None:
    loss = np.ones(50)
    loss[3] = np.inf
    (found,) = detect(make_run(loss=loss), S)
    assert found.severity is Severity.INFO
    assert found.evidence["recovered"] == "yes"


def test_a_first_loss_of_nan_has_nothing_before_it() -> None:
    (found,) = detect(make_run(loss=np.full(5, np.nan)), S)
    assert found.evidence["index_of_first"] == 0
    assert "rise_before" not in found.evidence


def test_finite_losses_pass_whatever_the_evaluation_is() -> None:
    assert detect(make_run(loss=np.ones(5), eval_loss=[np.nan]), S) == ()


def test_a_guard_that_stopped_the_training_is_believed() -> None:
    text = "Traceback\nFloatingPointError: Loss became infinite or NaN at iteration=2137!\nloss_dict = {}"
    error = Event(EventKind.TRACEBACK, text, Where("log.txt", 7))
    (found,) = detect(make_run(events=[error]), S)
    assert found.severity is Severity.CRITICAL
    assert found.steps == (2137, 2137)
    assert "Loss became infinite" in found.summary


def test_without_a_loss_and_without_a_guard_nothing_is_judged() -> None:
    assert isinstance(detect(make_run(), S), NotApplicable)
