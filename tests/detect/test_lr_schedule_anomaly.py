import numpy as np
import pytest

from loganalyze.detect.lr_schedule_anomaly import DETECTOR, ScheduleSettings, detect
from loganalyze.finding import NotApplicable, Severity
from loganalyze.run import Event, EventKind, Where
from tests.builders import make_run

S = ScheduleSettings()
RNG = np.random.default_rng(0)
COSINE = 1e-3 * (1 + np.cos(np.pi * np.linspace(0, 1, 400))) / 2


def run(rate, **more):
    return make_run(loss=np.ones(len(rate)), lr=rate, **more)


def test_a_rate_that_starts_over_at_a_restart() -> None:
    rate = np.r_[COSINE[:200], COSINE[:200]]
    (found,) = detect(run(rate, segments={"lr": [0] * 200 + [1] * 200}), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.WARNING
    assert found.evidence["step"] == 201


def test_a_restart_that_goes_on_passes() -> None:
    assert detect(run(COSINE, segments={"lr": [0] * 200 + [1] * 200}), S) == ()


def test_one_jump_up_in_the_middle() -> None:
    rate = np.r_[np.linspace(1e-3, 4e-4, 200), np.full(200, 9e-4)]
    (found,) = detect(run(rate), S)
    assert found.evidence["step"] == 201


@pytest.mark.parametrize(
    "rate",
    [
        COSINE,
        np.tile(COSINE[::4], 4),
        np.r_[COSINE[::2], COSINE[::2]],
        0.1 * 0.1 ** (np.arange(400) // 100),
        np.r_[np.linspace(0, 1, 120), np.linspace(1, 0, 280)],
        np.r_[np.linspace(0, 1, 20), np.ones(300), np.linspace(1, 0, 80)],
        np.full(400, 1e-4),
    ],
)
def test_intended_schedules_pass(rate) -> None:
    assert detect(run(rate), S) == ()


def test_a_record_that_contradicts_the_setting() -> None:
    (found,) = detect(run(np.full(400, 1e-3), config={"lr_scheduler_type": "cosine"}), S)
    assert "cosine" in found.summary
    (found,) = detect(run(COSINE, config={"lr_scheduler_type": "constant"}), S)
    assert "constant" in found.summary
    assert detect(run(COSINE, config={"lr_scheduler_type": "cosine"}), S) == ()


def test_the_warning_of_pytorch_is_a_note_and_none_with_a_scaler() -> None:
    text = "Detected call of `lr_scheduler.step()` before `optimizer.step()`"
    hint = Event(EventKind.HINT, text, Where("train.log", 3))
    (found,) = detect(make_run(events=[hint]), S)
    assert found.severity is Severity.INFO
    assert isinstance(detect(make_run(events=[hint], config={"fp16": True}), S), NotApplicable)


def test_a_plan_that_starts_anew_with_a_warmup_over_several_log_points() -> None:
    plan = np.r_[np.linspace(0.1, 1, 3), np.linspace(0.99, 0.5, 62)]
    rate = 1e-3 * np.r_[plan, 0.38, 0.77, 1.0, np.linspace(0.99, 0.5, 62)]
    steps = 5 * np.arange(1, len(rate) + 1)
    event = Event(EventKind.RESUME, "Resuming from checkpoint step 325", Where("a", 1), step=325)
    (found,) = detect(make_run(loss=np.ones(len(rate)), lr=rate, steps=steps, events=[event]), S)
    assert found.evidence["before"] == pytest.approx(5e-4)
    assert found.evidence["after"] == pytest.approx(1e-3)


@pytest.mark.parametrize(("points", "cycles"), [(17, 5), (26, 2), (20, 3), (30, 6)])
def test_restarts_are_recognised_in_few_points(points, cycles) -> None:
    done = np.arange(points) / points * cycles % 1
    assert detect(run(1e-3 * (1 + np.cos(np.pi * done)) / 2), S) == ()


@pytest.mark.parametrize("points", [26, 60, 300, 3000])
@pytest.mark.parametrize("warmup", [0, 0.05])
def test_a_plan_that_starts_anew_is_seen_at_any_logging_interval(points, warmup) -> None:
    at = np.arange(points) / points
    plan = np.where(at < warmup, at / max(warmup, 1e-9), 0.5 * (1 + np.cos(np.pi * at)))
    begins = int(0.35 * points)
    rate = np.r_[plan[:begins], plan[: points - begins]]
    (found,) = detect(run(1e-3 * rate), S)
    assert float(found.evidence["after"]) > float(found.evidence["before"])


def test_a_triangle_passes() -> None:
    rate = 0.25 + 0.75 * (1 - np.abs(2 * (np.arange(300) / 300 * 2 % 1) - 1))
    assert detect(run(1e-3 * rate), S) == ()
