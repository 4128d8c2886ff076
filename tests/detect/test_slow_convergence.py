import numpy as np
import pytest

from loganalyze.detect.slow_convergence import DETECTOR, SlowSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = SlowSettings()
RNG = np.random.default_rng(0)
TEN = {"num_classes": 10}


def test_a_run_that_ends_little_better_than_a_guess() -> None:
    loss = np.linspace(2.3, 1.9, 1000)
    (found,) = detect(make_run(loss=loss, config=TEN, planned_steps=1000), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.WARNING
    assert found.evidence["ratio_to_log_c"] == pytest.approx(1.92 / np.log(10), abs=0.02)


@pytest.mark.parametrize(
    "loss",
    [np.geomspace(2.3, 0.2, 1000), np.linspace(1.0, 0.9, 1000), np.full(1000, np.log(10))],
)
def test_a_fall_a_pretrained_start_and_chance_itself_pass(loss) -> None:
    assert detect(make_run(loss=loss, config=TEN), S) == ()


@pytest.mark.parametrize(
    "more",
    [
        {"config": {}, "planned_steps": 10_000},
        {"config": {"pretrained": True}},
        {"config": {}, "framework": "hf-trainer"},
        {"config": {"vocab_size": 50_000}},
        {"config": TEN, "planned_steps": 10_000},
        {"config": TEN | {"loss": "mse"}, "planned_steps": 10_000},
    ],
)
def test_unknown_scales_tokens_and_unfinished_plans_are_not_judged(more) -> None:
    assert isinstance(detect(make_run(loss=np.linspace(2.3, 1.9, 1000), **more), S), NotApplicable)


def test_a_loss_that_ends_at_a_guess_after_an_overshoot_gained_nothing() -> None:
    rng = np.random.default_rng(2)
    loss = np.log(6) * np.r_[np.linspace(1, 1.3, 40), np.linspace(1.3, 1.01, 260)]
    loss = loss * rng.lognormal(0, 0.02, 300)
    (found,) = detect(make_run(loss=loss, config={"num_classes": 6}), S)
    assert found.evidence["gained"] < 0.05


def test_a_regression_that_gained_little_is_noted_and_one_that_fell_at_once_passes() -> None:
    noise = np.random.default_rng(3).lognormal(0, 0.05, 60)
    mse = {"config": {"loss": "l1"}, "steps": range(10, 610, 10)}
    (found,) = detect(make_run(loss=np.linspace(7.3, 7.1, 60) * noise, **mse), S)
    assert found.severity is Severity.INFO
    fell = np.r_[40.0, np.full(59, 7.1)] * noise
    assert detect(make_run(loss=fell, **mse), S) == ()


def test_a_sum_is_measured_by_its_own_start() -> None:
    loss = np.geomspace(1400, 260, 1000)
    assert detect(make_run(loss=loss, config=TEN, planned_steps=1000), S) == ()


def test_tokens_may_have_little_to_learn() -> None:
    (found,) = detect(make_run(loss=np.linspace(4.1, 3.5, 1000), config={"vocab_size": 64}), S)
    assert found.severity is Severity.INFO


def test_a_short_run_is_noted_where_it_was_planned_so() -> None:
    loss = np.linspace(2.3, 2.1, 80)
    (found,) = detect(make_run(loss=loss, config=TEN, planned_steps=80), S)
    assert found.severity is Severity.INFO
    for planned in (None, 100, 10_000):
        assert isinstance(
            detect(make_run(loss=loss, config=TEN, planned_steps=planned), S), NotApplicable
        )
    assert isinstance(
        detect(make_run(loss=loss[:30], config=TEN, planned_steps=30), S), NotApplicable
    )


@pytest.mark.parametrize("scale", [0.01, 1.0, 300.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_loss_of_no_known_scale_that_is_still_at_its_start(scale: float, seed: int) -> None:
    noise = np.random.default_rng(seed).lognormal(0, 0.03, 150)
    (found,) = detect(make_run(loss=scale * np.linspace(1, 0.88, 150) * noise), S)
    assert found.severity is Severity.INFO
    fell = scale * (0.3 + 0.7 * np.exp(-np.arange(150) / 30)) * noise
    assert detect(make_run(loss=fell), S) == ()


@pytest.mark.parametrize("seed", range(4))
def test_a_fine_tuning_that_gained_its_little_at_first_passes(seed: int) -> None:
    noise = np.random.default_rng(seed).lognormal(0, 0.03, 300)
    loss = (1 + 0.15 * np.exp(-np.arange(300) / 40)) * noise
    assert detect(make_run(loss=loss), S) == ()
    creeping = np.linspace(0.3, 0.26, 300) * noise
    right = {"train/accuracy": np.full(300, 0.9)}
    assert isinstance(detect(make_run(loss=creeping, **right), S), NotApplicable)


def test_the_evaluation_tells_where_batches_drown_the_fall() -> None:
    loss = np.linspace(33, 30.5, 190) * np.random.default_rng(5).lognormal(0, 0.3, 190)
    at = {"eval_loss": range(38, 191, 38)}
    (found,) = detect(make_run(loss=loss, eval_loss=np.linspace(36.4, 33.5, 5), steps=at), S)
    assert found.evidence["improvement"] < S.unscaled
