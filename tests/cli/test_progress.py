"""Reading shows itself on a terminal once it takes a while, and leaves no trace."""

import io
import threading
from pathlib import Path

from rich.console import Console

from loganalyze.cli.progress import reading
from loganalyze.ingest import load


class Screen(io.StringIO):
    """A terminal that tells when a text has been drawn on it."""

    def __init__(self, awaited: str) -> None:
        super().__init__()
        self.awaited, self.drawn = awaited, threading.Event()

    def write(self, text: str) -> int:
        count = super().write(text)
        if self.awaited in self.getvalue():
            self.drawn.set()
        return count


def terminal(screen: io.StringIO) -> Console:
    return Console(file=screen, force_terminal=True, width=100, color_system=None)


def test_a_long_read_names_the_file_and_wipes_it_off(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("step 1 loss 2.5\n")
    screen = Screen("Reading train.log (0.0 MB), file 1")
    with reading(quiet=False, console=terminal(screen), patience=0.0) as opened:
        assert opened is not None
        opened(log)
        assert screen.drawn.wait(30)
    assert screen.getvalue().endswith("\x1b[2K")  # the line is erased


def test_a_short_read_shows_nothing(tmp_path: Path) -> None:
    screen = Screen("Reading")
    with reading(quiet=False, console=terminal(screen), patience=600.0) as opened:
        assert opened is not None
        opened(tmp_path / "missing.log")
    assert screen.getvalue() == ""


def test_nothing_is_shown_where_nobody_looks() -> None:
    with reading(quiet=True, console=terminal(io.StringIO())) as opened:
        assert opened is None
    with reading(quiet=False, console=Console(file=io.StringIO())) as opened:
        assert opened is None


def test_an_odd_name_cannot_steer_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "a\x1b]0;x\x07[red]\udcff.log"
    screen = Screen("[red]")
    with reading(quiet=False, console=terminal(screen), patience=0.0) as opened:
        assert opened is not None
        opened(log)
        assert screen.drawn.wait(30)
    assert "a?]0;x?[red]?.log" in screen.getvalue()


def test_every_file_that_is_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("step 1 loss 2.5\nstep 2 loss 2.4\n")
    (tmp_path / "b.csv").write_text("step,loss\n1,2.5\n2,2.4\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    told: list[Path] = []
    load(tmp_path, opened=told.append)
    assert [path.name for path in told] == ["a.log", "b.csv"]
