import numpy as np

from loganalyze.detect.loss_plateau import DETECTOR, PlateauSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = PlateauSettings()
RNG = np.random.default_rng(0)


def test_a_loss_that_stays_at_log_c_is_said_by_another_check() -> None:
    loss = np.log(10) + RNG.normal(0, 0.02, 300)
    assert detect(make_run(loss=loss, config={"num_classes": 10}), S) == ()


def test_a_flat_loss_is_a_note() -> None:
    (found,) = detect(make_run(loss=5 + RNG.normal(0, 0.01, 300)), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.INFO
    (found,) = detect(make_run(loss=np.full(300, 3.5), config={"num_classes": 10}), S)
    assert abs(float(found.evidence["ratio_to_log_c"]) - 3.5 / np.log(10)) < 0.01


def test_a_converged_run_passes() -> None:
    loss = 0.5 + 2 * np.exp(-np.arange(500) / 30) + RNG.normal(0, 0.02, 500)
    assert detect(make_run(loss=loss, config={"num_classes": 10}), S) == ()


def test_a_slow_but_steady_fall_passes() -> None:
    loss = np.linspace(2.3, 2.1, 500) + RNG.normal(0, 0.01, 500)
    assert detect(make_run(loss=loss, config={"num_classes": 10}), S) == ()


def test_a_rate_that_is_annealed_away_passes() -> None:
    loss = 2.3 + RNG.normal(0, 0.01, 300)
    lr = np.r_[np.full(30, 1e-3), np.full(270, 1e-6)]
    assert detect(make_run(loss=loss, lr=lr, config={"num_classes": 10}), S) == ()


def test_noise_that_hides_the_slope_is_said() -> None:
    found = detect(make_run(loss=np.abs(RNG.normal(5, 4, 40)) + 0.1), S)
    assert isinstance(found, NotApplicable)
    assert "noisy" in found.reason


def test_reinforcement_and_short_runs_are_not_judged() -> None:
    flat = np.full(100, 2.3)
    assert isinstance(detect(make_run(loss=flat, reward=flat), S), NotApplicable)
    assert isinstance(detect(make_run(loss=flat[:3]), S), NotApplicable)


def test_a_short_log_is_flat_if_all_its_losses_agree() -> None:
    steps = [100, 200, 300, 400, 500]
    flat = [11.17, 11.18, 11.16, 11.17, 11.17]
    (found,) = detect(make_run(loss=flat, steps=steps), S)
    assert found.confidence < 0.5
    assert detect(make_run(loss=[11.17, 11.0, 10.9, 10.7, 10.5], steps=steps), S) == ()


def test_the_start_of_a_run_is_no_plateau() -> None:
    flat = [6.91, 6.92, 6.91, 6.9, 6.91, 6.9]
    early, later = [0, 10, 20, 30, 40, 50], [100, 200, 300, 400, 500, 600]
    rising = np.linspace(1e-6, 1e-4, 6)
    assert isinstance(detect(make_run(loss=flat, steps=early), S), NotApplicable)
    assert isinstance(detect(make_run(loss=flat, steps=later, lr=rising), S), NotApplicable)
    plan = make_run(loss=flat, steps=later, planned_steps=300 * 1251)
    assert isinstance(detect(plan, S), NotApplicable)
    assert detect(make_run(loss=flat, steps=later), S)


def test_the_evaluation_shows_what_the_noise_of_the_batches_hides() -> None:
    evaluations = {"loss": range(1, 301), "eval_loss": range(25, 301, 25)}
    noisy = 1.7 * RNG.lognormal(0, 0.3, 300)
    still = make_run(loss=noisy, eval_loss=np.linspace(1.60, 1.58, 12), steps=evaluations)
    (found,) = detect(still, S)
    assert found.severity is Severity.INFO
    moving = make_run(
        loss=noisy * np.linspace(1, 0.5, 300),
        eval_loss=np.linspace(1.6, 0.8, 12),
        steps=evaluations,
    )
    assert not detect(moving, S) or isinstance(detect(moving, S), NotApplicable)


def test_a_loss_that_stands_at_nearly_all_of_log_c_is_flat_though_it_fell_at_first() -> None:
    loss = np.r_[np.linspace(2.3, 2.1, 60), np.full(400, 2.1)] + RNG.normal(0, 0.01, 460)
    assert detect(make_run(loss=loss, config={"num_classes": 10}), S)
    assert detect(make_run(loss=loss), S) == ()


def test_a_loss_at_its_floor_passes() -> None:
    assert detect(make_run(loss=np.full(100, 0.001)), S) == ()


def test_a_flat_preference_loss_at_log_2_is_no_more_than_a_note() -> None:
    loss = np.log(2) + RNG.normal(0, 0.005, 200)
    run = make_run(loss=loss, **{"rewards/margins": np.zeros(200)})
    assert all(f.severity is Severity.INFO for f in detect(run, S))


def test_a_plateau_at_log_c_that_was_left_passes() -> None:
    loss = np.r_[np.full(250, np.log(10)), np.linspace(np.log(10), 0.5, 250)]
    noise = RNG.normal(0, 0.01, 500)
    assert detect(make_run(loss=loss + noise, config={"num_classes": 10}), S) == ()


def test_a_policys_loss_without_noise_stands_still() -> None:
    config, noise = {"num_generations": 8}, RNG.normal(0, 1e-4, 50)
    loss = np.r_[0.0, np.full(49, 0.03)] + noise
    (found,) = detect(make_run(loss=loss, config=config), S)
    assert found.severity is Severity.WARNING
    assert isinstance(detect(make_run(loss=loss + 100 * noise, config=config), S), NotApplicable)
    assert isinstance(detect(make_run(loss=np.zeros(50), config=config), S), NotApplicable)


def test_losses_that_repeat_from_pass_to_pass_stand_however_they_scatter() -> None:
    again = np.tile(RNG.lognormal(1, 0.3, 9).round(5), 22)
    (found,) = detect(make_run(loss=again, config={"loss": "mse"}), S)
    assert found.id == DETECTOR.id


def test_a_loss_that_never_fell_stands_though_the_rate_has_come_to_nothing_since() -> None:
    rng = np.random.default_rng(0)
    loss = 3.9 * np.exp(rng.normal(0, 0.01, 54))
    rate = 1e-3 * 0.5 * (1 + np.cos(np.pi * np.arange(54) / 54)) ** 2
    assert detect(make_run(loss=loss, lr=rate, steps=3 * np.arange(54) + 1), S)


def test_a_squared_error_of_a_small_unit_may_stand_as_well() -> None:
    loss = 2e-4 * np.exp(np.random.default_rng(0).normal(0, 0.02, 200))
    assert detect(make_run(loss=loss, config={"loss": "mse"}), S)
