import numpy as np
import pytest

from loganalyze.detect.loss_oscillation import DETECTOR, OscillationSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = OscillationSettings()
RNG = np.random.default_rng(0)


def swing(amplitude: float, period: int = 100, n: int = 1000, noise: float = 0.1):
    t = np.arange(n)
    level = np.exp(amplitude * np.sin(2 * np.pi * t / period))
    return level * np.random.default_rng(6).lognormal(0, noise, n)


def test_a_swing_with_a_period() -> None:
    (found,) = detect(make_run(loss=swing(0.8)), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.WARNING
    assert found.evidence["periodic"] == "yes"
    assert found.evidence["period_steps"] == pytest.approx(100, rel=0.2)


@pytest.mark.parametrize("noise", [0.05, 0.3, 0.8])
def test_noise_averages_out(noise) -> None:
    t = np.linspace(0, 5, 1000)
    loss = (0.5 + 2 * np.exp(-t)) * np.random.default_rng(7).lognormal(0, noise, 1000)
    assert detect(make_run(loss=loss), S) == ()


def test_a_single_hump_and_a_spike_pass() -> None:
    hump = np.r_[np.linspace(2, 1, 600), np.linspace(1, 2, 200), np.linspace(2, 1, 200)]
    assert detect(make_run(loss=hump), S) == ()
    spike = np.ones(1000)
    spike[700:705] = 30
    assert detect(make_run(loss=spike), S) == ()


def test_rates_that_cycle_and_losses_that_may_are_not_judged() -> None:
    rate = 1e-3 * (1 + np.cos(2 * np.pi * np.arange(1000) / 100 % (2 * np.pi))) / 2
    rate = 1e-3 * (1 - (np.arange(1000) % 100) / 100)
    assert isinstance(detect(make_run(loss=swing(0.8), lr=rate), S), NotApplicable)
    assert isinstance(detect(make_run(loss=swing(0.8), reward=np.ones(9)), S), NotApplicable)
    assert isinstance(detect(make_run(loss=[1, 2, 1, 2]), S), NotApplicable)


def test_evaluations_that_jump_by_factors() -> None:
    wild = [49.3, 261, 13, 8.3, 6.2, 211, 2.0, 40]
    (found,) = detect(make_run(loss=np.full(8, 50.0), eval_loss=wild), S)
    assert found.metrics == ("eval/loss",)
    calm = [49.3, 42, 48, 41, 40, 38, 39, 36]
    result = detect(make_run(loss=np.full(8, 50.0), eval_loss=calm), S)
    assert isinstance(result, NotApplicable)


def test_a_few_cycles_of_a_loss_that_may_be_a_sum_are_no_more_than_a_note() -> None:
    curve = swing(0.3, period=250, noise=0.02)
    (found,) = detect(make_run(loss=curve), S)
    assert found.severity is Severity.INFO
    (found,) = detect(make_run(loss=curve, config={"num_classes": 10}), S)
    assert found.severity is Severity.WARNING


def test_a_slight_swing_of_an_unknown_loss_may_follow_a_frozen_copy() -> None:
    (found,) = detect(make_run(loss=swing(0.25, noise=0.02)), S)
    assert found.severity is Severity.INFO
    (found,) = detect(make_run(loss=swing(0.25, noise=0.02), config={"num_classes": 10}), S)
    assert found.severity is Severity.WARNING
