"""What an ingester is: it claims paths and reads each into `Table` values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from loganalyze.frame import empty_metrics
from loganalyze.run import ConfigValue, Event, Problem, Status

if TYPE_CHECKING:
    import pandas as pd

# Formats of which each file stands for itself: two that contradict each other are two runs.
PER_FILE = frozenset({"text", "csv", "json-history"})
HEAD_BYTES = 4096  # how much of a file `claims` gets to see


@dataclass(frozen=True, slots=True)
class Facts:
    """What a source says about its run as a whole; None where it says nothing."""

    framework: str | None = None
    status: Status | None = None
    planned_steps: int | None = None
    planned_epochs: float | None = None
    started: float | None = None
    ended: float | None = None
    name: str | None = None


@dataclass(frozen=True)
class Table:
    """What one source yielded for one run.

    Attributes
    ----------
    source
        Path of the file relative to the root that was pointed at (POSIX separators).
    format
        Short name of the format: ``"hf-trainer-state"``, ``"tfevents"``, ``"mlflow"``, ``"text"``.
    run
        Key of the run it belongs to: the run directory relative to the root (``"."`` for the
        root itself), or ``"mlflow:<run id>"``. Tables with the same key are one run.
    metrics
        Rows as `loganalyze.run.metrics_frame` makes them; ``segment`` counts the restarts
        seen *inside this source*. None for a source with config or events only.
    order
        Orders several sources of one format within a run (later starts later); for example the
        wall time of the first record, or the last step of a checkpoint.
    """

    source: str
    format: str
    run: str
    metrics: pd.DataFrame | None = None
    config: Mapping[str, ConfigValue] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    problems: tuple[Problem, ...] = ()
    facts: Facts = field(default_factory=Facts)
    order: float = 0.0

    @property
    def frame(self) -> pd.DataFrame:
        """The metrics; a frame without rows where there are none."""
        return empty_metrics() if self.metrics is None else self.metrics


@dataclass(frozen=True, slots=True)
class Ingester:
    """One format.

    Attributes
    ----------
    name
        The format's name.
    claims
        ``(path, head) -> bool``: content first (`head` holds the first `HEAD_BYTES` bytes; empty
        for a directory, which an ingester may claim whole), name second. Must be cheap and
        must not raise.
    read
        ``(path, root) -> tables``. May raise `OSError` or `ValueError` for a file that is broken
        as a whole: the caller turns that into a problem of the source.
    """

    name: str
    claims: Callable[[Path, bytes], bool]
    read: Callable[[Path, Path], Sequence[Table]]


def relative(path: Path, root: Path) -> str:
    """Return `path` as sources are named: relative to `root`, with forward slashes."""
    base = root if root.is_dir() else root.parent
    try:
        text = path.relative_to(base).as_posix()
    except ValueError:
        text = path.name
    # A name need not be valid text; what is shown of it must be.
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
