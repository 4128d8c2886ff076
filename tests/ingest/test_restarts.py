"""Restarts, as real writers leave them: every point stays, series hold no superseded one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import loganalyze as la
from loganalyze.frame import metrics_frame
from loganalyze.ingest.ingester import Table
from loganalyze.ingest.merge import merge
from loganalyze.run import Run

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def loss(step: int, start: int = 0) -> float:
    """A loss that tells which start logged it."""
    return 3 - step / 1000 + start / 100


def session(
    folder: Path, steps: Iterable[int], start: int, tag: str = "train/loss", **more: object
) -> None:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder), filename_suffix=f".{start}", **more) as writer:
        for step in steps:
            time = 1e9 + 10_000 * start + step
            writer.add_scalar(tag, loss(step, start), step, walltime=time)


def lines(steps: Iterable[int], start: int = 0) -> str:
    return "".join(f"step {step} loss={loss(step, start):.4f}\n" for step in steps)


def state(path: Path, *parts: tuple[Iterable[int], int], planned: int = 200) -> None:
    history = [
        {"step": step, "loss": loss(step, start), "epoch": step / 100}
        for steps, start in parts
        for step in steps
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps(
            {"log_history": history, "global_step": history[-1]["step"], "max_steps": planned}
        )
    )


def starts(run: Run) -> dict[int, tuple[int, int]]:
    """Segment -> its first and last step."""
    spans = run.metrics.groupby("segment")["step"].agg(["min", "max"])
    return {int(n): (int(row["min"]), int(row["max"])) for n, row in spans.iterrows()}


def assert_series_is_of(run: Run, *parts: tuple[Iterable[int], int]) -> None:
    series = run.series("train/loss")
    expected = [(step, loss(step, start)) for steps, start in parts for step in steps]
    assert series.step.tolist() == [step for step, _ in expected]
    np.testing.assert_allclose(series.value, [value for _, value in expected], rtol=1e-3)
    assert (np.diff(series.segment) >= 0).all()


def test_three_sessions_in_three_event_files(tmp_path: Path) -> None:
    session(tmp_path, range(1, 121), 0)
    session(tmp_path, range(101, 151), 1)
    session(tmp_path, range(141, 201), 2)
    run = la.load(tmp_path)
    assert starts(run) == {0: (1, 120), 1: (101, 150), 2: (141, 200)}
    assert len(run.metrics) == 120 + 50 + 60
    assert_series_is_of(run, (range(1, 101), 0), (range(101, 141), 1), (range(141, 201), 2))


def test_a_restart_further_back_supersedes_two_starts(tmp_path: Path) -> None:
    session(tmp_path, range(1, 121), 0)
    session(tmp_path, range(101, 151), 1)
    session(tmp_path, range(51, 71), 2)
    assert_series_is_of(la.load(tmp_path), (range(1, 51), 0), (range(51, 71), 2))


def test_another_process_that_goes_on_exactly_starts_a_segment(tmp_path: Path) -> None:
    session(tmp_path, range(1, 101), 0)
    session(tmp_path, range(101, 201), 1)
    assert starts(la.load(tmp_path)) == {0: (1, 100), 1: (101, 200)}


@pytest.mark.parametrize(("process", "segments"), [(77, [0]), (78, [0, 1])])
def test_a_process_that_writes_two_files_did_not_restart(
    tmp_path: Path, process: int, segments: list[int]
) -> None:
    for number, (writer, steps) in enumerate([(77, range(1, 101)), (process, range(101, 201))]):
        session(tmp_path / "raw", steps, number)
        (written,) = (tmp_path / "raw").iterdir()
        (tmp_path / "run").mkdir(exist_ok=True)
        written.rename(tmp_path / f"run/events.out.tfevents.{number + 1}.host.{writer}.{number}")
    run = la.load(tmp_path / "run")
    assert sorted(set(run.metrics["segment"])) == segments
    assert len(run.series("train/loss")) == 200


def test_parallel_writers_of_train_and_validation_share_their_starts(tmp_path: Path) -> None:
    for start, steps in enumerate((range(1, 121), range(101, 201))):
        session(tmp_path / "train", steps, start, "loss")
        session(tmp_path / "validation", [step for step in steps if step % 20 == 0], start, "loss")
    run = la.load(tmp_path)
    assert sorted(set(run.metrics["segment"])) == [0, 1]
    assert run.series("eval/loss").segment.tolist() == [0] * 5 + [1] * 5


def test_an_evaluation_of_abandoned_weights_is_superseded(tmp_path: Path) -> None:
    session(tmp_path, range(1, 121), 0)
    session(tmp_path / "more", [60, 115], 0, "eval/loss")
    (written,) = (tmp_path / "more").iterdir()
    written.rename(tmp_path / "events.out.tfevents.5.eval")
    (tmp_path / "more").rmdir()
    session(tmp_path, range(101, 131), 1)
    run = la.load(tmp_path)
    assert run.series("eval/loss").step.tolist() == [60]


def test_a_resumed_trainer_rewinds_to_its_checkpoint(tmp_path: Path) -> None:
    for last in (50, 100, 120):
        state(tmp_path / f"checkpoint-{last}/trainer_state.json", (range(1, last + 1), 0))
    resumed = [(range(1, 101), 0), (range(101, 201), 1)]
    state(tmp_path / "checkpoint-150/trainer_state.json", resumed[0], (range(101, 151), 1))
    state(tmp_path / "trainer_state.json", *resumed, planned=300)
    run = la.load(tmp_path)
    assert len(run.metrics) == 200 + 20
    assert_series_is_of(run, *resumed)
    assert starts(run) == {0: (1, 120), 1: (101, 200)}
    assert run.planned_steps == 300  # what the latest start was told


def test_two_abandoned_branches_are_two_restarts(tmp_path: Path) -> None:
    state(tmp_path / "checkpoint-60/trainer_state.json", (range(1, 61), 0))
    state(tmp_path / "checkpoint-110/trainer_state.json", (range(1, 51), 0), (range(51, 111), 1))
    final = [(range(1, 51), 0), (range(51, 101), 1), (range(101, 201), 2)]
    state(tmp_path / "checkpoint-200/trainer_state.json", *final)
    run = la.load(tmp_path)
    assert len(run.metrics) == 200 + 10 + 10
    assert starts(run) == {0: (1, 60), 1: (51, 110), 2: (101, 200)}
    assert_series_is_of(run, *final)


def test_checkpoints_of_one_start_are_one_segment(tmp_path: Path) -> None:
    for last in (50, 100, 150):
        state(tmp_path / f"checkpoint-{last}/trainer_state.json", (range(1, last + 1), 0))
    run = la.load(tmp_path)
    assert len(run.metrics) == 150
    assert starts(run) == {0: (1, 150)}


def test_all_sources_of_a_resumed_run_tell_the_same_story(tmp_path: Path) -> None:
    """The state forgot what was lost, the event files and the logs of the two jobs did not."""
    resumed = [(range(1, 101), 0), (range(101, 201), 1)]
    state(tmp_path / "trainer_state.json", *resumed)
    session(tmp_path / "runs/a", range(1, 121), 0)
    session(tmp_path / "runs/b", range(101, 201), 1)
    (tmp_path / "slurm-1.out").write_text(lines(range(1, 121)))
    (tmp_path / "slurm-2.out").write_text(lines(range(101, 201), 1))
    run = la.load(tmp_path)
    assert run.others == ()
    assert [len(family) for family in run.families] == [1, 2, 2]
    assert_series_is_of(run, *resumed)
    found = {finding.id: finding for finding in la.diagnose(run).findings}
    assert "sources-disagree" not in found
    assert found["steps-overlap"].evidence["steps_repeated"] == 20
    assert "tfevents" in str(found["steps-overlap"].where[0])


RESUMED = "Resuming training from checkpoint-100\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (lines(range(1, 121)) + lines(range(101, 201), 1), {0: (1, 120), 1: (101, 200)}),
        (lines(range(1, 121)) + RESUMED + lines(range(101, 201)), {0: (1, 120), 1: (101, 200)}),
        (lines(range(1, 101)) + RESUMED + lines(range(101, 201)), {0: (1, 100), 1: (101, 200)}),
        (lines(range(1, 101)) + 3 * RESUMED + lines(range(101, 201)), {0: (1, 100), 1: (101, 200)}),
        (RESUMED + lines(range(1, 101)), {0: (1, 100)}),
        (lines(range(1, 101)) + "loaded checkpoint 'best.pt'\n", {0: (1, 100)}),
        (lines(range(1, 101)) + "loaded checkpoint 'best.pt'\nstep 100 val_loss=2.0\n", {0: (1, 100)}),
    ],
    ids=["appended", "told and fell back", "told", "told three times", "at the beginning",
         "best weights at the end", "best weights tested"],
)  # fmt: skip
def test_a_line_that_says_resumed(tmp_path: Path, text: str, expected: dict) -> None:
    (tmp_path / "train.log").write_text(text)
    assert starts(la.load(tmp_path)) == expected


def test_logs_of_requeued_jobs_continue_each_other(tmp_path: Path) -> None:
    (tmp_path / "slurm-100.out").write_text(lines(range(1, 121)))
    (tmp_path / "slurm-101.out").write_text(RESUMED + lines(range(101, 201), 20))
    run = la.load(tmp_path)
    assert run.others == ()
    assert_series_is_of(run, (range(1, 101), 0), (range(101, 201), 20))
    assert starts(run) == {0: (1, 120), 1: (101, 200)}


def test_a_copy_of_a_part_of_a_log_continues_nothing(tmp_path: Path) -> None:
    (tmp_path / "all.log").write_text(lines(range(1, 201)))
    (tmp_path / "tail.log").write_text(lines(range(101, 201)))
    run = la.load(tmp_path)
    assert run.preferred["train/loss"] == ("all.log",)
    assert starts(run) == {0: (1, 200)}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_order_of_tables_does_not_matter(order: tuple[int, int]) -> None:
    tables = [table(range(1, 121), 0), table(range(101, 201), 1)]
    run = merge("x", [tables[index] for index in order], "x")
    assert_series_is_of(run, (range(1, 101), 0), (range(101, 201), 1))


def table(steps: Iterable[int], start: int) -> Table:
    steps = list(steps)
    return Table(
        source=f"e{start}", format="tfevents", run=".", order=float(start),
        metrics=metrics_frame(
            {
                "metric": ["train/loss"] * len(steps), "step": steps, "source": f"e{start}",
                "value": [loss(step, start) for step in steps],
            }
        ),
    )  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40)), min_size=1, max_size=6))
def test_a_series_holds_what_a_following_reader_would(spans: list[tuple[int, int]]) -> None:
    """Each start, as it is written, removes what lies at or after its first step."""
    current: dict[int, float] = {}
    tables = []
    for start, (first, count) in enumerate(spans):
        steps = range(first, first + count)
        current = {step: value for step, value in current.items() if step < first}
        current |= {step: loss(step, start) for step in steps}
        tables.append(table(steps, start))
    run = merge("x", tables, "x")
    series = run.series("train/loss")
    assert dict(zip(series.step.tolist(), series.value.tolist(), strict=True)) == current
    assert len(run.metrics) == sum(count for _, count in spans)


def purged(writer: Callable[..., object], tmp_path: Path) -> Run:
    with writer(str(tmp_path)) as first:
        for step in range(1, 121):
            first.add_scalar("train/loss", loss(step), step, walltime=1e9 + step)
    with writer(str(tmp_path), purge_step=101, filename_suffix=".resumed") as second:
        for step in range(101, 201):
            second.add_scalar("train/loss", loss(step, 1), step, walltime=1e9 + 500 + step)
    return la.load(tmp_path)


def test_purged_steps_of_a_summary_writer_are_superseded(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    run = purged(SummaryWriter, tmp_path)
    assert starts(run) == {0: (1, 120), 1: (101, 200)}
    assert_series_is_of(run, (range(1, 101), 0), (range(101, 201), 1))
