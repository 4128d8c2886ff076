import numpy as np

from loganalyze.detect.grad_explosion import DETECTOR, ExplosionSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = ExplosionSettings()
RNG = np.random.default_rng(0)


def test_a_norm_that_leaves_its_past_for_good_is_critical() -> None:
    norm = np.r_[RNG.lognormal(0, 0.3, 200), np.geomspace(20, 1e6, 20)]
    (found,) = detect(make_run(grad_norm=norm), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.CRITICAL
    assert float(found.evidence["ratio_to_past"]) > 1000


def test_a_burst_that_ends_is_a_warning_and_an_outlier_a_note() -> None:
    norm = RNG.lognormal(0, 0.3, 300)
    norm[200:206] = 80
    (found,) = detect(make_run(grad_norm=norm), S)
    assert found.severity is Severity.WARNING
    norm = RNG.lognormal(0, 0.3, 300)
    norm[200] = 500
    (found,) = detect(make_run(grad_norm=norm), S)
    assert found.severity is Severity.INFO


def test_a_norm_that_is_high_and_steady_passes() -> None:
    assert detect(make_run(grad_norm=RNG.normal(200, 10, 300)), S) == ()


def test_ordinary_spiky_norms_of_pretraining_pass() -> None:
    for seed in range(20):
        norm = np.random.default_rng(seed).lognormal(-1, 0.6, 500)
        assert detect(make_run(grad_norm=norm), S) == ()


def test_reinforcement_and_short_logs_are_not_judged() -> None:
    norm = np.r_[np.ones(50), np.full(10, 1e4)]
    assert isinstance(detect(make_run(grad_norm=norm, reward=norm), S), NotApplicable)
    assert isinstance(detect(make_run(grad_norm=[1, 2, 1e5]), S), NotApplicable)


def test_norms_beyond_any_ordinary_one_are_noted_though_they_only_fall() -> None:
    norm = np.geomspace(1e5, 500, 120)
    (found,) = detect(make_run(loss=np.ones(120), grad_norm=norm), S)
    assert found.severity is Severity.INFO
    assert found.evidence["max"] == 1e5


def test_a_norm_that_grows_without_bound_is_noted_and_a_large_steady_one_passes() -> None:
    noise = RNG.lognormal(0, 0.2, 80)
    (found,) = detect(make_run(grad_norm=np.geomspace(8, 180, 80) * noise), S)
    assert found.severity is Severity.INFO
    assert detect(make_run(grad_norm=180 * noise), S) == ()
    assert detect(make_run(grad_norm=np.geomspace(0.5, 20, 80) * noise), S) == ()


def test_a_likelihood_that_grows_sharper_has_a_growing_gradient() -> None:
    norm = np.r_[np.full(60, 0.5), np.full(60, 80.0)]
    (found,) = detect(make_run(loss=np.linspace(0.4, -2.7, 120), grad_norm=norm), S)
    assert found.severity is Severity.INFO
    back = np.r_[np.linspace(0.4, -2.7, 60), np.linspace(-2.7, 9.0, 60)]
    (found,) = detect(make_run(loss=back, grad_norm=norm), S)
    assert found.severity is not Severity.INFO


def test_a_burst_after_which_the_loss_goes_on_to_fall_is_a_note() -> None:
    norm = RNG.lognormal(0, 0.3, 300)
    norm[200:206] = 80
    for end, severity in ((0.5, Severity.INFO), (3.0, Severity.WARNING)):
        loss = np.r_[np.linspace(2, 1, 200), np.linspace(1, end, 100)]
        (found,) = detect(make_run(loss=loss, grad_norm=norm), S)
        assert found.severity is severity


def test_the_first_steps_after_an_intended_restart_of_the_rate_are_left_out() -> None:
    norm = np.random.default_rng(1).lognormal(0, 0.3, 400)
    norm[202:210] = 60
    rate = np.tile(1e-3 * (1 + np.cos(np.pi * np.linspace(0, 1, 100))) / 2, 4)
    assert detect(make_run(grad_norm=norm, lr=rate), S) == ()
    assert detect(make_run(grad_norm=norm), S)
