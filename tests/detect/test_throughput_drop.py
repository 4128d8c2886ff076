import numpy as np
import pytest

from loganalyze.detect.throughput_drop import DETECTOR, ThroughputSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = ThroughputSettings()
RNG = np.random.default_rng(0)


def steps(*levels: float, noise: float = 0.1):
    return np.concatenate([level * RNG.lognormal(0, noise, 100) for level in levels])


def test_a_run_that_becomes_three_times_slower() -> None:
    (found,) = detect(make_run(loss=np.ones(200), step_time=steps(1, 3)), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.WARNING
    assert found.evidence["ratio"] == pytest.approx(3, rel=0.1)
    assert 90 <= found.evidence["step"] <= 110


def test_a_throughput_is_read_as_well() -> None:
    (found,) = detect(make_run(loss=np.ones(300), tokens_per_second=1 / steps(1, 1, 2.5)), S)
    assert found.metrics == ("perf/tokens_per_second",)


@pytest.mark.parametrize(
    "levels", [(0.5, 0.1, 0.1), (0.1, 0.3, 0.1), (0.1, 0.12, 0.11), (0.1, 0.3, 0.1, 0.3)]
)
def test_slow_starts_pauses_and_patterns_pass(levels) -> None:
    times = steps(*levels)
    assert detect(make_run(loss=np.ones(len(times)), step_time=times), S) == ()


def test_few_times_are_not_judged() -> None:
    assert isinstance(detect(make_run(loss=[1, 2]), S), NotApplicable)


def test_a_short_log_that_ends_at_a_third_of_its_speed() -> None:
    speed = [1473, 1548, 1507, 1517, 1540, 1530, 1534, 905, 485, 488]
    (found,) = detect(make_run(loss=np.ones(10), samples_per_second=speed), S)
    assert found.confidence <= 0.5
    assert detect(make_run(loss=np.ones(10), samples_per_second=sorted(speed)), S) == ()


def test_a_short_log_may_slow_down_before_its_last_third() -> None:
    took = np.r_[0.006, np.full(5, 0.0016), 0.005, np.full(6, 0.0016), np.full(8, 0.0143)]
    (found,) = detect(make_run(loss=np.ones(21), step_time=took), S)
    assert found.confidence < 0.6


def test_a_machine_that_is_shared_is_a_note() -> None:
    neighbour = np.random.default_rng(1).random(100) < 0.7
    after = np.where(neighbour, 0.3, 0.1) * RNG.lognormal(0, 0.05, 100)
    (found,) = detect(make_run(loss=np.ones(200), step_time=np.r_[steps(0.1), after]), S)
    assert found.severity is Severity.INFO


def test_short_steps_are_a_note_unless_they_take_far_longer() -> None:
    for factor, severity in ((2.5, Severity.INFO), (6, Severity.WARNING)):
        times = steps(1e-3, factor * 1e-3)
        run = make_run(loss=np.ones(200), step_time=times, planned_steps=100_000)
        (found,) = detect(run, S)
        assert found.severity is severity


def test_what_costs_less_than_a_minute_is_a_note() -> None:
    times = steps(0.1, 0.3)
    for planned, severity in ((200, Severity.INFO), (2000, Severity.WARNING)):
        (found,) = detect(make_run(loss=np.ones(200), step_time=times, planned_steps=planned), S)
        assert found.severity is severity


@pytest.mark.parametrize(("took", "severity"), [(0.02, Severity.INFO), (2.0, Severity.WARNING)])
def test_a_run_that_waits_for_data_from_its_start(took: float, severity: Severity) -> None:
    waited = steps(took * 0.9, noise=0.02)
    run = make_run(loss=np.ones(100), data_time=waited, step_time=waited + 0.1 * took)
    (found,) = detect(run, S)
    assert found.evidence["share_waiting"] == pytest.approx(0.9, abs=0.02)
    assert found.severity is severity
