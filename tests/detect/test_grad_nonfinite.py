import numpy as np

from loganalyze.detect.grad_nonfinite import DETECTOR, GradNonfiniteSettings, detect
from loganalyze.finding import Severity
from tests.builders import make_run

S = GradNonfiniteSettings()


def test_a_norm_that_stays_nan_is_critical() -> None:
    norm = np.r_[np.ones(30), np.full(10, np.nan)]
    (found,) = detect(make_run(grad_norm=norm, loss=np.zeros(40)), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.CRITICAL
    assert found.evidence["first_step"] == 31
    assert found.evidence["loss_at"] == 0.0


def test_isolated_skipped_steps_are_a_note() -> None:
    norm = np.ones(100)
    norm[[2, 60]] = np.inf
    (found,) = detect(make_run(grad_norm=norm), S)
    assert found.severity is Severity.INFO


def test_finite_norms_pass() -> None:
    assert detect(make_run(grad_norm=np.ones(10)), S) == ()


def test_a_scaler_that_tries_a_larger_scale_every_so_often_is_a_note() -> None:
    norm = np.ones(700)
    norm[100::100] = np.inf
    for config, severity in (({"precision": "fp16"}, Severity.INFO), ({}, Severity.WARNING)):
        (found,) = detect(make_run(grad_norm=norm, config=config), S)
        assert found.severity is severity
