import numpy as np
import pytest

from loganalyze.signals.accuracy import beats_guess, guessed_accuracy
from tests.builders import make_run

LOSS = np.full(60, 2.0)
TEN = {"num_classes": 10}


@pytest.mark.parametrize("unit", [1, 100], ids=["share", "percent"])
def test_a_train_accuracy_near_one_in_ten_is_a_guess(unit) -> None:
    accuracy = unit * np.random.default_rng(0).binomial(32, 0.1, 60) / 32
    run = make_run(loss=LOSS, config=TEN, train_accuracy=accuracy)
    assert guessed_accuracy(run) == pytest.approx(0.1, abs=0.03)


def test_a_better_one_is_not_and_few_or_two_classes_tell_nothing() -> None:
    learned = make_run(loss=LOSS, config=TEN, train_accuracy=np.linspace(0.1, 0.6, 60))
    few = make_run(loss=LOSS, config=TEN, train_accuracy=[0.1] * 5)
    two = make_run(loss=LOSS, config={"num_classes": 2}, train_accuracy=[0.5] * 60)
    assert guessed_accuracy(learned) is guessed_accuracy(few) is guessed_accuracy(two) is None


def test_an_evaluation_beats_a_guess_or_does_not() -> None:
    assert beats_guess(make_run(loss=LOSS, config=TEN, eval_accuracy=[0.1, 0.5]))
    assert not beats_guess(make_run(loss=LOSS, config=TEN, eval_accuracy=[0.1, 0.12]))
    assert not beats_guess(make_run(loss=LOSS, config=TEN))
