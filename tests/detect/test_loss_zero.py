import numpy as np

from loganalyze.detect.loss_zero import DETECTOR, ZeroSettings, detect
from loganalyze.finding import NotApplicable, Severity
from loganalyze.run import Event, EventKind, Where
from tests.builders import make_run

S = ZeroSettings()
LOSS = np.r_[np.linspace(2, 1, 20), np.zeros(20)]


def test_zero_with_a_nan_norm_is_a_hidden_nan() -> None:
    norm = np.r_[np.ones(20), np.full(20, np.nan)]
    (found,) = detect(make_run(loss=LOSS, grad_norm=norm), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.CRITICAL
    assert found.evidence["grad_norm"] == "NaN"
    assert "logging_nan_inf_filter" in found.fix[0]


def test_zero_from_the_start_with_a_zero_norm_learns_nothing() -> None:
    (found,) = detect(make_run(loss=np.zeros(20), grad_norm=np.zeros(20)), S)
    assert found.evidence["grad_norm"] == "0"
    assert found.evidence["from_start"] == "yes"


def test_a_loss_that_fell_to_zero_passes() -> None:
    loss = np.r_[np.geomspace(2, 1e-4, 40), np.zeros(10)]
    assert detect(make_run(loss=loss), S) == ()


def test_two_zeros_pass() -> None:
    assert detect(make_run(loss=[1, 0, 0, 1, 1]), S) == ()


def test_rewards_make_zero_ordinary() -> None:
    assert isinstance(detect(make_run(loss=np.zeros(20), reward=np.ones(20)), S), NotApplicable)


def test_a_log_that_announces_zeros_is_believed() -> None:
    hint = Event(
        EventKind.HINT, "Most labels in your dataset are -100. Losses will be 0.", Where("a.log", 3)
    )
    (found,) = detect(make_run(events=[hint]), S)
    assert found.severity is Severity.CRITICAL
    assert "nearly all labels are -100" in found.summary


def test_no_loss_and_no_word_about_it_is_not_judged() -> None:
    assert isinstance(detect(make_run(), S), NotApplicable)


def test_a_single_zero_beside_a_norm_that_is_nan_is_a_hidden_nan() -> None:
    (found,) = detect(make_run(loss=[1.04, 0.0], grad_norm=[np.nan, np.nan]), S)
    assert found.severity is Severity.CRITICAL
    assert found.evidence["grad_norm"] == "NaN"
    assert detect(make_run(loss=[1.04, 0.0, 1.0], grad_norm=[1.0, 0.5, 1.0]), S) == ()


def test_a_loss_of_zero_whose_rewards_have_no_spread_has_no_advantage() -> None:
    flat = {"reward": np.ones(9), "reward_std": np.zeros(9)}
    (found,) = detect(make_run(loss=np.zeros(9), **flat), S)
    assert found.evidence["reward_std"] == 0
    spread = {"reward": np.ones(9), "reward_std": np.ones(9)}
    assert isinstance(detect(make_run(loss=np.zeros(9), **spread), S), NotApplicable)


def test_zeros_of_a_loss_that_had_nearly_gone_and_comes_back_are_rounding() -> None:
    fallen = np.r_[np.geomspace(2, 0.1, 40), np.zeros(5), np.full(10, 0.05)]
    assert detect(make_run(loss=fallen), S) == ()
    assert detect(make_run(loss=np.r_[np.linspace(2, 1.5, 40), np.zeros(5), np.ones(10)]), S)


def test_a_policys_loss_of_0_is_a_note_where_nothing_else_tells() -> None:
    config = {"num_generations": 8}
    (found,) = detect(make_run(loss=np.zeros(30), config=config), S)
    assert found.severity is Severity.INFO
    told = make_run(loss=np.zeros(30), grad_norm=np.ones(30), config=config)
    assert isinstance(detect(told, S), NotApplicable)
