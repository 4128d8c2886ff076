"""What stdout can show: its width, colour, Unicode, and with that its language."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

import click

from loganalyze.lang import ENGLISH

PLAIN_WIDTH = 80  # columns of text that goes into a pipe or a file


def terminal(color: str, lang: str = ENGLISH) -> dict[str, Any]:
    """Return width, colour, Unicode and language for text on stdout; `color` is auto, always or never.

    Where Unicode cannot be shown, text is English.
    """
    interactive = sys.stdout.isatty()
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    columns = shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns
    unicode = encoding.startswith("utf")
    return {
        "width": columns if interactive else PLAIN_WIDTH,
        "color": _coloured(color, interactive=interactive),
        "unicode": unicode,
        "lang": lang if unicode else ENGLISH,
    }


def _coloured(color: str, *, interactive: bool) -> bool:
    """Follow --color, then NO_COLOR and TERM=dumb, then FORCE_COLOR, then the terminal.

    NO_COLOR counts when it is not empty (no-color.org), and so does FORCE_COLOR (force-color.org).
    """
    if color != "auto":
        return color == "always"
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return interactive or bool(os.environ.get("FORCE_COLOR"))


def put_document(text: str) -> None:
    """Print a document for programs: UTF-8, whatever the terminal's encoding."""
    click.echo(text.encode("utf-8", "replace"), nl=False)


def forgive_encodings() -> None:
    """Let letters that stdout and stderr cannot show become question marks, not an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
