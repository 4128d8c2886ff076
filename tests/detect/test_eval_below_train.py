import numpy as np
import pytest

from loganalyze.detect.eval_below_train import DETECTOR, BelowSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = BelowSettings()
RNG = np.random.default_rng(0)
AT = np.arange(50, 501, 50)
TRAIN = 8 * (0.5 + 0.5 * np.exp(-np.arange(500) / 150))


def run(evals, train=TRAIN, **more):
    steps = {"eval_loss": AT[: len(evals)]}
    return make_run(loss=train, eval_loss=evals, steps=steps, **more)


def test_a_train_loss_that_is_eight_times_the_evaluation() -> None:
    (found,) = detect(run(TRAIN[AT - 1] / 8), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.WARNING
    assert found.evidence["ratio_train_to_eval"] == pytest.approx(8, rel=0.1)


@pytest.mark.parametrize("share", [0.6, 0.8, 1.2])
def test_what_dropout_explains_passes(share) -> None:
    assert detect(run(TRAIN[AT - 1] * share), S) == ()


def test_settings_that_explain_any_gap_are_named() -> None:
    found = detect(run(TRAIN[AT - 1] / 8, config={"label_smoothing_factor": 0.1}), S)
    assert isinstance(found, NotApplicable)
    assert "label_smoothing_factor" in found.reason


def test_few_points_are_not_judged() -> None:
    assert isinstance(detect(run([0.1]), S), NotApplicable)
    assert isinstance(detect(make_run(loss=[3, 2, 1], eval_loss=[0.1] * 3), S), NotApplicable)


def test_a_mean_over_an_epoch_lags_behind_and_passes() -> None:
    train = np.geomspace(4, 0.01, 12)
    at = np.arange(1, 13)
    run = make_run(loss=train, eval_loss=train * 0.5, steps={"loss": at, "eval_loss": at})
    assert detect(run, S) == ()


@pytest.mark.parametrize(
    ("accuracy", "severity"), [(0.78, Severity.INFO), (0.96, Severity.WARNING)]
)
def test_training_that_gets_more_answers_wrong_is_harder(accuracy, severity) -> None:
    answers = {"train/accuracy": np.full(500, accuracy), "eval/accuracy": np.full(10, 0.97)}
    steps = {"eval_loss": AT, "eval/accuracy": AT}
    (found,) = detect(make_run(loss=TRAIN, eval_loss=TRAIN[AT - 1] / 3, steps=steps, **answers), S)
    assert found.severity is severity


def test_a_gap_that_opens_is_a_note_where_no_answers_tell() -> None:
    opening = TRAIN[AT - 1] / np.linspace(2, 8, len(AT))
    (found,) = detect(run(opening), S)
    assert found.severity is Severity.INFO
    for wrong, severity in ((0.3, Severity.WARNING), (0.001, Severity.INFO)):
        answers = {
            "accuracy": np.full(500, 1 - wrong),
            "eval_accuracy": np.full(len(AT), 1 - wrong),
        }
        steps = {"eval_loss": AT, "eval_accuracy": AT}
        (found,) = detect(make_run(loss=TRAIN, eval_loss=opening, steps=steps, **answers), S)
        assert found.severity is severity


def test_three_evaluations_of_a_loss_of_unknown_kind_are_a_note() -> None:
    (found,) = detect(run(TRAIN[AT[:3] - 1] / 8), S)
    assert found.severity is Severity.INFO
    (known,) = detect(run(TRAIN[AT[:3] - 1] / 8, config={"num_classes": 10}), S)
    assert known.severity is Severity.WARNING
