import numpy as np
import pytest

from loganalyze.detect.loss_at_chance import DETECTOR, ChanceSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = ChanceSettings()
RNG = np.random.default_rng(0)
TEN = {"num_classes": 10}


LOG_10 = float(np.log(10))


def flat(n=400, level=LOG_10, noise=0.02):
    return level + np.random.default_rng(1).normal(0, noise, n)


def test_a_loss_that_stays_at_log_c_is_critical() -> None:
    (found,) = detect(make_run(loss=flat(), config=TEN), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.CRITICAL
    assert found.evidence["classes"] == 10
    assert found.evidence["ratio_to_log_c"] == pytest.approx(1, abs=0.01)
    assert "ln(10) = 2.30" in found.levels


def test_a_short_log_is_a_warning_with_less_confidence() -> None:
    (found,) = detect(make_run(loss=flat(8), steps=np.arange(1, 9) * 100, config=TEN), S)
    assert found.severity is Severity.WARNING
    assert found.confidence < 0.8


def test_classes_are_inferred_from_an_accuracy_at_the_same_guess() -> None:
    run = make_run(loss=flat(300, np.log(2), 0.001), eval_auc=np.full(20, 0.5))
    (found,) = detect(run, S)
    assert found.evidence["classes"] == 2
    assert "eval/auc at 0.5" in found.summary


def test_preference_losses_need_margins_of_exactly_zero() -> None:
    same = make_run(**{"loss": np.full(5, 0.6931), "rewards/margins": np.zeros(5)})
    assert detect(same, S)[0].evidence["classes"] == 2
    apart = make_run(**{"loss": np.full(200, 0.6931), "rewards/margins": np.full(200, 0.01)})
    assert isinstance(detect(apart, S), NotApplicable)


def test_a_slow_start_and_an_accuracy_above_chance_pass() -> None:
    falling = flat(400, 2.3) - np.linspace(0, 0.3, 400)
    assert detect(make_run(loss=falling, config=TEN), S) == ()
    assert detect(make_run(loss=flat(), eval_accuracy=np.full(10, 0.4), config=TEN), S) == ()


def test_the_first_steps_and_unknown_scales_are_not_judged() -> None:
    assert isinstance(detect(make_run(loss=flat(20), config=TEN), S), NotApplicable)
    assert isinstance(detect(make_run(loss=flat()), S), NotApplicable)
    assert isinstance(detect(make_run(loss=flat(), config=TEN | {"loss": "mse"}), S), NotApplicable)


def test_an_annealed_rate_is_no_plateau() -> None:
    rate = np.r_[np.full(100, 1e-3), np.full(300, 1e-9)]
    assert detect(make_run(loss=flat(), lr=rate, config=TEN), S) == ()


def test_three_rows_of_a_preference_without_any_margin_suffice() -> None:
    log_2 = [0.6931, 0.6932, 0.6931]
    assert detect(make_run(loss=log_2, **{"rewards/margins": np.zeros(3)}), S)
    assert isinstance(detect(make_run(loss=log_2, config={"num_classes": 2}), S), NotApplicable)


def test_evaluations_that_stand_at_chance_tell_where_the_train_loss_is_too_noisy() -> None:
    loss = np.log(4) * RNG.lognormal(0, 0.08, 80)
    loss[-20:] *= 0.97
    noisy = {
        "loss": loss,
        "steps": {"loss": 4 * np.arange(1, 81), "eval_loss": 40 * np.arange(1, 9)},
    }
    held = np.linspace(1.365, 1.358, 8)
    (found,) = detect(make_run(eval_loss=held, config={"num_classes": 4}, **noisy), S)
    assert found.id == DETECTOR.id
    falls = np.linspace(1.365, 1.1, 8)
    quiet = detect(make_run(eval_loss=falls, config={"num_classes": 4}, **noisy), S)
    assert isinstance(quiet, NotApplicable) or quiet == ()


def test_a_loss_that_leaves_the_level_of_a_guess_in_the_end_does_not_stay_there() -> None:
    falls = flat() - np.linspace(0, 0.17, 400)
    assert detect(make_run(loss=falls, config=TEN), S) == ()


def test_a_level_that_is_known_tells_where_noise_hides_the_slope() -> None:
    for seed in range(10):
        loss = np.log(10) * np.random.default_rng(seed).lognormal(0, 0.08, 60)
        steps = 5 * np.arange(1, 61)
        assert detect(make_run(loss=loss, steps=steps, config=TEN), S)
