"""In which language the commands answer: ``--lang``, ``LOGANALYZE_LANG``, or `lang` of a settings file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from loganalyze.errors import SettingsError
from loganalyze.lang import ENGLISH, LANGUAGES

VARIABLE = "LOGANALYZE_LANG"
OPTION = "--lang"


def lang_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--lang``; the command receives what was asked for, or None, as ``lang``."""
    option = click.option(
        OPTION, "lang", type=click.Choice(LANGUAGES), envvar=VARIABLE,
        help="Language of what is printed and written; JSON is English.",
    )  # fmt: skip
    return option(command)


def chosen(lang: str | None, settings: Callable[[], Mapping[str, Any]]) -> str:
    """Return the language that was asked for, else that of the settings, else English.

    Raises
    ------
    SettingsError
        If the settings name a language that there is not.
    """
    wanted = lang or settings().get("lang", ENGLISH)
    if wanted not in LANGUAGES:
        raise SettingsError(f"lang = {wanted!r} is not one of {', '.join(LANGUAGES)}")
    return str(wanted)


def of_complaints(arguments: Sequence[str]) -> str:
    """Return the language for an error that may have come before the options were read.

    The settings file is left out: it may be what the error is about.
    """
    asked = os.environ.get(VARIABLE, "")
    for place, argument in enumerate(arguments):
        if argument == OPTION:
            asked = "".join(arguments[place + 1 : place + 2])
        elif argument.startswith(f"{OPTION}="):
            asked = argument.partition("=")[2]
    return asked if asked in LANGUAGES else ENGLISH
