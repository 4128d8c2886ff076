import numpy as np

from loganalyze.detect.grad_zero import DETECTOR, ZeroNormSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = ZeroNormSettings()
RNG = np.random.default_rng(0)
LOSS = np.full(50, 2.0)


def test_a_norm_of_zero_from_the_start_is_critical() -> None:
    (found,) = detect(make_run(loss=LOSS, grad_norm=np.zeros(50)), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.CRITICAL
    assert found.evidence["from_start"] == "yes"


def test_a_stretch_that_ends_is_a_note() -> None:
    norm = np.ones(50)
    norm[10:15] = 0
    (found,) = detect(make_run(loss=LOSS, grad_norm=norm), S)
    assert found.severity is Severity.INFO


def test_a_logger_that_writes_zero_is_recognised_by_a_loss_that_falls() -> None:
    found = detect(make_run(loss=np.geomspace(3, 0.3, 50), grad_norm=np.zeros(50)), S)
    assert isinstance(found, NotApplicable)


def test_single_zeros_and_a_loss_at_its_floor_pass() -> None:
    norm = np.ones(50)
    norm[[3, 9]] = 0
    assert detect(make_run(loss=LOSS, grad_norm=norm), S) == ()
    loss = np.r_[np.linspace(1, 0.1, 25), np.zeros(25)]
    assert detect(make_run(loss=loss, grad_norm=(loss > 0) * 1.0), S) == ()


def test_batches_without_an_advantage_are_ordinary() -> None:
    norm = np.ones(50)
    norm[10:15] = 0
    found = detect(make_run(loss=LOSS, grad_norm=norm, reward=np.ones(50)), S)
    assert isinstance(found, NotApplicable)


def test_a_policy_without_a_gradient_is_not_at_a_floor_though_its_loss_is_0() -> None:
    norm = np.r_[np.ones(2), np.zeros(48)]
    (found,) = detect(make_run(loss=0 * norm, grad_norm=norm, reward=np.ones(50)), S)
    assert found.severity is Severity.CRITICAL
    margin = make_run(loss=0 * norm, grad_norm=norm)
    assert detect(margin, S) == ()


def test_what_goes_below_0_has_no_floor_there() -> None:
    norm = np.r_[0.1, np.zeros(49)]
    (found,) = detect(make_run(loss=-0.01 * norm, grad_norm=norm), S)
    assert found.severity is Severity.CRITICAL
