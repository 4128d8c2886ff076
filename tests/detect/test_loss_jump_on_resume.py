import numpy as np
import pytest

from loganalyze.detect.loss_jump_on_resume import DETECTOR, ResumeSettings, detect
from loganalyze.finding import NotApplicable, Severity
from loganalyze.run import Event, EventKind, Where
from tests.builders import make_run

S = ResumeSettings()
RNG = np.random.default_rng(0)


def restarted(after: float, n: int = 100, noise: float = 0.02):
    curve = np.geomspace(3, 1, n)
    curve[n // 2 :] += after * np.exp(-np.arange(n - n // 2) / 20)
    curve += np.random.default_rng(2).normal(0, noise, n)
    segments = {"loss": [0] * (n // 2) + [1] * (n - n // 2)}
    return make_run(loss=curve, segments=segments)


def test_a_level_that_breaks_at_the_restart() -> None:
    (found,) = detect(restarted(0.8), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.WARNING
    assert found.evidence["step"] == 51
    assert found.evidence["level_after"] > found.evidence["level_before"] + 0.5


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.3])
def test_a_smooth_restart_passes(noise) -> None:
    assert detect(restarted(0.0, noise=noise), S) == ()


def test_a_restart_that_is_only_told_of_counts() -> None:
    curve = np.r_[np.linspace(2, 0.5, 50), np.linspace(1.5, 0.6, 50)]
    resume = Event(EventKind.RESUME, "Resuming from step 50", Where("train.log", 9), 50)
    (found,) = detect(make_run(loss=curve, events=[resume]), S)
    assert found.evidence["step"] == 51


def test_no_restart_and_a_new_beginning_are_not_found() -> None:
    assert isinstance(detect(make_run(loss=np.linspace(2, 1, 50)), S), NotApplicable)
    loss = np.r_[np.linspace(3, 1, 50), np.linspace(3, 1, 50)]
    steps = np.r_[np.arange(1, 51), np.arange(1, 51)]
    again = make_run(loss=loss, steps={"loss": steps}, segments={"loss": [0] * 50 + [1] * 50})
    assert detect(again, S) == ()


def test_the_step_may_stand_in_the_settings_alone() -> None:
    curve = np.r_[np.linspace(2, 0.5, 50), np.linspace(1.5, 0.6, 50)]
    config = {"resume_from_checkpoint": "checkpoints/step_50.pt"}
    (found,) = detect(make_run(loss=curve, config=config), S)
    assert found.evidence["step"] == 51


def test_a_loss_that_rose_before_the_restart_may_go_on_to_rise() -> None:
    rise = np.linspace(110, 220, 12) + RNG.normal(0, 1, 12)
    halves = {"loss": [0] * 6 + [1] * 6}
    assert detect(make_run(loss=rise, segments=halves), S) == ()
    rise[6:] += 60
    assert detect(make_run(loss=rise, segments=halves), S)


def test_a_head_that_is_learned_again_within_three_points_is_told() -> None:
    before = [1.5, 1.49, 1.35, 1.23, 1.22, 1.09, 1.02]
    after = [2.49, 1.79, 1.37, 1.18, 1.12, 1.1, 0.98, 0.95, 0.98, 0.87, 0.85, 0.81, 0.78, 0.78]
    segments = {"loss": [0] * len(before) + [1] * len(after)}
    assert detect(make_run(loss=[3.2, 3.0, 2.5, 2.0, *before, *after][4:], segments=segments), S)


@pytest.mark.parametrize("noise", [0.05, 0.2])
def test_chance_alone_does_not_lift_the_first_three_points(noise) -> None:
    found = 0
    for seed in range(60):
        loss = np.geomspace(3, 1, 40) * np.random.default_rng(seed).lognormal(0, noise, 40)
        found += bool(detect(make_run(loss=loss, segments={"loss": [0] * 20 + [1] * 20}), S))
    assert found <= 1
