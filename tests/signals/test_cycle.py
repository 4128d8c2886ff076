import dataclasses

import numpy as np

from loganalyze.run import Series
from loganalyze.signals.cycle import beside_monotone, cycle
from tests.builders import make_run

RNG = np.random.default_rng(0)
EPOCH = 30
COURSE = 0.3 * np.sin(2 * np.pi * np.arange(EPOCH) / EPOCH)


def series(curve: np.ndarray, epoch: int | None = EPOCH) -> Series:
    found = make_run(loss=np.exp(curve)).series("train/loss")
    if epoch is None:
        return found
    return dataclasses.replace(found, epoch=np.arange(1, len(curve) + 1) / epoch)


def fall(length: int) -> np.ndarray:
    return np.asarray(-np.linspace(0, 3, length) + RNG.normal(0, 0.05, length))


def test_what_comes_back_with_each_epoch_is_found() -> None:
    curve = fall(240) + np.tile(COURSE, 8)
    found = cycle(series(curve), curve)
    assert found is not None
    assert found.is_epoch
    assert abs(found.points - EPOCH) <= 1
    assert 0.1 < found.amplitude < 0.3


def test_a_period_is_searched_for_where_no_epoch_is_known() -> None:
    curve = fall(240) + np.tile(COURSE, 8)
    found = cycle(series(curve, None), curve)
    assert found is not None
    assert not found.is_epoch
    assert abs(found.points - EPOCH) <= 1


def test_a_plain_fall_the_same_batches_in_order_and_steps_between_epochs_are_none() -> None:
    curve = fall(240)
    assert cycle(series(curve), curve) is None
    batches = fall(240) + np.tile(RNG.normal(0, 0.3, EPOCH), 8)
    assert cycle(series(batches), batches) is None
    steps = fall(240) + np.tile(np.linspace(-0.3, 0.3, EPOCH), 8)
    assert cycle(series(steps), steps) is None


def test_noise_that_lasts_is_no_cycle() -> None:
    for seed in range(40):
        noise = np.random.default_rng(seed).normal(0, 0.3, 305)
        curve = np.convolve(noise, np.ones(6) / 6, "valid")
        assert cycle(series(curve, None), curve) is None


def test_the_monotone_part_is_taken_away() -> None:
    assert np.allclose(beside_monotone(np.linspace(3, 0, 50)), 0)
    assert np.allclose(beside_monotone(np.linspace(0, 3, 50)), 0)
