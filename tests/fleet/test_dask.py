"""The cluster engine on a real scheduler and two workers, one of which is killed while it works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loganalyze.errors import NothingReadable
from loganalyze.fleet.plan import Plan
from loganalyze.fleet.scan import scan

pytest.importorskip("distributed", reason="the extra `fleet` is not installed")

ROOT = Path(__file__).resolve().parents[2]
STARTING = 60  # seconds that a process may take to be there


def started(folder: Path, command: str, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.{command}", "--scheduler-file", str(folder / "scheduler.json"),
         "--no-dashboard", *arguments],
        cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    import json

    folder = tmp_path / "cluster"
    folder.mkdir()
    processes = [started(folder, "dask_scheduler", "--host", "127.0.0.1", "--port", "0")]
    try:
        until((folder / "scheduler.json").exists)
        workers = [
            started(
                folder,
                "dask_worker",
                "--host",
                "127.0.0.1",
                "--nthreads",
                "1",
                "--no-nanny",
                "--name",
                name,
            )
            for name in ("one", "two")
        ]
        processes += workers
        address = json.loads((folder / "scheduler.json").read_text())["address"]
        until(lambda: seen(address) == 2)
        yield address, workers
    finally:
        for process in processes[::-1]:
            process.kill()
            process.wait()


def until(fact: Callable[[], bool]) -> None:
    end = time.monotonic() + STARTING
    while not fact():
        assert time.monotonic() < end, "a process of the cluster did not start"
        time.sleep(0.1)


def seen(address: str) -> int:
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        return len(client.nthreads())


def test_a_killed_worker_costs_no_run_and_doubles_none(
    cluster: tuple[str, list[subprocess.Popen[bytes]]], make_fleet: Callable[..., Path]
) -> None:
    address, workers = cluster
    fleet = make_fleet(24, sick=(3, 11))
    told = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        if done == 4:
            workers[0].send_signal(signal.SIGKILL)
            workers[0].wait()

    found = scan(fleet, plan=Plan(dask=address), progress=progress)
    assert workers[0].returncode == -signal.SIGKILL
    assert Counter(row.name for row in found.rows) == Counter(f"run-{n:03d}" for n in range(24))
    assert {row.name for row in found.rows if row.sick} == {"run-003", "run-011"}
    assert told[-1] == (24, 24)
    here = scan(fleet, plan=Plan(workers=2))
    assert found.rows == here.rows


def test_no_scheduler_is_one_line(
    make_fleet: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loganalyze.fleet.dask_engine.ANSWER", 1)
    with pytest.raises(NothingReadable, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        scan(make_fleet(1), plan=Plan(dask="tcp://127.0.0.1:9"))
