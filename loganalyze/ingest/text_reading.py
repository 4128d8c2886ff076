"""What one line of a log says: which of its numbers mean what.

A `Reading` is a `Form` (the meaning of each number) and the places of the numbers in the line. Lines of
one shape have one form: `text_shape` learns the shape from the places, and reads all others at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

Span: TypeAlias = tuple[int, int]

NUMBER = (
    r"[-+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?"
    r"|(?:nan|inf(?:inity)?)\b(?:\(ind\))?|1\.#(?:QNAN|INF|IND))"
)
STAMP = re.compile(r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?")


class Role(Enum):
    """What a number in a line stands for."""

    VALUE = "value"
    STEP = "step"
    TOTAL = "total"  # steps of the whole run
    EPOCH = "epoch"
    EPOCHS = "epochs"  # of the whole run
    INNER = "inner"  # step inside an epoch
    LENGTH = "length"  # steps of an epoch
    BAR = "bar"  # position of a progress bar
    BAR_TOTAL = "bar-total"
    RANK = "rank"
    STAMP = "stamp"  # a date and time, as text
    CLOCK = "clock"  # UNIX seconds
    CLOCK_MS = "clock-ms"  # UNIX milliseconds


class Kind(Enum):
    """What a record is: how it may be placed."""

    LINE = "line"  # names and numbers
    DICT = "dict"  # a Python dictionary, as the Hugging Face Trainer prints it
    SUMMARY = "summary"  # the Trainer's last one: averages over the run
    CELL = "cell"  # one row of a printed table: it shares its place with its neighbours
    HEADER = "header"  # a place without any metric; it counts for the lines below
    TRAINING = "training"  # a heading without a number: what is below it is of the training
    EVALUATION = "evaluation"  # the same, of an evaluation


@dataclass(frozen=True, slots=True)
class Meaning:
    """The meaning of one number: its role, in which of the line's records (-1: the line's own)."""

    role: Role
    name: str = ""
    record: int = 0
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Form:
    """What lines of one shape say; `records` holds the kind of each record in the line."""

    fields: tuple[Meaning, ...]
    records: tuple[Kind, ...] = ()
    framework: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A form with the places of its numbers in one line.

    ``words`` are the places of names, which stand as they are in every line of the shape; ``texts``
    those of quoted strings, which may be any other in the next line.
    """

    form: Form
    spans: tuple[Span, ...]
    words: tuple[Span, ...] = ()
    texts: tuple[Span, ...] = ()


@dataclass(slots=True)
class Draft:
    """One record while its line is being read: its numbers, in any order."""

    kind: Kind = Kind.LINE
    fields: list[tuple[Span, Role, str, float]] = field(default_factory=list)
    words: list[Span] = field(default_factory=list)
    texts: list[Span] = field(default_factory=list)

    def put(self, span: Span, role: Role, name: str = "", scale: float = 1.0) -> None:
        """Add a number."""
        self.fields.append((span, role, name, scale))

    def has(self, *roles: Role) -> bool:
        """Tell whether a number with one of `roles` is there."""
        return any(role in roles for _, role, _, _ in self.fields)

    def drop(self, role: Role) -> None:
        """Forget the numbers with `role`."""
        self.fields = [item for item in self.fields if item[1] is not role]

    def names(self) -> set[str]:
        """Return the names of its metrics."""
        return {name for _, role, name, _ in self.fields if role is Role.VALUE}


def assemble(
    drafts: Iterable[Draft], line: Draft | None = None, framework: str | None = None
) -> Reading:
    """Return the reading of a line with these records; `line` holds the numbers of the line itself.

    Of two numbers at one place, the first counts.
    """
    drafts = list(drafts)
    numbered = [(-1, line)] if line else []
    numbered += list(enumerate(drafts))
    found = sorted(
        ((span, Meaning(role, name, number, scale)) for number, draft in numbered
         for span, role, name, scale in draft.fields),
        key=lambda item: item[0],
    )  # fmt: skip
    fields: list[Meaning] = []
    spans: list[Span] = []
    end = -1
    for span, meaning in found:
        if span[0] >= end:
            fields.append(meaning)
            spans.append(span)
            end = span[1]
    form = Form(tuple(fields), tuple(draft.kind for draft in drafts), framework)
    words = tuple(span for _, draft in numbered for span in draft.words)
    texts = tuple(span for _, draft in numbered for span in draft.texts)
    return Reading(form, tuple(spans), words, texts)


def number(text: str) -> float:
    """Read a number in any spelling of a log; NaN for those of NaN."""
    low = text.lower().replace(",", "")
    if "nan" in low or "#ind" in low:
        return float("nan")
    if "inf" in low:
        return float("-inf") if low.startswith("-") else float("inf")
    return float(low)
