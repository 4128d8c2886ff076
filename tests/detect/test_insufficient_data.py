import numpy as np

from loganalyze.detect.insufficient_data import DETECTOR, DataSettings, detect
from loganalyze.run import Event, EventKind, Where
from tests.builders import make_run

S = DataSettings()


def test_three_losses_are_too_few_and_it_says_what_to_log() -> None:
    (found,) = detect(make_run(loss=[3, 2, 1], steps=[500, 1000, 1500]), S)
    assert found.id == DETECTOR.id
    assert found.evidence["points"] == 3
    assert "--logging_steps 75" in found.fix[0]


def test_no_train_loss_at_all_is_said() -> None:
    (found,) = detect(make_run(eval_loss=[1, 2, 3, 4, 5]), S)
    assert "no train loss" in found.summary


def test_enough_losses_pass_even_if_they_are_nan() -> None:
    assert detect(make_run(loss=[4, 3, 2, 1]), S) == ()
    assert detect(make_run(loss=np.full(10, np.nan)), S) == ()


def test_a_crash_is_the_finding_then() -> None:
    event = Event(EventKind.TRACEBACK, "Traceback", Where("train.log", 1))
    assert detect(make_run(loss=[1], events=[event]), S) == ()


def test_a_stop_by_hand_says_nothing_of_the_training() -> None:
    stop = {"exception": "KeyboardInterrupt"}
    event = Event(EventKind.TRACEBACK, "Traceback", Where("train.log", 1), data=stop)
    (found,) = detect(make_run(events=[event]), S)
    assert "no train loss" in found.summary


def test_what_falls_with_a_stop_by_hand_is_no_end_of_its_own() -> None:
    stop = Event(EventKind.TRACEBACK, "Traceback", Where("train.log", 1), 3,
                 data={"exception": "KeyboardInterrupt"})  # fmt: skip
    wake = Event(EventKind.SIGNAL, "SIGABRT", Where("train.log", 9), 3)
    assert len(detect(make_run(loss=[2.0], events=[stop, wake]), S)) == 1
    later = Event(EventKind.TRACEBACK, "Traceback", Where("train.log", 20), 5)
    assert detect(make_run(loss=[2.0], events=[stop, later]), S) == ()
