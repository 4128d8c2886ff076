"""The view of one metric, and the step time that is derived from the times of the loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from loganalyze.frame import METRIC_COLUMNS, metrics_frame
from loganalyze.run import Run, Source
from loganalyze.series import families, select
from tests.builders import make_run

STEP_SECONDS = "perf/step_seconds"


def timed(times, *, steps=None, segments=None, source: str = "events.out") -> pd.DataFrame:
    n = len(times)
    return metrics_frame(
        {
            "metric": ["train/loss"] * n,
            "step": np.arange(1, n + 1) if steps is None else steps,
            "value": np.ones(n),
            "time": times,
            "segment": np.zeros(n) if segments is None else segments,
            "source": source,
        }
    )


def run_of(frame: pd.DataFrame, **more) -> Run:
    sources = tuple(str(name) for name in frame["source"].cat.categories)
    return replace(make_run(), metrics=frame, preferred={"train/loss": sources}, **more)


def test_step_time_is_derived_where_none_was_logged() -> None:
    run = run_of(timed(1e9 + np.array([0.0, 20, 40, 70]), steps=[10, 20, 30, 40]))
    found = run.series(STEP_SECONDS)
    assert found.derived
    assert found.metric == STEP_SECONDS
    assert found.step.tolist() == [20, 30, 40]
    assert found.value.tolist() == [2.0, 2.0, 3.0]
    assert str(found.where(0)) == "events.out:2"
    assert run.has(STEP_SECONDS)
    assert STEP_SECONDS not in set(run.metrics["metric"])  # a view: the data hold what was logged


def test_a_logged_step_time_is_left_alone() -> None:
    run = make_run(loss=[1, 2, 3], **{STEP_SECONDS: [0.5, 0.5, 0.5]})
    timed_run = replace(run, metrics=run.metrics.assign(time=np.arange(6) * 9.0), _cache={})
    found = timed_run.series(STEP_SECONDS)
    assert found.value.tolist() == [0.5, 0.5, 0.5]
    assert not found.derived


def test_the_gap_of_a_restart_is_no_step_time_and_a_pause_is() -> None:
    times = [0, 1, 2, 30, 31, 1000, 1001]
    run = run_of(timed(times, steps=[1, 2, 3, 4, 5, 5, 6], segments=[0, 0, 0, 0, 0, 1, 1]))
    found = run.series(STEP_SECONDS)
    assert found.step.tolist() == [2, 3, 4, 6]
    assert found.value.tolist() == [1, 1, 28, 1]


def test_stamps_of_whole_seconds_count_once() -> None:
    times = np.floor(np.arange(40) * 0.25)
    found = run_of(timed(times)).series(STEP_SECONDS)
    assert set(found.value) == {0.25}


@pytest.mark.parametrize(
    "times", [[], [5.0], [np.nan] * 4, [7.0] * 4, [9.0, 8.0, 7.0]],
    ids=["none", "one", "unknown", "standing still", "running backwards"],
)  # fmt: skip
def test_no_step_time_where_the_times_say_nothing(times: list[float]) -> None:
    run = run_of(timed(np.array(times)))
    assert len(run.series(STEP_SECONDS)) == 0
    assert not run.has(STEP_SECONDS)


def test_times_may_stand_in_another_source_than_the_loss() -> None:
    frames = [
        timed(np.full(3, np.nan), source="trainer_state.json"),
        timed(np.array([0.0, 3, 6]), source="events.out"),
    ]
    metrics = pd.concat(frames, ignore_index=True)
    for column in ("metric", "source", "name"):
        metrics[column] = metrics[column].astype("category")
    run = replace(
        run_of(metrics),
        preferred={"train/loss": ("trainer_state.json",)},
        sources=(
            Source("trainer_state.json", "hf-trainer-state", 3),
            Source("events.out", "tfevents", 3),
        ),
    )
    assert run.series("train/loss").where(0).source == "trainer_state.json"
    assert run.series(STEP_SECONDS).value.tolist() == [3.0, 3.0]
    assert str(run.series(STEP_SECONDS).where(0)) == "events.out:2"
    assert families(run) == {"train/loss": [("trainer_state.json",), ("events.out",)]}


def test_an_unknown_metric_is_an_empty_series() -> None:
    for run in (make_run(), make_run(loss=[1, 2])):
        assert len(run.series("train/nothing")) == 0
        assert not run.has("train/nothing")


def test_points_without_a_step_are_left_out_and_the_last_at_a_step_counts() -> None:
    frame = metrics_frame(
        {"metric": ["train/loss"] * 5, "step": [-1, 2, 1, 2, 1], "value": [9, 1, 2, 3, 4]}
    )
    found = select(frame, "train/loss")
    assert found.step.tolist() == [1, 2]
    assert found.value.tolist() == [4, 3]
    assert found.row.tolist() == [5, 4]


def test_of_two_names_for_one_metric_the_one_written_more_often_counts() -> None:
    names = ["train_loss_step"] * 4 + ["train_loss"] * 2 + ["loss"] * 2
    frame = metrics_frame(
        {
            "metric": ["train/loss"] * 8, "step": [1, 2, 3, 4, 2, 4, 5, 6], "value": range(8),
            "segment": [0] * 6 + [1] * 2, "name": names,
        }
    )  # fmt: skip
    found = select(frame, "train/loss")
    assert found.value.tolist() == [0, 1, 2, 3, 6, 7]


def test_two_names_at_different_steps_are_one_series() -> None:
    frame = metrics_frame(
        {
            "metric": ["eval/loss"] * 3, "step": [100, 200, 300], "value": [3, 2, 1],
            "name": ["val loss", "validation loss", "val loss"],
        }
    )  # fmt: skip
    assert select(frame, "eval/loss").step.tolist() == [100, 200, 300]


def test_a_slice_keeps_everything_but_the_points() -> None:
    run = run_of(timed(np.arange(5.0)))
    part = run.series(STEP_SECONDS).take(slice(1, 3))
    assert part.derived
    assert len(part) == len(part.segment) == len(part.origin) == 2


def test_the_data_are_never_changed() -> None:
    frame = timed(np.arange(6.0), segments=[0, 0, 0, 1, 1, 1], steps=[1, 2, 3, 2, 3, 4])
    before = frame.copy(deep=True)
    run = run_of(frame)
    run.series("train/loss").value[:] = -1.0
    run.series(STEP_SECONDS).step[:] = -1
    pd.testing.assert_frame_equal(frame[list(METRIC_COLUMNS)], before)
