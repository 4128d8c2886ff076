import numpy as np
import pytest

from loganalyze.detect.initial_loss_high import DETECTOR, InitialSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = InitialSettings()


def curve(first: float, n: int = 50) -> np.ndarray:
    return 1.0 + (first - 1.0) * np.exp(-np.arange(n) / 15)


def test_a_loss_of_12_times_log_c_is_critical_and_states_the_ratio() -> None:
    (found,) = detect(make_run(loss=curve(69.5), config={"num_classes": 280}), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.CRITICAL
    assert found.evidence["ratio_to_log_c"] == pytest.approx(12.3, abs=0.9)
    assert found.where[0].row == 1
    assert found.levels == {"ln(280) = 5.63": pytest.approx(5.6348, abs=1e-3)}


def test_twice_log_c_is_a_warning() -> None:
    (found,) = detect(make_run(loss=[4.6, 4.6, 4.6, 4.4, 4.2], config={"num_classes": 10}), S)
    assert found.severity is Severity.WARNING


@pytest.mark.parametrize("first", [1.0, 2.3, 2.9])
def test_a_loss_at_or_near_log_c_passes(first: float) -> None:
    assert detect(make_run(loss=curve(first), config={"num_classes": 10}), S) == ()


def test_without_the_number_of_classes_it_says_how_to_tell_it() -> None:
    found = detect(make_run(loss=curve(69.5)), S)
    assert isinstance(found, NotApplicable)
    assert "--classes" in found.reason


@pytest.mark.parametrize(
    "config",
    [
        {"num_classes": 1},
        {"num_classes": 10, "problem_type": "regression"},
        {"num_classes": 10, "loss": "triplet"},
    ],
)
def test_losses_for_which_log_c_means_nothing_are_not_judged(config: dict) -> None:
    found = detect(make_run(loss=curve(69.5), config=config), S)
    assert isinstance(found, NotApplicable)


@pytest.mark.parametrize("extra", ["reward", "rewards/margins", "d_loss"])
def test_reinforcement_preference_and_adversarial_runs_are_not_judged(extra: str) -> None:
    run = make_run(loss=curve(69.5), config={"num_classes": 10}, **{extra: np.ones(50)})
    assert isinstance(detect(run, S), NotApplicable)


def test_a_log_that_begins_late_is_not_judged() -> None:
    run = make_run(
        loss=curve(69.5), steps=np.arange(5000, 5050), config={"num_classes": 10, "max_steps": 6000}
    )
    found = detect(run, S)
    assert isinstance(found, NotApplicable)
    assert "5,000" in found.reason


def test_a_language_model_is_measured_by_its_vocabulary_and_not_by_num_labels() -> None:
    config = {"architectures": "GPT2LMHeadModel", "num_labels": 2, "vocab_size": 50257}
    assert detect(make_run(loss=curve(10.9), config=config), S) == ()
    (found,) = detect(make_run(loss=curve(43.3), config=config), S)
    assert found.evidence["classes"] == 50257


def test_a_single_loss_without_a_step_of_its_own_is_not_judged() -> None:
    config = {"num_classes": 2}
    assert isinstance(detect(make_run(loss=[3.3], steps=[0], config=config), S), NotApplicable)
    assert detect(make_run(loss=[3.3], steps=[1], config=config), S) != ()


def test_values_that_are_not_numbers_are_left_out() -> None:
    loss = np.r_[np.nan, np.inf, curve(69.5)]
    (found,) = detect(make_run(loss=loss, config={"num_classes": 280}), S)
    assert found.evidence["initial_loss"] == pytest.approx(69.5, rel=0.1)


def test_an_untouched_model_at_log_c_is_not_blamed_for_what_the_first_steps_do() -> None:
    loss = [2.31, 4.84, 10.5, 2.8, 2.7, 2.6]
    assert detect(make_run(loss=loss, config={"num_classes": 10}), S) == ()


def test_a_language_models_loss_in_bits_is_a_note() -> None:
    loss = curve(np.log2(64) * 1.01)
    (found,) = detect(make_run(loss=loss, config={"vocab_size": 64}), S)
    assert found.severity is Severity.INFO
    assert "6.00" in found.summary
    (classes,) = detect(make_run(loss=loss, config={"num_classes": 64}), S)
    assert classes.severity is Severity.WARNING
