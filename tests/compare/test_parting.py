"""The pieces of the test: noise, corrections, prefixes, places, pairs of real runs."""

from __future__ import annotations

import numpy as np
import pytest

from loganalyze.compare.axis import Aligned, Placed, align
from loganalyze.compare.noise import blocks_of, inflation
from loganalyze.compare.parting import holm, windows
from loganalyze.compare.place import break_in
from loganalyze.compare.prefix import equal_until, round_of


def test_the_error_of_a_block_is_that_of_its_mean() -> None:
    random = np.random.default_rng(3)
    errors = []
    means = []
    for _ in range(40):
        blocks = blocks_of(random.normal(0, 1, 400))
        errors.append(blocks.error)
        means.append(blocks.mean)
    assert np.median(errors) == pytest.approx(np.std(means), rel=0.3)


def test_autocorrelated_noise_has_a_wider_error() -> None:
    random = np.random.default_rng(4)
    white = random.normal(0, 1, (20, 50))
    walk = np.array([np.convolve(row, np.ones(5) / 5, "same") for row in white])
    assert inflation(list(white)) < 1.6
    assert inflation(list(walk)) > 2.0


def test_holm_rejects_step_by_step() -> None:
    assert holm([0.01, 0.02, 0.5]) == [True, True, False]
    assert holm([0.03, 0.03, 0.5]) == [False, False, False]
    assert holm([]) == []


def test_a_window_must_last() -> None:
    random = np.random.default_rng(5)
    gap = random.normal(0, 0.1, 400)
    seed = np.full(20, 0.02)
    assert windows(blocks_of(gap), seed) == [] or windows(blocks_of(gap), seed)[0].p > 0.01
    gap[200:215] += 2.0
    assert all(window.p > 0.01 for window in windows(blocks_of(gap), seed))
    gap[200:] += 2.0
    first = windows(blocks_of(gap), seed)[0]
    assert (first.first, first.last) == (10, 19)
    assert first.p < 1e-4


def test_a_seed_hides_what_it_explains() -> None:
    gap = np.random.default_rng(6).normal(0.1, 0.01, 400)
    assert windows(blocks_of(gap), np.full(20, 0.001))[0].p < 1e-3
    assert windows(blocks_of(gap), np.full(20, 0.1)) == []


def test_the_place_of_a_break() -> None:
    gap = np.random.default_rng(7).normal(0, 0.1, 100)
    gap[60:] += 1.0
    place = break_in(gap, 0, 100, 1.0)
    assert place.index == pytest.approx(60, abs=1)
    assert place.low <= 60 <= place.high


def aligned(a: list[float], b: list[float]) -> Aligned:
    return Aligned(np.arange(len(a), dtype=float), np.array(a), np.array(b), True)


def test_equal_points_are_counted_where_chance_does_not_make_them() -> None:
    assert equal_until(aligned([1.1, 1.2, 1.3, 1.4], [1.1, 1.2, 1.3, 1.5])) == 3
    assert equal_until(aligned([0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 2.0])) == 0
    assert equal_until(aligned([1.1, 1.2, 1.3], [2.1, 1.2, 1.3])) == 0


def test_values_that_were_rounded_differently_are_equal() -> None:
    fine = [1.23456, 1.11111, 0.98765, 0.91234]
    coarse = [1.23, 1.11, 0.99, 0.91]
    assert round_of(np.array(coarse)) == pytest.approx(0.01)
    assert equal_until(aligned(fine, coarse)) == 4


def test_shared_places_are_taken_as_they_are_and_others_interpolated() -> None:
    a = Placed(np.arange(1.0, 11.0), np.arange(1.0, 11.0))
    b = Placed(np.arange(2.0, 11.0, 2.0), np.arange(2.0, 11.0, 2.0))
    found = align(a, b)
    assert found is not None
    assert found.shared
    assert found.at.tolist() == [2, 4, 6, 8, 10]
    odd = align(a, Placed(np.array([1.5, 4.5, 7.5]), np.array([1.5, 4.5, 7.5])))
    assert odd is not None
    assert not odd.shared
    assert odd.a.tolist() == [1.5, 4.5, 7.5]
    assert align(a, Placed(np.array([20.0]), np.array([1.0]))) is None
