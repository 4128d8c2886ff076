from loganalyze.detect.corrupt_source import DETECTOR, detect
from loganalyze.finding import Severity
from loganalyze.run import Event, EventKind, Problem, Source, Where
from loganalyze.settings import NoSettings
from tests.builders import make_run

GOOD = Source("train.log", "text", 10)


def test_lost_data_is_a_warning_that_says_which_file_where_and_why() -> None:
    broken = Source("events.out", "tfevents", 5, problems=(Problem("cut off in record 6", 6),))
    (found,) = detect(make_run(loss=[1], sources=[GOOD, broken]), NoSettings())
    assert found.id == DETECTOR.id
    assert found.severity is Severity.WARNING
    assert str(found.where[0]) == "events.out:6"
    assert "cut off in record 6" in found.summary


def test_an_empty_file_and_a_pointer_are_notes() -> None:
    for kind in ("empty", "git-lfs-pointer"):
        source = Source("x.log", kind, 0, problems=(Problem("not here", lossy=False),))
        (found,) = detect(make_run(loss=[1], sources=[GOOD, source]), NoSettings())
        assert found.severity is Severity.INFO


def test_a_remark_that_cost_nothing_passes() -> None:
    source = Source("train.log", "text", 9, problems=(Problem("steps were counted", lossy=False),))
    assert detect(make_run(loss=[1], sources=[source]), NoSettings()) == ()


def test_a_table_that_a_crash_left_without_a_row_is_a_note() -> None:
    empty = Source("log.csv", "csv", 0, problems=(Problem("a header of metrics, but no number"),))
    event = Event(EventKind.TRACEBACK, "Traceback", Where("train.log", 1))
    (found,) = detect(make_run(sources=[GOOD, empty], events=[event]), NoSettings())
    assert found.severity is Severity.INFO
