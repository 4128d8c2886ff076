"""Reading a log window by window: numbers go to a heap, events and settings to their places.

Lines whose shape is known are read all at once (`text_shape`); the others one by one
(`text_grammar`), and a shape that comes twice is learned.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from loganalyze.ingest import text_config, text_events, text_place, text_shape, text_tables
from loganalyze.ingest.text_events import Collector
from loganalyze.ingest.text_grammar import prefix, read_line
from loganalyze.ingest.text_lines import Lines
from loganalyze.ingest.text_reading import Kind, Reading, Role
from loganalyze.ingest.text_records import Heap
from loganalyze.ingest.text_shape import Shape
from loganalyze.ingest.text_words import is_metric
from loganalyze.names import fold
from loganalyze.run import ConfigValue

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loganalyze.run import IntArray

MOST_SHAPES = 256  # learned shapes; each costs a pass over the lines that no other shape took
MOST_PATTERNS = 20_000  # lines that were read one by one and remembered, to see one come twice
FIRST_CHUNK, LAST_CHUNK = 512, 32_768  # lines handled at once; few at first, to learn early
LOOKED_BACK = 50  # lines before an event in which its time is looked for
_HEADINGS = frozenset({Kind.HEADER, Kind.TRAINING, Kind.EVALUATION})
_PLACES = frozenset({Role.STEP, Role.EPOCH, Role.INNER, Role.BAR})

# A line without any of these words holds no metric and no place. In the syntax of RE2.
_WORDS = (
    r"(?i:loss|acc|ppl|perpl|norm|\blr\b|\blr[_:=]|learn|mfu|err|bpb|bits|f1|auc|bleu|wer|cer|iou|map|mse|mae"
    r"|prec|recall|entropy|reward|rew_?mean|tok|epoch|step|iter|top|kl\b|r2\b|like/frame|likelihood|scale"
    r"|score|timesteps|fps|it/s\b|s/it\b|objective|total_|\ball\s|time_|data_|mem|sec|elapsed|grad|samples|examples"
    r"|img|\bdt\b|tel:|rpn_|rcnn_|roi_|^\s*\d+/\d+\s+[\d.]+G\s)"
)
_CELL = r"\|\s*[-+\dnN][-+.\dA-Za-z/]*\s*\|?\s*$"  # a number in the last column of a table
INTEREST = (_WORDS, _CELL, text_place.HEADING, text_events.INTEREST, text_config.INTEREST)


@dataclass
class Reader:
    """Takes in the windows of one log."""

    source: str
    heap: Heap = field(default_factory=Heap)
    config: dict[str, ConfigValue] = field(default_factory=dict)
    blocks: list[tuple[int, int]] = field(default_factory=list)  # lines of tracebacks: from, to
    _shapes: list[Shape] = field(default_factory=list)
    _hits: Counter[str] = field(default_factory=Counter)
    _known: set[str] = field(default_factory=set)
    _heads: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of tables, by first name
    _chunk: int = FIRST_CHUNK

    def __post_init__(self) -> None:
        self.collector = Collector(self.source)

    def fork(self) -> Reader:
        """Return a reader that goes on from here by itself; what was read so far is shared."""
        other = replace(
            self,
            heap=self.heap.fork(),
            config=dict(self.config),
            blocks=list(self.blocks),
            _shapes=list(self._shapes),
            _hits=Counter(self._hits),
            _known=set(self._known),
            _heads=dict(self._heads),
        )
        other.collector = deepcopy(self.collector)
        return other

    def feed(self, lines: Lines) -> None:
        """Take in one window."""
        import numpy as np

        array = lines.array()
        self._find_heads(lines, array)
        done = self._continue_block(lines, 0)
        while done < len(lines):
            stop = min(done + self._chunk, len(lines))
            self._chunk = min(self._chunk * 2, LAST_CHUNK)
            rest = np.arange(done, stop)
            rest = self._scan_shapes(lines, array, rest)
            done = max(stop, self._read_rest(lines, array, rest))

    def _find_heads(self, lines: Lines, array: pa.Array) -> None:
        """Look ahead for the heads of tables: a log may begin in the middle of one."""
        import pyarrow.compute as pc

        if self._heads or lines.first:
            return
        found = pc.match_substring_regex(array, text_tables.HEAD).to_numpy(zero_copy_only=False)
        for index in found.nonzero()[0].tolist():
            if (names := text_tables.columns(lines.text(index))) is not None:
                self._heads.setdefault(names[0], names)

    def _scan_shapes(self, lines: Lines, array: pa.Array, rest: IntArray) -> IntArray:
        """Read the lines of known shapes; return the others."""
        for shape in self._shapes:
            if not len(rest):
                break
            rest = self._scan(lines, array, rest, shape)
        self._shapes.sort(key=lambda shape: -self._hits[shape.pattern])
        return rest

    def _scan(self, lines: Lines, array: pa.Array, rest: IntArray, shape: Shape) -> IntArray:
        import numpy as np

        whole = len(rest) and rest[-1] - rest[0] + 1 == len(rest)
        some = array.slice(rest[0], len(rest)) if whole else array.take(rest)
        mask, columns = text_shape.scan(some, shape)
        found = rest[mask]
        self._hits[shape.pattern] += len(found)
        if len(found) and shape.form is not None:
            self.heap.add_many(shape.form, found + lines.first, lines.rows[found], columns)
        return rest[~mask] if len(found) else np.asarray(rest)

    def _read_rest(self, lines: Lines, array: pa.Array, rest: IntArray) -> int:
        """Read lines one by one, and learn the shapes that come twice; return where to go on."""
        done = 0
        rest = (
            rest[_interesting(array.take(rest), in_table=bool(self._heads))] if len(rest) else rest
        )
        while len(rest):
            index, rest = int(rest[0]), rest[1:]
            if index < done:
                continue
            text = lines.text(index)
            shape = self._read(text, lines, index)
            if self.collector.is_open:
                done = self._continue_block(lines, index + 1)
            elif shape is not None:
                rest = self._scan(lines, array, rest, shape)
        return done

    def _event(self, text: str, start: int, lines: Lines, index: int) -> None:
        """Look for an event in a line whose own text begins at `start`."""
        if not text_events.may_be_event(text):
            return
        row, place = int(lines.rows[index]), lines.first + index
        before = self.collector.total
        self.collector.feed(text, text[start:], row, place)
        if self.collector.is_open or self.collector.total > before:
            self.collector.date(
                self._time_before(lines, index), newest=self.collector.total > before
            )

    def _time_before(self, lines: Lines, index: int) -> float | None:
        """Return the time that the nearest line before (or at) `index` is stamped with."""
        for number in range(index, max(index - LOOKED_BACK, -1), -1):
            text = lines.text(number)
            for span, role, _, _ in prefix(text)[0].fields:
                if role is Role.STAMP:
                    return text_shape.seconds(text[slice(*span)])
        return None

    def _continue_block(self, lines: Lines, start: int) -> int:
        """Feed an open traceback; return the first line after it."""
        index = start
        while self.collector.is_open and index < len(lines):
            text = lines.text(index)
            place = lines.first + index
            if text.strip() and not self.collector.feed(text, text, int(lines.rows[index]), place):
                break
            index += 1
        if index > start:
            self.blocks.append((lines.first + start, lines.first + index))
        return index

    def _read(self, text: str, lines: Lines, index: int) -> Shape | None:
        """Read one line; return its shape if it came before and can be learned."""
        if (names := text_tables.columns(text)) is not None:
            self._heads[names[0]] = names
            return None
        _, start = prefix(text)
        events = self.collector.total
        self._event(text, start, lines, index)
        if self.collector.is_open:
            return None
        row = int(lines.rows[index])
        reading = read_line(text, tuple(self._heads.values()))
        if reading is not None:
            numbers = text_shape.evaluate(text, reading)
            self.heap.add(reading.form, lines.first + index, row, numbers)
        if not _has_place(reading):
            for key, value in text_config.settings(text[start:], f"{self.source}:{row}").items():
                self.config.setdefault(key, value)
        # A line that tells of an event is always read by itself.
        is_plain = self.collector.total == events
        return self._learn(text_shape.learn(text, reading)) if is_plain else None

    def _learn(self, shape: Shape | None) -> Shape | None:
        if shape is None or len(self._shapes) >= MOST_SHAPES:
            return None
        if shape.pattern in self._known:
            self._shapes.append(shape)
            return shape
        if len(self._known) < MOST_PATTERNS:
            self._known.add(shape.pattern)
        return None


def _interesting(lines: pa.Array, *, in_table: bool) -> NDArray[np.bool_]:
    """Tell which lines are worth reading; rows of numbers only below the head of a table."""
    import numpy as np
    import pyarrow.compute as pc

    found = np.zeros(len(lines), dtype=bool)
    for pattern in (*INTEREST, text_tables.ROW) if in_table else INTEREST:
        found |= pc.match_substring_regex(lines, pattern).to_numpy(zero_copy_only=False)
    return found


def _has_place(reading: Reading | None) -> bool:
    if reading is None or not _HEADINGS.isdisjoint(reading.form.records):
        return False
    if Kind.CELL in reading.form.records:  # a table may hold settings
        return any(is_metric(fold(meaning.name)) for meaning in reading.form.fields)
    if any(kind is not Kind.LINE for kind in reading.form.records):
        return True
    return any(meaning.role in _PLACES for meaning in reading.form.fields)
