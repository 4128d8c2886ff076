import numpy as np
import pytest

from loganalyze.detect.clip_saturated import DETECTOR, ClipSettings, detect
from loganalyze.finding import NotApplicable, Severity
from tests.builders import make_run

S = ClipSettings()
RNG = np.random.default_rng(0)


def test_every_step_clipped_to_half_a_percent_is_critical() -> None:
    norm = RNG.normal(200, 10, 60)
    (found,) = detect(make_run(grad_norm=norm, config={"max_grad_norm": 1.0}), S)
    assert found.id == DETECTOR.id
    assert found.severity is Severity.CRITICAL
    assert found.evidence["share_clipped"] == 1.0
    assert found.evidence["median_surviving_share"] == pytest.approx(0.005, rel=0.05)


def test_mild_clipping_passes() -> None:
    norm = RNG.lognormal(np.log(3), 0.4, 500)
    assert detect(make_run(grad_norm=norm, config={"max_grad_norm": 1.0}), S) == ()


def test_a_hard_transient_at_the_start_passes() -> None:
    norm = np.r_[np.full(20, 300.0), np.full(480, 0.8)]
    assert detect(make_run(grad_norm=norm, config={"max_grad_norm": 1.0}), S) == ()


def test_a_norm_logged_after_clipping_is_not_judged() -> None:
    found = detect(make_run(grad_norm=np.full(50, 0.9999), config={"max_grad_norm": 1.0}), S)
    assert isinstance(found, NotApplicable)
    assert "after clipping" in found.reason


def test_an_unknown_limit_is_not_guessed_outside_of_the_trainer() -> None:
    assert isinstance(detect(make_run(grad_norm=np.full(50, 200.0)), S), NotApplicable)
    (found,) = detect(make_run(grad_norm=np.full(50, 200.0), framework="hf-trainer"), S)
    assert "assumed" in found.summary
    assert found.confidence < 0.9


def test_clipping_switched_off_is_not_judged() -> None:
    run = make_run(grad_norm=np.full(50, 200.0), config={"max_grad_norm": 0})
    assert isinstance(detect(run, S), NotApplicable)


def test_values_that_are_not_numbers_are_left_out() -> None:
    norm = np.r_[np.nan, np.inf, np.full(60, 200.0)]
    (found,) = detect(make_run(grad_norm=norm, config={"max_grad_norm": 1.0}), S)
    assert found.evidence["highest_norm"] == 200.0


def test_half_of_the_steps_clipped_hard_passes_while_the_median_survives() -> None:
    norm = np.tile([0.5, 200.0], 100)
    assert detect(make_run(grad_norm=norm, config={"max_grad_norm": 1.0}), S) == ()


def test_a_limit_that_is_only_assumed_is_a_note_unless_hardly_anything_survives() -> None:
    norm = np.full(50, 25.0)  # 4 % survive
    (found,) = detect(make_run(grad_norm=norm, framework="hf-trainer"), S)
    assert found.severity is Severity.INFO
    (found,) = detect(make_run(grad_norm=norm, config={"max_grad_norm": 1.0}), S)
    assert found.severity is Severity.WARNING
    (found,) = detect(make_run(grad_norm=8 * norm, framework="hf-trainer"), S)
    assert found.severity is Severity.CRITICAL


def test_an_assumed_limit_is_not_held_against_a_norm_that_ran_away() -> None:
    norm = np.r_[np.geomspace(2, 1e4, 30), np.full(70, 2e4)]
    assert detect(make_run(grad_norm=norm, framework="hf-trainer"), S) == ()
    found = detect(make_run(grad_norm=np.full(100, 2e4), framework="hf-trainer"), S)
    assert [f.severity for f in found] == [Severity.CRITICAL]
