from pathlib import Path

import pytest

import loganalyze as la
from loganalyze.ingest.ranks import rank_of
from loganalyze.run import EventKind, Status

CRASH = 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\n    x\nRuntimeError: NCCL\n'


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("log/workerlog.0", "log/workerlog.3"),
        ("train_rank0.log", "train_rank3.log"),
        ("log_rank_0.txt", "log_rank_3.txt"),
        ("none_x1/attempt_0/0/stdout.log", "none_x1/attempt_0/3/stderr.log"),
        ("slurm-4711-0.out", "slurm-4711-3.out"),
    ],
)
def test_names_of_launchers_tell_job_and_rank(one: str, two: str) -> None:
    first, second = rank_of(one), rank_of(two)
    assert first is not None
    assert second is not None
    assert first[0] == second[0]
    assert (first[1], second[1]) == (0, 3)


@pytest.mark.parametrize("name", ["train.log", "slurm-4711_3.out", "frank.log", "a/0/stdout.log"])
def test_other_names_tell_none(name: str) -> None:
    assert rank_of(name) is None


@pytest.mark.parametrize("name", ["workerlog.{}", "attempt_0/{}/stdout.log", "train_rank{}.log"])
def test_ranks_are_one_run_with_one_curve_and_all_failures(tmp_path: Path, name: str) -> None:
    for rank in range(4):
        path = tmp_path / name.format(rank)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(f"step {s} loss={5 - s / 10 + rank:.3f}\n" for s in range(1, 21))
        path.write_text(text + (CRASH if rank == 3 else ""))
    run = la.load(tmp_path)
    assert run.others == ()
    assert run.series("train/loss").value[0] == pytest.approx(4.9)
    assert len(run.series("train/loss")) == 20
    (crash,) = run.events_of(EventKind.TRACEBACK)
    assert crash.data["rank"] == 3
    assert run.status is Status.CRASHED
    left_out = [s for s in run.sources if any("left out" in p.text for p in s.problems)]
    assert len(left_out) == 3


def test_a_metric_that_only_another_rank_has_is_kept(tmp_path: Path) -> None:
    (tmp_path / "workerlog.0").write_text("step 1 loss=2.0\nstep 2 loss=1.0\n")
    (tmp_path / "workerlog.1").write_text("step 1 loss=9.0 grad_norm=3.0\nstep 2 loss=8.0\n")
    run = la.load(tmp_path)
    assert run.series("train/grad_norm").value.tolist() == [3.0]
    assert run.series("train/loss").value.tolist() == [2.0, 1.0]
