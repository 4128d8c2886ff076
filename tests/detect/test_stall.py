import numpy as np

from loganalyze.detect.stall import DETECTOR, StallSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = StallSettings()
RNG = np.random.default_rng(0)


def times(n: int = 200, **slow: float):
    values = RNG.lognormal(np.log(0.15), 0.1, n)
    for name, seconds in slow.items():
        values[int(name[1:])] = seconds
    return values


def test_gaps_that_cost_much_of_the_time() -> None:
    (found,) = detect(make_run(loss=np.ones(200), step_time=times(_50=67.6, _80=15.3, _181=30)), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.WARNING
    assert found.evidence["count"] == 3
    assert found.evidence["worst_s"] == 67.6


def test_a_slow_first_step_and_cheap_gaps_pass() -> None:
    assert detect(make_run(loss=np.ones(200), step_time=times(_0=90)), S) == ()
    assert detect(make_run(loss=np.ones(200), step_time=times(_50=3)), S) == ()


def test_gaps_at_evaluations_and_at_one_interval_pass() -> None:
    slow = times(_49=40, _99=40, _149=40)
    assert detect(make_run(loss=np.ones(200), step_time=slow), S) == ()
    odd = times(_49=40, _120=40)
    assert detect(make_run(loss=np.ones(200), step_time=odd), S)
    run = make_run(
        loss=np.ones(200), step_time=odd, eval_loss=[1, 1], steps={"eval_loss": [50, 121]}
    )
    assert detect(run, S) == ()


def test_few_times_are_not_judged() -> None:
    assert isinstance(detect(make_run(loss=[1, 2]), S), NotApplicable)


def test_a_short_log_of_every_step_shows_waits_between_steps() -> None:
    seconds = [0.154, 0.154, 67.6, 0.16, 3.1, 0.154, 15.3, 0.154]
    (found,) = detect(make_run(loss=np.ones(8), step_time=seconds), S)
    assert found.evidence["count"] == 3


def test_a_pause_at_one_evaluation_of_many_is_no_evaluation() -> None:
    seconds = np.full(600, 0.003)
    seconds[[249, 399]] = 0.6
    evals = {"eval_loss": list(range(50, 601, 50))}
    run = make_run(step_seconds=seconds, eval_loss=np.ones(12), steps=evals)
    (found,) = detect(run, S)
    assert found.evidence["count"] == 2
    seconds[49::50] = 0.6
    assert detect(make_run(step_seconds=seconds, eval_loss=np.ones(12), steps=evals), S) == ()


def test_one_pause_of_half_a_second_in_a_run_of_two_is_no_more_than_a_note() -> None:
    values = np.full(400, 0.003)
    values[200] = 0.5
    (found,) = detect(make_run(loss=np.ones(400), step_time=values), S)
    assert found.severity is Severity.INFO
    values[[90, 350]] = 0.5  # they come back, as on a busy machine
    (found,) = detect(make_run(loss=np.ones(400), step_time=values), S)
    assert found.severity is Severity.INFO
    values[[90, 350]] = 2.5
    (found,) = detect(make_run(loss=np.ones(400), step_time=values), S)
    assert found.severity is Severity.WARNING
