import numpy as np
import pytest

from loganalyze.signals.trend import change

RNG = np.random.default_rng(0)


def test_the_change_of_a_line_is_found_exactly() -> None:
    moved, error = change(np.linspace(5, 2, 300))
    assert moved == pytest.approx(-3)
    assert error == pytest.approx(0, abs=1e-9)


def test_the_error_covers_the_truth_about_as_often_as_two_sigma_should() -> None:
    line = np.linspace(5, 4, 400)
    covered = 0
    for _ in range(200):
        moved, error = change(line + RNG.normal(0, 0.5, 400))
        covered += abs(moved + 1) <= 2 * error
    assert covered >= 175


def test_wild_points_do_not_turn_the_line() -> None:
    values = np.linspace(5, 4, 400) + RNG.normal(0, 0.01, 400)
    values[::40] = 1e6
    assert change(values)[0] == pytest.approx(-1, abs=0.02)


def test_three_points_resolve_nothing() -> None:
    assert change(np.array([3.0, 2.0, 1.0])) == (0.0, float("inf"))
