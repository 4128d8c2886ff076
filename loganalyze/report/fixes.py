"""Reading a fix, which is a sentence, for the settings that it changes: name, before, after."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# "learning_rate 0.002 -> 0.0004", at the start of the line or of a part of it, up to the next part.
_CHANGE = re.compile(
    r"(?:^|(?<=, )|(?<=\. )|(?<=; ))(?P<name>[A-Za-z_][\w.]*) (?:(?P<before>[^\s,;]+) )?-> "
    r"(?P<after>[^\s,;]+?)(?=$|[,;:.]\s|[.:;]$)"
)


@dataclass(frozen=True, slots=True)
class Change:
    """One setting; `before` is empty where the log does not tell."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A line of advice.

    Attributes
    ----------
    changes
        The settings it names.
    rest
        The whole line where it says more than the changes; else empty.
    """

    text: str
    changes: tuple[Change, ...]
    rest: str

    @property
    def copied(self) -> str:
        """What belongs into a settings file, or the sentence itself."""
        return "\n".join(f"{c.name}={c.after}" for c in self.changes) or self.text


def fix(text: str) -> Fix:
    """Read one line of advice."""
    found = list(_CHANGE.finditer(text))
    changes = tuple(Change(m["name"], m["before"] or "", m["after"]) for m in found)
    left = _CHANGE.sub("", text).strip(" ,;.")
    return Fix(text, changes, text if left or not changes else "")


def fixes(lines: Sequence[str]) -> tuple[Fix, ...]:
    """Read all lines of advice of a cause or a finding."""
    return tuple(fix(line) for line in lines)
