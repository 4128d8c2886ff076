import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loganalyze.signals.robust import (
    groups,
    longest,
    mad_sigma,
    noise_sigma,
    trailing_median,
    trailing_sigma,
)

RNG = np.random.default_rng(0)


def test_mad_sigma_estimates_the_standard_deviation_of_normal_noise() -> None:
    assert mad_sigma(RNG.normal(3, 2, 20_000)) == pytest.approx(2, rel=0.03)


def test_mad_sigma_is_not_moved_by_wild_points() -> None:
    values = RNG.normal(0, 1, 2000)
    values[:200] = 1e9
    assert mad_sigma(values) == pytest.approx(1, rel=0.25)


def test_the_scale_of_nothing_is_zero() -> None:
    assert mad_sigma(np.array([])) == 0.0
    assert noise_sigma(np.array([1.0, 2.0])) == 0.0


def test_noise_sigma_is_blind_to_a_slow_trend() -> None:
    noise = RNG.normal(0, 0.1, 20_000)
    assert noise_sigma(np.linspace(100, 0, 20_000) + noise) == pytest.approx(0.1, rel=0.05)


@settings(deadline=None)  # the first call imports
@given(st.integers(9, 60), st.integers(2, 8), st.integers(0, 99))
def test_the_trailing_median_is_that_of_the_points_before(n: int, window: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=n)
    found = trailing_median(values, window)
    assert np.isnan(found[:window]).all()
    expected = [np.median(values[i - window : i]) for i in range(window, n)]
    np.testing.assert_allclose(found[window:], expected)


@settings(deadline=None)  # the first call imports
@given(st.integers(9, 60), st.integers(3, 8), st.integers(0, 99))
def test_the_trailing_scale_sees_only_jumps_inside_the_window(
    n: int, window: int, seed: int
) -> None:
    values = np.random.default_rng(seed).normal(size=n)
    found = trailing_sigma(values, window)
    assert np.isnan(found[:window]).all()
    jumps = [np.median(np.abs(np.diff(values[i - window : i]))) for i in range(window, n)]
    np.testing.assert_allclose(found[window:], 1.4826 / np.sqrt(2) * np.array(jumps))


def test_a_window_longer_than_the_curve_gives_no_value() -> None:
    assert np.isnan(trailing_median(np.ones(5), 5)).all()
    assert np.isnan(trailing_sigma(np.ones(5), 5)).all()


def test_hits_near_each_other_are_one_group() -> None:
    mask = np.array([0, 1, 1, 0, 1, 0, 0, 0, 1], dtype=bool)
    assert groups(mask) == [(1, 2), (4, 4), (8, 8)]
    assert groups(mask, gap=2) == [(1, 4), (8, 8)]
    assert groups(np.zeros(3, dtype=bool)) == []
    assert longest(mask) == 2
    assert longest(np.zeros(3, dtype=bool)) == 0
