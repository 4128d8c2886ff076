import numpy as np
import pytest

from loganalyze.signals.schedule import Shape, schedule
from tests.builders import make_run

STEP = np.arange(1, 1001)
UP = np.minimum(STEP / 100, 1)
SHARE = np.clip((STEP - 100) / 900, 0, 1)
COSINE = (1 + np.cos(np.pi * SHARE)) / 2
SHAPES = {
    Shape.CONSTANT: UP,
    Shape.LINEAR: UP * (1 - SHARE),
    Shape.COSINE: UP * COSINE,
    Shape.EXPONENTIAL: np.exp(-STEP / 300),
    Shape.INVERSE_SQRT: np.minimum(UP, np.sqrt(100 / STEP)),
    Shape.STEP: 0.1 ** (STEP // 300),
    Shape.HELD: np.where(SHARE < 0.8, UP, UP * (1 - SHARE) * 5),
    Shape.RESTARTS: (1 + np.cos(np.pi * (STEP % 250) / 250)) / 2,
    Shape.CYCLIC: 1 - np.abs((STEP % 200) / 100 - 1),
    Shape.ONE_CYCLE: np.where(
        STEP < 300,
        0.04 + 0.96 * (1 - np.cos(np.pi * STEP / 300)) / 2,
        (1 + np.cos(np.pi * (STEP - 300) / 700)) / 2,
    ),
    Shape.UNSEEN: STEP / 2000,
}


def recognised(rate, **more):
    found = schedule(make_run(loss=np.ones(len(rate)), lr=1e-3 * np.asarray(rate), **more))
    assert found is not None
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("every", [1, 10])
def test_a_schedule_is_recognised_at_any_interval(shape: Shape, every: int) -> None:
    rate = 1e-3 * SHAPES[shape][::every]
    found = schedule(make_run(loss=np.ones(len(rate)), lr=rate, steps=STEP[::every].tolist()))
    assert found is not None
    assert found.shape is shape


def test_half_of_a_cosine_and_one_that_ends_at_a_tenth() -> None:
    assert recognised((UP * COSINE)[:500]).shape is Shape.COSINE
    found = recognised(UP * (0.1 + 0.9 * COSINE))
    assert found.shape is Shape.COSINE
    assert found.final == pytest.approx(0.1, abs=1e-3)


def test_its_words() -> None:
    label = recognised(UP * COSINE).label
    assert label == "warmup over 100 steps to 0.001, then cosine"
    assert recognised(1 - STEP / 1000).label == "starts at 0.000999, then linear"


def test_another_warmup_changes_the_rise_and_leaves_the_rest() -> None:
    found = recognised(UP * (1 - SHARE))
    assert found.at(np.array([10.0, 20.0, 510.0, 1000.0]), 20) == pytest.approx(
        [5e-4, 1e-3, 0.5e-3, 0.0], abs=1e-6
    )
    same = found.at(STEP.astype(float), 100)
    assert np.abs(same - 1e-3 * UP * (1 - SHARE)).max() < 1e-5


def test_what_the_settings_say_stands_for_what_was_not_seen() -> None:
    more = {"config": {"learning_rate": 1e-3, "lr_scheduler_type": "cosine"}, "planned_steps": 2000}
    found = recognised(np.arange(1, 101) / 1000, **more)
    assert found.shape is Shape.COSINE
    assert found.warmup_steps == 1000
    assert found.at(np.array([2000.0]), 60) == pytest.approx([0.0], abs=1e-9)


def test_no_rate_has_no_schedule() -> None:
    assert schedule(make_run(loss=np.ones(10))) is None
    assert schedule(make_run(loss=np.ones(10), lr=np.zeros(10))) is None
