"""Colour, width and letters, as the surroundings want them; tried on a real terminal too."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path

import pytest

from loganalyze.cli.terminal import terminal

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = str(ROOT / "sample_logs" / "report-280-classes")
ESCAPE = "\x1b["


class Screen(io.StringIO):
    encoding = "utf-8"

    def __init__(self, *, interactive: bool) -> None:
        super().__init__()
        self.isatty = lambda: interactive  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("interactive", "option", "surroundings", "coloured"),
    [
        (True, "auto", {}, True),
        (False, "auto", {}, False),
        (True, "auto", {"NO_COLOR": "1"}, False),
        (True, "auto", {"NO_COLOR": ""}, True),
        (True, "auto", {"TERM": "dumb"}, False),
        (False, "auto", {"FORCE_COLOR": "1"}, True),
        (False, "auto", {"FORCE_COLOR": ""}, False),
        (True, "auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (False, "auto", {"FORCE_COLOR": "1", "TERM": "dumb"}, False),
        (False, "always", {"NO_COLOR": "1", "TERM": "dumb"}, True),
        (True, "never", {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_follows_option_then_environment_then_terminal(
    interactive: bool,
    option: str,
    surroundings: Mapping[str, str],
    coloured: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Screen(interactive=interactive))
    assert terminal(option)["color"] is coloured


def test_text_for_a_pipe_has_80_columns_whatever_the_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "133")
    monkeypatch.setattr(sys, "stdout", Screen(interactive=False))
    assert terminal("auto")["width"] == 80
    monkeypatch.setattr(sys, "stdout", Screen(interactive=True))
    assert terminal("auto")["width"] == 133


def on_a_terminal(columns: int, **surroundings: str) -> str:
    """What `diagnose` writes to a real terminal of that width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    kept = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "loganalyze", "diagnose", SAMPLE, "--isolated"],
        stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, cwd=ROOT,
        env={**kept, "TERM": "xterm", "PYTHONIOENCODING": "utf-8", **surroundings},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait() == 0
    return shown.decode("utf-8").replace("\r\n", "\n")


def test_a_real_terminal_gets_colour_and_its_own_width() -> None:
    shown = on_a_terminal(120)
    assert shown.startswith(f"{ESCAPE}1;31m▲ CRITICAL")
    plain = on_a_terminal(120, NO_COLOR="1")
    assert ESCAPE not in plain
    assert 80 < max(map(len, plain.splitlines())) <= 120


def piped(*arguments: str, **surroundings: str) -> subprocess.CompletedProcess[bytes]:
    kept = {key: value for key, value in os.environ.items() if key != "FORCE_COLOR"}
    return subprocess.run(
        [sys.executable, "-m", "loganalyze", *arguments],
        capture_output=True, cwd=ROOT, check=False, env={**kept, **surroundings},
    )  # fmt: skip


def test_a_pipe_that_is_not_utf_8_gets_ascii_and_documents_stay_utf_8(tmp_path: Path) -> None:
    text = piped("diagnose", SAMPLE, PYTHONIOENCODING="ascii")
    assert text.returncode == 0
    assert text.stdout.isascii()
    assert text.stdout.startswith(b"x CRITICAL  The train loss")
    document = piped("diagnose", SAMPLE, "--format", "markdown", PYTHONIOENCODING="ascii")
    assert document.returncode == 0
    assert document.stdout.decode("utf-8").startswith("**▲ CRITICAL**")


def test_a_name_that_is_no_text_can_be_shown_everywhere(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "caf") + b"\xe9"
    os.mkdir(folder)  # noqa: PTH102 - Path takes no bytes
    log = "".join(f"step {n} loss={3 - n / 100}\n" for n in range(1, 60)).encode()
    with open(folder + b"/train.log", "wb") as file:  # noqa: PTH123
        file.write(log)
    name = os.fsdecode(folder)
    for style in ("text", "json", "markdown", "github", "junit"):
        done = piped("diagnose", name, "--format", style, PYTHONIOENCODING="utf-8")
        assert done.returncode == 0, done.stderr
        done.stdout.decode("utf-8")
    for command in ("inspect", "report"):
        more = ("-o", str(tmp_path / "out.html")) if command == "report" else ()
        done = piped(command, name, *more, PYTHONIOENCODING="utf-8")
        assert done.returncode == 0, done.stderr
