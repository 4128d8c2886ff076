"""What the index page of a scan shows, as values that a template can write down."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loganalyze.fleet.neighbours import Baseline, baselines
from loganalyze.fleet.patterns import Shared, shared_causes
from loganalyze.fleet.row import POINTS, Row
from loganalyze.report.cost import duration

if TYPE_CHECKING:
    from loganalyze.fleet.found import Scan

WIDTH, HEIGHT, EDGE = 96, 26, 2  # of a small picture of a loss
LOG_FROM = 100.0  # highest over lowest from which the picture is that of the logarithm
PICTURES = 12  # small multiples of a group
GROUPS = 20  # groups of a shared cause that are shown
FINDINGS = 4  # findings named in a row
SEVERITIES = ("critical", "warning", "info")
RANKS = {"critical": 0, "warning": 1, "unreadable": 2, "insufficient": 3, "healthy": 4}


@dataclass(frozen=True, slots=True)
class RunView:
    """A row of the table.

    Attributes
    ----------
    picture
        Path of the loss in a box of `WIDTH` x `HEIGHT`.
    rank
        Number of its level, the worst first.
    more
        Findings that are not named.
    """

    row: Row
    rank: int
    picture: str
    findings: tuple[tuple[str, str], ...]
    more: int
    duration: str
    command: str
    report: str
    baseline: Baseline | None
    diff: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A small multiple: the loss of a sick run, and that of its baseline on the same axes."""

    name: str
    anchor: int
    loss: str
    baseline: str
    label: str


@dataclass(frozen=True, slots=True)
class GroupView:
    """Runs with one cause."""

    shared: Shared
    pictures: tuple[Picture, ...]


def run_views(scan: Scan) -> list[RunView]:
    """Return the rows of the table."""
    near = baselines(scan.rows)
    return [_run_view(row, near.get(row.name), scan.reports.get(row.name, "")) for row in scan.rows]


def _run_view(row: Row, baseline: Baseline | None, report: str) -> RunView:
    severe = dict.fromkeys((found[0], found[1]) for found in row.findings)
    findings = tuple(sorted(severe, key=lambda found: SEVERITIES.index(found[1])))
    return RunView(
        row,
        RANKS.get(row.level, 2),
        path(row.curve, None),
        findings[:FINDINGS],
        max(len(findings) - FINDINGS, 0),
        duration(row.seconds) if row.seconds is not None else "",
        f"loganalyze report {target(row.path, row.run)}",
        report,
        baseline,
        f"loganalyze diff {_address(row)} {_address(baseline)}" if baseline else "",
    )


def _address(of: Row | Baseline) -> str:
    """Return the argument that names a run to ``diff``, which takes several."""
    return shlex.quote(f"{of.path}#{of.run}" if of.run else of.path)


def target(place: str, run: str | None) -> str:
    """Return the arguments that name a run to the other commands."""
    return shlex.quote(place) + (f" --run {shlex.quote(run)}" if run else "")


def group_views(scan: Scan, runs: Sequence[RunView]) -> list[GroupView]:
    """Return the groups of a shared cause, with the losses of their first runs beside their baselines."""
    place = {view.row.name: index for index, view in enumerate(runs)}
    rows = {row.name: row for row in scan.rows}
    found = []
    for shared in shared_causes(scan.rows)[:GROUPS]:
        members = [place[name] for name in shared.rows if name in place]
        members = [index for index in members if runs[index].picture]
        pictures = tuple(_picture(runs[index], index, rows) for index in members[:PICTURES])
        found.append(GroupView(shared, pictures))
    return found


def _picture(view: RunView, index: int, rows: Mapping[str, Row]) -> Picture:
    other = rows[view.baseline.name] if view.baseline else None
    base = other.curve if other else None
    lows = [v for c in (view.row.curve, base) if c for v in c[2] if v is not None]
    limits = (min(lows), max(lows)) if lows else None
    said = f"{view.row.name}: train loss"
    if other is not None and base is not None:
        said = f"{view.row.name}: train loss, beside that of {other.name}"
    return Picture(view.row.name, index, path(view.row.curve, limits), path(base, limits), said)


Curve = tuple[int, int, tuple[float | None, ...]] | None


def path(curve: Curve, limits: tuple[float, float] | None) -> str:
    """Return the SVG path of a curve, between `limits` or its own; gaps stay gaps."""
    import math

    values = curve[2] if curve else ()
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = limits or (min(known), max(known))
    logarithm = low > 0 and high / low > LOG_FROM
    if logarithm:
        low, high = math.log(low), math.log(high)
    parts, pen = [], "M"
    for index, value in enumerate(values):
        if value is None:
            continue
        at = math.log(value) if logarithm else value
        share = (at / 2 - low / 2) / (high / 2 - low / 2) if high > low else 0.0
        x = EDGE + index * (WIDTH - 2 * EDGE) / (POINTS - 1)
        y = HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE)
        parts.append(f"{pen}{x:.0f} {y:.0f}")
        pen = "L"
    return "".join(parts)
