"""Files of JSON lines that are whole up to the last line, whatever ends the process."""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MODE = 0o666  # less what the process's umask takes
TAIL = 1 << 20  # bytes at the end of a file in which its last line begins


def strict(value: Any) -> Any:
    """Return a value that strict JSON can hold: numbers that are not finite become their names."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    return value


class Lines:
    """Appends records to a file, each in one write to the system: what was written survives a SIGKILL.

    A line that a killed process left unfinished is removed when the file is opened again.
    """

    def __init__(self, path: Path, head: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self.count = 0  # lines in the file
        self._torn = False
        if path.exists():
            _mend(path)
            with path.open("rb") as file:
                self.count = sum(block.count(b"\n") for block in iter(lambda: file.read(TAIL), b""))
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, MODE)
        self.close = weakref.finalize(self, os.close, self._file)
        if head is not None and not self.count:
            self.add(head)

    def add(self, record: Mapping[str, Any]) -> int:
        """Append a record; return the 1-based number of its line."""
        import orjson

        try:
            line = orjson.dumps(record, default=str)
        except TypeError:  # an integer beyond 64 bits
            line = orjson.dumps({key: str(value) for key, value in record.items()})
        data = (b"\n" if self._torn else b"") + line + b"\n"
        self.count += self._torn
        self._torn = True
        self._torn = os.write(self._file, data) != len(data)  # a full disk takes a part
        self.count += 1
        return self.count


def _mend(path: Path) -> None:
    """Cut off what stands after the last line."""
    size = path.stat().st_size
    with path.open("rb+") as file:
        start = max(size - TAIL, 0)
        file.seek(start)
        tail = file.read()
        end = start + tail.rfind(b"\n") + 1
        if end < size:
            os.ftruncate(file.fileno(), end)
