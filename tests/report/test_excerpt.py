"""Lines of a log in the report: those that are cited, from inside the run directory, harmless, not without end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loganalyze.report import excerpt
from loganalyze.report.excerpt import around, quoted, tail
from loganalyze.run import Run, Source, Where
from tests.builders import make_run


def _run(root: Path, *names: str) -> Run:
    run = make_run(sources=[Source(name, "text", 1) for name in names])
    object.__setattr__(run, "path", str(root))
    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "run"
    root.mkdir()
    lines = [f"step {i} loss 1.0" for i in range(1, 101)]
    lines[49] = "\x1b[31mValueError: api_key=abcdef123456\x1b[0m"
    (root / "train.log").write_text("\n".join(lines) + "\n")
    return root


def test_the_lines_around_a_place_have_their_numbers(folder: Path) -> None:
    found = around(_run(folder, "train.log"), Where("train.log", 50), 2, 3)
    assert found is not None
    assert [line.number for line in found.lines] == [48, 49, 50, 51, 52, 53]
    assert [line.number for line in found.lines if line.cited] == [50]
    assert found.lines[0].text == "step 48 loss 1.0"


def test_secrets_colours_and_endless_lines_are_taken_out(folder: Path) -> None:
    (folder / "long.log").write_text("x" * 5_000_000 + "\nup 1\rup 2\rup 3\r\n\u202e\tend\n")
    run = _run(folder, "train.log", "long.log")
    secret = around(run, Where("train.log", 50), 0, 0)
    assert secret is not None
    assert secret.lines[0].text == "ValueError: api_key=[redacted]"
    long = around(run, Where("long.log", 2), 1, 1)
    assert long is not None
    assert len(long.lines[0].text) <= excerpt.WIDTH + 2
    assert long.lines[1].text == "up 3"
    assert long.lines[2].text == "\\u202e    end"


@pytest.mark.parametrize("name", ["link.log", "../outside.log", "sub/link.log", "/etc/hostname"])
def test_nothing_outside_of_the_run_directory_is_read(folder: Path, name: str) -> None:
    outside = folder.parent / "outside.log"
    outside.write_text("secret of another\n")
    (folder / "link.log").symlink_to(outside)
    (folder / "sub").symlink_to(folder.parent)
    (folder.parent / "link.log").write_text("secret of another\n")
    run = _run(folder, name)
    assert around(run, Where(name, 1), 1, 1) is None
    assert tail(run, name, 3) is None


def test_a_pipe_blocks_nothing_and_a_missing_file_is_no_error(folder: Path) -> None:
    os.mkfifo(folder / "pipe.log")
    run = _run(folder, "pipe.log", "gone.log")
    assert around(run, Where("pipe.log", 1), 1, 1) is None
    assert around(run, Where("gone.log", 1), 1, 1) is None


def test_only_a_bounded_part_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _run(folder, "train.log")
    monkeypatch.setattr(excerpt, "SCANNED", 200)
    monkeypatch.setattr(excerpt, "TAIL", 100)
    assert around(run, Where("train.log", 3), 0, 0) is not None
    assert around(run, Where("train.log", 90), 0, 0) is None
    last = tail(run, "train.log", 50)
    assert last is not None
    assert len(last.lines) <= 6
    assert last.lines[-1].text == "step 100 loss 1.0"


def test_a_record_number_is_no_line(folder: Path) -> None:
    run = make_run(sources=[Source("train.log", "tfevents", 1)])
    object.__setattr__(run, "path", str(folder))
    assert around(run, Where("train.log", 3), 1, 1) is None


def test_the_middle_of_a_long_traceback_is_left_out() -> None:
    found = quoted("train.log", "\n".join(f"line {i}" for i in range(100)), 30)
    assert found is not None
    assert len(found.lines) == 31
    assert found.lines[10].text == "... 70 lines ..."
    assert found.lines[-1].text == "line 99"
