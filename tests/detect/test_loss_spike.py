import numpy as np
import pytest

from loganalyze.detect.loss_spike import DETECTOR, SpikeSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = SpikeSettings()
RNG = np.random.default_rng(0)


def noisy(n: int = 600, sigma: float = 0.05, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.5 + 2 * np.exp(-np.arange(n) / 100)) * np.exp(rng.normal(0, sigma, n))


def test_a_spike_is_found_at_its_step_and_its_recovery_is_told() -> None:
    loss = noisy()
    loss[400] *= 20
    (found,) = detect(make_run(loss=loss), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.WARNING
    assert found.evidence["step"] == 401
    assert found.evidence["ratio_to_level"] == pytest.approx(20, rel=0.3)
    assert found.evidence["steps_to_recover"] == 1
    assert str(found.where[0]) == "train.log:401"


def test_a_jump_that_stays_is_critical() -> None:
    loss = noisy()
    loss[500:] += 10
    (found,) = detect(make_run(loss=loss), S)
    assert found.severity is Severity.CRITICAL
    assert found.evidence["steps_to_recover"] == "never"


@pytest.mark.parametrize("seed", range(10))
def test_heavy_tailed_noise_is_this_run_s_habit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    loss = 1.0 * np.exp(0.25 * rng.standard_t(3, 800).clip(-6, 6))
    found = detect(make_run(loss=loss), S)
    assert all(f.severity is Severity.INFO for f in found)


@pytest.mark.parametrize("seed", range(10))
def test_relative_noise_of_a_loss_near_zero_passes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    loss = 2 * np.exp(-np.arange(800) / 40) + 1e-4 * rng.lognormal(0, 1.5, 800)
    assert detect(make_run(loss=loss), S) == ()


def test_an_intended_restart_of_the_rate_passes() -> None:
    loss, lr = noisy(), np.tile(np.linspace(1e-3, 1e-6, 300), 2)
    loss[300:305] *= 4
    assert detect(make_run(loss=loss, lr=lr), S) == ()


def test_losses_that_may_be_negative_are_not_judged() -> None:
    loss = np.random.default_rng(0).normal(0, 1, 300)
    assert isinstance(detect(make_run(loss=loss), S), NotApplicable)


def test_a_very_short_log_is_not_judged() -> None:
    assert isinstance(detect(make_run(loss=noisy(5)), S), NotApplicable)


def test_a_short_log_shows_only_what_stands_far_out_and_says_how_little_that_is() -> None:
    (found,) = detect(make_run(loss=[0.66, 0.80, 4.27, 0.77, 0.56, 0.82, 0.70]), S)
    assert found.severity is Severity.WARNING
    assert found.confidence < 0.6
    assert found.evidence["step"] == 3
    assert "the whole log" in found.summary


@pytest.mark.parametrize("n", [6, 8, 12, 20])
def test_short_healthy_logs_pass(n: int) -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        for curve in (np.geomspace(8, 0.05, n), np.linspace(1.2, 1.0, n), np.full(n, 0.3)):
            assert detect(make_run(loss=curve * rng.lognormal(0, 0.35, n)), S) == ()


def test_nan_is_left_out() -> None:
    loss = noisy()
    loss[[3, 300]] = np.nan
    assert detect(make_run(loss=loss), S) == ()


def test_the_first_points_of_a_steep_fall_pass() -> None:
    loss = 10 * np.exp(-np.arange(200) / 5) + 1
    assert detect(make_run(loss=loss), S) == ()


def test_the_far_end_of_a_heavy_tail_belongs_to_it() -> None:
    alarms = 0
    for seed in range(60):
        noise = 0.15 * np.random.default_rng(seed).standard_t(3, 1500)
        alarms += bool(detect(make_run(loss=2 * np.exp(noise)), S))
    assert alarms <= 12  # exceeded once in ten such runs; without the tail's rule it is 37


def test_a_jump_at_the_very_end_is_not_said_to_stay() -> None:
    loss = noisy()
    loss[-1] *= 20
    (found,) = detect(make_run(loss=loss), S)
    assert found.severity is Severity.WARNING
    assert "end of the log" in found.summary


def test_a_new_stage_from_which_the_loss_falls_again_is_not_critical() -> None:
    rng = np.random.default_rng(0)
    first, second = 0.5 + 2 * np.exp(-np.arange(300) / 60), 0.9 + 2 * np.exp(-np.arange(300) / 80)
    loss = np.r_[first, second] * np.exp(rng.normal(0, 0.03, 600))
    assert [f.severity for f in detect(make_run(loss=loss), S)] == [Severity.WARNING]


def test_several_spikes_are_counted_and_do_not_hide_each_other() -> None:
    loss = noisy()
    loss[[150, 250, 350, 450, 550]] *= 10
    (found,) = detect(make_run(loss=loss), S)
    assert found.evidence["count"] == 5


def test_a_jump_of_loss_and_gradient_together_needs_less() -> None:
    rng = np.random.default_rng(5)
    loss = 0.3 * rng.lognormal(0, 0.45, 120)
    norm = rng.lognormal(0, 0.2, 120)
    loss[72], norm[72] = 2.0, 60.0
    (found,) = detect(make_run(loss=loss, grad_norm=norm), S)
    assert found.evidence["step"] == 73
    assert detect(make_run(loss=loss, grad_norm=rng.lognormal(0, 0.2, 120)), S) == ()


def test_near_zero_a_cross_entropy_above_all_before_it_is_a_jump() -> None:
    rng = np.random.default_rng(0)
    loss = np.geomspace(2.3, 0.01, 100) * rng.lognormal(0, 1.2, 100)
    loss[0], loss[60] = 2.4, 5.8
    loss = np.minimum(loss, np.r_[np.full(60, 2.4), 5.8, np.full(39, 2.4)])
    ten = {"num_classes": 10}
    (found,) = detect(make_run(loss=loss, config=ten), S)
    assert found.evidence["step"] == 61
    assert detect(make_run(loss=np.minimum(loss, 2.4), config=ten), S) == ()
    assert detect(make_run(loss=loss, config={"loss": "mse"}), S) == ()  # one sample may do that


def test_a_jump_in_the_first_third_is_seen_once_it_has_come_back() -> None:
    loss = np.full(120, 2.0) + RNG.normal(0, 0.05, 120)
    loss[15] = 14.0
    (found,) = detect(make_run(loss=loss), S)
    assert found.evidence["step"] == 16
    loss[15:] = 14.0
    assert detect(make_run(loss=loss), S) == ()


def test_the_rise_to_a_nan_is_no_spike() -> None:
    loss = np.full(120, 2.0) + RNG.normal(0, 0.05, 120)
    loss[80:82] = 30, 1e4
    loss[82:] = np.nan
    assert detect(make_run(loss=loss), S) == ()


def test_scatter_near_zero_hides_no_spike() -> None:
    loss = np.r_[np.linspace(3, 0.05, 40), RNG.lognormal(-6, 2, 110).clip(0, 0.05)]
    loss[120] = 2.5
    (found,) = detect(make_run(loss=loss), S)
    assert found.evidence["step"] == 121


def test_of_a_reward_loss_only_what_ran_away_is_told() -> None:
    loss = RNG.normal(0, 0.05, 100)
    assert isinstance(detect(make_run(loss=loss, reward=loss), S), NotApplicable)
    loss[40:44] = 1e6
    (found,) = detect(make_run(loss=loss, reward=loss), S)
    assert found.evidence["count"] == 1


def test_a_jump_at_a_restart_is_told_as_such_elsewhere() -> None:
    loss = np.full(120, 2.0) + RNG.normal(0, 0.05, 120)
    loss[60:63] = 9.0
    assert detect(make_run(loss=loss), S)
    segments = {"loss": [0] * 60 + [1] * 60}
    assert detect(make_run(loss=loss, segments=segments), S) == ()


def test_the_first_fall_is_no_habit_beside_which_a_jump_is_nothing() -> None:
    fall = 1.2 + 1.8 * np.exp(-np.arange(85) / 9)
    loss = fall * np.random.default_rng(0).lognormal(0, 0.07, 85)
    loss[47:49] = 4.5, 4.0
    (found,) = detect(make_run(loss=loss, config={"vocab_size": 20}), S)
    assert found.evidence["step"] == 48


@pytest.mark.parametrize(("batch", "severity"), [(2, Severity.INFO), (64, Severity.WARNING)])
def test_one_wrong_answer_in_a_batch_of_two_is_no_more_than_a_note(batch, severity) -> None:
    curve = np.geomspace(1.6, 1e-3, 300) * noisy(300)
    curve[200:] = 1e-3 * noisy(100)
    curve[250], curve[270] = 3.0, 2.0
    (found,) = detect(make_run(loss=curve, config={"train_batch_size": batch}), S)
    assert found.severity is severity


def test_what_one_sample_adds_is_its_loss_over_the_batch() -> None:
    for peak, severity in ((0.3, Severity.INFO), (3.0, Severity.WARNING)):
        curve = 0.002 + 2.3 * np.exp(-np.arange(400) / 15)
        curve *= np.random.default_rng(2).lognormal(0, 0.1, 400)
        curve[300] = peak
        (found,) = detect(make_run(loss=curve, config={"train_batch_size": 32}), S)
        assert found.severity is severity


def test_one_target_far_out_is_a_note_for_a_squared_error() -> None:
    curve = 0.02 + np.exp(-np.arange(300) / 15)
    curve *= np.random.default_rng(4).lognormal(0, 0.45, 300)
    curve[200] = 0.17
    severities = [
        detect(make_run(loss=curve, config=config), S)[0].severity
        for config in ({"loss": "mse"}, {"num_classes": 10})
    ]
    assert severities == [Severity.INFO, Severity.WARNING]


def test_wrong_samples_of_a_model_that_had_learned_all_pass() -> None:
    loss = RNG.lognormal(-8, 1, 400)
    loss[[200, 300]] = 0.1
    assert detect(make_run(loss=loss, config={"num_classes": 13}), S) == ()
    loss[300] = 2.0
    assert len(detect(make_run(loss=loss, config={"num_classes": 13}), S)) == 1
