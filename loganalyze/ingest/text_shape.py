"""Line shapes: learned from one line, then all lines of that shape are read at once.

A shape is a regular expression in which the words of the line stand as they are, and every number is
free. RE2 (through Arrow) matches it against a whole window in one call and hands the numbers over as
columns. It runs in linear time whatever the line holds, so hostile lines cost no more than others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loganalyze.ingest.text_reading import Form, Meaning, Reading, Role, Span, number

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loganalyze.run import FloatArray

LONGEST = 4_000  # characters; a longer line is read by itself
MOST_FIELDS = 200  # numbers in one line

_PLAIN = r"[-+]?(?:\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|(?i:nan|inf(?:inity)?))"
_GROUPED = r"[-+]?\d[\d,]*(?:\.\d+)?"  # 1,093,515
_STAMP = r"(?:\d{4}[-/]\d\d[-/]\d\d|\d\d/\d\d/\d{4})[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
_MONTH_FIRST = r"^(\d\d)-(\d\d)-(\d{4})"  # 01/31/2024, as the examples of Hugging Face print it
_IS_PLAIN = re.compile(_PLAIN)
_IS_GROUPED = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")

# What differs from line to line beside the numbers that mean something, and what stands for it.
_LOOSE = re.compile(
    r"(?P<bar>(?<=%)\|[^|]*\|)"
    r"|(?P<rate>\[[\d:]+<[^,\]]{0,30},\s*[\d.?]+(?=it/s|s/it))"
    r"|(?P<keras>\[[=>.]+\]|━[━╸╺]*)"
    r"|(?P<clock>(?<![\w.@])(?:\d+ days?, )?\d+(?::\d\d){1,3}(?![\w]))"
    r"|(?P<number>(?<![\w@.])[-+]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?)"
    r"|(?P<space>[ \t]+)"
)
_PATTERNS = {
    "bar": r"\|[^|]*\|",
    "rate": r"\[[\d:]+<[^,\]]*,\s*[\d.?]+",
    "keras": r"(?:\[[=>.]+\]|━[━╸╺]*)",
    "clock": r"(?:\d+ days?, )?\d+(?::\d\d){1,3}",
    "number": r"[-+]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?",
}
_OPENS = frozenset("[(:=|,/<")  # after these, a number may be padded with blanks


@dataclass(frozen=True, slots=True)
class Shape:
    """A learned shape: its expression, the meaning of its numbers, and which of them it captures."""

    pattern: str
    form: Form | None  # None: lines of this shape say nothing
    grouped: tuple[bool, ...] = ()  # per captured number: it may hold thousands separators

    @property
    def captured(self) -> tuple[Meaning, ...]:
        """Return the meanings of the captured numbers, in order."""
        return tuple(m for m in self.form.fields if m.scale == m.scale) if self.form else ()


def learn(text: str, reading: Reading | None) -> Shape | None:
    """Return the shape of a line; None for a line that no other will be like."""
    fields = reading.form.fields if reading else ()
    if (
        len(text) > LONGEST
        or len(fields) > MOST_FIELDS
        or not text.replace("\t", " ").isprintable()
    ):
        return None
    parts: list[str] = []
    grouped: list[bool] = []
    end = 0
    for piece, meaning in _pieces(reading):
        parts.append(_between(text, end, piece, reading))
        end = piece[1]
        if meaning is None:
            parts.append(r"[^\"]*")
        elif meaning.scale == meaning.scale:
            expression = _number_pattern(text[slice(*piece)], meaning.role)
            if expression is None:
                return None
            grouped.append(expression is _GROUPED)
            opened = r"\s*" if text[: piece[0]].rstrip()[-1:] in _OPENS else ""
            parts.append(f"{opened}(?P<n{len(grouped)}>{expression})")
    parts.append(_between(text, end, (len(text.rstrip()), len(text)), reading))
    return Shape(f"^{''.join(parts)}\\s*$", reading.form if reading else None, tuple(grouped))


def _pieces(reading: Reading | None) -> list[tuple[Span, Meaning | None]]:
    """Return numbers and free texts in the order of the line."""
    if reading is None:
        return []
    pieces: list[tuple[Span, Meaning | None]] = [(span, None) for span in reading.texts]
    pieces += zip(reading.spans, reading.form.fields, strict=True)
    return sorted(pieces, key=lambda item: item[0])


def _number_pattern(text: str, role: Role) -> str | None:
    if role is Role.STAMP:
        return _STAMP
    if _IS_GROUPED.fullmatch(text):
        return _GROUPED
    return _PLAIN if _IS_PLAIN.fullmatch(text) else None


def _between(text: str, start: int, piece: Span, reading: Reading | None) -> str:
    """Return the expression for what stands between two numbers that mean something."""
    words = [span for span in (reading.words if reading else ()) if start <= span[0] < piece[0]]
    parts = []
    for word in words:
        parts.append(_loose(text, start, word[0]))
        parts.append(re.escape(text[word[0] : min(word[1], piece[0])]))
        start = min(word[1], piece[0])
    parts.append(_loose(text, start, piece[0]))
    return "".join(parts)


def _loose(text: str, start: int, stop: int) -> str:
    """Return the expression for text whose numbers are free."""
    parts = []
    for found in _LOOSE.finditer(text, start, stop):
        before = text[: found.start()].rstrip()[-1:]
        parts.append(re.escape(text[start : found.start()]))
        start = found.end()
        kind = str(found.lastgroup)
        if kind == "space":
            parts.append(r"\s*" if before in _OPENS or not before else r"\s+")
        else:
            parts.append((r"\s*" if before in _OPENS else "") + _PATTERNS[kind])
    parts.append(re.escape(text[start:stop]))
    return "".join(parts)


def scan(
    lines: pa.LargeStringArray, shape: Shape
) -> tuple[NDArray[np.bool_], tuple[FloatArray, ...]]:
    """Return which of `lines` have the shape, and the numbers of those: one array per field of the form.

    Stamps come as UNIX seconds. Raises `ValueError` where the lines are not as the shape promised.
    """
    import numpy as np
    import pyarrow.compute as pc

    if not shape.captured:
        mask = pc.match_substring_regex(lines, shape.pattern).to_numpy(zero_copy_only=False)
        columns: list[FloatArray] = []
    else:
        found = pc.extract_regex(lines, shape.pattern)
        valid = found.is_valid()
        mask = valid.to_numpy(zero_copy_only=False)
        if not mask.any():
            return mask, ()
        kept = found if mask.all() else found.filter(valid)
        columns = [
            _column(pc.struct_field(kept, index), meaning, is_grouped)
            for index, (meaning, is_grouped) in enumerate(
                zip(shape.captured, shape.grouped, strict=True)
            )
        ]
    count = int(np.count_nonzero(mask))
    fields = shape.form.fields if shape.form else ()
    captured = iter(columns)
    constant = np.full(count, np.nan)
    return mask, tuple(next(captured) if m.scale == m.scale else constant for m in fields)


def _column(texts: pa.Array, meaning: Meaning, is_grouped: bool) -> FloatArray:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if meaning.role is Role.STAMP:
        return _seconds(texts)
    if is_grouped:
        texts = pc.replace_substring(texts, ",", "")
    try:
        values = pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:  # a spelling that Arrow does not know: +1.5, 5., -nan
        values = np.array([number(text) for text in texts.to_pylist()], dtype=np.float64)
    scaled: FloatArray = values * meaning.scale if meaning.scale != 1.0 else values
    return scaled


def _seconds(texts: pa.Array) -> FloatArray:
    """Return UNIX seconds of dates and times, taken as UTC; NaN for those that no calendar has."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.replace_substring(pc.replace_substring(texts, ",", "."), "/", "-")
    texts = pc.replace_substring_regex(texts, _MONTH_FIRST, r"\3-\1-\2")
    try:
        moments = pc.cast(texts, pa.timestamp("ns"))
    except pa.ArrowInvalid:
        return np.array([seconds(text) for text in texts.to_pylist()], dtype=np.float64)
    counts = moments.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return np.asarray(counts, dtype=np.float64) / 1e9


def seconds(text: str) -> float:
    """Return UNIX seconds of one date and time, taken as UTC; NaN for one that no calendar has."""
    from datetime import UTC, datetime

    text = re.sub(_MONTH_FIRST, r"\3-\1-\2", text.replace("/", "-"))
    whole, _, fraction = text.replace(",", ".").replace("T", " ").partition(".")
    try:
        moment = datetime.strptime(whole, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return float("nan")
    return moment.timestamp() + float(f"0.{fraction or 0}")


def evaluate(text: str, reading: Reading) -> tuple[float, ...]:
    """Return the numbers of one line, as `scan` returns those of many."""
    numbers = []
    for (start, stop), meaning in zip(reading.spans, reading.form.fields, strict=True):
        if meaning.role is Role.STAMP:
            numbers.append(seconds(text[start:stop]))
        elif meaning.scale != meaning.scale:
            numbers.append(float("nan"))
        else:
            numbers.append(number(text[start:stop]) * meaning.scale)
    return tuple(numbers)
