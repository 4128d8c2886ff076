import numpy as np
import pytest

from loganalyze.detect.grad_constant import DETECTOR, ConstantSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = ConstantSettings()
RNG = np.random.default_rng(0)


def test_a_norm_of_the_square_root_of_two_is_a_warning() -> None:
    (found,) = detect(make_run(loss=np.full(30, 2.0), grad_norm=np.full(30, 1.41421356)), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.WARNING
    assert found.evidence["value"] == pytest.approx(2**0.5)


def test_a_norm_at_the_clipping_limit_is_a_note_that_says_so() -> None:
    run = make_run(loss=np.full(30, 2.0), grad_norm=np.ones(30), config={"max_grad_norm": 1.0})
    (found,) = detect(run, S)
    assert found.severity is Severity.INFO
    assert "after clipping" in found.summary
    (found,) = detect(make_run(loss=np.geomspace(3, 1, 30), grad_norm=np.ones(30)), S)
    assert found.severity is Severity.INFO


def test_norms_that_vary_pass_and_few_are_not_judged() -> None:
    assert detect(make_run(loss=[1], grad_norm=RNG.lognormal(0, 0.3, 50)), S) == ()
    assert isinstance(detect(make_run(loss=[1], grad_norm=np.ones(4)), S), NotApplicable)
    assert detect(make_run(loss=[1], grad_norm=np.zeros(30)), S) == ()
