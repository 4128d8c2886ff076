"""Further places that a monitor writes its numbers to, beside its own lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loganalyze.errors import UsageError
from loganalyze.monitor.quiet import Quiet
from loganalyze.monitor.writers import mlflow, tensorboard, wandb
from loganalyze.monitor.writers.writer import Kind, Writer

KINDS: tuple[Kind, ...] = (tensorboard.KIND, mlflow.KIND, wandb.KIND)


class Guarded:
    """A writer whose failures cost its own numbers only."""

    def __init__(self, kind: Kind, writer: Writer) -> None:
        self._writer, self._quiet = writer, Quiet(f"Writing to {kind.name}")

    def write(self, step: int, found: Mapping[str, float]) -> None:
        """Write the numbers of a step."""
        with self._quiet:
            self._writer.write(step, found)

    def close(self) -> None:
        """Write what is left."""
        with self._quiet:
            self._writer.close()


def open_writers(
    names: Sequence[str], directory: Path, run: str, config: Mapping[str, Any]
) -> tuple[Guarded, ...]:
    """Open the writers of these names.

    Raises
    ------
    UsageError
        For a name that there is not.
    MissingExtra
        For one whose package is not installed.
    """
    known = {kind.name: kind for kind in KINDS}
    for name in names:
        if name not in known:
            raise UsageError(f"no writer is called {name!r}; there are: {', '.join(known)}")
    chosen = [known[name] for name in dict.fromkeys(names)]
    return tuple(Guarded(kind, kind.open(directory, run, config)) for kind in chosen)
