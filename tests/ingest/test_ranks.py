"""The logs of the processes of one job are one run."""

from __future__ import annotations

from pathlib import Path

import pytest

import loganalyze as la
from loganalyze.ingest.ranks import home, members
from loganalyze.run import EventKind, Status

BOOM = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\nRuntimeError: {}\n'


def lines(factor: float, steps=range(1, 51), hour: int = 10) -> str:
    return "".join(
        f"2024-01-01 {hour}:{s // 60:02d}:{s % 60:02d} step {s} loss={factor * (3 - s / 100):.4f}\n"
        for s in steps
    )


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


NAMES = [
    "workerlog.{}",
    "rank_{}.log",
    "rank{}.out",
    "train_rank{}.txt",
    "log_rank{}.txt",
    "local_rank-{}.log",
    "logs/rank_{}/train.log",
    "none_x1/attempt_0/{}/stdout.log",
    "slurm-123-{}.out",
    "slurm-123_4-{}.out",
]


@pytest.mark.parametrize("name", NAMES)
def test_ranks_are_one_run_with_the_numbers_of_the_lowest(tmp_path: Path, name: str) -> None:
    logs = {name.format(rank): lines(1 + rank) for rank in (0, 1, 3)}
    run = la.load(write(tmp_path, logs))
    assert run.others == ()
    assert run.series("train/loss").value[0] == pytest.approx(2.99)
    assert len(run.metrics) == 50
    dropped = {s.path: [p.text for p in s.problems] for s in run.sources if s.problems}
    assert dropped == {
        name.format(rank): [f"rank {rank} of the same run: its 50 points were left out"]
        for rank in (1, 3)
    }
    assert not any(problem.lossy for source in run.sources for problem in source.problems)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("slurm-123_{}.out", (0, 1, 2)),
        ("lora_rank{}.log", (4, 8, 16)),
        ("lora_rank{}/train.log", (4, 8, 16)),
        ("run-{}.log", (0, 1, 2)),
    ],
    ids=["array tasks", "another rank", "folders of another rank", "plain numbers"],
)
def test_other_numbers_are_runs_of_their_own(tmp_path: Path, name: str, numbers) -> None:
    logs = {name.format(number): lines(1 + index) for index, number in enumerate(numbers)}
    assert len(la.load(write(tmp_path, logs)).others) == len(numbers) - 1


def test_a_failure_of_another_rank_is_in_the_run_before_those_that_it_caused(
    tmp_path: Path,
) -> None:
    late = "2024-01-01 10:30:00 the others are gone\n" + BOOM.format("connection closed by peer")
    early = "2024-01-01 10:01:00 oh\n" + BOOM.format("device-side assert")
    run = la.load(
        write(
            tmp_path,
            {
                "rank_0.log": lines(1) + late,
                "rank_1.log": lines(2) + late,
                "rank_3.log": "starting\n" + early,
            },
        )
    )
    assert run.status is Status.CRASHED
    first = run.events_of(EventKind.TRACEBACK)[0]
    assert str(first.where) == "rank_3.log:3"
    assert first.data["rank"] == 3
    assert first.step == 50  # it logs no steps: where the others ended
    (crash,) = (f for f in la.diagnose(run).findings if f.id == "crash")
    assert "device-side assert" in crash.summary


def test_events_that_every_rank_prints_count_once(tmp_path: Path) -> None:
    saved = "Saving model checkpoint to out/checkpoint-50\n"
    run = la.load(write(tmp_path, {f"rank_{r}.log": lines(1 + r) + saved for r in range(4)}))
    assert len(run.events_of(EventKind.CHECKPOINT)) == 1


def test_what_only_another_rank_measures_is_kept(tmp_path: Path) -> None:
    memory = "".join(f"step {s} loss=1.0 max_mem: {s}\n" for s in range(1, 51))
    run = la.load(write(tmp_path, {"rank_0.log": lines(1), "rank_1.log": memory}))
    assert len(run.series("gpu/memory_allocated")) == 50
    assert run.series("train/loss").where(0).source == "rank_0.log"


def test_the_lowest_rank_that_logs_gives_the_numbers(tmp_path: Path) -> None:
    saved = "Saving model checkpoint to out/checkpoint-50\n"
    run = la.load(
        write(tmp_path, {"rank_0.log": saved, "rank_1.log": lines(2), "rank_2.log": lines(3)})
    )
    assert run.series("train/loss").value[0] == pytest.approx(2 * 2.99)


@pytest.mark.parametrize(
    ("out", "err"),
    [("job.out", "job.err"), ("slurm-1.out", "slurm-1.err"), ("stdout.log", "stderr.log"), ("a.log", "a.err"),
     ("train.o123", "train.e123")],
)  # fmt: skip
def test_both_streams_of_a_job_are_one_run(tmp_path: Path, out: str, err: str) -> None:
    other = "".join(f"step {s} loss={s}.0\n" for s in range(1, 51))  # not what stdout says
    run = la.load(write(tmp_path, {out: lines(1), err: other + BOOM.format("x")}))
    assert run.others == ()
    assert run.status is Status.CRASHED


def test_an_error_stream_goes_with_its_own_job(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "slurm-1.err": "loading\n",
            "slurm-1.out": lines(1),
            "slurm-2.err": BOOM.format("x"),
            "slurm-2.out": lines(5),
        },
    )
    runs = {name: la.load(tmp_path, run=name) for name in ("slurm-2.out", tmp_path.name)}
    assert runs["slurm-2.out"].status is Status.CRASHED
    (event,) = runs["slurm-2.out"].events
    assert event.step == 50
    assert runs[tmp_path.name].status is not Status.CRASHED


def test_attempts_of_a_launcher_are_restarts(tmp_path: Path) -> None:
    folder = "none_x1/attempt_{}/{}/{}.log"
    files = {
        folder.format(attempt, rank, "stdout"): lines(1 + attempt + rank, steps, 10 + attempt)
        for attempt, steps in enumerate((range(1, 51), range(1, 101)))
        for rank in (0, 1)
    }
    files[folder.format(0, 1, "stderr")] = BOOM.format("x")
    run = la.load(write(tmp_path, files))
    assert run.others == ()
    assert sorted(set(run.metrics["segment"])) == [0, 1]
    assert run.series("train/loss").value[0] == pytest.approx(2 * 2.99, abs=1e-3)
    (event,) = run.events
    assert (event.step, event.data["rank"]) == (50, 1)
    assert run.status is not Status.CRASHED  # the next attempt went on


def test_what_a_path_says() -> None:
    found = members(["a/attempt_1/2/stderr.log", "a/attempt_0/0/stdout.log", "train.log"])
    assert [found[path].rank for path in found] == [2, 0, None]
    assert found["a/attempt_1/2/stderr.log"].job == found["a/attempt_0/0/stdout.log"].job
    assert home("a/attempt_1/2/stderr.log") == "a"
    assert home("0/stdout.log") == "."
    assert home("logs/rank_1/x.log") == "logs"
    assert home("train.log") is None


def test_paddle_s_worker_logs(tmp_path: Path) -> None:
    corpus = Path(__file__).resolve().parents[3] / "shared/corpus/stdout/paddle"
    if not corpus.is_dir():
        pytest.skip("the corpus of public logs is not here")
    for path in corpus.glob("hutuxian*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    run = la.load(tmp_path)
    assert run.others == ()
    assert {str(name) for name in run.metrics["source"].unique()} == {
        "hutuxian__RSPNet__log~workerlog.0.log"
    }
