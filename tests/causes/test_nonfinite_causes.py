"""Why a loss turns NaN: the rate, the precision, the data or the labels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import loganalyze as la
from loganalyze.causes.cause import MODERATE
from loganalyze.diagnosis import diagnose
from loganalyze.finding import Cause
from loganalyze.run import Event, EventKind, Where
from tests.builders import make_run

NAN = np.full(30, np.nan)
NOISE = 1 + np.random.default_rng(0).normal(0, 0.02, 60)
FALL = np.geomspace(3, 1.5, 60) * NOISE
SUDDEN = np.r_[FALL, NAN]
RISE = np.r_[FALL, [1.7, 2.4, 4.1, 9.0, 31.0], NAN]


def causes(loss: Any, *, config: dict[str, Any] | None = None, **more: Any) -> dict[str, Cause]:
    diagnosis = diagnose(make_run(loss=loss, config=config, **more))
    return {cause.id: cause for cause in diagnosis.causes}


def first(found: dict[str, Cause]) -> str:
    return next(iter(found))


def test_a_rise_before_the_nan_on_the_ramp_to_a_high_rate_is_the_rate() -> None:
    ramp = np.linspace(0, 2e-2, len(RISE) + 40)[: len(RISE)]
    found = causes(RISE, lr=ramp, config={"optim": "adamw_torch", "max_grad_norm": 1.0})
    assert first(found) == "lr-too-high"
    assert found["lr-too-high"].probability > 0.7
    assert any("rose" in clue.text for clue in found["lr-too-high"].evidence_for)


def test_a_nan_in_one_row_under_fp16_is_an_overflow() -> None:
    found = causes(SUDDEN, config={"fp16": True}, lr=np.full(90, 2e-4))
    assert first(found) == "fp16-overflow"


@pytest.mark.parametrize(
    "config", [{"bf16": True}, {"fp16": False, "bf16": False}, {"precision": "32-true"}]
)
def test_a_nan_in_one_row_under_bf16_or_fp32_is_no_overflow(config: dict[str, Any]) -> None:
    found = causes(SUDDEN, config=config, lr=np.full(90, 2e-4))
    assert first(found) == "nan-in-data"
    assert "fp16-overflow" not in found


def test_a_dynamic_loss_scale_in_the_log_shows_fp16() -> None:
    scaled = [
        Event(EventKind.LOSS_SCALE, "Attempted loss scale", Where("train.log", n)) for n in range(5)
    ]
    found = causes(SUDDEN, events=scaled)
    assert first(found) == "fp16-overflow"
    assert found["fp16-overflow"].probability > 0.6


def test_a_nan_at_the_first_steps_at_a_rate_near_zero_is_in_the_data() -> None:
    loss = np.r_[2.3, 2.31, np.full(60, np.nan)]
    found = causes(loss, lr=np.linspace(0, 1e-3, 62), config={"max_grad_norm": 1.0})
    assert first(found) == "nan-in-data"
    assert found["nan-in-data"].probability > 0.6
    assert "lr-too-high" not in found


def test_a_nan_in_every_row_is_in_the_data() -> None:
    found = causes(np.full(40, np.nan), config={"fp16": True, "max_grad_norm": 1.0})
    assert found["nan-in-data"].probability > found["fp16-overflow"].probability * 0.5
    assert "The very first loss is not finite." in [c.text for c in found["nan-in-data"].clues]


def hidden(loss: np.ndarray) -> dict[str, Any]:
    """The same run with the NaN printed as 0.0, and the gradient norm that gives it away."""
    bad = np.isnan(loss)
    return {"loss": np.where(bad, 0.0, loss), "grad_norm": np.where(bad, np.nan, 1.0)}


def test_a_hidden_nan_in_one_row_is_weighed_as_one_that_shows() -> None:
    shown = causes(SUDDEN, config={"bf16": True})
    behind = causes(**hidden(SUDDEN), config={"bf16": True})
    assert first(behind) == first(shown) == "nan-in-data"
    one, other = (found["nan-in-data"].probability for found in (behind, shown))
    apart = math.log(one / (1 - one)) - math.log(other / (1 - other))
    assert abs(apart) < MODERATE  # the weight of one clue


def test_a_hidden_nan_after_a_rise_is_the_rate() -> None:
    rate = np.full(len(RISE), 2e-2)
    config = {"optim": "adamw_torch", "max_grad_norm": 1.0}
    assert first(causes(**hidden(RISE), lr=rate, config=config)) == "lr-too-high"


def test_zeros_with_a_norm_of_zero_from_the_start_are_masked_labels() -> None:
    found = causes(np.zeros(40), grad_norm=np.zeros(40), lr=np.full(40, 1e-4))
    assert first(found) == "labels-all-masked"
    assert found["labels-all-masked"].probability > 0.85
    assert "nan-in-data" not in found


def test_zeros_after_ordinary_losses_are_not_masked_labels() -> None:
    found = causes(**hidden(SUDDEN))
    assert "labels-all-masked" not in found


DETECTOR = (
    "2021-02-18 15:00:{s:02d},100 - mmdet - INFO - Epoch [1][{step}/30045]\tlr: {lr:.3e}, time: 0.3, "
    "loss_cls: {cls}, loss_bbox: {box}, loss: {loss}\n"
)


def test_a_nan_as_the_warmup_ends_that_takes_all_terms_is_the_rate(tmp_path: Path) -> None:
    lines = [
        DETECTOR.format(s=i, step=50 * i, lr=0.001 * i, cls=1.3, box=0.6, loss=1.9)
        for i in range(1, 11)
    ]
    lines += [
        DETECTOR.format(s=i, step=50 * i, lr=0.01, cls=72487.7, box="nan", loss="nan")
        for i in range(11, 20)
    ]
    (tmp_path / "train.log").write_text("".join(lines))
    causes = la.diagnose(la.load(tmp_path)).causes
    assert causes[0].id == "lr-too-high"
    text = " ".join(clue.text for clue in causes[0].evidence_for)
    assert "loss_cls jumped" in text
    assert "as the warmup ended" in text


def test_a_guard_s_error_is_no_bug(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text(
        'Traceback (most recent call last):\n  File "train_loop.py", line 239, in run\n    check()\n'
        "FloatingPointError: Loss became infinite or NaN at iteration=2137!\n"
    )
    causes = {cause.id for cause in la.diagnose(la.load(tmp_path)).causes}
    assert "software-bug" not in causes
    assert {"lr-too-high", "nan-in-data"} <= causes


def test_an_odd_batch_some_points_before_a_nan_is_no_rise_and_a_rate_long_past_is_no_height() -> (
    None
):
    loss = np.r_[8 * np.random.default_rng(1).lognormal(0, 0.2, 100)]
    loss[-4] = 17.0
    rate = np.r_[np.full(60, 4e-3), np.geomspace(4e-3, 1e-4, 60)]
    found = causes(
        np.r_[loss, np.full(20, np.nan)], lr=rate, config={"optimizer": "nadam", "loss": "mse"}
    )
    assert first(found) == "nan-in-data"
    assert not any("rose" in clue.text for clue in found["nan-in-data"].evidence_against)


def test_a_sudden_nan_speaks_against_a_missing_limit() -> None:
    found = causes(SUDDEN, config={"optimizer": "adamw"}, lr=np.full(90, 2e-4))
    against = found["no-grad-clipping"].evidence_against
    assert any("did not rise before" in clue.text for clue in against)


def test_a_loss_that_is_finite_where_its_first_gradient_is_not_saw_no_nan() -> None:
    norm = np.full(9, np.nan)
    rate = np.r_[0.0, np.linspace(1e-7, 5e-7, 8)]
    found = causes(np.r_[1.08, np.zeros(8)], grad_norm=norm, lr=rate)
    assert first(found) == "fp16-overflow"
    assert "lr-too-high" not in found


def test_the_first_of_few_losses_that_is_nan_after_many_updates_may_be_the_rate() -> None:
    later = {"loss": np.arange(20, 100, 20)}
    found = causes(np.full(4, np.nan), steps=later)
    assert first(found) == "lr-too-high"
    at_once = causes(np.full(4, np.nan))
    assert first(at_once) == "nan-in-data"


def test_few_even_losses_and_then_a_climb_are_a_rise() -> None:
    found = causes(np.r_[45.7, 46.0, 45.8, 60.2, 61.2, 70.4, np.full(3, np.nan)])
    assert first(found) == "lr-too-high"


def test_a_loss_that_stands_may_be_an_output_that_is_dead() -> None:
    found = causes(np.full(12, 0.288232341))
    assert {"frozen-parameters", "vanishing-gradients"} <= set(found)
    changed = causes(np.r_[0.41234567, np.full(12, 0.288232341)])
    assert first(changed) != "frozen-parameters"
