"""What happened in a run, and where it stands on the strip."""

from __future__ import annotations

import numpy as np

import loganalyze as la
from loganalyze.report.marks import LISTED, MarkKind, marks, spread
from loganalyze.report.strip import SHOWN, strip
from loganalyze.run import Event, EventKind, Where
from tests.builders import make_run


def _event(kind: EventKind, step: int | None, text: str, row: int = 1) -> Event:
    return Event(kind, text, Where("train.log", row), step)


def test_events_evaluations_checkpoints_and_restarts_are_marks() -> None:
    run = make_run(
        loss=np.ones(20), eval_loss=[1.0, 0.9], steps={"loss": range(1, 21), "eval_loss": [10, 20]},
        segments={"loss": [0] * 10 + [1] * 10, "eval_loss": [0, 1]},
        events=[
            _event(EventKind.CHECKPOINT, 10, "Saving model checkpoint to out/checkpoint-10", 3),
            _event(EventKind.EPOCH_END, 10, "epoch 1 done", 4),
            _event(EventKind.TRACEBACK, 20, "Traceback (most recent call last):\n  x\nValueError: y", 9),
            _event(EventKind.OOM_HOST, 20, "Traceback (most recent call last):\n  x\nValueError: y", 9),
        ],
    )  # fmt: skip
    found = [(mark.kind, mark.step) for mark in marks(run)]
    assert found == [
        (MarkKind.CHECKPOINT, 10), (MarkKind.EVALUATION, 10), (MarkKind.EPOCH, 10), (MarkKind.RESTART, 11),
        (MarkKind.FAILURE, 20), (MarkKind.EVALUATION, 20),
    ]  # fmt: skip
    failure = next(mark for mark in marks(run) if mark.kind is MarkKind.FAILURE)
    assert failure.text == "ValueError: y"
    assert failure.anchor == "e-failure-1"


def test_a_restart_that_the_log_tells_of_counts_once() -> None:
    run = make_run(
        loss=np.ones(20), steps=np.arange(5, 105, 5), segments={"loss": [0] * 10 + [1] * 10},
        events=[_event(EventKind.RESUME, 50, "Resuming from checkpoint-50")],
    )  # fmt: skip
    assert [m.step for m in marks(run) if m.kind is MarkKind.RESTART] == [50]


def test_of_many_evaluations_an_even_choice_is_listed() -> None:
    run = make_run(eval_loss=np.ones(1000))
    found = marks(run)
    assert len(found) == 1000
    assert sum(bool(mark.anchor) for mark in found) == LISTED
    placed = strip(run, [], found)
    assert placed is not None
    [lane] = placed.lanes
    assert len(lane.ticks) == SHOWN
    assert lane.more == 1000 - SHOWN
    assert spread([1, 2, 3, 4, 5], 2) == [1, 5]


def test_names_on_the_strip_cover_no_other() -> None:
    diagnosis = la.diagnose(
        make_run(loss=np.full(400, np.nan), grad_norm=np.full(400, np.nan), lr=np.zeros(400))
    )
    pairs = [(f"f-{f.id}-1", f) for f in diagnosis.findings]
    assert len(pairs) >= 2
    placed = strip(diagnosis.run, pairs, ())
    assert placed is not None
    for bar in placed.bars:
        assert bar.left >= 0
        assert bar.left + bar.width <= 100.01
        others = [b for b in placed.bars if b is not bar and b.row == bar.row]
        assert all(b.left >= bar.left + bar.width or b.left + b.width <= bar.left for b in others)


def test_what_was_planned_and_not_run_is_shown() -> None:
    run = make_run(loss=np.ones(50), planned_steps=200)
    placed = strip(run, [], ())
    assert placed is not None
    assert (placed.last, placed.end) == (50, 200)
    assert 24 < placed.done < 26
    assert strip(make_run(), [], ()) is None
