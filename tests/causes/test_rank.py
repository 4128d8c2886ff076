"""Which cause comes first, on runs whose cause is known."""

from __future__ import annotations

import numpy as np
import pytest

import loganalyze as la
from loganalyze.finding import Diagnosis, Level
from loganalyze.run import Event, EventKind, Where
from tests.builders import make_run

RNG = np.random.default_rng(0)


def probabilities(diagnosis: Diagnosis) -> dict[str, float]:
    return {cause.id: cause.probability for cause in diagnosis.causes}


def first(diagnosis: Diagnosis) -> str:
    return diagnosis.causes[0].id


def falling(n: int = 200, start: float = 2.3) -> np.ndarray:
    return 0.4 + (start - 0.4) * np.exp(-np.arange(n) / 40) * np.exp(RNG.normal(0, 0.02, n))


def test_a_loss_of_8_times_log_c_at_8_accumulation_steps_is_accounting() -> None:
    run = make_run(
        loss=8 * falling(),
        eval_loss=[2.3, 1.2, 0.8, 0.6],
        steps={"eval_loss": [50, 100, 150, 200]},
        grad_norm=RNG.lognormal(2, 0.2, 200),
        config={"num_classes": 10, "gradient_accumulation_steps": 8, "max_grad_norm": 1.0},
    )
    diagnosis = la.diagnose(run)
    assert first(diagnosis) == "loss-not-normalized"
    assert diagnosis.causes[0].probability > 0.85


def test_an_evaluation_that_is_as_high_speaks_for_the_model() -> None:
    run = make_run(
        loss=9.4 * falling(),
        eval_loss=[20.0, 11.0, 8.0, 6.0],
        steps={"eval_loss": [10, 100, 150, 200]},
        config={"num_classes": 10, "gradient_accumulation_steps": 4},
    )
    found = probabilities(la.diagnose(run))
    assert max(found, key=found.get) == "head-init-scale"  # type: ignore[arg-type]


def nan_after(before: list[float], **config: object) -> Diagnosis:
    loss = np.r_[falling(60), before, np.full(20, np.nan)]
    lr = np.minimum(np.arange(1, len(loss) + 1) / 60, 1) * 3e-3
    return la.diagnose(make_run(loss=loss, lr=lr, config=config))


def test_a_rise_before_the_nan_is_the_learning_rate() -> None:
    assert first(nan_after([1.0, 2.0, 4.0, 9.0, 30.0], bf16=True)) == "lr-too-high"


def test_a_nan_in_one_row_under_fp16_is_overflow_and_under_bf16_it_is_not() -> None:
    assert first(nan_after([], fp16=True)) == "fp16-overflow"
    assert probabilities(nan_after([], bf16=True)).get("fp16-overflow", 0) < 0.1


def test_a_nan_that_the_weights_survive_is_in_the_data() -> None:
    loss = falling()
    loss[100:104] = np.nan
    assert first(la.diagnose(make_run(loss=loss, config={"bf16": True}))) == "nan-in-data"


def test_a_loss_and_a_norm_of_zero_from_the_start_are_masked_labels() -> None:
    diagnosis = la.diagnose(make_run(loss=np.zeros(50), grad_norm=np.zeros(50)))
    assert first(diagnosis) == "labels-all-masked"
    assert diagnosis.causes[0].probability > 0.8


def test_a_spike_that_recovers_is_one_batch() -> None:
    loss = falling(400)
    loss[300] *= 25
    diagnosis = la.diagnose(make_run(loss=loss, lr=np.full(400, 1e-4)))
    assert first(diagnosis) == "outlier-batch"
    assert probabilities(diagnosis).get("lr-too-high", 0) < 0.2


def test_an_evaluation_that_turns_is_overfitting() -> None:
    run = make_run(
        loss=np.linspace(2, 0.05, 500),
        eval_loss=[1.5, 1.2, 1.1, 1.3, 1.6, 1.9, 2.3, 2.6, 3.0, 3.3],
        steps={"eval_loss": np.arange(50, 501, 50)},
    )
    assert first(la.diagnose(run)) == "overfit-small-data"


def oom(step: int, text: str = "CUDA out of memory", **gib: float) -> Diagnosis:
    data = {name: value * 2**30 for name, value in gib.items()}
    event = Event(EventKind.OOM_GPU, text, Where("train.log", 9), step, None, data)
    return la.diagnose(make_run(loss=falling(step), events=[event]))


def test_out_of_memory_is_told_apart() -> None:
    assert first(oom(5, allocated=23, reserved=23.5, capacity=24)) == "batch-too-large"
    assert first(oom(400, allocated=9, reserved=22, capacity=24)) == "memory-fragmentation"
    assert first(oom(400, "in evaluation_loop: CUDA out of memory")) == "eval-accumulates-logits"


def test_a_traceback_is_the_cause_and_a_hand_on_the_keyboard_is_none() -> None:
    def ended(exception: str) -> Diagnosis:
        data = {"exception": exception, "message": "", "frame": "train.py:9 in step"}
        event = Event(EventKind.TRACEBACK, "Traceback", Where("train.log", 9), 200, None, data)
        return la.diagnose(make_run(loss=falling(), events=[event]))

    assert first(ended("ValueError")) == "software-bug"
    assert ended("KeyboardInterrupt").causes == ()


def test_a_plateau_at_chance_with_gradients_is_the_labels() -> None:
    loss = np.log(10) + RNG.normal(0, 0.02, 300)
    run = make_run(
        loss=loss, grad_norm=np.ones(300), lr=np.full(300, 1e-3), config={"num_classes": 10}
    )
    assert first(la.diagnose(run)) == "labels-wrong"


def test_a_healthy_run_has_no_cause_and_says_what_was_checked() -> None:
    diagnosis = la.diagnose(make_run(loss=falling()))
    assert diagnosis.causes == ()
    assert diagnosis.verdict.level is Level.HEALTHY
    assert "checks" in diagnosis.verdict.headline


def test_too_little_to_judge_is_not_healthy() -> None:
    assert la.diagnose(make_run(loss=[2.0, 1.0])).verdict.level is Level.INSUFFICIENT


@pytest.mark.parametrize("scale", [1, 8])
def test_probabilities_of_rivals_stay_below_one(scale: int) -> None:
    run = make_run(loss=scale * 5 * falling(), config={"num_classes": 10})
    rivals = [c.probability for c in la.diagnose(run).causes if "initial-loss-high" in c.explains]
    assert sum(rivals) < 1
