import numpy as np
import pytest

from loganalyze.detect.memory_leak import DETECTOR, LeakSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = LeakSettings()
RNG = np.random.default_rng(0)


def test_memory_that_grows_with_every_step() -> None:
    memory = 10 + 0.02 * np.arange(200) + RNG.normal(0, 0.05, 200)
    (found,) = detect(make_run(loss=np.ones(200), gpu_mem=memory), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.WARNING
    assert found.evidence["per_step"] == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(
    "memory",
    [
        np.r_[np.linspace(2, 10, 30), np.full(170, 10.0)],
        np.r_[np.full(50, 8.0), np.full(100, 9.5), np.full(50, 11.0)],
        10 + RNG.normal(0, 0.3, 200),
        10 - 4 * np.exp(-np.arange(200) / 40),
    ],
)
def test_pools_that_settle_and_noise_pass(memory) -> None:
    assert detect(make_run(loss=np.ones(200), gpu_mem=memory), S) == ()


def test_without_memory_it_is_not_judged() -> None:
    assert isinstance(detect(make_run(loss=[1]), S), NotApplicable)
