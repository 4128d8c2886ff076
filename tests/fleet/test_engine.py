"""Every task is answered once, also when the process that had it dies or runs out of memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from loganalyze.fleet.engine import run_tasks

MEMORY = 2_000_000_000


def work(task: int) -> tuple[int, str]:
    if task == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    if task == 9:
        try:
            bytearray(4 * MEMORY)
        except MemoryError:
            return task, "no memory"
    return task, "done"


def lost(task: int) -> tuple[int, str]:
    return task, "lost"


def test_a_task_that_kills_its_process_costs_only_itself() -> None:
    results = list(run_tasks(work, range(16), lost, workers=2, memory=MEMORY))
    assert Counter(task for task, _ in results) == Counter(range(16))
    told = dict(results)
    assert (told.pop(7), told.pop(9)) == ("lost", "no memory")
    assert set(told.values()) == {"done"}


def environment(name: str) -> tuple[str, str]:
    return name, os.environ.get(name, "")


def test_a_process_has_the_environment_of_its_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("one", "two"):
        monkeypatch.setenv("LOGANALYZE_TEST", value)
        results = run_tasks(
            environment, ["LOGANALYZE_TEST"], lambda _: ("", ""), workers=1, memory=MEMORY
        )
        assert list(results) == [("LOGANALYZE_TEST", value)]


def test_a_script_without_a_guard_is_not_run_again(tmp_path: Path) -> None:
    log = "".join(f"step {step} loss {2 - step / 50:.3f}\n" for step in range(1, 40))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.log").write_text(log)
    code = "import loganalyze as la\nprint(len(la.scan('.').rows))\n"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-"], input=code, capture_output=True, text=True, check=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert done.stdout == "2\n"
    assert "Error" not in done.stderr
