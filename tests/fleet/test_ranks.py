"""The ranks of a job: who failed first, who is slow, who disagrees, who fell silent."""

from __future__ import annotations

import json
import pickle
import time
from pathlib import Path

import pytest

from loganalyze.fleet.flight import dump_rank, read_dump
from loganalyze.fleet.plan import Plan
from loganalyze.fleet.scan import scan

START = 1_700_000_000
CASCADE = "torch.distributed.DistBackendError: NCCL communicator was aborted on rank 3: watchdog timed out"
OWN = "RuntimeError: CUDA error: an illegal memory access was encountered"


def stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(START + seconds))


def write_rank(
    folder: Path,
    rank: int,
    *,
    steps: int = 200,
    pace: float = 2.0,
    error: str = "",
    late: float = 1,
    factor: float = 1,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{stamp(step * pace)} INFO step {step} loss {factor * (1 + 1 / step):.4f} grad_norm {factor * 2 / step:.4f}\n"
        for step in range(1, steps + 1)
    ]
    if error:
        lines.append(f"{stamp(steps * pace + late)} ERROR\nTraceback (most recent call last):\n")
        lines.append(f'  File "train.py", line 9, in step\n    loss.backward()\n{error}\n')
    (folder / f"rank_{rank}.log").write_text("".join(lines))


def job(folder: Path):
    found = scan(folder, plan=Plan(workers=1))
    assert len(found.rows) == 1
    return found.jobs[0]


def test_the_error_of_its_own_making_outranks_the_cascade(tmp_path: Path) -> None:
    for rank in range(6):
        own = rank == 4
        write_rank(tmp_path / "job", rank, error=OWN if own else CASCADE, late=5 if own else 1)
    found = job(tmp_path / "job")
    assert (found.ranks, found.world, found.failed) == (6, 6, 6)
    assert found.root.rank == 4
    assert "illegal memory access" in found.root.text
    assert found.root.where.startswith("rank_4.log:")


def test_of_two_errors_the_earlier_counts(tmp_path: Path) -> None:
    for rank in range(5):
        late = {1: 9.0, 3: 2.0}.get(rank, 30)
        write_rank(tmp_path / "job", rank, error=OWN if rank in (1, 3) else CASCADE, late=late)
    assert job(tmp_path / "job").root.rank == 3


def test_a_rank_that_fell_silent_is_the_root_of_a_cascade(tmp_path: Path) -> None:
    for rank in range(6):
        silent = rank == 2
        write_rank(
            tmp_path / "job", rank, steps=120 if silent else 200, error="" if silent else CASCADE
        )
    found = job(tmp_path / "job")
    assert [odd.rank for odd in found.silent] == [2]
    assert "silent after step 120" in found.silent[0].text
    assert found.root.rank == 2


def test_a_straggler_is_named_and_equal_ranks_are_not(tmp_path: Path) -> None:
    for rank in range(6):
        write_rank(tmp_path / "job", rank, pace=3.0 if rank == 5 else 2.0)
    found = job(tmp_path / "job")
    assert [odd.rank for odd in found.stragglers] == [5]
    assert "1.50 x the median rank" in found.stragglers[0].text
    for rank in range(6):
        write_rank(tmp_path / "even", rank)
    assert job(tmp_path / "even").quiet


def test_a_rank_that_disagrees_is_named_where_the_others_agree(tmp_path: Path) -> None:
    for rank in range(6):
        write_rank(tmp_path / "job", rank, factor=1.3 if rank == 1 else 1.0)
    assert [odd.rank for odd in job(tmp_path / "job").disagreeing] == [1]
    for rank in range(6):  # each logs its own loss: nobody disagrees
        write_rank(tmp_path / "own", rank, factor=1 + rank / 50)
    assert job(tmp_path / "own").disagreeing == ()


def test_a_missing_log_is_said(tmp_path: Path) -> None:
    for rank in (0, 1, 2, 4, 5):
        write_rank(tmp_path / "job", rank)
    assert [(odd.rank, odd.text) for odd in job(tmp_path / "job").silent] == [
        (3, "no log of this rank")
    ]


def dump(done: int, pending: str) -> dict[str, object]:
    entries = [
        {"collective_seq_id": number, "process_group": ["0", "default_pg"], "input_sizes": [[8]],
         "profiling_name": "nccl:all_reduce" if number <= done else pending,
         "state": "completed" if number <= done else "started"}
        for number in range(1, done + 2)
    ]  # fmt: skip
    return {"version": "2.5", "entries": entries}


@pytest.mark.parametrize("kind", ["json", "pickle"])
def test_flight_recorder_dumps_say_who_is_behind(tmp_path: Path, kind: str) -> None:
    for rank in range(4):
        write_rank(tmp_path / "job", rank)
        content = dump(7 if rank == 2 else 9, "nccl:all_gather" if rank == 2 else "nccl:all_reduce")
        path = tmp_path / "job" / f"nccl_trace_rank_{rank}{'.json' * (kind == 'json')}"
        path.write_bytes(json.dumps(content).encode() if kind == "json" else pickle.dumps(content))
    (odd,) = job(tmp_path / "job").collectives
    assert odd.rank == 2
    assert "completed 7 collectives" in odd.text
    assert "all_gather number 8" in odd.text


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


def test_a_dump_is_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "nccl_trace_rank_0"
    path.write_bytes(pickle.dumps({"entries": [Evil()], "more": Evil()}))
    assert read_dump(path, 0, path.name) == []
    path.write_bytes(b"\x80\x04garbage")
    assert read_dump(path, 0, path.name) == []
    assert (dump_rank("nccl_trace_rank_12"), dump_rank("train.log")) == (12, None)


def test_ranks_are_remembered(tmp_path: Path) -> None:
    for rank in range(4):
        write_rank(tmp_path / "job", rank, error=OWN if rank == 1 else CASCADE)
    plan = Plan(index=tmp_path / "index", workers=1)
    first = scan(tmp_path / "job", plan=plan)
    again = scan(tmp_path / "job", plan=plan)
    assert again.costs.known == 1
    assert again.jobs == first.jobs
