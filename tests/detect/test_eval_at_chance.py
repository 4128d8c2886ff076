import numpy as np
import pytest

from loganalyze.detect.eval_at_chance import DETECTOR, EvalChanceSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = EvalChanceSettings()
RNG = np.random.default_rng(0)
HUNDRED = {"num_classes": 100}
FALL = np.geomspace(4.6, 0.1, 300)
AT = np.arange(50, 301, 50)


def run(**curves):
    config, loss = curves.pop("config", HUNDRED), curves.pop("loss", FALL)
    steps = {name: AT[: len(values)] for name, values in curves.items()}
    return make_run(loss=loss, steps=steps, config=config, **curves)


def test_an_accuracy_of_one_hundredth_beside_a_training_that_learns() -> None:
    (found,) = detect(run(eval_accuracy=[0.010, 0.011, 0.009, 0.010, 0.012, 0.010]), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.CRITICAL
    assert found.evidence["classes"] == 100


def test_overfitting_is_worse_than_before_and_better_than_chance() -> None:
    assert detect(run(eval_accuracy=[0.3, 0.5, 0.55, 0.52, 0.5, 0.48]), S) == ()


def test_a_training_that_learned_nothing_is_another_finding() -> None:
    assert detect(run(loss=np.full(300, 4.6), eval_accuracy=[0.01] * 6), S) == ()


def test_two_classes_need_the_loss_as_well() -> None:
    loss = np.geomspace(0.69, 0.05, 300)
    two = {"num_classes": 2}
    assert detect(run(loss=loss, eval_accuracy=[0.55] * 6, config=two), S) == ()
    both = run(
        loss=loss, eval_accuracy=[0.5] * 6, eval_loss=[0.8, 1, 1.2, 1.4, 1.6, 1.8], config=two
    )
    assert detect(both, S)


@pytest.mark.parametrize(
    "curves", [{"eval_accuracy": [0.01]}, {"eval_accuracy": [0.01] * 6, "config": {}}]
)
def test_few_evaluations_and_unknown_classes_are_not_judged(curves) -> None:
    assert isinstance(detect(run(**curves), S), NotApplicable)


def test_a_loss_that_is_nan_is_another_finding() -> None:
    broken = np.r_[FALL[:250], np.full(50, np.nan)]
    assert isinstance(detect(run(loss=broken, eval_accuracy=[0.01] * 6), S), NotApplicable)


def test_a_loss_below_0_is_no_cross_entropy_that_was_learned() -> None:
    below = np.linspace(0, -50, 300)
    assert detect(run(loss=below, eval_accuracy=[0.01] * 6), S) == ()


def test_one_evaluation_a_little_better_than_a_guess_is_the_noise_of_its_samples() -> None:
    scores = [0.003, 0.018, 0.05, 0.06, 0.0525, 0.0525]
    (found,) = detect(run(eval_accuracy=scores, config={"num_classes": 26}), S)
    assert found.evidence["level"] == 0.0525
    assert (
        detect(run(eval_accuracy=[*scores[:3], 0.06, 0.08, 0.09], config={"num_classes": 26}), S)
        == ()
    )


def test_a_model_of_nan_guesses_and_that_is_no_fault_of_the_evaluation() -> None:
    norm = np.r_[np.ones(200), np.full(100, np.nan)]
    curves = {"eval_accuracy": np.full(6, 0.01), "grad_norm": norm}
    steps = {"eval_accuracy": AT, "grad_norm": np.arange(1, 301)}
    broken = make_run(loss=FALL, steps=steps, config=HUNDRED, **curves)
    assert isinstance(detect(broken, S), NotApplicable)


def test_an_accuracy_that_stands_tells_the_classes() -> None:
    rng = np.random.default_rng(0)
    loss, at = np.geomspace(0.8, 0.1, 300), np.arange(10, 301, 10)
    curves = {
        "eval_accuracy": rng.normal(0.1, 0.007, 30),
        "eval_loss": rng.normal(6, 0.6, 30),
        "train_accuracy": np.full(30, 0.98),
    }
    made = make_run(loss=loss, steps=dict.fromkeys(curves, at), **curves)
    (found,) = detect(made, S)
    assert found.evidence["classes"] == 10
    for better in ({"eval_accuracy": np.linspace(0.07, 0.13, 30)}, {"eval_loss": np.ones(30)}):
        other = make_run(loss=loss, steps=dict.fromkeys(curves, at), **{**curves, **better})
        assert not isinstance(found := detect(other, S), tuple) or found == ()


def test_no_right_answer_at_all_is_no_better_than_a_guess_over_any_number_of_classes() -> None:
    seen, none = [0.64, 0.81, 0.87, 0.89, 0.9, 0.91], [0.0, 0.0, 0.0, 0.07, 0.0, 0.0136]
    (found,) = detect(run(config={}, train_accuracy=seen, eval_accuracy=none), S)
    assert found.severity is Severity.CRITICAL
    assert found.evidence["train_accuracy"] == pytest.approx(0.9)
    few = detect(
        run(config={}, train_accuracy=seen, eval_accuracy=[0.2, 0.27, 0.22, 0.18, 0.3, 0.24]), S
    )
    assert isinstance(few, NotApplicable)
