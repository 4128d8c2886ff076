import numpy as np
import pytest

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


def test_three_points_are_judged_by_a_leap_alone_and_with_little_confidence() -> None:
    (found,) = detect(make_run(loss=[1, 2, 30]), S)
    assert found.confidence < 0.5
    assert detect(make_run(loss=[1, 2, 3]), S) == ()
    assert isinstance(detect(make_run(loss=[30]), S), NotApplicable)
    assert isinstance(detect(make_run(loss=[1, 3, np.nan]), S), NotApplicable)


def test_a_loss_that_nothing_starts_at_has_diverged() -> None:
    (found,) = detect(make_run(loss=[3e25, 2e25]), S)
    assert "where no training starts" in found.summary


def test_a_low_first_point_is_not_the_best_of_the_run() -> None:
    for seed in range(20):
        loss = np.random.default_rng(seed).gamma(2, 0.5, 400)
        loss[0] = 0.05
        assert detect(make_run(loss=loss), S) == ()


def test_noise_that_lasts_over_several_points_passes() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        wander = np.convolve(rng.normal(0, 0.3, 84), np.ones(5) / 5**0.5, "valid")
        assert detect(make_run(loss=2 * np.exp(wander)), S) == ()


@pytest.mark.parametrize("bump", [1.5, 3.0])
def test_the_rise_after_an_intended_restart_of_the_rate_passes(bump: float) -> None:
    at = np.arange(660)
    phase = (at % 300) / 300
    loss = 0.5 + 2 * np.exp(-at / 60) + np.where(at >= 300, bump * np.exp(-phase * 6), 0)
    lr = 1e-3 * (1 + np.cos(np.pi * phase)) / 2
    assert detect(make_run(loss=loss, lr=lr), S) == ()


def test_a_rise_that_outlasts_half_a_cycle_after_a_restart_is_critical() -> None:
    loss = np.r_[FALL, np.linspace(1, 8, 250)] + RNG.normal(0, 0.05, 550)
    lr = np.r_[np.linspace(1, 0.01, 300), np.linspace(1, 0.01, 250)]
    (found,) = detect(make_run(loss=loss, lr=lr), S)
    assert found.severity is Severity.CRITICAL


@pytest.mark.parametrize("points", [20, 60, 200, 1000])
def test_a_fall_and_a_rise_of_equal_length_are_found_at_any_length(points: int) -> None:
    half = points // 2
    curve = np.r_[np.geomspace(3, 0.5, half), np.geomspace(0.5, 6, points - half)]
    loss = curve * np.exp(np.random.default_rng(1).normal(0, 0.05, points))
    (found,) = detect(make_run(loss=loss), S)
    assert found.severity is Severity.CRITICAL


def test_values_that_are_not_numbers_are_left_out() -> None:
    loss = np.r_[FALL, np.linspace(1, 8, 200), np.full(30, np.nan)]
    (found,) = detect(make_run(loss=loss), S)
    assert found.evidence["final_loss"] > 6


def test_a_good_start_that_the_first_update_ruins_is_critical() -> None:
    (found,) = detect(make_run(loss=[1.6, 11.8, 11.6, 10.4, 10.4, 10.4, 10.4, 10.4]), S)
    assert found.severity is Severity.CRITICAL
    assert found.evidence["best_step"] == 1


def test_a_distillation_loss_that_starts_at_nothing_passes() -> None:
    loss = np.r_[1e-4, 0.3 + 0.2 * np.exp(-np.arange(100) / 20)]
    assert detect(make_run(loss=loss), S) == ()


def test_four_losses_that_never_come_near_the_first_diverge_with_little_confidence() -> None:
    (found,) = detect(make_run(loss=[11.23, 87.3365, 87.3365, 87.3365]), S)
    assert found.severity is Severity.CRITICAL
    assert found.confidence == 0.6


def test_the_rise_before_a_nan_counts_however_short() -> None:
    loss = [0.7, 0.5, 0.4, 0.3, 60.0, np.nan, np.nan]
    (found,) = detect(make_run(loss=loss), S)
    assert found.evidence["final_loss"] == 60.0
    assert detect(make_run(loss=[*FALL, np.nan]), S) == ()


def test_a_loss_that_a_decaying_rate_takes_down_but_not_back_has_diverged() -> None:
    up = np.geomspace(2.5, 800, 10)
    down = np.geomspace(800, 4.7, 90)
    (found,) = detect(make_run(loss=np.r_[2.5, up, down]), S)
    assert found.severity is Severity.CRITICAL
    back = np.geomspace(800, 2.5, 90)
    (found,) = detect(make_run(loss=np.r_[2.5, up, back]), S)
    assert found.severity is Severity.WARNING
    assert "ran away" in found.title


def test_a_loss_far_above_its_start_for_long_ran_away_though_it_ends_below_it() -> None:
    loss = np.r_[2.7, np.geomspace(25, 1.2, 130)] * RNG.lognormal(0, 0.2, 131)
    (found,) = detect(make_run(loss=loss, config={"num_classes": 14}), S)
    assert "ran away" in found.title
    for seed in range(20):  # noise of a regression: one low first loss tells nothing
        noise = np.random.default_rng(seed).lognormal(0, 0.9, 131)
        assert detect(make_run(loss=noise, config={"loss": "mse"}), S) == ()
    first_fall = np.r_[41.0, 1.5, 0.8, 0.3, 0.16, 0.1, 0.11, 0.12, 0.12]
    assert detect(make_run(loss=first_fall), S) == ()


def test_zeros_after_an_absurd_loss_are_not_its_best() -> None:
    (found,) = detect(make_run(loss=[4.5, 4.4, 1e13, 0.0, 0.0]), S)
    assert found.evidence["best_loss"] == 4.4


def test_a_rise_is_measured_by_the_loss_of_a_guess_where_the_log_begins_late() -> None:
    loss = np.array([0.0035, 0.0034, 0.04, 0.05, 0.06, 0.08, 0.07])  # a harder stage begins
    steps = np.arange(100, 701, 100)
    assert detect(make_run(loss=loss, steps=steps, config={"num_classes": 5}), S) == ()
    assert detect(make_run(loss=20 * loss, steps=steps, config={"num_classes": 5}), S)


def test_a_cross_entropy_twice_as_bad_as_a_guess_for_long_ran_away() -> None:
    loss = np.full(400, 1.2) * np.random.default_rng(0).lognormal(0, 0.2, 400)
    loss[0], loss[340:370] = 2.2, 6.0
    (found,) = detect(make_run(loss=loss, config={"num_classes": 9}), S)
    assert found.severity is Severity.WARNING
    assert detect(make_run(loss=loss), S) == ()


def test_the_first_points_of_a_short_log_count_where_a_guess_is_known() -> None:
    loss = [1.7, 7.2, 8.0, 5.1, 3.3, 2.9, 2.6, 2.5, 2.0, 1.5, 1.4, 1.3, 1.1, 0.9, 0.8, 0.8, 0.7]
    (found,) = detect(make_run(loss=loss, config={"num_classes": 5}), S)
    assert found.severity is Severity.WARNING
    high = [8.0, 7.2, 6.0, 5.1, *loss[4:]]
    assert detect(make_run(loss=high, config={"num_classes": 5}), S) == ()


def test_a_policy_that_loses_its_reward_as_it_leaves_its_reference() -> None:
    at, rng = np.arange(260), np.random.default_rng(0)
    gained = 0.2 + 0.6 * (1 - np.exp(-at / 60)) + rng.normal(0, 0.02, 260)
    curves = {"loss": rng.normal(0.02, 0.02, 260), "kl": 0.01 * np.exp(at / 40)}
    lost = gained - np.maximum(0, at - 150) * 0.006
    (found,) = detect(make_run(reward=lost, **curves), S)
    assert found.metrics == ("kl",)
    assert isinstance(detect(make_run(reward=gained, **curves), S), NotApplicable)
    near = {**curves, "kl": np.full(260, 0.02)}
    assert isinstance(detect(make_run(reward=lost, **near), S), NotApplicable)


def test_errors_of_values_grow_while_nothing_more_is_earned() -> None:
    at, rng = np.arange(200), np.random.default_rng(0)
    error = np.exp(at / 50) * rng.lognormal(0, 0.3, 200)
    poor, rich = (rng.normal(20, 1, 200) - at / 20, rng.normal(20, 1, 200) + at / 2)
    (found,) = detect(make_run(loss=error, mean_return=poor), S)
    assert found.severity is Severity.WARNING
    (critic,) = detect(make_run(critic_loss=error, ep_rew_mean=poor), S)
    assert critic.metrics == ("critic_loss",)
    assert isinstance(detect(make_run(loss=error, mean_return=rich), S), NotApplicable)
    assert isinstance(detect(make_run(loss=error, td_error=error), S), NotApplicable)


def test_evaluations_far_above_the_first_tell_what_a_wild_train_loss_hides() -> None:
    rng = np.random.default_rng(1)
    loss = 4 * rng.lognormal(0, 0.6, 100)
    loss[:10] = 3
    evals, at = [2.4, 7.0, 6.6, 7.5, 10.0, 8.6, 5.5], {"eval_loss": range(10, 80, 10)}
    (found,) = detect(make_run(loss=loss, eval_loss=evals, steps=at), S)
    assert found.metrics == ("eval/loss",)
    falling = loss * np.linspace(1, 0.05, 100)
    assert detect(make_run(loss=falling, eval_loss=evals, steps=at), S) == ()


def test_a_short_log_that_comes_down_again_at_its_end() -> None:
    tasks = [2.123, 1.393, 0.881, 2.477, 1.709, 1.242, 2.481, 1.933, 1.328, 2.484, 2.348, 1.673]
    assert detect(make_run(loss=tasks), S) == ()
    assert detect(make_run(loss=[3.0, 1.0, 1.0, 1.1, 3.0, 3.2, 3.1, 3.3]), S) != ()


def test_codes_that_spread_are_a_note() -> None:
    loss = [0.5, 0.6, 0.9, *([1.1] * 12)]
    assert detect(make_run(loss=loss), S)[0].severity is Severity.CRITICAL
    (found,) = detect(make_run(loss=loss, config={"codebook_size": 64}), S)
    assert found.severity is Severity.INFO


def test_a_leap_to_another_level_that_stays_is_no_less_lasting_than_a_rise() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        loss = 0.4 + 1.6 * np.exp(-np.arange(60) / 12)
        loss[33:] = 1.5
        assert detect(make_run(loss=loss * np.exp(rng.normal(0, 0.05, 60))), S)


def test_a_leap_that_is_mostly_made_good_again_passes() -> None:
    loss = 0.4 + 1.6 * np.exp(-np.arange(60) / 12)
    loss[33:] += 1.2 * np.exp(-np.arange(27) / 7)
    assert detect(make_run(loss=loss), S) == ()


def test_the_fall_of_a_short_log_is_no_noise() -> None:
    assert detect(make_run(loss=[1.378, 0.931, 0.647, 0.498, 1.087, 1.09, 1.136, 1.121]), S)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_a_squared_error_diverges_in_any_unit(unit: float) -> None:
    loss = unit * np.r_[2.0, np.linspace(5, 20, 15), np.full(45, 20.0)]
    assert detect(make_run(loss=loss, config={"loss": "mse"}), S)


@pytest.mark.parametrize(
    "loss",
    [
        [15.5, 13.0, 3.8, 2.39, 1.43, 5.82, 7.05, 10.03],
        [1.03, 0.82, 0.47, 0.2, 0.06, 0.09, 0.28, 0.53, 0.75, 0.87],
    ],
)
def test_a_short_log_that_climbs_back_is_found(loss) -> None:
    (found,) = detect(make_run(loss=loss), S)
    assert found.severity in (Severity.WARNING, Severity.CRITICAL)


def test_a_short_log_with_one_lucky_batch_passes() -> None:
    assert detect(make_run(loss=[3.0, 2.0, 1.4, 0.2, 1.2, 1.1, 1.0]), S) == ()
