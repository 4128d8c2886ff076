"""What a watch shows: a picture that is drawn over on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import click

from loganalyze.cli.terminal import terminal
from loganalyze.lang.translation import label, translate
from loganalyze.report.redact import redact, visible
from loganalyze.report.text import SHAPES, render

if TYPE_CHECKING:
    from rich.live import Live

    from loganalyze.finding import Diagnosis, Finding
    from loganalyze.watch.watch import Refresh

REMEMBERED = 5  # changes that stay in the picture
WORDS = ("found", "cleared")  # what becomes of a finding


class View(Protocol):
    """What shows a watch."""

    def show(self, refresh: Refresh) -> None:
        """Show what a look brought."""

    def tick(self, silent: float, *, waiting: bool) -> None:
        """Show that time passes: so many seconds without anything new; `waiting` for the run to begin."""

    def conclude(self, refresh: Refresh, *, verbose: bool, quiet: bool) -> None:
        """Show the diagnosis of the run that is over."""


@contextmanager
def view(color: str, lang: str, path: str, *, quiet: bool) -> Iterator[View]:
    """Give what shows a watch here: pictures on a terminal, lines into a pipe or a file."""
    shown = terminal(color, lang)
    if quiet or not sys.stdout.isatty():
        yield Lines(shown, quiet=quiet)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(no_color=not shown["color"], highlight=False)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield Picture(live, shown, path)


def change(finding: Finding, word: str, shown: dict[str, Any]) -> str:
    """Return the line of one change: the time of day, what became of it, and the finding."""
    lang = shown["lang"]
    shape = SHAPES[finding.severity][not shown["unicode"]]
    title = visible(redact(translate(finding.title, lang)))
    return f"{time.strftime('%H:%M:%S')} {label(word, lang)}  {shape} {finding.id}  {title}"


def changes(refresh: Refresh, shown: dict[str, Any]) -> list[str]:
    """Return a line for each change that a look brought."""
    found = refresh.changes
    told = zip(WORDS, (found.confirmed, found.recovered), strict=True)
    return [change(finding, word, shown) for word, findings in told for finding in findings]


class Lines:
    """Prints a line for each change."""

    def __init__(self, shown: dict[str, Any], *, quiet: bool) -> None:
        self._shown, self._quiet = shown, quiet

    def show(self, refresh: Refresh) -> None:
        """Print what changed."""
        if not self._quiet:
            for line in changes(refresh, self._shown):
                click.echo(line)

    def tick(self, silent: float, *, waiting: bool) -> None:
        """Print nothing: a pipe is no clock."""

    def conclude(self, refresh: Refresh, *, verbose: bool, quiet: bool) -> None:
        """Print the last changes and the diagnosis."""
        self.show(refresh)
        _print(refresh.diagnosis, self._shown, verbose=verbose, quiet=quiet)


class Picture:
    """Draws the diagnosis over and over: verdict, curves, causes, findings, and the last changes."""

    def __init__(self, live: Live, shown: dict[str, Any], path: str) -> None:
        self._live, self._shown, self._path = live, shown, path
        self._body = ""
        self._past: deque[str] = deque(maxlen=REMEMBERED)

    def show(self, refresh: Refresh) -> None:
        """Draw what a look brought."""
        self._past.extend(changes(refresh, self._shown))
        self._body = render(refresh.diagnosis, **self._shown)

    def tick(self, silent: float, *, waiting: bool) -> None:
        """Draw the clock anew."""
        from rich.text import Text

        lang = self._shown["lang"]
        name = visible(redact(self._path))
        told = "waiting for it to begin" if waiting else f"nothing new for {silent:,.0f} s"
        head = f"{time.strftime('%H:%M:%S')}  {name}: {label(told, lang)}"
        drawn = "\n".join([head, "", self._body.rstrip(), "", *self._past]).rstrip()
        self._live.update(Text.from_ansi(drawn), refresh=True)

    def conclude(self, refresh: Refresh, *, verbose: bool, quiet: bool) -> None:
        """Leave the diagnosis on the terminal, below what changed last."""
        for line in (*self._past, *changes(refresh, self._shown)):
            click.echo(line)
        _print(refresh.diagnosis, self._shown, verbose=verbose, quiet=quiet)


def _print(diagnosis: Diagnosis, shown: dict[str, Any], *, verbose: bool, quiet: bool) -> None:
    text = render(diagnosis, verbose=verbose, quiet=quiet, **shown)
    click.echo(text, nl=False, color=True)
