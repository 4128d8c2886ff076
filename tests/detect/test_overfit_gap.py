import numpy as np
import pytest

from loganalyze.detect.overfit_gap import DETECTOR, OverfitSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = OverfitSettings()
TRAIN = np.linspace(2.0, 0.1, 1000)
AT = np.arange(100, 1001, 100)


def run(evals, train=TRAIN):
    return make_run(
        loss=train, eval_loss=evals, steps={"loss": np.arange(1, len(train) + 1), "eval_loss": AT}
    )


def test_a_turn_of_the_evaluation_names_the_best_step() -> None:
    (found,) = detect(run([1.8, 1.4, 1.1, 1.0, 1.1, 1.3, 1.5, 1.8, 2.1, 2.4]), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.WARNING
    assert found.evidence["best_step"] == 400
    assert found.evidence["rise"] == pytest.approx(1.1)
    assert "step 400" in found.fix[0]


def test_a_small_rise_is_a_note() -> None:
    (found,) = detect(run([1.8, 1.4, 1.1, 1.0, 1.01, 1.03, 1.05, 1.08, 1.09, 1.1]), S)
    assert found.severity is Severity.INFO


def test_noise_of_the_evaluation_passes() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        assert detect(run(np.linspace(1.5, 1.0, 10) + rng.normal(0, 0.03, 10)), S) == ()


def test_an_evaluation_above_train_that_still_falls_passes() -> None:
    assert detect(run(np.linspace(3, 2, 10)), S) == ()


def test_both_rising_is_divergence_and_passes_here() -> None:
    rising = np.r_[np.linspace(2, 1, 400), np.linspace(1, 5, 600)]
    evals = [1.8, 1.4, 1.1, 1.0, 1.3, 1.8, 2.5, 3.2, 4.0, 5.0]
    assert detect(run(evals, rising), S) == ()


def few(evals, train=TRAIN):
    at = np.linspace(200, 1000, len(evals)).astype(int)
    return detect(make_run(loss=train, eval_loss=evals, steps={"eval_loss": at}), S)


def test_one_evaluation_is_not_judged() -> None:
    assert isinstance(few([1.0]), NotApplicable)


def test_two_evaluations_that_part_from_the_train_loss_are_a_warning_with_little_confidence() -> (
    None
):
    (found,) = few([3.75, 3.90])
    assert found.severity is Severity.WARNING
    assert found.confidence == 0.5
    assert found.evidence["best_step"] == 200


@pytest.mark.parametrize("evals", [[1.8, 0.3], [1.8, 1.81], [1.6, 1.9, 1.7], [0.10, 0.11]])
def test_two_or_three_evaluations_that_show_no_clear_turn_pass(evals) -> None:
    assert few(evals) == ()


def test_two_evaluations_beside_a_train_loss_that_does_not_fall_pass() -> None:
    assert few([3.75, 3.9], np.full(1000, 1.0)) == ()


def test_noise_around_a_flat_evaluation_passes() -> None:
    for seed in range(30):
        evals = 1.0 + np.random.default_rng(seed).normal(0, 0.02, 10)
        found = detect(run(evals, np.linspace(2.0, 0.6, 1000)), S)
        assert all(f.severity is not Severity.WARNING for f in found)


def test_a_flat_evaluation_far_above_a_train_loss_that_fell_by_half_is_a_warning() -> None:
    flat = np.array([1.0, 1.02, 0.99, 1.01, 1.0, 0.98, 1.0, 1.01, 0.99, 1.0])
    (found,) = detect(run(1.7 * flat), S)
    assert found.severity is Severity.WARNING
    (early,) = detect(run(flat), S)  # half of the first train loss: it was better before
    assert early.severity is Severity.INFO
    assert found.title == "The evaluation loss stands while the train loss falls"


def test_a_train_loss_that_counts_nothing_is_no_overfit() -> None:
    assert detect(run(np.full(10, 1.0), np.zeros(1000)), S) == ()


@pytest.mark.parametrize(
    ("scores", "turned"),
    [([0.7, 0.9, 0.93, 0.88, 0.8, 0.79], True), ([0.7, 0.9, 0.93, 0.92, 0.93, 0.92], False)],
)
def test_a_score_that_falls_for_good_is_a_turn_as_well(scores, turned) -> None:
    curve = make_run(loss=np.linspace(1, 0.1, 6), **{"eval/auc": scores})
    found = detect(curve, S)
    assert isinstance(found, NotApplicable) is not turned
    if turned:
        assert [f.evidence["best_step"] for f in found] == [3]


def test_a_rise_that_comes_back_passes() -> None:
    assert detect(run([1.8, 1.2, 1.0, 1.3, 1.4, 1.3, 1.2, 1.1, 1.01, 1.0]), S) == ()


def test_values_that_are_not_numbers_are_left_out() -> None:
    (found,) = detect(run([1.8, 1.4, np.nan, 1.0, 1.1, 1.3, np.inf, 1.8, 2.1, 2.4]), S)
    assert found.evidence["best_step"] == 400


def test_an_evaluation_that_stays_as_bad_as_a_guess_has_lost_nothing() -> None:
    flat = np.log(3) * np.array([1.0, 1.02, 0.99, 1.01, 1.0, 0.98, 1.0, 1.01, 0.99, 1.0])
    curves = {"loss": np.linspace(1.2, 0.3, 1000), "eval_loss": flat}
    steps = {"loss": np.arange(1, 1001), "eval_loss": AT}
    (known,) = detect(make_run(**curves, steps=steps, config={"num_classes": 3}), S)
    (unknown,) = detect(make_run(**curves, steps=steps), S)
    assert (known.severity, unknown.severity) == (Severity.INFO, Severity.WARNING)


def test_an_evaluation_without_a_trend_has_not_turned() -> None:
    for seed in range(20):
        evals = np.random.default_rng(seed).normal(0.5, 0.05, 10)
        assert detect(run(evals), S) == ()


def test_an_evaluation_that_stays_worse_than_the_untrained_model_is_told() -> None:
    for seed in range(20):
        evals = 40 * np.exp(np.random.default_rng(seed).normal(0, 0.2, 10))
        (found,) = detect(run(evals), S)
        assert "stands" in found.title or "turned" in found.title


def test_an_evaluation_on_a_scale_of_its_own_that_falls_as_the_train_loss_does_passes() -> None:
    assert detect(run(64 * TRAIN[99::100]), S) == ()


def test_a_train_loss_that_only_swings_does_not_fall() -> None:
    levels = np.resize([1.2, 0.7, 1.6, 0.9], 50)
    assert detect(run(np.linspace(2.0, 3.0, 10), np.repeat(levels, 20)), S) == ()
    falls = np.repeat(levels * np.geomspace(1, 0.01, 50), 20)
    assert len(detect(run(np.linspace(2.0, 3.0, 10), falls), S)) == 1


def test_an_evaluation_far_above_all_that_was_learned_stands_by_nature() -> None:
    evals = 0.58 + np.linspace(0, 0.004, 10)
    assert detect(run(evals, np.geomspace(0.005, 0.0014, 1000)), S) == ()
    (found,) = detect(run(evals, np.geomspace(0.5, 0.14, 1000)), S)
    assert "stands" in found.title


def test_a_turn_is_seen_through_noise_that_grows_with_the_loss() -> None:
    rng = np.random.default_rng(5)
    at = np.arange(30)
    level = 0.4 + 0.3 * np.exp(-at / 3) + 1.0 * (at > 8)
    evals = level * np.exp(rng.normal(0, np.where(at > 8, 0.4, 0.05)))
    steps = {"loss": np.arange(1, 1001), "eval_loss": 30 * (at + 1)}
    (found,) = detect(make_run(loss=TRAIN, eval_loss=evals, steps=steps), S)
    assert found.severity is Severity.WARNING
    flat = 0.8 * np.exp(rng.normal(0, 0.4, 30))
    assert detect(make_run(loss=TRAIN, eval_loss=flat, steps=steps), S) == ()
