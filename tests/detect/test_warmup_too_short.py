import numpy as np

from loganalyze.detect.warmup_too_short import DETECTOR, ShortWarmupSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = ShortWarmupSettings()
RNG = np.random.default_rng(0)
BROKEN = np.r_[2.3, 2.0, np.geomspace(4, 40, 30), np.full(568, 40.0)]


def test_a_divergence_in_the_first_steps_at_the_full_rate() -> None:
    (found,) = detect(make_run(loss=BROKEN, lr=np.full(600, 0.1), planned_steps=600), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.WARNING
    assert found.evidence["warmup_steps"] == 0
    assert "warmup_steps 0 ->" in found.fix[0]


def test_an_ordinary_warmup_and_a_calm_start_pass() -> None:
    rate = np.minimum(np.arange(1, 601) / 60, 1) * 0.1
    assert detect(make_run(loss=BROKEN, lr=rate, planned_steps=600), S) == ()
    assert detect(make_run(loss=np.geomspace(3, 1, 600), lr=np.full(600, 0.1)), S) == ()


def test_trouble_that_comes_later_passes() -> None:
    loss = np.r_[np.geomspace(3, 1, 400), np.geomspace(1, 30, 200)]
    assert detect(make_run(loss=loss, lr=np.full(600, 0.1), planned_steps=600), S) == ()


def test_short_logs_and_absurd_rates_are_not_judged() -> None:
    assert isinstance(detect(make_run(loss=BROKEN[:9], lr=np.full(9, 0.1)), S), NotApplicable)
    assert isinstance(detect(make_run(loss=BROKEN, lr=np.full(600, 50.0)), S), NotApplicable)


def test_a_leap_of_the_loss_in_the_first_steps_counts_and_noise_does_not() -> None:
    loss = np.r_[2.3, 1.9, 65.0, np.full(597, 2.4)]
    (found,) = detect(make_run(loss=loss, lr=np.full(600, 2.0), planned_steps=600), S)
    assert found.evidence["sign"] == "leap"
    assert found.evidence["step"] == 3
    loss[2] = 5.0
    assert detect(make_run(loss=loss, lr=np.full(600, 2.0), planned_steps=600), S) == ()


def test_an_error_of_regression_is_infinite_only_by_growing() -> None:
    loss = np.r_[1.8, np.inf, np.full(60, np.nan)]
    rate = np.full(62, 2.0)
    (found,) = detect(make_run(loss=loss, lr=rate, config={"loss": "mse"}, planned_steps=600), S)
    assert found.evidence["sign"] == "loss-nonfinite"
    assert detect(make_run(loss=loss, lr=rate, planned_steps=600), S) == ()


def test_reinforcement_is_not_judged() -> None:
    run = make_run(loss=BROKEN, reward=BROKEN, lr=np.full(600, 0.1))
    assert isinstance(detect(run, S), NotApplicable)


def test_worse_than_a_guess_at_once_counts_and_a_slow_rise_does_not() -> None:
    rate, ten = np.full(600, 0.5), {"num_classes": 10}
    fall = np.geomspace(2.2, 0.5, 600)
    leap = np.r_[2.31, 2.9, 2.7, fall[3:]]
    (found,) = detect(make_run(loss=leap, lr=rate, config=ten, planned_steps=600), S)
    assert found.evidence["sign"] == "leap"
    slow = np.r_[np.linspace(2.31, 2.9, 30), fall[30:]]
    assert detect(make_run(loss=slow, lr=rate, config=ten, planned_steps=600), S) == ()
    assert detect(make_run(loss=leap, lr=rate, planned_steps=600), S) == ()  # C is not known


def test_settings_without_a_warmup_stand_for_a_rate_that_was_not_logged() -> None:
    none = {"learning_rate": 0.1, "warmup_ratio": 0.0}
    (found,) = detect(make_run(loss=BROKEN, config=none, planned_steps=600), S)
    assert found.evidence["warmup_steps"] == 0
    some = {"learning_rate": 0.1, "warmup_ratio": 0.1}
    assert isinstance(detect(make_run(loss=BROKEN, config=some), S), NotApplicable)


def test_single_batches_as_high_again_and_again_are_noise() -> None:
    for seed in range(20):
        noise = np.random.default_rng(seed).lognormal(0, 0.5, 3000)
        loss = 2.5 * np.exp(-np.arange(3000) / 2000) * noise
        loss[0] = 1.3
        assert detect(make_run(loss=loss, lr=np.full(3000, 1e-3), planned_steps=3000), S) == ()


def test_a_leap_that_the_next_point_takes_back_is_one_batch() -> None:
    loss = np.r_[2.3, 1.9, 12.0, np.full(597, 2.2)]
    assert detect(make_run(loss=loss, lr=np.full(600, 0.1), planned_steps=600), S) == ()
    loss[3] = 7.0
    (found,) = detect(make_run(loss=loss, lr=np.full(600, 0.1), planned_steps=600), S)
    assert found.evidence["sign"] == "leap"


def test_a_loss_that_falls_from_its_first_point_has_not_risen() -> None:
    loss = 2 + 4.7 * np.exp(-np.arange(90) / 5)
    assert detect(make_run(loss=loss, lr=np.full(90, 0.1), planned_steps=90), S) == ()


def test_a_leap_at_the_end_of_what_is_finite_is_taken_back_by_nothing() -> None:
    loss = np.r_[0.36, 8472.0, np.full(58, np.nan)]
    (found,) = detect(make_run(loss=loss, lr=np.full(60, 0.5), planned_steps=60), S)
    assert found.evidence["step"] == 3


def test_a_rise_from_the_second_point_on_is_no_part_of_its_own_level() -> None:
    rng = np.random.default_rng(0)
    loss = 0.4 + 1.6 * np.exp(-np.arange(60) / 12)
    loss[1:6] = [5.5, 5.0, 4.0, 3.2, 2.8]
    loss = loss * np.exp(rng.normal(0, 0.05, 60))
    (found,) = detect(make_run(loss=loss, lr=np.full(60, 1e-3)), S)
    assert found.evidence["step"] in range(2, 6)


def test_settings_that_know_of_no_warmup_tell_without_a_rate() -> None:
    loss = np.r_[3.7, 2.6, 6.7, 70.3, 45323.0, np.full(30, np.nan)]
    run = make_run(loss=loss, steps=4 * np.arange(35) + 1, config={"warmup_ratio": 0})
    (found,) = detect(run, S)
    assert "rate of" not in found.summary
    assert "lr" not in found.evidence
