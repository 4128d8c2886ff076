import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loganalyze.signals.smooth import block_medians, centered_median, ema


@settings(deadline=None)  # the first call imports
@given(st.integers(1, 50), st.floats(0, 0.99), st.integers(0, 99))
def test_the_moving_average_is_the_bias_corrected_recursion(n: int, beta: float, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=n)
    mean, expected = 0.0, []
    for t, value in enumerate(values, start=1):
        mean = beta * mean + (1 - beta) * value
        expected.append(mean / (1 - beta**t))
    np.testing.assert_allclose(ema(values, beta), expected, rtol=1e-6, atol=1e-9)


def test_the_moving_average_of_a_constant_is_that_constant_from_the_first_point() -> None:
    np.testing.assert_allclose(ema(np.full(200, 7.0), 0.99), 7.0)


def test_block_medians_cover_the_curve_in_order() -> None:
    np.testing.assert_allclose(block_medians(np.arange(9.0), 3), [1, 4, 7])
    np.testing.assert_allclose(block_medians(np.arange(2.0), 5), [0, 1])


def test_the_running_median_removes_a_lone_spike() -> None:
    values = np.ones(30)
    values[12] = 1e6
    np.testing.assert_allclose(centered_median(values, 5), 1.0)


@pytest.mark.parametrize("at", [0, -1])
def test_a_wild_point_at_either_end_is_not_its_own_median(at: int) -> None:
    values = np.random.default_rng(0).normal(10, 0.1, 100)
    values[at] = 0.1
    assert centered_median(values, 11)[at] == pytest.approx(10, abs=0.3)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=40), st.integers(1, 60))
def test_the_running_median_is_that_of_the_mirrored_curve(values: list[float], window: int) -> None:
    from scipy.ndimage import median_filter

    size = max(1, min(window, len(values)) | 1)
    expected = median_filter(np.array(values), size=size, mode="reflect")
    np.testing.assert_array_equal(centered_median(np.array(values), window), expected)


def test_the_window_may_be_longer_than_the_curve() -> None:
    assert len(centered_median(np.arange(4.0), 99)) == 4
