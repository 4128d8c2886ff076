"""What a scan keeps of a diagnosis: one row of its table, small and plain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from loganalyze.names import CONFIG_ALIASES
from loganalyze.report.redact import redact, redact_value

if TYPE_CHECKING:
    from loganalyze.finding import Diagnosis
    from loganalyze.run import Run, Series

UNREADABLE = "unreadable"  # the level of what no run could be read from
POINTS = 48  # of the loss that is kept for its small picture
DIGITS = 4  # significant digits of these
MOST_SETTINGS = 120  # a scan compares settings; a run may log its whole environment
LONGEST_SETTING = 80  # characters; longer ones are texts, lists or paths
CAUSES = 3  # causes kept of each run
_BEST = (("eval/accuracy", max), ("eval/loss", min))  # what is meant by the best evaluation
_ALIASES = {alias: key for key, aliases in CONFIG_ALIASES.items() for alias in aliases}
_RANK = {"critical": 0, "warning": 1, UNREADABLE: 2, "insufficient": 3, "healthy": 4}


@dataclass(frozen=True, slots=True)
class Row:
    """One run of a scan.

    Attributes
    ----------
    name, path, run
        What is shown; what `loganalyze report` takes; and which run there, where it holds several.
    level
        ``critical``, ``warning``, ``insufficient``, ``healthy`` or ``unreadable``.
    seconds
        From the first to the last logged time.
    best
        Metric, value and step of the best evaluation.
    findings
        Id, severity and title, most severe first.
    causes
        Id, title and probability, likeliest first.
    config
        Settings under the names that are used here.
    curve
        The train loss: first and last step, and the highest value of each of `POINTS` equal parts (None
        where there is none, or no finite one).
    size
        Bytes of the files that it was read from.
    modified
        UNIX seconds of the newest of them.
    """

    name: str = ""
    path: str = ""
    run: str | None = None
    level: str = UNREADABLE
    headline: str = ""
    framework: str = "unknown"
    status: str = "unknown"
    first_step: int | None = None
    last_step: int | None = None
    planned_steps: int | None = None
    started: float | None = None
    ended: float | None = None
    seconds: float | None = None
    loss: float | None = None
    best: tuple[str, float, int] | None = None
    findings: tuple[tuple[str, str, str], ...] = ()
    causes: tuple[tuple[str, str, float], ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    curve: tuple[int, int, tuple[float | None, ...]] | None = None
    size: int = 0
    modified: float = 0.0

    @property
    def sick(self) -> bool:
        """Whether something is wrong with it."""
        return self.level in ("critical", "warning")

    @property
    def order(self) -> tuple[int, int, float, str]:
        """Sort by it to have the worst first: level, how much was found, how sure its first cause is."""
        severe = sum(severity == "critical" for _, severity, _ in self.findings)
        sure = self.causes[0][2] if self.causes else 0.0
        return _RANK.get(self.level, 2), -severe, -sure, self.name

    @property
    def cause(self) -> tuple[str, str, float] | None:
        """The first cause."""
        return self.causes[0] if self.causes else None


def to_plain(row: Row) -> dict[str, Any]:
    """Return a row as plain values."""
    return asdict(row)


def from_plain(values: Mapping[str, Any]) -> Row:
    """Return the row that `to_plain` made, after its way through JSON.

    Raises
    ------
    TypeError, ValueError
        If the values are none.
    """
    known = {entry.name for entry in fields(Row)}
    given = {key: value for key, value in values.items() if key in known}
    for key in ("findings", "causes"):
        given[key] = tuple(tuple(item) for item in given.get(key, ()))
    if given.get("best") is not None:
        given["best"] = tuple(given["best"])
    if given.get("curve") is not None:
        first, last, points = given["curve"]
        given["curve"] = (first, last, tuple(points))
    return Row(**given)


def row_of(diagnosis: Diagnosis) -> Row:
    """Keep of a diagnosis what a scan shows and compares; secrets are masked."""
    run = diagnosis.run
    loss = run.series("train/loss")
    finite = loss.finite()
    spans = run.started is not None and run.ended is not None
    return Row(
        level=diagnosis.verdict.level.value,
        headline=redact(diagnosis.verdict.headline),
        framework=run.framework,
        status=run.status.value,
        first_step=run.first_step,
        last_step=run.last_step,
        planned_steps=run.planned_steps,
        started=run.started,
        ended=run.ended,
        seconds=_finite(run.ended - run.started) if spans else None,  # type: ignore[operator]
        loss=_finite(float(finite.value[-1])) if len(finite) else None,
        best=_best(run),
        findings=tuple((f.id, f.severity.value, redact(f.title)) for f in diagnosis.findings),
        causes=tuple(
            (c.id, redact(c.title), round(float(c.probability), 4))
            for c in diagnosis.causes[:CAUSES]
        ),
        config=settings_of_run(run),
        curve=curve(loss),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _best(run: Run) -> tuple[str, float, int] | None:
    for metric, better in _BEST:
        points = run.series(metric).finite()
        if len(points):
            index = int(points.value.argmax() if better is max else points.value.argmin())
            return metric, float(points.value[index]), int(points.step[index])
    return None


def settings_of_run(run: Run) -> dict[str, Any]:
    """Return the settings that can be compared: short ones, under the names that are used here."""
    found: dict[str, Any] = {}
    for key, item in run.config.items():
        name = key.lower().replace("-", "_").rsplit(".", 1)[-1]
        name = _ALIASES.get(name, name)
        value = redact_value(key, item.value)
        if key.startswith("tags.") or name in found or value is None:
            continue
        if isinstance(value, str) and len(value) > LONGEST_SETTING:
            continue
        found[name] = value
        if len(found) >= MOST_SETTINGS:
            break
    return found


def curve(series: Series) -> tuple[int, int, tuple[float | None, ...]] | None:
    """Reduce a curve to the highest finite value of each of `POINTS` equal parts of its steps."""
    import numpy as np

    if not len(series):
        return None
    first, last = int(series.step[0]), int(series.step[-1])
    part = np.minimum((series.step - first) * POINTS // max(last - first, 1), POINTS - 1)
    finite = np.isfinite(series.value)
    high = np.full(POINTS, -np.inf)
    np.maximum.at(high, part[finite], series.value[finite])
    points = tuple(
        float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None for value in high.tolist()
    )
    return first, last, points
