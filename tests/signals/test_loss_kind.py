import math

import numpy as np
import pytest

from loganalyze.signals.loss_kind import LossKind, chance, loss_kind
from tests.builders import make_run

LOSS = np.linspace(2, 1, 30)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("reward", LossKind.REINFORCEMENT),
        ("train/policy_loss", LossKind.REINFORCEMENT),
        ("rewards/margins", LossKind.PREFERENCE),
        ("d_loss", LossKind.ADVERSARIAL),
        ("loss_G", LossKind.ADVERSARIAL),
        ("kl_loss", LossKind.UNKNOWN),
    ],
)
def test_the_names_of_other_metrics_tell_the_kind(metric: str, expected: LossKind) -> None:
    run = make_run(loss=LOSS, config={"num_classes": 10}, **{metric: LOSS})
    assert loss_kind(run) is expected


@pytest.mark.parametrize(
    "config",
    [
        {"problem_type": "regression"},
        {"num_labels": 1},
        {"loss": "MSELoss"},
        {"loss": "InfoNCE"},
        {"task": "contrastive"},
    ],
)
def test_the_settings_tell_losses_without_a_uniform_guess(config: dict[str, object]) -> None:
    assert loss_kind(make_run(loss=LOSS, config=config)) is LossKind.REGRESSION


def test_a_negative_value_shows_a_loss_without_a_floor() -> None:
    assert loss_kind(make_run(loss=LOSS - 1.5)) is LossKind.UNBOUNDED


def test_a_cross_entropy_is_claimed_only_with_a_number_of_classes() -> None:
    assert loss_kind(make_run(loss=LOSS)) is LossKind.UNKNOWN
    assert loss_kind(make_run(loss=LOSS, config={"num_classes": 10})) is LossKind.CROSS_ENTROPY


def test_the_loss_of_a_guess_is_the_logarithm_of_the_classes() -> None:
    guess = chance(make_run(loss=LOSS, config={"num_classes": 280}))
    assert guess is not None
    assert guess.log_c == pytest.approx(math.log(280))
    assert guess.label == "ln(280) = 5.63"


@pytest.mark.parametrize("count", [0, 1, -3, 2.5, 1e9, "many"])
def test_a_number_that_cannot_count_classes_is_not_used(count: object) -> None:
    assert chance(make_run(loss=LOSS, config={"num_classes": count})) is None


@pytest.mark.parametrize("name", ["l1", "smooth_l1", "mean_squared_error"])
def test_an_absolute_or_squared_error_is_a_regression(name: str) -> None:
    assert loss_kind(make_run(loss=[3, 2], config={"loss": name})) is LossKind.REGRESSION
