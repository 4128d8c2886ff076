"""What the page shows, made from a diagnosis: each part a value that a template only lays out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from loganalyze.finding import Cause, Check, Clue, Diagnosis, Finding, Outcome
from loganalyze.lang import ENGLISH, explanations
from loganalyze.lang.translation import label
from loganalyze.report.cost import Cost, cost, duration
from loganalyze.report.excerpt import Excerpt, around, quoted, tail
from loganalyze.report.fixes import Fix, fixes
from loganalyze.report.sparkline import sparkline
from loganalyze.run import FATAL, Run, Status

if TYPE_CHECKING:
    from loganalyze.report.figure import Chart

FIGURES = 24  # of all findings together; a page with more is not read
BEFORE, AFTER = 8, 24  # lines of the log around a failure
NEAR = 2  # lines around any other place
QUOTED = 30  # lines of a traceback whose file is not there any more
LAST_LINES = 15  # of the log of a run that did not end well
METRICS = 200  # rows in the table of all metrics
LOOK_ALIKES = "Not to be confused with"  # section of a check's documentation
CURVE = 24  # characters of a small curve in it


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the verdict: how far it got, what it cost, where to go back to."""

    name: str
    value: str
    details: tuple[str, ...] = ()
    copied: bool = False

    @property
    def detail(self) -> str:
        """The small print, in one line."""
        return ", ".join(self.details)


@dataclass(frozen=True, slots=True)
class CauseView:
    """A cause with its fix taken apart and the command that would confirm it, if there is one."""

    cause: Cause
    rank: int
    percent: int
    fixes: tuple[Fix, ...]
    probe: str

    @property
    def strongest_for(self) -> Clue | None:
        """The clue that speaks most for it."""
        return next(iter(self.cause.evidence_for), None)

    @property
    def strongest_against(self) -> Clue | None:
        """The clue that speaks most against it."""
        return next(iter(self.cause.evidence_against), None)


@dataclass(frozen=True, slots=True)
class FindingView:
    """A finding with what the page shows beside it.

    Attributes
    ----------
    excerpt
        Lines of the log: the failure itself, or those around the first cited one.
    undrawn
        The page had its `FIGURES` before this finding.
    """

    anchor: str
    finding: Finding
    charts: tuple[Chart, ...]
    undrawn: bool
    excerpt: Excerpt | None
    fixes: tuple[Fix, ...]
    not_confused: str
    explanation: tuple[tuple[str, str], ...]
    causes: tuple[Cause, ...]

    @property
    def is_failure(self) -> bool:
        """Whether what it cites is an error in the log, not a number."""
        return not self.finding.metrics or self.finding.id.startswith("oom-")


@dataclass(frozen=True, slots=True)
class MetricView:
    """One row of the table of all metrics."""

    name: str
    points: int
    steps: str
    first: float
    last: float
    low: float
    high: float
    curve: str


def facts(diagnosis: Diagnosis, lang: str = ENGLISH) -> tuple[Fact, ...]:
    """Return the facts beside the verdict."""
    return tuple(
        replace(
            fact,
            name=label(fact.name, lang),
            value=fact.value if fact.copied else label(fact.value, lang),
            details=tuple(label(part, lang) for part in fact.details),
        )
        for fact in _facts(diagnosis)
    )


def _facts(diagnosis: Diagnosis) -> list[Fact]:
    run = diagnosis.run
    found = []
    if run.last_step is not None:
        detail = [f"of {run.planned_steps:,} planned"] if run.planned_steps else []
        if run.planned_steps and run.planned_steps >= run.last_step:
            share = run.last_step / run.planned_steps
            detail.append(f"{share:.0%}" if share >= 0.01 else "under 1%")
        found.append(Fact("Got to", f"step {run.last_step:,}", tuple(detail)))
    if run.status is not Status.UNKNOWN:
        found.append(Fact("Ended", run.status.value, _times(run)))
    lost = cost(diagnosis)
    return found if lost is None else [*found, _lost(lost), _way_back(lost)]


def _lost(lost: Cost) -> Fact:
    """Say what was lost; where nothing was saved or went wrong before the end, how long all was well."""
    if not lost.steps:
        return Fact("In order up to", f"step {lost.last:,}", ("its last",))
    parts = []
    if lost.seconds:
        parts.append(duration(lost.seconds))
        if lost.devices and lost.devices > 1:
            parts.append(f"{lost.seconds * lost.devices / 3600:.3g} device hours")
    place = "the checkpoint" if lost.checkpoint else f"step {lost.good_until:,}, the last in order"
    steps = f"{lost.steps:,} step{'' if lost.steps == 1 else 's'}"
    return Fact("Lost", steps, (*parts, f"since {place}"))


def _way_back(lost: Cost) -> Fact:
    if lost.checkpoint:
        detail = f"step {lost.checkpoint.step:,}"
        return Fact("Go back to", lost.checkpoint.name, (detail,), copied=True)
    known = "every one is later" if lost.saves else "none is known of"
    return Fact("Go back to", "no checkpoint", (known,))


def _times(run: Run) -> tuple[str, ...]:
    """Return when the run was made, and how long it took."""
    if run.started is None or run.ended is None or run.ended < run.started:
        return ()
    try:
        begin, end = (datetime.fromtimestamp(t, UTC) for t in (run.started, run.ended))
    except (ValueError, OverflowError, OSError):  # no clock of this world
        return ()
    same = begin.date() == end.date()
    text = (
        f"{begin:%Y-%m-%d %H:%M} to {end:%H:%M}"
        if same
        else f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
    )
    seconds = run.ended - run.started
    return (f"{text} UTC", duration(seconds)) if seconds else (f"{text} UTC",)


def cause_views(diagnosis: Diagnosis) -> tuple[CauseView, ...]:
    """Return the causes as the page shows them."""
    return tuple(
        CauseView(
            cause, rank, round(100 * cause.probability), fixes(cause.fix), probe_command(cause)
        )
        for rank, cause in enumerate(diagnosis.causes, start=1)
    )


def probe_command(cause: Cause) -> str:
    """Return the command that would confirm a cause; empty where no probe can, or none is installed."""
    from importlib.util import find_spec

    there = find_spec("loganalyze.probe") is not None
    return cause.probe if there and cause.is_testable else ""


def finding_views(diagnosis: Diagnosis, lang: str = ENGLISH) -> tuple[FindingView, ...]:
    """Return the findings as the page shows them; the most severe have figures."""
    from loganalyze.report.charts import of_finding

    documents = _explanations(lang)
    look_alikes = explanations.title(LOOK_ALIKES, lang)
    count: dict[str, int] = {}
    views: list[FindingView] = []
    for finding in diagnosis.findings:
        count[finding.id] = count.get(finding.id, 0) + 1
        anchor = f"f-{finding.id}-{count[finding.id]}"
        full = sum(len(view.charts) for view in views) >= FIGURES
        charts = tuple(of_finding(diagnosis, finding, f"{anchor}-c"))
        explained = documents.get(finding.id, ())
        views.append(
            FindingView(
                anchor, finding, () if full else charts, full and bool(charts),
                _excerpt(diagnosis.run, finding), fixes(finding.fix),
                next((text for heading, text in explained if heading == look_alikes), ""), explained,
                tuple(cause for cause in diagnosis.causes if finding.id in cause.explains),
            )
        )  # fmt: skip
    return tuple(views)


def _explanations(lang: str) -> dict[str, tuple[tuple[str, str], ...]]:
    from loganalyze.causes.rank import section
    from loganalyze.detect import detectors

    headings = ("What it does", "Why it matters", LOOK_ALIKES, "Fix", "References")
    return {
        detector.id: tuple(
            (
                explanations.title(heading, lang),
                explanations.section("finding", detector.id, heading, text, lang),
            )
            for heading in headings
            if (text := section(detector.explanation, heading))
        )
        for detector in detectors()
    }


def _excerpt(run: Run, finding: Finding) -> Excerpt | None:
    """Return the lines of the log that a finding cites: more of them around a failure."""
    cited = {(where.source, where.row) for where in finding.where}
    events = [e for e in run.events if (e.where.source, e.where.row) in cited and e.kind in FATAL]
    for event in events:
        lines = max(AFTER, len(event.text.splitlines()) + NEAR)
        found = around(run, event.where, BEFORE, min(lines, 2 * AFTER))
        found = found or quoted(event.where.source, event.text, QUOTED)
        if found is not None:
            return found
    return next(
        (e for w in finding.where[:1] if (e := around(run, w, NEAR, NEAR)) is not None), None
    )


def last_lines(run: Run) -> tuple[Excerpt, ...]:
    """Return the ends of the logs of a run that did not end well."""
    if run.status is Status.COMPLETED:
        return ()
    texts = [source.path for source in run.sources if source.format == "text"]
    return tuple(e for path in texts[:2] if (e := tail(run, path, LAST_LINES)) is not None)


def metric_views(run: Run) -> tuple[tuple[MetricView, ...], int]:
    """Return the first metrics by name, and how many more there are."""
    import numpy as np

    names = sorted(str(name) for name in run.metrics["metric"].cat.categories)
    rows = []
    for name in names[:METRICS]:
        series = run.series(name)
        finite = series.finite().value
        if len(series):
            ends = (int(series.step[0]), int(series.step[-1]))
            low, high = (
                (float(np.min(finite)), float(np.max(finite))) if len(finite) else (np.nan, np.nan)
            )
            rows.append(
                MetricView(
                    name, len(series), f"{ends[0]:,} to {ends[1]:,}", float(series.value[0]),
                    float(series.value[-1]), low, high, sparkline(series, CURVE, ends),
                )
            )  # fmt: skip
    return tuple(rows), max(len(names) - METRICS, 0)


def checks_of(diagnosis: Diagnosis, outcome: Outcome) -> tuple[Check, ...]:
    """Return the checks with one outcome."""
    return tuple(check for check in diagnosis.checks if check.outcome is outcome)


def counted(findings: Sequence[FindingView]) -> dict[str, int]:
    """Return how many findings there are of each severity, the most severe first."""
    values = [view.finding.severity.value for view in findings]
    return {name: values.count(name) for name in ("critical", "warning", "info") if name in values}
