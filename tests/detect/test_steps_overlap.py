from loganalyze.detect.steps_overlap import DETECTOR, detect
from loganalyze.finding import Severity
from loganalyze.settings import NoSettings
from tests.builders import make_run


def test_a_restart_that_repeats_steps_is_a_note_with_what_it_cost() -> None:
    steps = [*range(1, 11), *range(6, 16)]
    run = make_run(
        loss=[5 - s / 10 for s in steps], steps=steps, segments={"loss": [0] * 10 + [1] * 10}
    )
    (found,) = detect(run, NoSettings())
    assert found.id == DETECTOR.id
    assert found.severity is Severity.INFO
    assert found.steps == (6, 10)
    assert found.evidence["steps_repeated"] == 5
    assert found.evidence["values_compared"] == 5
    assert "5 of 5 repeated values agree" in found.summary


def test_a_restart_that_goes_on_where_the_run_ended_passes() -> None:
    run = make_run(loss=[1] * 10, segments={"loss": [0] * 5 + [1] * 5})
    assert detect(run, NoSettings()) == ()


def test_values_that_differ_are_counted() -> None:
    steps = [1, 2, 3, 2, 3, 4]
    run = make_run(loss=[3, 2, 1, 2, 9, 8], steps=steps, segments={"loss": [0, 0, 0, 1, 1, 1]})
    (found,) = detect(run, NoSettings())
    assert "1 of 2 repeated values agree" in found.summary
