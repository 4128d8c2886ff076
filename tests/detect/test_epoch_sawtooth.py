import numpy as np
import pytest

from loganalyze.detect.epoch_sawtooth import DETECTOR, SawtoothSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = SawtoothSettings()
RNG = np.random.default_rng(0)


def curve(drop: float, epochs: int = 4, n: int = 100, noise: float = 0.02, slope: float = 0.0):
    t = np.arange(epochs * n)
    level = 2.0 * (1 - drop) ** (t // n) * (1 - slope * (t % n) / n)
    return level * np.random.default_rng(3).lognormal(0, noise, len(t)), (t + 1) / n


def run(loss, epoch, **more):
    made = make_run(loss=loss, **more)
    made.metrics.loc[made.metrics["metric"] == "train/loss", "epoch"] = epoch
    return made


def test_steps_down_at_the_borders_of_epochs() -> None:
    (found,) = detect(run(*curve(0.25)), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.WARNING
    assert found.evidence["boundaries"] == 3
    assert found.evidence["drop_at_boundary"] == pytest.approx(0.25, abs=0.03)


def test_a_small_step_is_a_note() -> None:
    (found,) = detect(run(*curve(0.1)), S)
    assert found.severity is Severity.INFO


def test_a_curve_that_falls_inside_the_epochs_passes() -> None:
    t = np.arange(400)
    loss = 2 * np.exp(-t / 150) * np.random.default_rng(4).lognormal(0, 0.03, 400)
    assert detect(run(loss, (t + 1) / 100), S) == ()


def test_a_rate_that_steps_at_the_borders_explains_it() -> None:
    loss, epoch = curve(0.25)
    rate = 0.1 * 0.5 ** (np.arange(400) // 100)
    assert detect(run(loss, epoch, lr=rate), S) == ()


def test_a_running_mean_that_starts_anew_is_told_apart() -> None:
    rng = np.random.default_rng(5)
    t = np.arange(400) % 100 + 1
    loss = 2.0 * 0.75 ** (np.arange(400) // 100) + rng.normal(0, 0.4, 400) / t
    assert isinstance(detect(run(loss, np.arange(1, 401) / 100), S), NotApplicable)


def test_without_epochs_it_is_not_judged() -> None:
    assert isinstance(detect(make_run(loss=np.ones(50)), S), NotApplicable)


def test_a_border_that_noise_near_zero_hides_does_not_count_against_it() -> None:
    loss, epoch = curve(0.7, epochs=5, n=16, noise=0.1)
    loss[-16:] *= np.random.default_rng(1).lognormal(0, 1.0, 16)
    assert detect(run(loss, epoch), S)


def test_a_loss_that_falls_inside_the_epochs_too_has_large_steps_only_near_its_floor() -> None:
    # Each border halves the loss at least, but more than half of the fall lies inside the first two epochs.
    ends = [(3.3, 1.4), (1.3, 0.3), (0.18, 0.26), (0.07, 0.09), (0.03, 0.02), (0.005, 0.006)]
    parts = [np.linspace(*part, 40) for part in ends]
    loss = np.concatenate(parts) * np.random.default_rng(2).lognormal(0, 0.03, 240)
    assert detect(run(loss, np.arange(1, 241) / 40), S) == ()


def test_epochs_are_counted_from_the_size_of_the_data() -> None:
    loss, _ = curve(0.25)
    config = {"train_samples": 3200, "train_batch_size": 32}
    (found,) = detect(make_run(loss=loss, config=config), S)
    assert found.evidence["boundaries"] == 3


def test_steps_that_noise_hides_one_by_one_are_noted_together() -> None:
    loss, epoch = curve(0.1, epochs=12, n=16, noise=0.06)
    (found,) = detect(run(loss, epoch), S)
    assert found.severity is Severity.INFO
    steady = 2.0 * 0.9 ** (np.arange(192) / 16) * np.random.default_rng(3).lognormal(0, 0.06, 192)
    assert detect(run(steady, epoch), S) == ()
