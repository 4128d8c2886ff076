"""The blocks of docs/python.md and docs/json.md, run in order; what they print stands below them."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)


def test_the_page_on_python_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sample_logs").symlink_to(ROOT / "sample_logs")
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall((ROOT / "docs" / "python.md").read_text("utf-8"))
    assert len(blocks) >= 6
    names: dict[str, Any] = {}
    for code, expected in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "docs/python.md", "exec"), names)
        if expected:
            assert printed.getvalue() == expected
    assert (tmp_path / "postmortem.html").is_file()


def test_the_command_of_the_page_on_json_works(tmp_path: Path) -> None:
    (tmp_path / "loganalyze").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m loganalyze "$@"\n')
    (tmp_path / "loganalyze").chmod(0o755)
    (tmp_path / "python").symlink_to(sys.executable)
    (command,) = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "json.md").read_text("utf-8"), re.DOTALL)  # fmt: skip
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", command], capture_output=True, text=True, check=True,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.stdout.startswith("critical loss-not-normalized ")
