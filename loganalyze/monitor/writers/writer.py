"""What a writer is: it takes the numbers of a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Writer(Protocol):
    """One place that numbers are written to."""

    def write(self, step: int, found: Mapping[str, float]) -> None:
        """Write the numbers of a step, under the names that they were logged by."""

    def close(self) -> None:
        """Write what is left, and end."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of writer: ``open(directory, run, config)`` begins a run with these settings."""

    name: str
    open: Callable[[Path, str, Mapping[str, Any]], Writer]
