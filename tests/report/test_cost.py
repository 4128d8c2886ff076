from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from loganalyze.diagnosis import diagnose
from loganalyze.report.cost import cost, duration
from loganalyze.run import Event, EventKind, Run, Source, Where
from tests.builders import make_run


def saved(*paths: str) -> tuple[Source, ...]:
    return tuple(Source(path, "checkpoint", 0) for path in paths)


def broken(**more) -> Run:
    """A loss of 400 steps, NaN from step 261 on; a step takes 10 s."""
    loss = np.r_[np.geomspace(3, 1, 260), np.full(140, np.nan)]
    run = make_run(loss=loss, **more)
    return dataclasses.replace(run, metrics=run.metrics.assign(time=run.metrics["step"] * 10.0))


def told(run: Run, *paths: str):
    known = dataclasses.replace(run, sources=(*run.sources, *saved(*paths)))
    return cost(diagnose(known))


def test_the_latest_checkpoint_in_order_is_the_one_to_go_back_to() -> None:
    found = told(
        broken(),
        "checkpoint-100/model.safetensors",
        "checkpoint-200/model.safetensors",
        "checkpoint-300/model.safetensors",
    )
    assert found is not None
    assert found.good_until == 260
    assert found.steps == 200
    assert found.seconds == 2000
    assert found.sentence == "Go back to checkpoint-200: 200 steps, 33 min lost since."


def test_a_line_about_a_checkpoint_counts_and_devices_multiply_the_time() -> None:
    event = Event(EventKind.CHECKPOINT, "Saving model checkpoint to o/checkpoint-250", Where("l"))
    found = told(broken(events=[event], config={"world_size": 8}))
    assert found is not None
    assert found.sentence == (
        "Go back to checkpoint of step 250: 150 steps, 25 min, 3.33 device hours on 8 devices lost since."
    )


def test_checkpoints_that_are_all_later_and_none_at_all_are_told_apart() -> None:
    later, none = told(broken(), "step_300.pt"), told(broken())
    assert later is not None
    assert none is not None
    assert later.sentence.endswith("every checkpoint is later.")
    assert none.sentence.endswith("no checkpoint is known of.")


def test_a_healthy_run_and_one_that_was_never_in_order_cost_nothing() -> None:
    noise = np.random.default_rng(0).normal(0, 0.02, 300)
    assert cost(diagnose(make_run(loss=np.geomspace(3, 1, 300) + noise))) is None
    start = np.geomspace(40, 20, 60)
    never = make_run(loss=np.r_[start, np.full(60, np.nan)], config={"num_classes": 10})
    assert cost(diagnose(never)) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.78, "0.78 s"),
        (100, "2 min"),
        (11_520, "3 h 12 min"),
        (7_200, "2 h"),
        (200_000, "2 d 7 h"),
    ],
)
def test_durations_read_as_people_say_them(seconds, text) -> None:
    assert duration(seconds) == text
