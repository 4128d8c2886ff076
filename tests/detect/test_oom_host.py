from loganalyze.detect.oom_host import DETECTOR, detect
from loganalyze.finding import NotApplicable, Severity
from loganalyze.run import Event, EventKind, Source, Where
from loganalyze.settings import NoSettings
from tests.builders import make_run

KILLED = Event(EventKind.OOM_HOST, "Killed", Where("train.log", 7), 3)


def test_a_kill_at_the_end_is_critical() -> None:
    (found,) = detect(make_run(loss=[3, 2, 1], events=[KILLED]), NoSettings())
    assert found.id == DETECTOR.id
    assert found.severity is Severity.CRITICAL
    assert str(found.where[0]) == "train.log:7"


def test_a_kill_that_was_survived_is_a_warning() -> None:
    (found,) = detect(make_run(loss=[3, 2, 1, 1, 1], events=[KILLED]), NoSettings())
    assert found.severity is Severity.WARNING


def test_a_clean_log_passes_and_no_log_is_not_judged() -> None:
    assert detect(make_run(loss=[1]), NoSettings()) == ()
    run = make_run(loss=[1], sources=[Source("e", "tfevents", 1)])
    assert isinstance(detect(run, NoSettings()), NotApplicable)
