import numpy as np

from loganalyze.detect.loss_divergence import DETECTOR, DivergenceSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = DivergenceSettings()
RNG = np.random.default_rng(0)
FALL = np.linspace(3, 1, 300)


def test_a_lasting_rise_is_critical() -> None:
    loss = np.r_[FALL, np.linspace(1, 8, 200)] + RNG.normal(0, 0.05, 500)
    (found,) = detect(make_run(loss=loss), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.CRITICAL
    assert 250 <= float(found.evidence["best_step"]) <= 330
    assert float(found.evidence["ratio"]) > 5


def test_a_transient_spike_passes() -> None:
    loss = np.r_[FALL, np.full(200, 1.0)]
    loss[400:410] = 9
    assert detect(make_run(loss=loss), S) == ()


def test_a_flat_noisy_end_passes() -> None:
    for seed in range(20):
        noise = np.random.default_rng(seed).lognormal(0, 0.4, 400)
        assert detect(make_run(loss=noise), S) == ()


def test_noise_of_a_finished_run_near_zero_passes() -> None:
    loss = 3 * np.exp(-np.arange(400) / 30) + 1e-3 * RNG.lognormal(0, 1, 400)
    assert detect(make_run(loss=loss), S) == ()


def test_adversarial_and_reinforcement_losses_are_not_judged() -> None:
    loss = np.r_[FALL, np.linspace(1, 8, 200)]
    assert isinstance(detect(make_run(loss=loss, d_loss=loss), S), NotApplicable)
    assert isinstance(detect(make_run(loss=loss, reward=loss), S), NotApplicable)


def test_three_points_are_not_judged() -> None:
    assert isinstance(detect(make_run(loss=[1, 2, 30]), S), NotApplicable)
