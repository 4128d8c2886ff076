"""Kinds of samples that come one after the other, by the loss alone."""

from __future__ import annotations

import numpy as np
import pytest

from loganalyze.causes.rates import optimizer
from loganalyze.diagnosis import diagnose
from loganalyze.run import Run
from loganalyze.signals.batch_order import changes_of_kind
from tests.builders import make_run

RNG = np.random.default_rng(0)


def learned(start: float, end: float, points: int) -> np.ndarray:
    """Return a loss that is learned down from `start` to `end`, with the noise of batches."""
    fall = end + (start - end) * np.exp(-np.arange(points) / (points / 5))
    return fall * RNG.lognormal(0, 0.15, points)


@pytest.mark.parametrize("points", [40, 100])
def test_kinds_that_come_one_after_the_other_leap(points: int) -> None:
    loss = np.r_[learned(1.9, 0.02, points), learned(4.2, 0.2, points), learned(4.6, 0.8, points)]
    run = make_run(loss=loss)
    assert changes_of_kind(run) == [points + 1, 2 * points + 1]
    diagnosis = diagnose(run)
    assert "loss-oscillation" in {finding.id for finding in diagnosis.findings}
    assert diagnosis.causes[0].id == "data-not-shuffled"


def test_spikes_breakdowns_and_noise_do_not_leap_and_stay() -> None:
    loss = learned(1.9, 0.05, 200)
    spiked = loss.copy()
    spiked[100:103] = 4.0
    mended = loss.copy()
    for at in (60, 100, 140):
        mended[at : at + 40] += 4 * np.exp(-np.arange(40) / 5)
    grown = np.r_[loss, 0.05 * 1.6 ** np.arange(12)]
    high = 1.9 * RNG.lognormal(0, 1.0, 200)
    for value in (loss, spiked, mended, grown, high):
        assert len(changes_of_kind(make_run(loss=value))) < 2


def test_a_rate_that_goes_up_again_is_no_change_of_kind() -> None:
    loss = np.r_[learned(1.9, 0.05, 50), learned(4.2, 0.3, 50)]
    rate = np.tile(np.linspace(1e-3, 1e-5, 50), 2)
    assert changes_of_kind(make_run(loss=loss)) == [51]
    assert changes_of_kind(make_run(loss=loss, lr=rate)) == []


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"momentum": 0.9}, "sgd"),
        ({"momentum": 0.9, "optimizer": "lars"}, "lars"),
        ({"betas": "[0.9, 0.95]"}, "adam"),
        ({"lr": 0.1}, ""),
    ],
)
def test_settings_that_only_one_optimizer_has_name_it(
    settings: dict[str, object], name: str
) -> None:
    run: Run = make_run(loss=[1.0, 0.9], config=settings)
    assert optimizer(run) == name
