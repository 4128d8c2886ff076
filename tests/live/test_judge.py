import numpy as np

from loganalyze.diagnosis import diagnose
from loganalyze.live.judge import AT_THE_END, judge
from loganalyze.run import Event, EventKind, Where
from loganalyze.settings import Settings
from tests.builders import make_run


def test_what_only_the_end_can_tell_is_not_said():
    loss = np.linspace(3, 2, 40)
    run = make_run(loss=loss, planned_steps=1000)
    assert "run-truncated" in {finding.id for finding in diagnose(run).findings}
    live = judge(run, Settings())
    assert not {finding.id for finding in live.findings} & set(AT_THE_END)
    assert not {check.id for check in live.checks} & set(AT_THE_END)


def test_too_few_points_are_no_finding_yet():
    run = make_run(loss=[3.0, 2.9])
    assert diagnose(run).findings
    assert not judge(run, Settings()).findings


def test_an_error_that_came_last_may_be_caught():
    error = Event(
        EventKind.TRACEBACK,
        "ValueError: x",
        Where("train.log", 41),
        40,
        data={"exception": "ValueError"},
    )
    run = make_run(loss=np.linspace(3, 2, 40), events=[error])
    assert "crash" in {finding.id for finding in diagnose(run).findings}
    assert "crash" not in {finding.id for finding in judge(run, Settings()).findings}


def test_everything_else_is_as_it_is_offline():
    loss = np.r_[np.linspace(3, 2, 40), np.full(10, np.nan)]
    run = make_run(loss=loss)
    live, offline = judge(run, Settings()), diagnose(run)
    assert [f for f in live.findings if f.id not in AT_THE_END] == [
        f for f in offline.findings if f.id not in AT_THE_END
    ]
