"""What the errors in a log say in words: many causes have a message of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loganalyze.causes.cause import DECISIVE, STATED, Case
from loganalyze.finding import Clue
from loganalyze.run import FATAL, EventKind

LOOKUP = re.compile(r"embedding|embed_tokens|wte\b", re.I)  # calls that look a number up in a table
LONGEST = 140  # characters quoted from the log
TELLING = (*sorted(FATAL), EventKind.HINT)


def quote(case: Case, pattern: re.Pattern[str]) -> str | None:
    """Return the first line of an error or a hint that `pattern` matches, or None."""
    for line in lines(case):
        found = pattern.search(line)
        if found:
            start = max(0, found.end() - LONGEST) if found.end() > LONGEST else 0
            return line[start : start + LONGEST].strip()
    return None


def stated(case: Case, pattern: re.Pattern[str], weight: float = STATED) -> list[Clue]:
    """Return the clue that an error names this cause in words, if one does."""
    line = quote(case, pattern)
    return [Clue(f'The log says "{line}".', weight)] if line is not None else []


def stated_or_not(case: Case, pattern: re.Pattern[str], what: str) -> list[Clue]:
    """Return the clue that an error names this cause, or else that none does.

    For a cause that hardly ever comes without its message.
    """
    return stated(case, pattern) or [Clue(f"No error in the log names {what}.", -DECISIVE)]


def device_assert(case: Case) -> str | None:
    """Return the error of an assertion on the device, where the log does not tell which one failed."""
    errors = [event.text for event in case.run.events_of(EventKind.TRACEBACK)]
    if any("Assertion" in text for text in errors):
        return None
    return next((text for text in errors if "device-side assert triggered" in text), None)


def lines(case: Case) -> Iterator[str]:
    """Yield the lines of errors and hints, the last line of each first."""
    for event in case.run.events_of(*TELLING):
        yield from reversed(event.text.strip().splitlines())  # an error is named last
