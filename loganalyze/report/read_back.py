"""A diagnosis read back from the JSON that a report carries.

A report keeps no points: curves, and what the trouble cost, stand in the page itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loganalyze.errors import NothingReadable
from loganalyze.finding import (
    Cause,
    Check,
    Clue,
    Diagnosis,
    Finding,
    Level,
    Outcome,
    Severity,
    Verdict,
)
from loganalyze.frame import empty_metrics
from loganalyze.report.json import SCHEMA_VERSION
from loganalyze.run import ConfigValue, Problem, Run, Source, Status, Where

_EMBEDDED = re.compile(
    rb'<script type="application/json" id="loganalyze-diagnosis">(.*?)</script>', re.DOTALL
)


@dataclass(frozen=True)
class ReportedRun(Run):
    """A run as its report keeps it: everything but the points."""

    reported_steps: tuple[int | None, int | None] = (None, None)

    @property
    def first_step(self) -> int | None:
        """First step of any metric."""
        return self.reported_steps[0]

    @property
    def last_step(self) -> int | None:
        """Last step of any metric."""
        return self.reported_steps[1]


def embedded(path: Path) -> Any:
    """Return the JSON that a report carries.

    Raises
    ------
    NothingReadable
        If the file cannot be read or is no report of this tool.
    """
    import orjson

    try:
        found = _EMBEDDED.search(path.read_bytes())
        if found:
            return orjson.loads(found[1])
    except (OSError, orjson.JSONDecodeError) as error:
        raise NothingReadable(f"cannot read a report from {path}: {error}") from None
    raise NothingReadable(f"{path} is no report written by loganalyze")


def read_back(document: Any) -> Diagnosis:
    """Return the diagnosis that was written as `document`, schema_version 1.

    Raises
    ------
    NothingReadable
        If it is no such document.
    """
    try:
        version = document["schema_version"]
        if version != SCHEMA_VERSION:
            raise NothingReadable(
                f"a diagnosis of schema_version {version!r}; this loganalyze reads {SCHEMA_VERSION}"
            )
        return Diagnosis(
            run=_run(document),
            findings=tuple(_finding(item) for item in document["findings"]),
            checks=tuple(_check(item) for item in document["checks"]),
            causes=tuple(_cause(item) for item in document["causes"]),
            verdict=Verdict(
                Level(document["verdict"]["level"]), str(document["verdict"]["headline"])
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise NothingReadable(f"no diagnosis of loganalyze: {error!r}") from None


def _run(document: Any) -> ReportedRun:
    run = document["run"]
    return ReportedRun(
        name=str(run["name"]),
        path=str(run["path"]),
        metrics=empty_metrics(),
        framework=str(run["framework"]),
        status=Status(run["status"]),
        planned_steps=_step(run["planned_steps"]),
        started=run["started"],
        ended=run["ended"],
        config={
            key: ConfigValue(item["value"], str(item["where"]))
            for key, item in run["config"].items()
        },
        sources=tuple(_source(item) for item in document["sources"]),
        reported_steps=(_step(run["first_step"]), _step(run["last_step"])),
    )


def _step(value: Any) -> int | None:
    return None if value is None else int(value)


def _source(item: Any) -> Source:
    return Source(
        path=str(item["path"]),
        format=str(item["format"]),
        rows=int(item["rows"]),
        metrics=_texts(item["metrics"]),
        first_step=_step(item["first_step"]),
        last_step=_step(item["last_step"]),
        problems=tuple(Problem(text) for text in _texts(item["problems"])),
    )


def _finding(item: Any) -> Finding:
    steps = item["steps"]
    return Finding(
        id=str(item["id"]),
        severity=Severity(item["severity"]),
        confidence=float(item["confidence"]),
        title=str(item["title"]),
        summary=str(item["summary"]),
        steps=None if steps is None else (int(steps[0]), int(steps[1])),
        metrics=_texts(item["metrics"]),
        evidence={
            name: value if isinstance(value, (int, float)) else str(value)
            for name, value in item["evidence"].items()
        },
        where=tuple(Where(place) for place in _texts(item["where"])),
        fix=_texts(item["fix"]),
    )


def _cause(item: Any) -> Cause:
    from loganalyze.causes import hypotheses
    from loganalyze.causes.rank import section

    clues = [
        Clue(str(clue["text"]), float(clue["weight"]))
        for clue in (*item["evidence_for"], *item["evidence_against"])
    ]
    known = (h.explanation for h in hypotheses() if h.id == item["id"])
    return Cause(
        id=str(item["id"]),
        title=str(item["title"]),
        probability=float(item["probability"]),
        explains=_texts(item["explains"]),
        clues=tuple(clue for clue in clues if clue.weight),
        fix=_texts(item["fix"]),
        probe=str(item["probe"]),
        confirm=section(next(known, ""), "How to confirm"),
        undecided=" ".join(clue.text for clue in clues if not clue.weight),
    )


def _check(item: Any) -> Check:
    from loganalyze.detect import detectors

    known = (detector.passed for detector in detectors() if detector.id == item["id"])
    identifier = str(item["id"])
    return Check(identifier, Outcome(item["outcome"]), next(known, identifier), str(item["reason"]))


def _texts(items: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in items)
