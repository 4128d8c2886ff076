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
        ("kl_loss", LossKind.OTHER),
        ("ep_return", LossKind.REINFORCEMENT),
        ("td_error", LossKind.REINFORCEMENT),
        ("errD", LossKind.ADVERSARIAL),
        ("G_GAN", LossKind.ADVERSARIAL),
        ("loss_disc", LossKind.ADVERSARIAL),
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
    ],
)
def test_the_settings_tell_losses_without_a_uniform_guess(config: dict[str, object]) -> None:
    assert loss_kind(make_run(loss=LOSS, config=config)) is LossKind.REGRESSION


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"num_generations": 8}, LossKind.REINFORCEMENT),
        ({"loss": "InfoNCE"}, LossKind.OTHER),
        ({"task": "contrastive"}, LossKind.OTHER),
        ({"model": "simclr-resnet18"}, LossKind.OTHER),
        ({"temperature": 0.1}, LossKind.OTHER),
        ({"algo": "ppo"}, LossKind.REINFORCEMENT),
        ({"env": "CartPole-v1"}, LossKind.REINFORCEMENT),
        ({"model": "dcgan"}, LossKind.ADVERSARIAL),
        ({"model": "resnet18"}, LossKind.CROSS_ENTROPY),
        ({"model": "distilbert-base"}, LossKind.CROSS_ENTROPY),
        ({"model": "organic-net"}, LossKind.CROSS_ENTROPY),
        ({"env": "production"}, LossKind.CROSS_ENTROPY),
    ],
)
def test_the_settings_tell_the_method(config: dict[str, object], expected: LossKind) -> None:
    assert loss_kind(make_run(loss=LOSS, config={"num_classes": 10, **config})) is expected


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"train/seg": 1.0, "train/depth": 4.0}, LossKind.OTHER),  # they add up
        ({"train/aux_loss": 0.1, "train/kd_loss": 0.1}, LossKind.OTHER),  # losses by name
        ({"train/loss_avg": 0.5, "train/loss_ema": 0.5}, LossKind.CROSS_ENTROPY),  # itself
        ({"train/precision": 0.0, "train/recall": 0.0}, LossKind.CROSS_ENTROPY),
    ],
)
def test_a_total_of_terms_is_no_cross_entropy(terms: dict[str, float], expected: LossKind) -> None:
    random = np.random.default_rng(0)
    curves = {name: LOSS + random.random(30) for name in terms}
    total = LOSS + sum(weight * curves[name] for name, weight in terms.items()) - LOSS * 0.999999
    if not any(terms.values()) or expected is LossKind.CROSS_ENTROPY:
        total = LOSS + random.random(30)
    run = make_run(loss=total, config={"num_classes": 10}, **curves)
    assert loss_kind(run) is expected


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


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, LossKind.UNKNOWN),
        ({"train/accuracy": LOSS / 2}, LossKind.CROSS_ENTROPY),
    ],
)
def test_a_loss_that_begins_between_log_c_and_log_2b_may_compare_rows(
    more: dict[str, np.ndarray], expected: LossKind
) -> None:
    config = {"num_classes": 30, "train_batch_size": 256}
    assert loss_kind(make_run(loss=LOSS + 3, config=config, **more)) is expected
    assert loss_kind(make_run(loss=LOSS + 9, config=config)) is LossKind.CROSS_ENTROPY


def test_a_loss_that_begins_at_0_with_a_full_gradient_is_no_error() -> None:
    rng = np.random.default_rng(0)
    loss = np.linspace(0, 0.4, 100) * rng.lognormal(0, 0.3, 100)
    policy = make_run(loss=loss, grad_norm=rng.lognormal(0.7, 0.2, 100))
    assert loss_kind(policy) is LossKind.UNBOUNDED
    ruined = make_run(loss=loss, grad_norm=np.sqrt(loss))
    assert loss_kind(ruined) is not LossKind.UNBOUNDED


@pytest.mark.parametrize("model", ["q-values", "QNetwork", "q_learning"])
def test_the_name_of_a_model_tells_that_it_learns_values(model: str) -> None:
    assert loss_kind(make_run(loss=LOSS, config={"model": model})) is LossKind.REINFORCEMENT
    other = make_run(loss=LOSS, config={"model": "eq-values-qa"})
    assert loss_kind(other) is not LossKind.REINFORCEMENT


def test_a_loss_that_begins_at_0_but_for_rounding_is_measured_against_itself() -> None:
    policy = np.r_[1.2e-9, np.linspace(0.05, 0.07, 19)]
    assert loss_kind(make_run(loss=policy)) is LossKind.UNBOUNDED
    assert loss_kind(make_run(loss=np.r_[1e-3, policy[1:]])) is LossKind.UNKNOWN
