"""All records of a log as columns: one row per record, and one per number in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from loganalyze.ingest.text_reading import Form, Kind, Role

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loganalyze.run import FloatArray, IntArray

PLACES = (
    Role.STEP, Role.TOTAL, Role.EPOCH, Role.EPOCHS, Role.INNER, Role.LENGTH, Role.BAR, Role.BAR_TOTAL,
    Role.RANK, Role.STAMP,
)  # fmt: skip
MAX_STEP = 2**53  # beyond it a step is no longer exact as a float
MAX_EPOCH = 1e9  # what is above is no epoch


@dataclass(frozen=True)
class Records:
    """Records in the order of the log, and the numbers in them.

    Attributes
    ----------
    line, row
        Shape (n,): logical line (0-based) and physical line (1-based).
    kind
        Shape (n,): index into `tuple(Kind)`.
    place
        Role -> shape (n,): what the line says about where it stands; NaN where it says nothing.
    owner, code, value
        Shape (m,): for each number the index of its record, its name (an index into `names`), itself.
    """

    line: IntArray
    row: IntArray
    kind: NDArray[np.int8]
    place: dict[Role, FloatArray]
    owner: IntArray
    code: IntArray
    value: FloatArray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.line)

    def is_kind(self, *kinds: Kind) -> NDArray[np.bool_]:
        """Tell which records are of one of `kinds`."""
        import numpy as np

        codes = [tuple(Kind).index(kind) for kind in kinds]
        return np.isin(self.kind, codes)

    def having(self, codes: list[int]) -> NDArray[np.bool_]:
        """Tell which records hold a number whose name is one of `codes`."""
        import numpy as np

        found = np.zeros(len(self), dtype=bool)
        found[self.owner[np.isin(self.code, codes)]] = True
        return found

    def take(self, keep: NDArray[np.bool_]) -> Records:
        """Return the records selected by a mask, with their numbers."""
        import numpy as np

        if keep.all():
            return self
        kept = keep[self.owner]
        place = np.cumsum(keep) - 1
        return replace(
            self,
            line=self.line[keep],
            row=self.row[keep],
            kind=self.kind[keep],
            place={role: column[keep] for role, column in self.place.items()},
            owner=place[self.owner[kept]],
            code=self.code[kept],
            value=self.value[kept],
        )

    def with_place(self, **columns: FloatArray) -> Records:
        """Return the records with other columns of `place`, by the name of the role."""
        return replace(self, place={**self.place, **{Role[k]: v for k, v in columns.items()}})


@dataclass
class Heap:
    """Collects the numbers of lines, form by form, in any order."""

    chunks: dict[Form, list[tuple[IntArray, IntArray, tuple[FloatArray, ...]]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    singles: dict[Form, list[tuple[int, int, tuple[float, ...]]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    drawn: list[tuple[IntArray, FloatArray, FloatArray]] = field(default_factory=list)

    def add_many(
        self, form: Form, line: IntArray, row: IntArray, columns: tuple[FloatArray, ...]
    ) -> None:
        """Add lines of one form."""
        self._draw(form, line, columns)
        if form.records:
            self.chunks[form].append((line, row, columns))

    def add(self, form: Form, line: int, row: int, numbers: tuple[float, ...]) -> None:
        """Add one line."""
        import numpy as np

        self._draw(form, np.array([line]), tuple(np.array([number]) for number in numbers))
        if form.records:
            self.singles[form].append((line, row, numbers))

    def fork(self) -> Heap:
        """Return a heap with the same lines, to which others can be added."""
        chunks = {form: list(parts) for form, parts in self.chunks.items()}
        singles = {form: list(lines) for form, lines in self.singles.items()}
        return Heap(defaultdict(list, chunks), defaultdict(list, singles), list(self.drawn))

    def clear(self) -> None:
        """Forget all lines."""
        self.chunks.clear()
        self.singles.clear()
        self.drawn.clear()

    def framework(self) -> str | None:
        """Return the framework that most lines give away."""
        votes: Counter[str] = Counter()
        for form in (*self.chunks, *self.singles):
            if form.framework:
                votes[form.framework] += sum(len(chunk[0]) for chunk in self.chunks.get(form, ()))
                votes[form.framework] += len(self.singles.get(form, ()))
        return votes.most_common(1)[0][0] if votes else None

    def bars(self) -> tuple[IntArray, FloatArray, FloatArray]:
        """Return line, position and total of every progress bar, in the order of the log."""
        import numpy as np

        if not self.drawn:
            return np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
        line, position, total = (np.concatenate(parts) for parts in zip(*self.drawn, strict=True))
        order = np.argsort(line, kind="stable")
        return line[order], position[order], total[order]

    def _draw(self, form: Form, line: IntArray, columns: tuple[FloatArray, ...]) -> None:
        """Keep the progress bars of some lines apart: most lines with one hold nothing else."""
        for at, meaning in enumerate(form.fields):
            if meaning.role is Role.BAR:
                self.drawn.append((line, columns[at], columns[at + 1]))

    def _forms(self) -> list[tuple[Form, tuple[IntArray, IntArray, tuple[FloatArray, ...]]]]:
        """Return each form with all of its lines as columns."""
        import numpy as np

        forms = []
        for form in dict.fromkeys((*self.chunks, *self.singles)):
            parts = list(self.chunks.get(form, ()))
            if alone := self.singles.get(form):
                numbers = np.array([item[2] for item in alone], dtype=np.float64)
                columns = tuple(numbers.reshape(len(alone), len(form.fields)).T)
                line, row = (np.array([item[k] for item in alone], np.int64) for k in (0, 1))
                parts.append((line, row, columns))
            line = np.concatenate([part[0] for part in parts])
            row = np.concatenate([part[1] for part in parts])
            columns = tuple(
                np.concatenate([part[2][k] for part in parts]) for k in range(len(form.fields))
            )
            forms.append((form, (line, row, columns)))
        return forms

    def records(self) -> Records:
        """Return everything that was added, in the order of the log."""
        import numpy as np

        names: dict[str, int] = {}
        line: list[Any] = [np.zeros(0, np.int64)]
        row: list[Any] = [np.zeros(0, np.int64)]
        kind: list[Any] = [np.zeros(0, np.int8)]
        place: dict[Role, list[Any]] = {role: [np.zeros(0)] for role in PLACES}
        numbers: list[tuple[int, list[int], list[FloatArray]]] = []  # first record, names, columns
        count = 0
        for form, (lines, rows, columns) in self._forms():
            for index, sort in enumerate(form.records):
                line.append(lines)
                row.append(rows)
                kind.append(np.full(len(lines), tuple(Kind).index(sort), np.int8))
                own = [
                    (meaning, column)
                    for meaning, column in zip(form.fields, columns, strict=True)
                    if meaning.record in (index, -1)
                ]
                for role, column in _places(own, len(lines)).items():
                    place[role].append(column)
                values = [(m, column) for m, column in own if m.role is Role.VALUE]
                codes = [names.setdefault(m.name, len(names)) for m, _ in values]
                numbers.append((count, codes, [column for _, column in values]))
                count += len(lines)
        lines = np.concatenate(line)
        order = np.argsort(lines, kind="stable")
        rank = np.empty(count, np.int64)
        rank[order] = np.arange(count)
        owner, code, value = _interleave(numbers, rank)
        return Records(
            lines[order],
            np.concatenate(row)[order],
            np.concatenate(kind)[order],
            {role: np.concatenate(parts)[order] for role, parts in place.items()},
            owner,
            code,
            value,
            tuple(names),
        )


def _places(own: list[tuple[Any, FloatArray]], count: int) -> dict[Role, FloatArray]:
    """Return the columns of a record's place; numbers that cannot be one are NaN."""
    import numpy as np

    unknown = np.full(count, np.nan)
    found = dict.fromkeys(PLACES, unknown)
    for meaning, column in own:
        role = meaning.role
        if role in (Role.CLOCK, Role.CLOCK_MS):
            found[Role.STAMP] = column / 1e3 if role is Role.CLOCK_MS else column
        elif role in (Role.EPOCH, Role.EPOCHS):
            found[role] = np.where((column >= 0) & (column < MAX_EPOCH), column, np.nan)
        elif role is not Role.VALUE and role is not Role.STAMP:
            found[role] = np.where((column >= 0) & (column <= MAX_STEP), np.floor(column), np.nan)
        elif role is Role.STAMP:
            found[role] = column
    return found


def _interleave(
    numbers: list[tuple[int, list[int], list[FloatArray]]], rank: IntArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Bring the numbers of all forms into the order of the log; inside a record, of the line."""
    import numpy as np

    owner: list[Any] = [np.zeros(0, np.int64)]
    code: list[Any] = [np.zeros(0, np.int64)]
    value: list[Any] = [np.zeros(0)]
    for first, codes, columns in numbers:
        if not columns:
            continue
        width, height = len(columns), len(columns[0])
        owner.append(np.repeat(rank[first : first + height], width))
        code.append(np.tile(np.array(codes, np.int64), height))
        value.append(np.column_stack(columns).ravel())
    owners = np.concatenate(owner)
    order = np.argsort(owners, kind="stable")
    return owners[order], np.concatenate(code)[order], np.concatenate(value)[order]
