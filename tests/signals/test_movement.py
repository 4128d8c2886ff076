import numpy as np
import pytest

from loganalyze.signals.movement import movement
from tests.builders import make_run

AT = list(range(50, 601, 50))


def course(values):
    return movement(
        make_run(
            loss=np.ones(600),
            eval_loss=values,
            steps={"loss": range(1, 601), "eval_loss": AT[: len(values)]},
        )
    )


def test_a_fall_is_straight_and_a_walk_wanders() -> None:
    fall = course(np.linspace(2.0, 1.9, 12))
    assert fall is not None
    assert fall.is_straight
    assert not fall.wanders
    assert fall.span == pytest.approx(0.05)
    walk = course([2.0, 2.1, 1.9, 2.1, 1.95, 2.05, 2.0, 2.1, 1.9, 2.0, 2.1, 2.01])
    assert walk is not None
    assert walk.wanders


def test_one_value_throughout_has_no_span() -> None:
    still = course([2.0] * 12)
    assert still is not None
    assert still.span == 0
    assert still.wanders  # it has no direction


def test_few_evaluations_or_a_part_of_the_run_say_nothing() -> None:
    assert course([2.0, 1.9, 1.8]) is None
    early = make_run(
        loss=np.ones(600),
        eval_loss=[2.0, 1.9, 1.8, 1.7],
        steps={"loss": range(1, 601), "eval_loss": [10, 20, 30, 40]},
    )
    assert movement(early) is None
