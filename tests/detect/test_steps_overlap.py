import dataclasses

import numpy as np
import pytest

from loganalyze.detect.steps_overlap import DETECTOR, OverlapSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run


def restarted(*starts: tuple[range, float], seconds: float | None = None):
    """A run of several starts, each with its steps and a factor on its losses."""
    steps = np.concatenate([np.array(steps) for steps, _ in starts])
    loss = np.concatenate([(3 - np.array(steps) / 1000) * factor for steps, factor in starts])
    segment = np.concatenate([np.full(len(s), i) for i, (s, _) in enumerate(starts)])
    run = make_run(loss=loss, steps=steps, segments={"loss": segment})
    metrics = run.metrics.assign(row=np.arange(1, len(steps) + 1))
    if seconds is not None:
        metrics = metrics.assign(time=1e9 + seconds * np.arange(len(steps)))
    return dataclasses.replace(run, metrics=metrics)


def test_a_restart_from_a_checkpoint_says_what_it_repeated_and_what_it_cost() -> None:
    run = restarted((range(10, 1210, 10), 1.0), (range(1010, 2010, 10), 1.01), seconds=5.0)
    (found,) = detect(run, OverlapSettings())
    assert found.id == DETECTOR.id
    assert found.severity is Severity.INFO
    assert found.steps == (1010, 1200)
    assert found.evidence["steps_repeated"] == 200  # from the checkpoint at 1,000
    assert found.evidence["seconds_repeated"] == pytest.approx(20 * 5.0)
    assert found.evidence["median_relative_difference"] == pytest.approx(0.0099, abs=1e-4)
    assert str(found.where[0]) == "train.log:121"
    assert "20 of 20 repeated losses differ" in found.summary


def test_repeated_losses_that_agree_are_said_to() -> None:
    run = restarted((range(1, 101), 1.0), (range(81, 201), 1.0))
    (found,) = detect(run, OverlapSettings())
    assert "the 20 repeated losses agree" in found.summary
    assert "seconds_repeated" not in found.evidence


def test_each_restart_counts_against_what_was_current_then() -> None:
    run = restarted((range(1, 101), 1.0), (range(51, 81), 1.0), (range(71, 201), 1.0))
    (found,) = detect(run, OverlapSettings())
    assert found.evidence["restarts"] == 2
    assert found.evidence["steps_repeated"] == 50 + 10
    assert found.title.startswith("2 restarts")


def test_a_restart_that_costs_a_large_share_is_a_warning() -> None:
    run = restarted((range(1, 1001), 1.0), (range(101, 1101), 1.0))
    (found,) = detect(run, OverlapSettings())
    assert found.severity is Severity.WARNING
    assert detect(run, OverlapSettings(share=0.5))[0].severity is Severity.INFO


def test_a_run_started_anew_in_an_old_folder_is_a_note() -> None:
    (found,) = detect(restarted((range(1, 1001), 1.0), (range(1, 1101), 2.0)), OverlapSettings())
    assert found.severity is Severity.INFO
    assert "from the first step" in found.evidence["restart_1"]
    assert "folder of its own" in found.fix[0]


def test_other_steps_of_the_same_span_are_no_loss_logged_twice() -> None:
    run = restarted((range(10, 210, 10), 1.0), (range(105, 305, 10), 1.0))
    assert "no loss was logged twice" in detect(run, OverlapSettings())[0].summary


def test_going_on_where_it_stopped_passes() -> None:
    assert detect(restarted((range(1, 101), 1.0), (range(101, 201), 1.0)), OverlapSettings()) == ()
    assert detect(restarted((range(1, 101), 1.0)), OverlapSettings()) == ()


def test_one_step_logged_twice_before_a_restart() -> None:
    run = restarted((range(1), 1.0), (range(1), 1.0), (range(2), 1.0))
    assert detect(run, OverlapSettings())[0].evidence["steps_repeated"] == 2


def test_a_log_of_many_runs_is_not_judged() -> None:
    many = restarted(*[(range(1, 4), 1.0)] * 150)
    assert isinstance(detect(many, OverlapSettings()), NotApplicable)
