from loganalyze.detect.crash import DETECTOR, detect
from loganalyze.finding import NotApplicable, Severity
from loganalyze.run import Event, EventKind, Source, Status, Where
from loganalyze.settings import NoSettings
from tests.builders import make_run


def traceback(exception: str, step: int | None = 3, frame: str = "train.py:9 in step") -> Event:
    data = {"exception": exception, "message": "it broke", "frame": frame}
    return Event(EventKind.TRACEBACK, "Traceback ...", Where("train.log", 40), step, None, data)


def test_a_traceback_at_the_end_names_exception_and_frame() -> None:
    (found,) = detect(make_run(loss=[3, 2, 1], events=[traceback("ValueError")]), NoSettings())
    assert found.id == DETECTOR.id
    assert found.severity is Severity.CRITICAL
    assert found.evidence["exception"] == "ValueError"
    assert "train.py:9 in step" in found.summary
    assert str(found.where[0]) == "train.log:40"


def test_the_first_traceback_outranks_what_other_processes_report_of_it() -> None:
    events = [traceback("ValueError"), traceback("ChildFailedError")]
    (found,) = detect(make_run(loss=[3, 2, 1], events=events), NoSettings())
    assert found.evidence["exception"] == "ValueError"


def test_an_interrupt_by_hand_is_a_note() -> None:
    (found,) = detect(
        make_run(loss=[3, 2, 1], events=[traceback("KeyboardInterrupt")]), NoSettings()
    )
    assert found.severity is Severity.INFO


def test_an_exception_that_training_survived_passes() -> None:
    run = make_run(loss=[3, 2, 1, 1, 1], events=[traceback("ValueError")])
    assert detect(run, NoSettings()) == ()


def test_want_of_memory_is_told_elsewhere() -> None:
    oom = Event(EventKind.OOM_GPU, "CUDA out of memory", Where("train.log", 41), 3)
    run = make_run(loss=[3, 2, 1], events=[traceback("OutOfMemoryError"), oom])
    assert isinstance(detect(run, NoSettings()), NotApplicable)


def test_a_run_that_is_marked_as_failed_without_a_log_is_a_warning() -> None:
    run = make_run(loss=[1], status=Status.CRASHED, sources=[Source("m", "mlflow", 1)])
    (found,) = detect(run, NoSettings())
    assert found.severity is Severity.WARNING


def test_without_log_and_status_it_is_not_judged() -> None:
    run = make_run(loss=[1], sources=[Source("e", "tfevents", 1)])
    assert isinstance(detect(run, NoSettings()), NotApplicable)
