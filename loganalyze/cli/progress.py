"""What is being read, on a terminal, once it has taken a while. It goes to stderr and leaves no trace."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

from loganalyze.lang import ENGLISH
from loganalyze.lang.translation import label

if TYPE_CHECKING:
    from rich.console import Console

PATIENCE = 2.0  # seconds that may pass in silence


@contextmanager
def reading(
    *,
    quiet: bool,
    lang: str = ENGLISH,
    console: Console | None = None,
    patience: float = PATIENCE,
) -> Iterator[Callable[[Path], None] | None]:
    """Show the files that are read, from `patience` seconds on.

    Yields
    ------
    What to call with the path of each file before it is read; None where nobody looks: stderr is
    no terminal, or `quiet` is set.
    """
    if quiet or not (console.is_terminal if console else sys.stderr.isatty()):
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    display = Progress(*columns, console=console or Console(stderr=True), transient=True)
    task = display.add_task("Reading")
    files = 0

    def opened(path: Path) -> None:
        nonlocal files
        files += 1
        display.update(
            task, description=escape(label(f"Reading {_named(path)}, file {files:,}", lang))
        )

    timer = Timer(patience, display.start)
    timer.daemon = True
    timer.start()
    try:
        yield opened
    finally:
        timer.cancel()
        timer.join()  # it may be starting the display just now
        display.stop()


def _named(path: Path) -> str:
    """Return the printable name of a file with its size."""
    name = "".join(letter if letter.isprintable() else "?" for letter in path.name)
    try:
        return f"{name} ({path.stat().st_size / 1e6:,.1f} MB)"
    except OSError:
        return name


@contextmanager
def counting(
    *,
    quiet: bool,
    lang: str = ENGLISH,
    console: Console | None = None,
    patience: float = PATIENCE,
) -> Iterator[Callable[[int, int], None]]:
    """Show how many runs are done and how long the rest will take, from `patience` seconds on.

    Yields
    ------
    What to call with the number of those done and of all.
    """
    if quiet or not (console.is_terminal if console else sys.stderr.isatty()):
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    display = Progress(*columns, console=console or Console(stderr=True), transient=True)
    task = display.add_task(label("Runs", lang), total=None)
    timer = Timer(patience, display.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda done, total: display.update(task, completed=done, total=total)
    finally:
        timer.cancel()
        timer.join()  # it may be starting the display just now
        display.stop()
