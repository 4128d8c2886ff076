import numpy as np

from loganalyze.detect.grad_vanishing import DETECTOR, VanishingSettings, detect
from loganalyze.finding import NotApplicable
from tests.builders import make_run

S = VanishingSettings()
DECAY = np.geomspace(1, 1e-9, 100)


def test_a_gradient_that_is_gone_while_the_loss_is_high_is_found() -> None:
    (found,) = detect(make_run(grad_norm=DECAY, loss=np.linspace(2.3, 2.2, 100)), S)
    assert found.id == DETECTOR.id
    assert float(found.evidence["norm_at_end"]) < 1e-7


def test_a_converged_run_passes() -> None:
    assert detect(make_run(grad_norm=DECAY, loss=np.geomspace(2.3, 1e-4, 100)), S) == ()


def test_a_rate_that_is_annealed_away_passes() -> None:
    run = make_run(grad_norm=DECAY, loss=np.full(100, 2.3), lr=np.linspace(1, 0, 100))
    assert detect(run, S) == ()


def test_a_steady_gradient_passes() -> None:
    assert detect(make_run(grad_norm=np.ones(100), loss=np.full(100, 2.3)), S) == ()


def test_a_norm_of_exactly_zero_is_another_matter() -> None:
    found = detect(make_run(grad_norm=np.zeros(100), loss=np.full(100, 2.3)), S)
    assert isinstance(found, NotApplicable)
