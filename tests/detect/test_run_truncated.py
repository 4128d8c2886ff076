import numpy as np

from loganalyze.detect.run_truncated import DETECTOR, TruncatedSettings, detect
from loganalyze.finding import NotApplicable, Severity
from loganalyze.run import Event, EventKind, Problem, Source, Status, Where
from tests.builders import make_run

S = TruncatedSettings()
LOSS = np.linspace(2, 1, 100)


def test_a_log_that_ends_early_without_a_reason_is_a_warning() -> None:
    (found,) = detect(make_run(loss=LOSS, planned_steps=1000), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.WARNING
    assert found.evidence["share_done"] == 0.1


def test_a_coarse_logging_interval_passes() -> None:
    run = make_run(loss=LOSS, steps=np.arange(500, 50_001, 500), planned_steps=50_400)
    assert detect(run, S) == ()


def test_an_end_that_the_log_states_passes() -> None:
    assert detect(make_run(loss=LOSS, planned_steps=1000, status=Status.COMPLETED), S) == ()


def test_a_crash_explains_it_and_a_running_one_is_not_judged() -> None:
    event = Event(EventKind.TRACEBACK, "Traceback", Where("train.log", 1), 100)
    run = make_run(loss=LOSS, planned_steps=1000, events=[event])
    assert isinstance(detect(run, S), NotApplicable)
    run = make_run(loss=LOSS, planned_steps=1000, status=Status.RUNNING)
    assert isinstance(detect(run, S), NotApplicable)
    assert isinstance(detect(make_run(loss=LOSS), S), NotApplicable)


def test_a_state_that_was_saved_with_a_checkpoint_is_a_note() -> None:
    source = Source("checkpoint-100/trainer_state.json", "hf-trainer-state", 100)
    run = make_run(loss=LOSS, planned_steps=1000, sources=[source], config={"save_steps": 50})
    assert [f.severity for f in detect(run, S)] == [Severity.INFO]


def test_an_excerpt_is_a_note() -> None:
    found = detect(make_run(loss=LOSS[:8], planned_steps=1000), S)
    assert [f.severity for f in found] == [Severity.INFO]


def test_lines_that_name_no_step_are_not_held_against_the_plan() -> None:
    remark = Problem("no step in some lines: they were counted instead", lossy=False)
    source = Source("train.log", "text", 100, problems=(remark,))
    run = make_run(loss=LOSS, planned_steps=1000, sources=[source])
    assert isinstance(detect(run, S), NotApplicable)
    told = make_run(loss=LOSS, planned_steps=1000, sources=[source], config={"logging_steps": 1})
    assert len(detect(told, S)) == 1
