"""The `Run`: everything that was read from one training run, before any judgement.

`Run.metrics` is one tidy DataFrame with a row per logged number. `Run.series` is the view that
detectors work on: one source per metric, superseded restarts dropped, sorted by step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property, wraps
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from loganalyze.names import CONFIG_ALIASES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from loganalyze.series import Columns

    FloatArray: TypeAlias = NDArray[np.float64]
    IntArray: TypeAlias = NDArray[np.int64]

T = TypeVar("T")

Scalar: TypeAlias = str | int | float | bool | None

STEP_SECONDS = "perf/step_seconds"
GIVEN = "given by the user"  # the place of a setting that was told, not read


class Status(StrEnum):
    """How a run ended, as far as its log tells."""

    COMPLETED = "completed"
    CRASHED = "crashed"
    TRUNCATED = "truncated"
    RUNNING = "running"
    UNKNOWN = "unknown"


class EventKind(StrEnum):
    """The typed things that happen in a log beside its numbers."""

    TRACEBACK = "traceback"
    OOM_GPU = "oom-gpu"
    OOM_HOST = "oom-host"
    NCCL_TIMEOUT = "nccl-timeout"
    SIGNAL = "signal"
    SYSTEM = "system-error"  # the disk or the hardware
    LOSS_SCALE = "loss-scale"
    SKIPPED_STEP = "skipped-step"
    CHECKPOINT = "checkpoint"
    EPOCH_END = "epoch-end"
    RESUME = "resume"
    HINT = "hint"
    TRAIN_END = "train-end"


FATAL = frozenset(
    {
        EventKind.TRACEBACK,
        EventKind.OOM_GPU,
        EventKind.OOM_HOST,
        EventKind.NCCL_TIMEOUT,
        EventKind.SIGNAL,
        EventKind.SYSTEM,
    }
)


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a source that a person can open: ``train.log:1234``."""

    source: str
    row: int | None = None

    def __str__(self) -> str:
        return self.source if self.row is None else f"{self.source}:{self.row}"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a source that could not be read; the rest of it was.

    ``lossy`` is False for a remark that cost no data (for example: steps had to be counted).
    """

    text: str
    row: int | None = None
    lossy: bool = True


@dataclass(frozen=True, slots=True)
class ConfigValue:
    """A hyper-parameter and the place it was read from."""

    value: Scalar
    where: str


@dataclass(frozen=True, slots=True)
class Event:
    """A typed thing that happened, from text.

    ``step`` is the last step logged before it. ``data`` holds what was parsed: for a traceback
    ``exception``, ``message``, ``frame``; for an out-of-memory error sizes in bytes
    (``tried``, ``allocated``, ``reserved``, ``free``, ``capacity``); for a loss scale ``scale``.
    """

    kind: EventKind
    text: str
    where: Where
    step: int | None = None
    time: float | None = None
    data: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """One file (or store) that was read."""

    path: str
    format: str
    rows: int
    metrics: tuple[str, ...] = ()
    first_step: int | None = None
    last_step: int | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """One metric, ready for analysis: sorted by step, one family of sources, superseded points dropped.

    All arrays have the same length ``n``; ``value`` may hold NaN and infinities.
    """

    metric: str
    sources: tuple[str, ...]
    step: IntArray
    value: FloatArray
    epoch: FloatArray
    time: FloatArray
    row: IntArray
    origin: IntArray  # index into `sources`, per point
    segment: IntArray  # restarts before this point
    derived: bool = False  # computed from other points, not logged

    def __len__(self) -> int:
        return len(self.step)

    def where(self, index: int) -> Where:
        """Return the place in its source of the point at `index`."""
        return Where(self.sources[int(self.origin[index])], int(self.row[index]))

    def finite(self) -> Series:
        """Return the points whose value is finite."""
        import numpy as np

        return self.take(np.isfinite(self.value))

    def take(self, keep: NDArray[np.bool_] | IntArray | slice) -> Series:
        """Return the points selected by a mask, an index array or a slice."""
        return Series(
            self.metric,
            self.sources,
            self.step[keep],
            self.value[keep],
            self.epoch[keep],
            self.time[keep],
            self.row[keep],
            self.origin[keep],
            self.segment[keep],
            self.derived,
        )

    def measuring(self, metric: str, value: FloatArray) -> Series:
        """Return what was derived at these points: the same places, another metric."""
        return replace(self, metric=metric, value=value, derived=True)

    def value_at(self, step: int) -> float | None:
        """Return the value logged last at or before `step`, or None where there is none."""
        import numpy as np

        index = int(np.searchsorted(self.step, step, side="right")) - 1
        return float(self.value[index]) if index >= 0 else None


@dataclass(frozen=True)
class Run:
    """Everything read from one training run.

    Attributes
    ----------
    metrics
        Tidy DataFrame with the columns of `frame.METRIC_COLUMNS`.
    preferred
        Canonical metric name -> the sources that analysis uses for it: files of one format
        that continue each other.
    families
        Sources (as in the `source` column), grouped: those of a group continue each other and count their
        segments together.
    others
        Names of further runs found at the same path, newest first.
    """

    name: str
    path: str
    metrics: pd.DataFrame
    framework: str = "unknown"
    status: Status = Status.UNKNOWN
    planned_steps: int | None = None
    planned_epochs: float | None = None
    started: float | None = None
    ended: float | None = None
    config: Mapping[str, ConfigValue] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    sources: tuple[Source, ...] = ()
    preferred: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    families: tuple[tuple[str, ...], ...] = ()
    others: tuple[str, ...] = ()
    _cache: dict[str, Series] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def columns(self) -> Columns:
        """The columns of `metrics` as arrays."""
        from loganalyze.series import columns

        return columns(self.metrics)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What was found out about this run, by name: see `once`."""
        return {}

    def series(self, metric: str) -> Series:
        """Return `metric` (a canonical name) for analysis; empty where it was not logged.

        A restart supersedes what earlier segments logged at or after its first step; points
        without a step are left out; of several points at one step the last one counts.
        ``perf/step_seconds``, where it was not logged, is derived from the times of the loss.
        """
        from loganalyze.series import STEP_SECONDS, select, step_seconds

        if metric not in self._cache:
            found = select(self.columns, metric, self.preferred.get(metric))
            if metric == STEP_SECONDS and not len(found):
                found = step_seconds(self)
            self._cache[metric] = found
        return self._cache[metric]

    def has(self, metric: str) -> bool:
        """Tell whether any point of `metric` has a step."""
        return len(self.series(metric)) > 0

    def setting(self, key: str) -> ConfigValue | None:
        """Return the hyper-parameter called `key` here, under whatever name it was logged."""
        folded = self._folded_config
        for name in (key, *CONFIG_ALIASES.get(key, ())):
            if name in folded:
                return folded[name]
        return None

    def number(self, key: str) -> float | None:
        """Return the hyper-parameter `key` as a float, or None where it is absent or no number."""
        found = self.setting(key)
        if found is None or isinstance(found.value, bool) or found.value is None:
            return None
        try:
            return float(found.value)
        except ValueError:
            return None

    def flag(self, key: str) -> bool | None:
        """Return the hyper-parameter `key` as a truth value, or None where it is absent."""
        found = self.setting(key)
        if found is None or found.value is None:
            return None
        return str(found.value).strip().lower() in {"1", "1.0", "true", "yes", "on"}

    def events_of(self, *kinds: EventKind) -> tuple[Event, ...]:
        """Return the events of the given kinds, in the order they happened."""
        return tuple(event for event in self.events if event.kind in kinds)

    @property
    def first_step(self) -> int | None:
        """First step of any metric."""
        steps = self.metrics["step"]
        steps = steps[steps >= 0]
        return int(steps.min()) if len(steps) else None

    @property
    def last_step(self) -> int | None:
        """Last step of any metric."""
        steps = self.metrics["step"]
        steps = steps[steps >= 0]
        return int(steps.max()) if len(steps) else None

    def with_config(self, given: Mapping[str, Scalar], where: str = GIVEN) -> Run:
        """Return this run with the settings in `given` put over those that were read."""
        told = {key: ConfigValue(value, where) for key, value in given.items()}
        known = replace(self, config=MappingProxyType({**self.config, **told}))
        planned = known.number("max_steps") if "max_steps" in given else None
        return replace(known, planned_steps=int(planned)) if planned else known

    @cached_property
    def _folded_config(self) -> dict[str, ConfigValue]:
        """Map each config key, whole and by its last part, to its value; whole keys win."""
        folded: dict[str, ConfigValue] = {}
        for key, value in self.config.items():
            folded.setdefault(key.lower().replace("-", "_").rsplit(".", 1)[-1], value)
        for key, value in self.config.items():
            folded[key.lower().replace("-", "_")] = value
        return folded


def once(find: Callable[[Run], T]) -> Callable[[Run], T]:
    """Let a function of a run alone be worked out once for each run: many checks ask for the same fact."""

    @wraps(find)
    def found(run: Run) -> T:
        name = f"{find.__module__}.{find.__qualname__}"
        if name not in run.facts:
            run.facts[name] = find(run)
        fact: T = run.facts[name]
        return fact

    return found
